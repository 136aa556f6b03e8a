"""Offers installed packages again with a higher version, from a source on this host; prints the new versions.

Standard input: the names, as a JSON list. Standard output: {package: version}. The contents are those of the installed
packages, so that the update changes nothing else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path("/srv/updates")
SOURCE = Path("/etc/apt/sources.list.d/updates.list")
SUFFIX = "+test1"


def output(*argv: str) -> str:
    return subprocess.run(argv, cwd=FOLDER, check=True, text=True, stdout=subprocess.PIPE).stdout


def repack(package: str, versions: dict[str, str]) -> str:
    """Build the package with its higher version; return its entry for the package list of the source."""
    output("apt-get", "--quiet", "download", f"{package}={versions[package]}")
    original = next(FOLDER.glob(f"{package}_*.deb"))
    tree, built = FOLDER / "tree", FOLDER / f"{package}.deb"
    output("dpkg-deb", "--raw-extract", str(original), str(tree))
    control = tree / "DEBIAN" / "control"
    text = control.read_text()
    for version in set(versions.values()):
        # Dependencies on the other packages change, too.
        text = text.replace(f"Version: {version}\n", f"Version: {version}{SUFFIX}\n")
        text = text.replace(f"(= {version})", f"(= {version}{SUFFIX})")
    control.write_text(text)
    output("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(built))
    shutil.rmtree(tree)
    original.unlink()
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    return f"{text.strip()}\nFilename: ./{built.name}\nSize: {built.stat().st_size}\nSHA256: {digest}\n"


def main() -> None:
    names = json.load(sys.stdin)
    FOLDER.mkdir(mode=0o755)
    versions = {name: output("dpkg-query", "--show", "--showformat=${Version}", name) for name in names}
    (FOLDER / "Packages").write_text("\n".join(repack(name, versions) for name in names))
    SOURCE.write_text(f"deb [trusted=yes] file:{FOLDER} ./\n")
    print(json.dumps({name: version + SUFFIX for name, version in versions.items()}))


if __name__ == "__main__":
    main()
