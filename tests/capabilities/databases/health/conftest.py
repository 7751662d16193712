"""Fixtures of the health tests; see health_rig."""

from __future__ import annotations

from health_rig import database, ledger, safe_server, systems

__all__ = ["database", "ledger", "safe_server", "systems"]
