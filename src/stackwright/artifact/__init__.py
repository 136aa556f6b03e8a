"""The files that are copied to hosts, built where registries are reachable: the runtime bundle and the application."""
