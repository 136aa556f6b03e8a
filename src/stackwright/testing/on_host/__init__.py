"""Programs that `Environment.ask` runs on a host, as root: JSON in, JSON out. Python 3.11, no packages."""
