"""Existing servers: checked over SSH and adopted, never changed from here."""
