"""The keeper of certificates on a host, while the environment's CA is replaced."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stackwright.secret_store import new_ca

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program of the role, with its folders below a temporary one."""
    for name, place in (("CONFIG", "tls.json"), ("ROOT", "tls"), ("STATE", "state"), ("ANCHORS", "anchors")):
        monkeypatch.setenv(f"STACKWRIGHT_TLS_{name}", str(tmp_path / place))
    monkeypatch.setenv("STACKWRIGHT_TLS_BUNDLE", str(tmp_path / "bundle"))
    for folder in ("tls/.pending", "state", "anchors"):
        (tmp_path / folder).mkdir(parents=True)
    spec = importlib.util.spec_from_file_location("stackwright_tls", ROOT / "roles/tls/files/stackwright_tls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "stackwright_tls", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "group_id", lambda _: os.getegid())
    monkeypatch.setattr(module, "groups_left_over", lambda _: [])
    monkeypatch.setattr(module, "run", lambda *_: "")
    return module


def test_another_ca_reaches_a_pair_without_a_new_key_or_leaf(
    keeper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(ca: str) -> list[str]:
        certificate = {"name": "web", "issuer": "internal", "dns": ["x.test"], "ip": [], "reload": []}
        raw = {"certificates": [certificate], "ca_certificate": ca, "validity_days": 825, "warning_percent": 20}
        keeper.CONFIG.write_text(json.dumps(raw | {"trust_file": "stackwright-x.crt"}))
        monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
        changes: list[str] = keeper.install(keeper.Config.read(keeper.CONFIG), dry_run=False)["changed"]
        return [change for change in changes if change.startswith("web")]

    first, second = (new_ca("x")["tls/ca_crt"] for _ in range(2))
    install(first)
    wanted = keeper.Config.read(keeper.CONFIG).certificates[0]
    leaf = keeper.self_signed(wanted, "x", 30)
    keeper.swap_in(wanted, keeper.Pair(key=leaf.key, chain=leaf.chain, ca=first.encode()))
    file = wanted.link / "ca.crt"
    os.utime(file, (1, 1))
    assert install(first) == []

    for bundle, count in ((first + second, 2), (second, 1)):
        before = keeper.current(wanted)
        assert install(bundle) == ["web: CA certificates replaced"]
        after = keeper.current(wanted)
        assert (after.key, after.chain, after.ca.count(b"BEGIN")) == (before.key, before.chain, count)
        assert install(bundle) == []
        # etcd, which reads a CA when it starts, goes by the time.
        assert file.stat().st_mtime > 1
        os.utime(file, (1, 1))

    # A renewed leaf under the same CA leaves it alone.
    renewed = keeper.self_signed(wanted, "x", 40)
    keeper.swap_in(wanted, keeper.Pair(key=renewed.key, chain=renewed.chain, ca=second.encode()))
    assert file.stat().st_mtime == 1


def test_status_says_of_each_certificate_when_it_ends_and_what_is_wrong(
    keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hourly check fails by the same words."""

    def entry(name: str, days: int | None) -> dict[str, Any]:
        wanted = {"name": name, "issuer": "internal", "dns": ["x.test"], "ip": [], "reload": []}
        if days is not None:
            pair = keeper.self_signed(keeper.Wanted.read(wanted), "x", days)
            keeper.swap_in(keeper.Wanted.read(wanted), pair)
        return wanted

    entries = [entry("good", 30), entry("absent", None), entry("over", 1)]
    raw = {"certificates": entries, "ca_certificate": new_ca("x")["tls/ca_crt"], "validity_days": 30}
    keeper.CONFIG.write_text(json.dumps(raw | {"warning_percent": 20, "trust_file": "x.crt"}))
    config = keeper.Config.read(keeper.CONFIG)
    later = keeper.utc_now() + timedelta(days=2)
    monkeypatch.setattr(keeper, "utc_now", lambda: later)
    good, absent, over, ca = keeper.status(config)["certificates"]
    assert (good["usable"], good["problems"], ca["usable"], ca["problems"]) == (True, [], True, [])
    assert good["ends"].endswith("+00:00")
    assert absent == {"name": "absent", "ends": None, "usable": False, "problems": ["there is no certificate"]}
    assert (over["usable"], len(over["problems"])) == (False, 1)
    with pytest.raises(keeper.TlsError, match=r"(?s)absent: there is no certificate.*over: ends "):
        keeper.check(config, dry_run=True)
