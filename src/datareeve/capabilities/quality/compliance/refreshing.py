"""Materialized views of tables that an erasure touches: they keep the rows until they are refreshed, so that is a step of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.operation import Call, Claim, Effect, Prediction, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts


def steps(facts: SubjectFacts, touched: list[Counted]) -> list[Step]:
    """One for each view, those that others read first."""
    return [_refresh(facts, system, view, about) for system, view, about in views(facts, touched)]


def blockers(facts: SubjectFacts, wanted: list[Counted]) -> list[str]:
    """Views that our role may not refresh: they would go on holding what is erased."""
    return [
        f"{view} of {system} is a materialized view of rows that are to go, and keeps them until it is refreshed, which our role may not. GRANT {about['owner']} TO it (or, from PostgreSQL 17 on, GRANT MAINTAIN ON {view}), or drop the view."
        for system, view, about in views(facts, wanted)
        if not about["may"]
    ]


def views(facts: SubjectFacts, touched: Iterable[Counted]) -> list[tuple[str, str, dict[str, Any]]]:
    """The views that read the tables touched: [(system, view, {filenode, may, owner})], each after those that it reads."""
    found = {
        (one.place.system, view): about
        for one in touched
        if one.place.table
        for view, about in facts.tables[one.place.system][one.place.table].get("materialized", {}).items()
    }
    return [(system, view, found[system, view]) for system, view in _in_order(facts, sorted(found))]


def _in_order(facts: SubjectFacts, left: list[tuple[str, str]]) -> list[tuple[str, str]]:
    ordered: list[tuple[str, str]] = []
    while left:
        read_by = {(system, above) for system, view in left for above in facts.tables[system].get(view, {}).get("materialized", {})}  # fmt: skip
        ready = [one for one in left if one not in read_by] or left[:1]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


def _refresh(facts: SubjectFacts, system: str, view: str, about: dict[str, Any]) -> Step:
    columns = sorted(facts.tables[system].get(view, {}).get("columns", {}))
    return Step(
        id=f"refresh {system}:{view}",
        call=Call(system=system, action="refresh_view", arguments={"view": view, "columns": columns}),
        why=f"{view} is a materialized view of tables that the rows of {facts.who} were in: it keeps them until it is filled anew.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(
            text=f"{view} of {system} was filled anew since the plan was made",
            call=Call(system=system, action="view_is_former", arguments={"view": view, "filenode": about["filenode"]}),
            expected=False,
        ),
        no_undo="It is filled from its tables at any time; its former rows do not come back.",
        predicted=Prediction(lock="ACCESS EXCLUSIVE"),
        touches=(f"{system}:{view}",),
        schemas=(view.split(".", 1)[0],),
        needs_person=True,
    )  # fmt: skip
