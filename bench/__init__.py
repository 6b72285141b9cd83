"""Measurements of polyasr: `python -m bench --help`."""
