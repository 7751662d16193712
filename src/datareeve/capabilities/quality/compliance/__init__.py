"""Compliance: whose data lies where, and what the law asks of it.

Vocabulary: a *subject* is a person that data is about, told by a key; a *store* is a dataset as a place to look in for one; an *erasure* takes a
subject out of every store, with a *proof*; a *hold* forbids it; a *pack* is a set of rules of one law.
"""
