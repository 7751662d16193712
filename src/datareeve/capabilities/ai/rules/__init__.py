"""Advice on AI, one rule a file: condition, severity, why, what instead."""
