"""Reconciliation: whether two tables in two systems are the same, and where they are not.

A *side* is one of the two tables. Each value has one *form*, a text that is the same on every engine where the values are the same; a row's
*fingerprint* is a hash of all its forms, reckoned by the engine itself. Rows are counted and their fingerprints summed by *segment* of the
key; only segments that differ are looked into further, down to single keys. Equal tables cost one scan each, and no row leaves an engine.
"""
