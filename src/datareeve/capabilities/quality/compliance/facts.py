"""What the packs' checks rest on, looked at once for all of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.classify.categories import Category, category
from datareeve.capabilities.quality.compliance import access, declared, looking, places, retention
from datareeve.capabilities.quality.compliance.access import AccessFacts, SystemAccess  # noqa: TC001 - types of fields
from datareeve.capabilities.quality.compliance.places import Places  # noqa: TC001 - types of fields
from datareeve.capabilities.quality.compliance.retention import RetentionFacts  # noqa: TC001 - types of fields
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_data import Dataset, DataSettings  # noqa: TC001 - types of fields
from datareeve.core.value import Value
from datareeve.systems.subject_sql import SPEECH
from datareeve.systems.subject_tables import named

if TYPE_CHECKING:
    from datareeve.core.operation import Systems

REVIEWS = 1_000  # of access, among which the last whole one is looked for
NUMBERS_LOOKED_AT = 5_000  # distinct values of a column that are tried


class Backups(Value):
    """What is known of a system's backups."""

    newest_hours: float | None = None
    drilled_days: float | None = None  # since a restore drill passed
    why_not: str = ""


class ComplianceFacts(Value):
    """Everything that the rules look at."""

    declared: DataSettings
    columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # dataset: columns, where they are known
    elsewhere: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # 'system:table' of the same databases that no dataset names: columns
    not_seen: dict[str, str] = Field(default_factory=dict)  # dataset: why it could not be looked at
    places: dict[str, Places] = Field(default_factory=dict)  # by subject
    kinds: dict[str, str] = Field(default_factory=dict)
    retention: RetentionFacts
    access: AccessFacts
    backups: dict[str, Backups] = Field(default_factory=dict)  # PostgreSQL systems with personal data
    backup_hours: float = 26.0
    told: tuple[str, ...] = ()  # occasions that somebody is told of
    clear_numbers: dict[str, dict[str, int | str]] = Field(
        default_factory=dict
    )  # 'dataset.column': rows, or why not
    reviewed_days: float | None = None  # since access was reviewed
    alerts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedule: dict[str, Any] | None = None
    sampled: bool = False

    def personal(self) -> dict[str, Dataset]:
        """The datasets with personal data."""
        return declared.personal(self.declared)

    def in_scope(self, scope: dict[str, Any]) -> dict[str, Dataset]:
        """The datasets with personal data of some kind: {category}, {hipaa: n}, {ccpa: letter}, {pci: words or any}; {}: all."""
        wanted = {
            key: value
            for key, value in scope.items()
            if key in ("category", "hipaa", "ccpa", "pci", "special", "criminal")
        }
        if not wanted:
            return self.personal()
        return {name: one for name, one in self.personal().items() if self.columns_of(one, wanted)}  # fmt: skip

    @staticmethod
    def columns_of(one: Dataset, scope: dict[str, Any]) -> list[str]:
        """The columns of a dataset that are of some kind."""
        return [column for column, name in one.personal.items() if (found := category(name)) and _is_of(found, scope)]  # fmt: skip

    @staticmethod
    def by_name(columns: tuple[str, ...], scope: dict[str, Any]) -> list[str]:
        """The columns of a table that are of some kind by their names."""
        from datareeve.capabilities.quality.classify.column import ColumnEvidence  # noqa: PLC0415 - its words are many
        from datareeve.capabilities.quality.classify.deciding import decide  # noqa: PLC0415 - as above

        told = decide([ColumnEvidence(name=name) for name in columns])
        return [one.column for one in told if one.category and (found := category(one.category)) and _is_of(found, scope)]  # fmt: skip

    def access_to(self, name: str) -> SystemAccess | None:
        """Who gets at a dataset; None where its system keeps no roles, or does not answer."""
        return next((one for one in self.access.systems if name in one.datasets), None)


def _is_of(found: Category, scope: dict[str, Any]) -> bool:
    has = {"category": found.name, "hipaa": found.hipaa, "ccpa": found.ccpa, "pci": found.pci, "special": found.gdpr_special, "criminal": found.gdpr_criminal}  # fmt: skip
    return all(
        bool(has[key]) if value == "any" else has[key] == value for key, value in scope.items() if key in has
    )


def look(systems: Systems, *, numbers: bool) -> ComplianceFacts:
    """Look at everything once. `numbers`: also try values of card-number columns, whether they are clear; counts come back."""
    settings = declared.settings(systems)
    seen = looking.surroundings(systems, settings)
    subjects = sorted({one.subject for one in settings.datasets.values() if one.subject})
    estate = systems["estate"]
    alerts = {entry["name"]: entry for entry in estate.read("get", where=["alerts"]) or []}
    columns, not_seen = _columns(settings, seen)
    facts = ComplianceFacts(
        declared=settings,
        columns=columns,
        elsewhere=_elsewhere(settings, seen),
        not_seen=not_seen,
        places={subject: places.find(settings, seen, subject) for subject in subjects},
        kinds=seen.kinds,
        retention=retention.look(systems, settings),
        access=access.look(systems, settings),
        backup_hours=float((estate.read("get", where=["targets"]) or {}).get("backup_age_hours", 26.0)),
        told=tuple(sorted({str(rule["escalates_as"]) for rule in alerts.values() if rule.get("escalates_as") and rule.get("notify")})),
        reviewed_days=_reviewed(systems),
        alerts=alerts,
        schedule=estate.read("get", where=["schedules", "watch-compliance"]),
        sampled=systems["ledger"].read("sampled", system="compliance", name="compliance_violations"),
    )  # fmt: skip
    used = dict.fromkeys(one.system for one in facts.personal().values())
    backups = {name: _backups(systems, name) for name in used if seen.kinds.get(name) == "postgresql" and name not in seen.down}  # fmt: skip
    clear = _clear_numbers(systems, facts, seen) if numbers else {}
    return facts.model_copy(update={"backups": backups, "clear_numbers": clear})


def _columns(
    settings: DataSettings, seen: places.Surroundings
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    columns, not_seen = {}, {}
    for name, one in settings.datasets.items():
        kind = seen.kinds.get(one.system)
        if kind is None or one.system in seen.down:
            not_seen[name] = seen.down.get(one.system, f"the estate has no system {one.system}")
        elif name in seen.files:
            columns[name] = tuple(seen.files[name]["columns"])
        elif table := named(seen.tables.get(one.system, {}), one.table, kind):
            columns[name] = tuple(seen.tables[one.system][table]["columns"])
        else:
            not_seen[name] = f"{one.system} has no table {one.table}"
    return columns, not_seen


def _elsewhere(settings: DataSettings, seen: places.Surroundings) -> dict[str, tuple[str, ...]]:
    named_ones = {(one.system, named(seen.tables[one.system], one.table, seen.kinds[one.system])) for one in settings.datasets.values() if one.system in seen.tables}  # fmt: skip
    return {f"{system}:{table}": tuple(about["columns"]) for system, tables in seen.tables.items() for table, about in tables.items() if (system, table) not in named_ones}  # fmt: skip


def _reviewed(systems: Systems) -> float | None:
    """Since the last review of all that there is: one of some datasets, or that a server did not answer, is none."""
    whole = systems["ledger"].read("samples", system="compliance", name="access_whole", limit=REVIEWS)
    found = [one["at"] for one in whole if one["value"] == 1]
    return _days(found[-1]) if found else None


def _days(moment: str) -> float:
    return (clock.now() - datetime.fromisoformat(moment)).total_seconds() / 86_400


def _backups(systems: Systems, name: str) -> Backups:
    try:
        known, drill = systems[name].read("backups"), systems[name].read("last_drill")
    except (DatareeveError, OSError) as error:
        return Backups(why_not=getattr(error, "what", "the backup folder cannot be read"))
    newest = max((one["finished"] for one in known), default=None)
    passed = drill is not None and drill.get("verdict") == "passed"
    return Backups(
        newest_hours=_days(newest) * 24 if newest else None, drilled_days=_days(drill["ended"]) if passed else None
    )  # fmt: skip


def _clear_numbers(
    systems: Systems, facts: ComplianceFacts, seen: places.Surroundings
) -> dict[str, dict[str, int | str]]:
    """Of card-number columns: how many of some thousand values are clear numbers. The values are tried inside the adapter."""
    found: dict[str, dict[str, int | str]] = {}
    for name, one in facts.in_scope({"category": "card-number"}).items():
        kind = seen.kinds.get(one.system, "")
        table = named(seen.tables.get(one.system, {}), one.table, kind) if one.system in seen.tables else None
        for column in facts.columns_of(one, {"category": "card-number"}):
            place = f"{name}.{column}"
            if table is None:
                found[place] = {"why_not": f"{kind or one.system} is not read for values"}
            elif column in facts.columns.get(name, ()):
                found[place] = _tried(systems, one.system, seen.tables[one.system][table]["source"], column)
    return found


def _tried(systems: Systems, system: str, source: str, column: str) -> dict[str, int | str]:
    name = SPEECH[systems[system].kind].name(column).replace("%%", "%")
    values = f"SELECT {name} AS value FROM {source.replace('%%', '%')} WHERE {name} IS NOT NULL LIMIT {NUMBERS_LOOKED_AT}"
    sql = f"SELECT value, count(*) AS n FROM ({values}) AS v GROUP BY value"
    try:
        answer = systems[system].read(
            "measure", statements=[{"id": "card", "sql": sql, "check": {"format": "card"}}]
        )
    except DatareeveError as error:
        return {"why_not": error.what}
    one = answer["statements"]["card"]
    if "error" in one:
        return {"why_not": str(one["error"]["what"])}
    row = one["rows"][0]
    return {"clear": int(row["checked"]) - int(row["failing"]), "checked": int(row["checked"])}
