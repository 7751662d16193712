"""Data quality and compliance: contracts that are executed, verdicts that can be trusted, personal data that is known and can be erased.

A *contract* (an ODCS file) holds *rules*; each rule asks one thing of one table, and has one *verdict* on each system: pass, warn, fail, or not run
with the reason. An *incident* is one cause behind many verdicts. A *category* says what personal data a column holds, a *subject* whose it is; an
*erasure* removes a subject from every store, with proof. The *register* says what is processed, why, and on what basis.
"""
