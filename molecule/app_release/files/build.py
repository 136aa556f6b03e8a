"""Build the scenario's releases: `build.py FOLDER` writes archives and `releases.json` with their checksums."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

FLAWS = {
    "v1": "",
    "v2": "",
    "v3": "",
    "v4": "",
    "v5": "",
    "crash": "crash",
    "unready": "unready",
    "migration": "migration",
    "nameless": "nameless",
}


def pack(folder: Path, release: str, flaw: str) -> dict[str, str]:
    """Write one archive."""
    sources = Path(__file__).parent
    files = {name: (sources / name).read_bytes() for name in ("server.js", "migrate.js")}
    files["manifest.json"] = json.dumps({"release": release, "flaw": flaw}).encode()
    path = folder / f"contract-{release}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"contract-{release}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    releases = {release: pack(target, release, flaw) for release, flaw in FLAWS.items()}
    (target / "releases.json").write_text(json.dumps(releases))
