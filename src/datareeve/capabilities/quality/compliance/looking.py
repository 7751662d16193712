"""Looking for a subject: who is meant, where its data may be, and how many rows of it there are. Reads only, and digests only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.quality.compliance import declared as estate
from datareeve.capabilities.quality.compliance.places import (
    TABLES,
    TELLING,
    Place,
    Places,
    Referring,
    Surroundings,
    Unreached,
    find,
)
from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.core.value import Value
from datareeve.systems.keyed import MARK_HEX
from datareeve.systems.subject_files import DAMAGED
from datareeve.systems.subject_shapes import Match, Sought, Store, Trace
from datareeve.systems.subject_tables import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.estate_data import DataSettings, LegalHold
    from datareeve.core.operation import Systems

UNREADABLE = " (its keys were made with another .datareeve/compliance.key, so that it holds everybody: put that key back, or place the hold anew)"
SHOWN = 12  # digits of a digest that are shown

SERVER_SQL = """
SELECT current_setting('server_version_num')::int AS version_num, current_setting('log_statement') AS log_statement,
       current_setting('log_min_duration_statement') AS log_min_duration, current_setting('archive_mode') AS archive_mode,
       pg_is_in_recovery() AS in_recovery, (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS superuser,
       (SELECT count(*) FROM pg_stat_replication)::int AS standbys, (SELECT count(*) FROM pg_replication_slots)::int AS slots,
       (SELECT coalesce(array_agg(pubname ORDER BY pubname), '{}') FROM pg_publication)::text[] AS publications,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS statements
"""
RIGHT_SQL = "SELECT has_table_privilege(session_user, %(table)s, 'SELECT') AND has_table_privilege(session_user, %(table)s, %(right)s) AS may"


class Counted(Value):
    """A place with how many rows of the subject it holds."""

    place: Place
    rows: int
    others: int = 0  # rows that hold the same identifying values and are not the subject's
    may: bool = True  # has our role the rights?
    named: int = 0  # files whose names tell the subject
    gone: int = 0  # rows that a run erased which wrote no proof

    @property
    def store(self) -> Store:
        """As it is sent to the adapter: with what was counted."""
        return self.place.store.model_copy(update={"expected": self.rows})


class Referred(Value):
    """Rows of others that refer to rows which are to go."""

    referring: Referring
    rows: int


class Hold(Value):
    """A legal hold that is about this subject."""

    name: str
    why: str
    until: str | None = None
    datasets: tuple[str, ...] = ()  # none: all


class Backup(Value):
    """Where a system's former state is kept, and until when."""

    system: str
    what: str
    until: str


class Unproven(Value):
    """What runs began to erase of a subject, and wrote no proof of."""

    runs: tuple[str, ...] = ()
    rows: dict[str, int] = Field(default_factory=dict)  # dataset: as it was planned
    bundles: dict[str, str] = Field(default_factory=dict)
    traces: tuple[Trace, ...] = ()


class SubjectFacts(Value):
    """A subject, and everything that is known of where it is."""

    sought: Sought
    counted: tuple[Counted, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    tables: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    referred: tuple[Referred, ...] = ()
    holds: tuple[Hold, ...] = ()
    holds_digest: str = ""  # of all holds, as they stood
    backups: tuple[Backup, ...] = ()
    servers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    bundles: dict[str, str] = Field(default_factory=dict)  # of earlier exports: path: SHA-256
    unproven: Unproven = Field(default_factory=Unproven)
    left: dict[str, dict[str, int]] = Field(default_factory=dict)  # system: dataset's table: former files
    registered: dict[str, dict[str, Any]] = Field(
        default_factory=dict
    )  # dataset: what the register of processing says

    @property
    def who(self) -> str:
        """'customer 3f2a91c0d4e5': for people, without the key."""
        return f"{self.sought.subject} {self.sought.digest[:SHOWN]}"

    @property
    def rows(self) -> int:
        """Of the subject, in all places."""
        return sum(one.rows for one in self.counted)


def look(systems: Systems, declared: DataSettings, subject: str, reference: str) -> SubjectFacts:
    """Everything about one subject. Errors: `BadInput` `subject.unknown`, `secret.missing`."""
    estate.refuse_unknown_subject(declared, subject)
    seen = surroundings(systems, declared)
    found = find(declared, seen, subject)
    sought = _who(systems, found, subject, reference, _names(declared, subject))
    counted, damaged = _counted_all(systems, found, sought)
    return SubjectFacts(
        sought=sought,
        counted=counted,
        referred=_referred(systems, found, counted, sought),
        unreached=(*found.unreached, *damaged),
        tables={name: tables for name, tables in seen.tables.items() if found.of(name)},
        registered=register_of(declared, [one.place.name for one in counted]),
        left={
            one.system: {name: len(seen.files[name]["left"])}
            for name, one in declared.datasets.items()
            if seen.files.get(name, {}).get("left")
        },
    )


def surroundings(systems: Systems, declared: DataSettings) -> Surroundings:
    """The systems of the datasets, their tables and files. What does not answer says why, and stops nothing."""
    kinds, tables, files, down = {}, {}, {}, {}
    for name in dict.fromkeys(one.system for one in declared.datasets.values()):
        try:
            kinds[name] = systems[name].kind
            if kinds[name] in TABLES:
                tables[name] = systems[name].read("subject_tables")
        except BadInput as error:
            if error.code != "system.unknown":
                down[name] = error.what
        except DatareeveError as error:
            down[name] = error.what
    for name, one in declared.datasets.items():
        if kinds.get(one.system) == "folder" and one.system not in down:
            files[name] = systems[one.system].read("subject_files", table=one.table)
    return Surroundings(kinds=kinds, tables=tables, files=files, down=down)


def _names(declared: DataSettings, subject: str) -> list[str]:
    keys = [
        one.subject_key for one in declared.datasets.values() if one.subject == subject and one.subject_key
    ]
    ids = [f"{subject}_id", f"{subject}_no", f"{subject}_number"]
    return sorted({subject, *(key for key in keys if key.lower() != "id"), *ids})


def _who(systems: Systems, found: Places, subject: str, reference: str, names: list[str]) -> Sought:
    """The subject by its key, and by whatever its rows tell it by."""
    first = Sought.model_validate(
        systems["compliance"].read("sought", subject=subject, reference=reference, names=names)
    )
    # What a run that failed midway knew of the subject is in no row any more.
    traces = {trace.digest: trace for trace in (*first.traces, *_unproven(systems, first).traces)}
    for place in found.places:
        if place.store.identifying and not place.store.match.values:
            try:
                told = systems[place.system].read("subject_identifiers", store=_plain(place.store), sought=first.model_dump(mode="json"))  # fmt: skip
            except Failed as error:
                if error.code != DAMAGED:  # it is told where its rows are counted
                    raise
                continue
            traces |= {one["digest"]: Trace.model_validate(one) for one in told}
    return first.model_copy(update={"traces": tuple(traces[digest] for digest in sorted(traces))})


def _unproven(systems: Systems, sought: Sought) -> Unproven:
    return Unproven.model_validate(systems["compliance"].read("unproven", subject_digest=sought.digest))


def _gone(one: Counted, unproven: Unproven) -> Counted:
    return one.model_copy(update={"gone": max(unproven.rows.get(one.place.name, 0) - one.rows, 0)})


def _counted_all(systems: Systems, found: Places, sought: Sought) -> tuple[tuple[Counted, ...], list[Unreached]]:  # fmt: skip
    """Every place with its rows; a file that cannot be read blocks, and hides nothing of the others."""
    counted, damaged = [], []
    for place in found.places:
        try:
            counted.append(_counted(systems, place, sought))
        except Failed as error:
            if error.code != DAMAGED:
                raise
            damaged.append(Unreached(dataset=place.name, why=error.what.rstrip("."), instead=error.remedy, blocks=True))  # fmt: skip
    return tuple(counted), damaged


def _counted(systems: Systems, place: Place, sought: Sought) -> Counted:
    asked = sought.model_dump(mode="json")
    rows = count(systems, place.system, place.store, asked)
    by_value = values_of(place)
    others = 0
    if by_value is not None:
        both = place.store.model_copy(update={"match": place.store.match.model_copy(update={"values": by_value.match.values}), "mode": "delete"})  # fmt: skip
        others = count(systems, place.system, by_value, asked) - count(systems, place.system, both, asked)
    named = systems[place.system].read("files_named", table=place.store.table, sought=asked) if place.kind == "folder" else 0  # fmt: skip
    return Counted(place=place, rows=rows, others=max(others, 0), may=_may(systems, place), named=named)


def _referred(systems: Systems, found: Places, counted: tuple[Counted, ...], sought: Sought) -> tuple[Referred, ...]:  # fmt: skip
    """The rows of others that refer to rows of the subject."""
    there = {(one.place.system, one.place.table) for one in counted if one.rows}
    asked, told = sought.model_dump(mode="json"), []
    for one in found.referring:
        if (one.system, one.parent) not in there:
            continue
        rows = count(systems, one.system, one.store, asked)
        if rows and one.own is not None:
            rows -= count(systems, one.system, one.own, asked)
        if rows > 0:
            told.append(Referred(referring=one, rows=rows))
    return tuple(told)


def values_of(place: Place) -> Store | None:
    """A store's rows by what tells the subject, whatever their key; None where it has no such columns, or goes by them already."""
    columns = tuple(c for c, category in place.store.identifying.items() if category in TELLING)
    if not columns or place.store.match.values or place.store.form == "lines":
        return None
    return place.store.model_copy(update={"match": Match(values=columns), "mode": "delete", "set": {}})


def ambiguous(facts: SubjectFacts) -> set[str]:
    """The places that are found by values alone, where others' rows hold the same values: whose theirs are nobody can say."""
    if not any(one.others for one in facts.counted):
        return set()
    return {one.place.name for one in facts.counted if one.rows and one.place.store.match.values}


def count(systems: Systems, system: str, store: Store, sought: dict[str, Any]) -> int:
    """How many rows a store holds."""
    found = systems[system].read("subject_counts", stores=[_plain(store)], sought=sought)
    return int(found[store.dataset])


def _plain(store: Store) -> dict[str, Any]:
    return store.model_dump(mode="json", exclude_defaults=True)


def _may(systems: Systems, place: Place) -> bool:
    if place.kind != "postgresql" or place.store.mode == "keep":
        return True
    # Rows are locked before they are counted and deleted, which asks for UPDATE.
    rights = ("DELETE", "UPDATE") if place.store.mode == "delete" else ("UPDATE",)
    source = source_of(place.kind, place.table).replace("%%", "%")
    return all(systems[place.system].read("query", sql=RIGHT_SQL, parameters={"table": source, "right": right}, shape="scalar") for right in rights)  # fmt: skip


def register_of(declared: DataSettings, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the register of processing says of datasets: purposes, bases, recipients, retention."""
    found = {}
    for name in names:
        entries = {key: one for key, one in declared.processing.items() if name in one.datasets}
        dataset = declared.datasets.get(name)
        found[name] = {
            "purposes": [one.purpose for one in entries.values()],
            "bases": sorted({one.basis for one in entries.values()}),
            "recipients": sorted({who for one in entries.values() for who in one.recipients}),
            "transfers": sorted({to for one in entries.values() for to in one.transfers}),
            "retention_days": dataset.retention_days if dataset else None,
            "categories": sorted(set(dataset.personal.values()) - {"no"}) if dataset else [],
            "source": list(dataset.derived_from) if dataset else [],
            "kept_because": dataset.kept_because if dataset else "",
        }
    return found


# -- what an erasure must know besides -------------------------------------------------------------------------------------------------


def with_circumstances(systems: Systems, facts: SubjectFacts, declared: DataSettings) -> SubjectFacts:
    """The facts with holds, backups and the servers' own traces."""
    names = {one.place.name for one in facts.counted} | {one.referring.dataset for one in facts.referred}
    used = dict.fromkeys(one.place.system for one in facts.counted)
    postgres = [name for name in used if systems[name].kind == "postgresql"]
    left = dict(facts.left)
    for name in used:
        if systems[name].kind == "duckdb" and (some := systems[name].read("former_files", tables=[""])):
            left[name] = {"": some}
    unproven = _unproven(systems, facts.sought)
    counted = tuple(_gone(one, unproven) for one in facts.counted)
    return facts.model_copy(
        update={
            "counted": counted,
            "unproven": unproven if any(one.gone for one in counted) or unproven.bundles else Unproven(),
            "bundles": systems["compliance"].read("bundles", subject_digest=facts.sought.digest),
            "holds_digest": systems["compliance"].read("holds_digest"),
            "holds": holds_on(declared, facts.sought.subject, facts.sought.digest, names),
            "backups": tuple(one for name in used for one in _backups(systems, name))
            + tuple(map(_pages, postgres)),
            "servers": {name: systems[name].read("query", sql=SERVER_SQL, shape="row") for name in postgres},
            "left": left,
        }
    )


def holds_on(declared: DataSettings, subject: str, digest: str, names: set[str]) -> tuple[Hold, ...]:
    """The holds that are about a subject and have not ended."""
    from datareeve.core import clock  # noqa: PLC0415 - the day of today

    today = clock.stamp()[:10]
    return tuple(
        Hold(
            name=name,
            why=one.why + (UNREADABLE if _unreadable(one, digest) else ""),
            until=one.until,
            datasets=tuple(d for d in one.datasets if d in names),
        )
        for name, one in declared.holds.items()
        if one.subject in (None, subject)
        and (not one.keys or digest in one.keys or _unreadable(one, digest))
        and (not one.datasets or names & set(one.datasets))
        and (one.until is None or one.until >= today)
    )


def _unreadable(hold: LegalHold, digest: str) -> bool:
    """Whether another key made one of the hold's digests: whom it names nobody can say, so it holds everybody."""
    return any(key[-MARK_HEX:] != digest[-MARK_HEX:] for key in hold.keys)


def _pages(name: str) -> Backup:
    """Where bytes of removed rows are that no statement reads any more."""
    return Backup(system=name, what=f"the free space of {name}'s pages, and its WAL,", until="when they are written over; from the pages at once by VACUUM (FULL) of the tables concerned, which locks them")  # fmt: skip


def _backups(systems: Systems, name: str) -> list[Backup]:
    """Backups that hold what is erased, and when the newest of them will be gone, as far as the estate tells."""
    unknown = [Backup(system=name, what=f"whatever backs {name} up (the estate knows of nothing)", until="when that expires")]  # fmt: skip
    if systems[name].kind != "postgresql":
        return unknown
    keep = int((estate.entry(systems, name).get("backups") or {}).get("keep", 7))
    try:
        known = systems[name].read("backups")
    except (DatareeveError, OSError) as error:
        why = getattr(error, "what", "no access").rstrip(".")
        return [Backup(system=name, what=f"whatever backs {name} up (its catalogue cannot be read: {why})", until="when that expires")]  # fmt: skip
    until = f"when {keep} newer ones have been taken and databases.prune-backups has run"
    found = [Backup(system=name, what=f"base backup {one['label']} of {one['finished'][:10]}", until=until) for one in known]  # fmt: skip
    if any(one.get("archived") for one in known):
        found.append(Backup(system=name, what="the archived WAL since the oldest of them", until="with that backup"))  # fmt: skip
    return found or unknown
