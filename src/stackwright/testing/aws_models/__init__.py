"""Whether AWS itself would take what a program declares, known without an account: its own models and grammar as checks."""
