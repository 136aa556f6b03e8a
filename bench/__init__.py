"""Benchmarks of the project against peers, in the same run on the same machine: `make bench`, `python -m bench --help`.

All published numbers are ratios: seconds of one machine say nothing about another.
"""
