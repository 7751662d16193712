"""Pipelines run by themselves.

An *occasion* is a reason to run a pipeline once: a moment of its clock, a file that arrived, pipelines above it that published anew. It is
written into the ledger before anything else is done with it, so that it is neither lost nor met twice, and stays *open* until it *ended*: done,
given up, or waiting for a person. Running for it is an *attempt*; one that failed for a reason that may pass is followed by another, later. An
attempt that was interrupted is resumed. What came while nobody looked was *missed*: it is always told, and `catch_up` says what becomes of it.
"""
