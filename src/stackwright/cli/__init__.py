"""The command `stackwright`: thin verbs over the native tools; each prints the command that it runs."""

from stackwright.cli.app import main

__all__ = ["main"]
