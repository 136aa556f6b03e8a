"""Installs the SSM agent, which Debian's images lack: one version, whose checksum user data carries."""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from . import calls

#: Bytes; the package has about 25 MB.
_LIMIT = 200 << 20
_PATIENCE_SECONDS = 1800


def install(config: Mapping[str, str]) -> None:
    """Download, compare, install."""
    package = calls.read(calls.send("GET", config["url"], timeout=60), _LIMIT)
    digest = hashlib.sha256(package).hexdigest()
    if digest != config["sha256"]:
        raise calls.RefusedError(f"{config['url']} has the checksum {digest}, and {config['sha256']} is the right one")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "amazon-ssm-agent.deb"
        file.write_bytes(package)
        subprocess.run(["dpkg", "--install", str(file)], check=True)
    subprocess.run(["systemctl", "enable", "--now", "amazon-ssm-agent"], check=True)


def main(path: str = "/etc/stackwright/ssm-agent.json") -> int:
    """Try until it is done: without it nobody reaches the host."""
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    until = time.monotonic() + _PATIENCE_SECONDS
    for wait in calls.waits():
        try:
            install(config)
        except (calls.UnreachableError, calls.RefusedError, subprocess.CalledProcessError) as problem:
            print(f"the SSM agent is not installed: {problem}", flush=True)
            if time.monotonic() + wait > until:
                break
            time.sleep(wait)
        else:
            print("the SSM agent is installed", flush=True)
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
