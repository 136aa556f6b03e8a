"""Write sessions to the place that a client knows, until a file says to stop; report what was acknowledged and the longest wait."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import redis


def main(folder: Path) -> None:
    """Write a key after the other; a lost connection is opened again, as every client library does."""
    ca, stop = folder / "ca.crt", folder / "writer.stop"
    ca.write_text(json.loads((folder / "ca.json").read_text())["certificate"])
    for name in ("writer.stop", "writer.json"):
        (folder / name).unlink(missing_ok=True)
    # By the port's forwarding the certificate is that of another host.
    client = redis.Redis(
        "10.231.22.11",
        6379,
        username="taaleem",
        password="molecule-only-taaleem-sessions",
        ssl=True,
        ssl_ca_certs=str(ca),
        ssl_check_hostname=False,
        socket_timeout=40,
    )
    written, longest, last, reconnects = 0, 0.0, time.monotonic(), 0
    while not stop.exists():
        try:
            client.set(f"sess:moved:{written}", "x", ex=3600)
        except redis.exceptions.RedisError:
            reconnects += 1
            time.sleep(0.02)
            continue
        written += 1
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.01)
    (folder / "writer.json").write_text(json.dumps({"written": written, "longest": longest, "reconnects": reconnects}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
