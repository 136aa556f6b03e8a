"""Backups of this host: what the units and commands of the role run. Managed by stackwright."""
