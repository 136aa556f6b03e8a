"""Hosts on this machine: systemd containers under podman."""
