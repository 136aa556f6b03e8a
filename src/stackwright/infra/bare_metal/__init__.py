"""Servers that exist: looked at over SSH and adopted, never changed from here."""
