"""The core: what an operation, a plan and an outcome are, and the one runner that carries plans out.

No driver is imported here. Everything outside is reached as a `System` (see `operation.py`).
"""
