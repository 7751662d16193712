"""How the data stands: what is read of the quality store, the contracts and the catalogs, for the report and its figures."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality import contract_files, engines
from datareeve.capabilities.quality.counting import pass_rate
from datareeve.capabilities.quality.engines import places
from datareeve.capabilities.quality.incidents import Incident
from datareeve.capabilities.quality.rule import Bounds
from datareeve.capabilities.quality.verdicts import Says, Verdict
from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.quality.catalog import CatalogTable
    from datareeve.capabilities.quality.rule import Contract, Rule
    from datareeve.core.operation import Systems

MOST_RUNS = 20_000
MOST_TABLES = 500  # whose columns are looked at, of one system


class Line(Value):
    """A rule with its newest verdict on one system."""

    contract: str
    system: str
    rule: str
    kind: str
    words: str
    table: str
    columns: tuple[str, ...] = ()
    severity: str = "error"
    unit: str = "rows"
    owner: str = ""
    bounds: Bounds = Bounds()  # where its words do not say them
    verdict: Verdict
    at: str


class Standing(Value):
    """A contract on one system, as its newest run left it."""

    contract: str
    system: str
    version: str
    at: str
    passed: int
    warned: int
    failed: int
    not_run: int
    seconds: float | None = None

    @property
    def pass_percent(self) -> float | None:
        """Of the rules that passed or failed."""
        return pass_rate(self.passed, self.passed + self.failed)


class Coverage(Value):
    """What of a system nobody asks anything of."""

    system: str
    tables: int = 0
    without_contract: tuple[str, ...] = ()
    columns: int = 0
    never_checked: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # table: columns of one under contract that no rule names
    down: str = ""


class ReportFacts(Value):
    """Everything that the report says, without a value of any row."""

    at: str
    days: float
    target: float
    standings: tuple[Standing, ...] = ()
    lines: tuple[Line, ...] = ()
    days_of: dict[str, tuple[int, int]] = Field(
        default_factory=dict
    )  # day: verdicts that passed, and those that passed or failed
    incidents: tuple[Incident, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    damaged: dict[str, str] = Field(default_factory=dict)  # contract: why it cannot be read
    unsupported: dict[str, int] = Field(default_factory=dict)  # contract: what in it is not executed
    never_run: tuple[str, ...] = ()  # contracts that no run is known of
    digests: dict[str, str | None] = Field(
        default_factory=dict
    )  # of the files that are to be written, as they stand


def gather(systems: Systems, only: str | None, days: float, *, catalogs: bool) -> ReportFacts:
    """Read it all. A contract that is damaged or a system that is down is told as that."""
    desk = systems["quality"]
    since = (clock.now() - timedelta(days=days)).isoformat()
    every, damaged = _contracts(systems)
    name = PurePosixPath(contract_files.path_of(systems, only)).stem if only else None
    contracts = {one: contract for one, contract in every.items() if name in (None, one)}
    # A contract that was taken out, or a system, is no part of how the data stands; one that cannot be read is.
    there = [{*every, *damaged}, set(systems.names())]
    told = desk.read("runs", since=since, most=MOST_RUNS)
    everywhere = [run for run in told if run["contract"] in there[0] and run["system"] in there[1]]
    runs = [run for run in everywhere if name in (None, run["contract"])]
    # A look at some rules says nothing of the others.
    runs = [run for run in runs if not run["partial"]] or runs
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        newest.setdefault((run["contract"], run["system"]), run)
    lines = [
        line
        for key, run in newest.items()
        if key[0] in contracts
        for line in _lines(
            desk.read("verdicts", contract=key[0], system=key[1], run=run["run"]), contracts[key[0]], key[1]
        )
    ]
    stood = [Incident.model_validate(one["told"]) for one in desk.read("incidents", contract=name)]
    return ReportFacts(
        at=clock.stamp(),
        days=days,
        target=desk.read("settings")["pass_percent"],
        standings=tuple(_standing(run) for run in newest.values()),
        lines=tuple(lines),
        days_of=_by_day(runs),
        incidents=tuple(
            one
            for one in stood
            if (one.ended or since) >= since and one.contract in there[0] and one.system in there[1]
        ),
        coverage=_coverage(systems, every, {(run["contract"], run["system"]) for run in everywhere})
        if catalogs
        else (),
        damaged={one: why for one, why in damaged.items() if name in (None, one)},
        unsupported={name: len(one.unsupported) for name, one in contracts.items() if one.unsupported},
        never_run=tuple(name for name in contracts if not any(key[0] == name for key in newest)),
    )


def _contracts(systems: Systems) -> tuple[dict[str, Contract], dict[str, str]]:
    found, damaged = {}, {}
    for name in contract_files.paths(systems):
        try:
            found[name] = contract_files.load(systems, name)
        except BadInput as error:
            damaged[name] = f"{error.code}: {error.what}"
    return found, damaged


def _standing(run: dict[str, Any]) -> Standing:
    counts = {
        name: run[name]
        for name in ("contract", "system", "version", "passed", "warned", "failed", "not_run", "seconds")
    }
    return Standing(at=run["began"], **counts)


def _lines(rows: list[dict[str, Any]], contract: Contract, system: str) -> list[Line]:
    rules = {rule.id: rule for rule in contract.rules}
    return [_line(rules[row["rule"]], contract.name, system, row) for row in rows if row["rule"] in rules]


def _line(rule: Rule, contract: str, system: str, row: dict[str, Any]) -> Line:
    return Line(
        contract=contract, system=system, rule=rule.id, kind=rule.kind, words=rule.words, table=rule.table, columns=rule.columns,
        severity=rule.severity, unit=rule.unit, owner=rule.owner, bounds=rule.bounds if rule.kind in ("sql", "freshness") else Bounds(),
        verdict=Verdict.model_validate(row["told"]), at=row["at"],
    )  # fmt: skip


def _by_day(runs: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for run in sorted(runs, key=lambda one: str(one["began"])):
        passed, ran = found.get(run["began"][:10], (0, 0))
        found[run["began"][:10]] = (
            passed + run["passed"],
            ran + run["passed"] + run["failed"],
        )
    return found


# -- coverage --------------------------------------------------------------------------------------------------------------------------


def _coverage(
    systems: Systems, contracts: dict[str, Contract], checked: set[tuple[str, str]]
) -> tuple[Coverage, ...]:
    """Of every system that has tables: which are under no contract, and which of their columns no rule names."""
    named: dict[str, set[str]] = {}
    for contract, system in checked | {
        (name, system) for name, one in contracts.items() for system in one.systems
    }:
        named.setdefault(system, set()).add(contract)
    with_tables = {name for kind in engines.KINDS for name in systems.names(kind)}
    return tuple(
        _of_system(systems, name, [contracts[c] for c in sorted(named.get(name, ())) if c in contracts])
        for name in systems.names()
        if name in with_tables
    )


def _of_system(systems: Systems, name: str, contracts: list[Contract]) -> Coverage:
    wanted: dict[str, list[Rule]] = {}
    for contract in contracts:
        for table in contract.tables:
            own = [rule for rule in contract.rules if rule.table == table.name]
            wanted.setdefault(table.physical_name, []).extend(own)
    try:  # a system whose secret is missing cannot be made: that is told of it, and of no other
        reader = systems[name]
        listed = engines.tables_of(reader)
        catalog = engines.catalog_of(reader, sorted(wanted)[:MOST_TABLES])
    except DatareeveError as error:
        return Coverage(system=name, down=f"{error.code}: {error.what}")
    tables = {table.place: table for table in catalog.tables.values()}
    rules: dict[tuple[str, ...], list[Rule]] = {}
    for physical, found in catalog.tables.items():
        rules.setdefault(found.place, []).extend(wanted[physical])
    under = {*tables, *places.choose(sorted(wanted)[MOST_TABLES:], listed).values()}
    return Coverage(
        system=name,
        tables=len(listed),
        without_contract=tuple(".".join(place) for place in listed if place not in under),
        columns=sum(len(table.columns) for table in tables.values()),
        never_checked={
            table.name: left
            for place, table in tables.items()
            if (left := _never_checked(table, rules[place]))
        },
        down=catalog.down,
    )


def _never_checked(table: CatalogTable, rules: list[Rule]) -> tuple[str, ...]:
    """Columns that no rule is about, other than that they are there; a condition is about those that it names."""
    named = {column.lower() for rule in rules if rule.kind != "schema" for column in rule.columns}
    said = " ".join(str(rule.arguments.get(key, "")) for rule in rules for key in ("sql", "query"))
    return tuple(
        column.name
        for column in table.columns
        if column.name.lower() not in named
        and not re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", said, re.IGNORECASE)
    )


def broken(lines: tuple[Line, ...]) -> list[Line]:
    """The rules that do not pass, the worst first."""
    order = {Says.FAIL: 0, Says.NOT_RUN: 1, Says.WARN: 2}
    bad = [line for line in lines if line.verdict.says in order]
    return sorted(bad, key=lambda line: (order[line.verdict.says], -(line.verdict.failing or 0), line.rule))
