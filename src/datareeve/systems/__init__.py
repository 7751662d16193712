"""Thin adapters, one for each thing outside. Only here are third-party drivers imported.

An adapter publishes its actions with `@reads` and `@effects`: those names, and no others, can stand in a `Call`.
"""
