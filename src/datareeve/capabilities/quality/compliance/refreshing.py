"""Materialized views of tables that rows go from: they keep the rows until they are refreshed, so that is a step of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.operation import Call, Claim, Effect, Prediction, Step
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts


class View(Value):
    """A materialized view that has rows of a table, straight or through other views."""

    system: str
    name: str  # as the catalog has it
    filenode: int  # another one once it was filled anew
    may: bool  # our role may refresh it
    owner: str
    columns: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()  # the materialized views that read it in turn


def of_table(system: str, tables: dict[str, dict[str, Any]], table: str) -> list[View]:
    """The views of one table, as the catalog of its system tells them."""
    return [
        View(
            system=system,
            name=view,
            columns=tuple(sorted(tables.get(view, {}).get("columns", {}))),
            read_by=tuple(sorted(tables.get(view, {}).get("materialized", {}))),
            **about,
        )
        for view, about in tables.get(table, {}).get("materialized", {}).items()
    ]


def of_touched(facts: SubjectFacts, touched: Iterable[Counted]) -> list[View]:
    """The views that read the tables an erasure touches, each after those that it reads."""
    found = [
        view
        for one in touched
        if one.place.table
        for view in of_table(one.place.system, facts.tables[one.place.system], one.place.table)
    ]
    return in_order(found)


def in_order(views: Iterable[View]) -> list[View]:
    """Each view once, after those that it reads."""
    named = {(view.system, view.name): view for view in views}
    left, ordered = [named[key] for key in sorted(named)], []
    while left:
        above = {(view.system, name) for view in left for name in view.read_by if name != view.name}
        ready = [view for view in left if (view.system, view.name) not in above] or left[:1]
        ordered += ready
        left = [view for view in left if view not in ready]
    return ordered


def steps(views: list[View], whose: str, *, needs_person: bool) -> list[Step]:
    """One for each view. `whose`: of whom or of what the rows are."""
    return [_refresh(view, whose, needs_person=needs_person) for view in views]


def blockers(views: list[View]) -> list[str]:
    """Views that our role may not refresh: they would go on holding what is gone."""
    return [
        f"{view.name} of {view.system} is a materialized view of rows that are to go, and keeps them until it is refreshed, which our role may not. GRANT {view.owner} TO it (or, from PostgreSQL 17 on, GRANT MAINTAIN ON {view.name}), or drop the view."
        for view in views
        if not view.may
    ]


def _refresh(view: View, whose: str, *, needs_person: bool) -> Step:
    return Step(
        id=f"refresh {view.system}:{view.name}",
        call=Call(
            system=view.system,
            action="refresh_view",
            arguments={"view": view.name, "columns": list(view.columns)},
        ),
        why=f"{view.name} is a materialized view of tables that {whose} were in: it keeps them until it is filled anew.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(
            text=f"{view.name} of {view.system} was filled anew since the plan was made",
            call=Call(
                system=view.system,
                action="view_is_former",
                arguments={"view": view.name, "filenode": view.filenode},
            ),
            expected=False,
        ),
        no_undo="It is filled from its tables at any time; its former rows do not come back.",
        predicted=Prediction(lock="ACCESS EXCLUSIVE"),
        touches=(f"{view.system}:{view.name}",),
        schemas=(view.name.split(".", 1)[0],),
        needs_person=needs_person,
    )
