"""Datareeve: the data engineer you install. It plans, rehearses on a copy, acts within its authority, verifies, reports."""

__version__ = "0.1.0"
