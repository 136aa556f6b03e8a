"""`python -m stackwright.artifact application|runtime`: builds, then prints where the result is, as JSON."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from stackwright.artifact import application, runtime


def main(arguments: list[str] | None = None) -> int:
    """Build the requested artifact and print its location."""
    parser = argparse.ArgumentParser(prog="stackwright.artifact", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bundle = commands.add_parser("runtime", help="Node.js and PM2 for application hosts")
    bundle.add_argument("--architecture", choices=sorted(runtime.ARCHITECTURES), default="x64")
    release = commands.add_parser("application", help="a release of the example application")
    release.add_argument("--label", help="in place of the package's version; also from RELEASE_LABEL")
    release.add_argument("--target", type=Path, default=application.DIST)
    options = parser.parse_args(arguments)
    try:
        result: application.Release | runtime.Runtime
        if options.command == "application":
            result = application.build(label=options.label, target=options.target.resolve())
            application.select(result)
        else:
            result = runtime.build(options.architecture)
    except (OSError, RuntimeError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(result), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
