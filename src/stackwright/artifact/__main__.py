"""`python -m stackwright.artifact runtime`: builds, then prints where the result is, as JSON."""

import argparse
import json
import sys
from dataclasses import asdict

from stackwright.artifact import runtime


def main(arguments: list[str] | None = None) -> int:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(prog="stackwright.artifact", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bundle = commands.add_parser("runtime", help="Node.js and PM2 for application hosts")
    bundle.add_argument("--architecture", choices=sorted(runtime.ARCHITECTURES), default="x64")
    options = parser.parse_args(arguments)
    try:
        result = runtime.build(options.architecture)
    except (OSError, RuntimeError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(result), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
