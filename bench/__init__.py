"""Measures the project against peers, in the same run and on the same machine: `make bench`, `python -m bench --help`.

Every figure that leaves this package is a ratio: seconds of one machine say nothing about another.
"""
