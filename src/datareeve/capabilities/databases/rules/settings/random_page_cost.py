"""`random_page_cost`: what the planner thinks a random read costs against a sequential one."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """1.1 on storage without a moving head; None for a spinning disk, where the built-in 4 fits."""
    if now.host is None or now.host.storage == "disk":
        return None
    return Advice(
        value=1.1,
        why=f"On {now.host.storage} storage a random read costs about as much as a sequential one; 4 keeps the planner from using indexes.",
    )


RULE = Rule(
    "random_page_cost",
    source="PostgreSQL manual, 19.7.2 Planner Cost Constants: storage with a low random read cost, 1.1",
    advise=advise,
)
