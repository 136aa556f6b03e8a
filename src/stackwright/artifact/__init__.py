"""What hosts receive as files, built where registries are reachable: the runtime bundle and the application."""
