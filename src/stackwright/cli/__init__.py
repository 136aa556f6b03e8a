"""The `stackwright` command: thin commands over the native tools; each prints the native command that it runs."""

from stackwright.cli.app import main

__all__ = ["main"]
