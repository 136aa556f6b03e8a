"""Checks without an account whether AWS would accept what a program declares, with AWS's own models and grammar."""
