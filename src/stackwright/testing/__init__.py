"""Helpers for tests of infrastructure, for users' own tests as well."""
