"""Advice, one rule a file: condition, severity, why, what instead."""
