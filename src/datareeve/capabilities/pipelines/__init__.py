"""Pipelines: rows moved, transformed, checked and published, without losing one or doubling one.

A *pipeline* (`etl/NAME.yaml`) has *loads*, each from one *source* to one table, and *models*, SELECTs over those tables. A run *builds* them
*beside* what is published, in *batches* that commit together with how far they came; has the build *audited* by data contracts; *diffs* it
against what is published; and *publishes* all of it in one transaction, within the *change budget*, or *holds* it. What was published before is
the *former*, and is put back by undo. Rows that cannot be taken are *rejected*: kept in quarantine with the reason, to be *replayed*. The
*cursor* is how far a load has read; it is kept in the destination, in the transaction of the rows it speaks of.
"""
