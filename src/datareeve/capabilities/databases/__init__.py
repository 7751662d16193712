"""Databases, PostgreSQL first.

Vocabulary: a *system* is one database of the estate; a *finding* is what review noticed; a *workload* is the statements an application really
runs; a *copy* is a disposable restore on which advice is tried; an *orphan* is a row whose reference has no target.
"""
