"""The diagram of an environment: its hosts by tier, what runs on each, and their connections. Plain SVG, without tools.

A column per step of a request (edge, application, data, backups), a frame per set of hosts with the same tiers, a card
per host. Hosts with all tiers are one frame; an arrow is drawn only between frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from stackwright.model import graph_cards
from stackwright.model.environment import Environment
from stackwright.model.graph_cards import Card, Link
from stackwright.model.topology import TIERS

_CARD_WIDTH, _CARD_GAP = 244, 16
_FRAME_PAD, _FRAME_HEAD, _FRAME_GAP = 16, 34, 26
_ROW, _CARD_HEAD, _CARD_FOOT = 23, 58, 9
_ARROW_ROOM = 118
_MARGIN, _HEADER, _FOOTER = 36, 92, 58
_USERS = 112

_COLUMNS = {"edge": 0, "app": 1, "database": 2, "cache": 2, "ops": 3}
_COLOURS = {
    "edge": "#2563eb",
    "app": "#059669",
    "database": "#b45309",
    "cache": "#dc2626",
    "ops": "#6d28d9",
    "consensus": "#64748b",
}
_WORDS = {
    "edge": "Edge",
    "app": "Application",
    "database": "Database",
    "cache": "Cache",
    "ops": "Operations",
    "consensus": "Consensus",
}

_STYLE = """
text{font-family:Inter,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans","DejaVu Sans",sans-serif;fill:#0f172a}
.mono{font-family:"JetBrains Mono",Consolas,Menlo,"Liberation Mono","DejaVu Sans Mono",monospace}
.title{font-size:22px;font-weight:700}.subtitle{font-size:13px;fill:#475569}
.tier{font-size:12px;font-weight:700;letter-spacing:.6px}
.host{font-size:15px;font-weight:700}.address{font-size:12px;fill:#334155}.size{font-size:11.5px;fill:#64748b}
.service{font-size:12.5px}.port{font-size:11.5px;fill:#475569}
.label{font-size:11.5px;font-weight:600;fill:#334155}.ports{font-size:11px;fill:#475569}
.halo{paint-order:stroke;stroke:#f8fafc;stroke-width:5px;stroke-linejoin:round}
.arrow{fill:none;stroke:#64748b;stroke-width:1.6}.copy{stroke-dasharray:5 4}
.frame{fill:#fff;stroke:#cbd5e1}.card{fill:#f8fafc;stroke:#cbd5e1}
""".strip()


#: The head of an arrow.
_HEAD = """
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0.5L7.5 4L0 7.5z" fill="#64748b"/></marker></defs>
""".strip()


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Hosts that belong to the same tiers."""

    tiers: tuple[str, ...]
    cards: tuple[Card, ...]
    x: int = 0
    y: int = 0

    @property
    def column(self) -> int:
        return _COLUMNS[self.tiers[0]]

    @property
    def width(self) -> int:
        return _CARD_WIDTH + 2 * _FRAME_PAD

    @property
    def height(self) -> int:
        cards = sum(_height(card) for card in self.cards) + _CARD_GAP * (len(self.cards) - 1)
        return _FRAME_HEAD + cards + _FRAME_PAD

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(kw_only=True)
class _Sides:
    """The arrows that end at each side of each frame, so that they are distributed evenly."""

    ends: dict[tuple[int, str], list[tuple[float, int]]] = field(default_factory=dict)

    def add(self, frame: int, side: str, towards: float, arrow: int) -> None:
        self.ends.setdefault((frame, side), []).append((towards, arrow))

    def place(self, frame: _Frame, number: int, side: str, arrow: int) -> float:
        """Return the arrow's y position on its side; in the order of the other ends, so that arrows do not cross."""
        ends = sorted(self.ends[number, side])
        position = [arrow_number for _, arrow_number in ends].index(arrow)
        return frame.y + frame.height * (position + 1) / (len(ends) + 1)


def topology_svg(environment: Environment) -> str:
    """Return the environment's topology as an SVG document."""
    frames = _placed(_frames(environment))
    width = max(frame.x + frame.width for frame in frames) + _MARGIN
    # The legend has to fit as well.
    width = max(width, 680)
    height = max(frame.y + frame.height for frame in frames) + _FOOTER
    names = ", ".join((environment.domain, *environment.aliases))
    title = f"{environment.name}: {environment.system.title}"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_description(environment))}</desc>",
        f"<style>{_STYLE}</style>",
        _HEAD,
        f'<rect width="{width}" height="{height}" rx="14" fill="#f8fafc"/>',
        _text(_MARGIN, 44, title, "title"),
        _text(_MARGIN, 67, _subtitle(environment), "subtitle"),
        *_arrows(environment, frames),
        *(part for frame in frames for part in _frame(frame)),
        *_users(frames, names),
        *_legend(environment, height, copies=len(frames) > 1),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frames(environment: Environment) -> list[_Frame]:
    frames = [_Frame(tiers=tiers, cards=cards) for tiers, cards in graph_cards.by_tiers(environment).items()]
    return sorted(frames, key=lambda frame: (frame.column, TIERS.index(frame.tiers[0])))


def _height(card: Card) -> int:
    return _CARD_HEAD + _ROW * len(card.rows) + _CARD_FOOT


def _subtitle(environment: Environment) -> str:
    size = f"size {environment.stack.topology.size}" if environment.stack.topology else "own servers"
    number = len(environment.hosts)
    hosts = (
        f"up to {len(environment.slots)} hosts" if environment.slots else f"{number} host{'s' if number != 1 else ''}"
    )
    provider = environment.provider.replace("_", " ")
    return "   ·   ".join((provider, environment.environment_class, size, hosts, environment.network.cidr))


def _description(environment: Environment) -> str:
    hosts = (f"{host.name} ({host.address}): {', '.join(host.groups)}" for host in environment.hosts)
    return "; ".join(hosts)


# --- where it is --------------------------------------------------------------------------------------------------


def _placed(frames: Sequence[_Frame]) -> list[_Frame]:
    """Return the frames in columns from left to right, each column centred."""
    columns = sorted({frame.column for frame in frames})
    heights = {column: _column_height([member for member in frames if member.column == column]) for column in columns}
    tallest = max(heights.values())
    placed: list[_Frame] = []
    for number, column in enumerate(columns):
        x = _MARGIN + _USERS + _ARROW_ROOM + number * (_CARD_WIDTH + 2 * _FRAME_PAD + _ARROW_ROOM)
        y = _HEADER + (tallest - heights[column]) // 2
        for frame in frames:
            if frame.column == column:
                placed.append(replace(frame, x=x, y=y))
                y += frame.height + _FRAME_GAP
    return placed


def _column_height(frames: Sequence[_Frame]) -> int:
    return sum(frame.height for frame in frames) + _FRAME_GAP * (len(frames) - 1)


# --- drawing ------------------------------------------------------------------------------------------------------


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" class="{style}"{end}>{escape(text)}</text>'


def _frame(frame: _Frame) -> Iterator[str]:
    yield f'<rect x="{frame.x}" y="{frame.y}" width="{frame.width}" height="{frame.height}" rx="12" class="frame"/>'
    yield f'<g class="tier">{_heading(frame)}</g>'
    y = frame.y + _FRAME_HEAD
    for card in frame.cards:
        yield from _card(card, frame.x + _FRAME_PAD, y)
        y += _height(card) + _CARD_GAP


def _heading(frame: _Frame) -> str:
    if len(frame.tiers) == len(TIERS):
        return f'<text x="{frame.x + _FRAME_PAD}" y="{frame.y + 22}">EVERYTHING</text>'
    # Capitals of many tiers would not fit into the frame.
    few = len(frame.tiers) < 3
    words = {tier: _WORDS[tier].upper() if few else _WORDS[tier] for tier in frame.tiers}
    spans = " ".join(f'<tspan fill="{_COLOURS[tier]}">{escape(word)}</tspan>' for tier, word in words.items())
    return f'<text x="{frame.x + _FRAME_PAD}" y="{frame.y + 22}">{spans}</text>'


def _card(card: Card, x: int, y: int) -> Iterator[str]:
    right = x + _CARD_WIDTH - 14
    yield f'<rect x="{x}" y="{y}" width="{_CARD_WIDTH}" height="{_height(card)}" rx="8" class="card"/>'
    yield _text(x + 14, y + 23, card.title, "host")
    yield _text(right, y + 23, card.corner, "address mono", "end")
    yield _text(x + 14, y + 41, card.size, "size")
    yield f'<path d="M{x + 14} {y + 50}H{right}" stroke="#e2e8f0"/>'
    for number, row in enumerate(card.rows):
        base = y + _CARD_HEAD + number * _ROW + 14
        yield f'<circle cx="{x + 18}" cy="{base - 4}" r="4" fill="{_COLOURS[row.tier]}"/>'
        yield _text(x + 30, base, row.text, "service")
        yield _text(right, base, row.ports, "port mono", "end")


def _arrows(environment: Environment, frames: Sequence[_Frame]) -> Iterator[str]:
    arrows = [
        (_of_tier(frames, link.source), _of_tier(frames, link.target), link)
        for link in graph_cards.links(environment)
        if _of_tier(frames, link.source) != _of_tier(frames, link.target)
    ]
    sides = _Sides()
    for number, (source, target, _) in enumerate(arrows):
        out, into = _facing(frames[source], frames[target])
        sides.add(source, out, frames[target].middle, number)
        sides.add(target, into, frames[source].middle, number)
    edge = _of_tier(frames, "edge")
    yield from _arrow(_users_right(), frames[edge].middle, frames[edge].x, frames[edge].middle, _entry())
    for number, (source, target, link) in enumerate(arrows):
        out, into = _facing(frames[source], frames[target])
        start, end = frames[source], frames[target]
        yield from _arrow(
            start.x + (start.width if out == "right" else 0),
            sides.place(start, source, out, number),
            end.x + (end.width if into == "right" else 0),
            sides.place(end, target, into, number),
            link,
        )


def _entry() -> Link:
    return Link(source="users", target="edge", label="HTTPS", ports="443")


def _users_right() -> int:
    return _MARGIN + _USERS


def _of_tier(frames: Sequence[_Frame], tier: str) -> int:
    return next(number for number, frame in enumerate(frames) if tier in frame.tiers)


def _facing(source: _Frame, target: _Frame) -> tuple[str, str]:
    return ("right", "left") if source.x < target.x else ("left", "right")


def _arrow(x1: float, y1: float, x2: float, y2: float, link: Link) -> Iterator[str]:
    bend = (x1 + x2) / 2
    style = "arrow copy" if link.copy else "arrow"
    # The head is drawn beyond the line's end; it should touch the frame, not enter it.
    tip = x2 - 1 if x2 > x1 else x2 + 1
    yield (
        f'<path d="M{x1:g} {y1:g}C{bend:g} {y1:g} {bend:g} {y2:g} {tip:g} {y2:g}" '
        f'class="{style}" marker-end="url(#head)"/>'
    )
    middle = (y1 + y2) / 2
    yield _text(bend, middle - 7, link.label, "label halo", "middle")
    yield _text(bend, middle + 17, link.ports, "ports mono halo", "middle")


def _users(frames: Sequence[_Frame], names: str) -> Iterator[str]:
    x, y = _MARGIN + _USERS // 2, frames[_of_tier(frames, "edge")].middle
    yield f'<circle cx="{x}" cy="{y - 14:g}" r="13" fill="#e2e8f0" stroke="#64748b"/>'
    yield f'<path d="M{x - 25} {y + 26:g}a25 25 0 0 1 50 0z" fill="#e2e8f0" stroke="#64748b"/>'
    yield _text(x, y + 47, "users", "label", "middle")
    for number, name in enumerate(names.split(", ")):
        yield _text(x, y + 65 + 15 * number, name, "size", "middle")


def _legend(environment: Environment, height: int, *, copies: bool) -> Iterable[str]:
    x = _MARGIN
    cards = [card for cards in graph_cards.by_tiers(environment).values() for card in cards]
    shown = {row.tier for card in cards for row in card.rows}
    used = [tier for tier in (*TIERS, "consensus") if tier in shown]
    for tier in used:
        yield f'<circle cx="{x + 4}" cy="{height - 26}" r="4" fill="{_COLOURS[tier]}"/>'
        yield _text(x + 14, height - 22, _WORDS[tier], "size")
        x += 36 + round(6.2 * len(_WORDS[tier]))
    if copies:
        yield f'<path d="M{x + 4} {height - 26}h30" class="arrow copy"/>'
        yield _text(x + 42, height - 22, "copies", "size")
