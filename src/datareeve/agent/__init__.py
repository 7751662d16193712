"""The agent: takes a task in, maps it to operations, plans it, and reports on it.

It knows the catalogue by its protocol (`core.operation.CatalogueView`) and never a capability by name in code: what a person's words
mean stands as data in the operations' own examples, in `playbooks/*.yaml` and in `scope.py`.
"""
