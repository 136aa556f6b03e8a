"""Helpers for testing infrastructure, also for users' own tests."""
