"""The backups of this host, as run by the units and commands of the role. Managed by stackwright."""
