"""What an erasure does, in which order, and what it says beforehand: pure, of what was seen.

Files first: they can be put back as long as no row of a database is gone. Then rows, each table after those that refer to it. Then the files
that stood beside, what the server remembers in statistics, and the proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.compliance import refreshing
from datareeve.capabilities.quality.compliance.looking import ambiguous, values_of
from datareeve.capabilities.quality.compliance.places import TELLING, WRITTEN
from datareeve.capabilities.quality.compliance.proving import BUNDLE_STAYS, statement, why_it_stays
from datareeve.core.operation import Call, Claim, Effect, Finding, Prediction, Severity, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts

NO_WAY_BACK = "What is erased is erased: that is what was asked for."
LOGGED = {"mod", "all"}


def plain(one: Counted, *, expected: bool = True) -> dict[str, Any]:
    """A store as an argument of a call."""
    store = one.store if expected else one.place.store
    return store.model_dump(mode="json", exclude_defaults=True)


def meant(facts: SubjectFacts, held: set[str]) -> list[Counted]:
    """The places with rows of the subject that are to be erased, in the order it is done."""
    wanted = [
        one
        for one in facts.counted
        if one.rows and one.place.store.mode != "keep" and one.place.name not in held
    ]
    # Those that are found by values go first: what tells the subject is learned from the others, as long as these have rows.
    files = [one for one in wanted if one.place.kind != "postgresql"]
    return [*sorted(files, key=lambda one: one.place.name), *_children_first([one for one in wanted if one.place.kind == "postgresql"])]  # fmt: skip


def ended_before(facts: SubjectFacts, wanted: list[Counted]) -> list[Counted]:
    """The places that a run without a proof has emptied: their statistics and their proof are still to be made."""
    return [one for one in facts.counted if one.gone and one not in wanted and not one.rows]


def held_datasets(facts: SubjectFacts) -> set[str]:
    """The datasets that a hold names, and the tables nobody declared whose rows are parts of theirs."""
    held = {name for hold in facts.holds for name in hold.datasets}
    while True:
        tables = {(one.place.system, one.place.table) for one in facts.counted if one.place.name in held}
        parts = {one.place.name for one in facts.counted if not one.place.declared and any((one.place.system, parent) in tables for parent in one.place.parents)}  # fmt: skip
        if parts <= held:
            return held
        held |= parts


def _children_first(wanted: list[Counted]) -> list[Counted]:
    """Tables after those that refer to them; before all others those that are found by values, with what refers to them: a failure leaves what tells the subject."""
    first = [one for one in wanted if one.place.found == "by values"]
    while more := [
        one
        for one in wanted
        if one not in first and any((to.place.system, to.place.table) in _parents(one) for to in first)
    ]:
        first += more
    return [*_in_order(first), *_in_order([one for one in wanted if one not in first])]


def _parents(one: Counted) -> set[tuple[str, str]]:
    return {(one.place.system, parent) for parent in one.place.parents}


def _in_order(wanted: list[Counted]) -> list[Counted]:
    left, ordered = sorted(wanted, key=lambda one: one.place.name), []
    while left:
        referred = set().union(*map(_parents, left))
        ready = [one for one in left if (one.place.system, one.place.table) not in referred] or left[:1]
        ordered += ready
        left = [one for one in left if one not in ready]
    return ordered


# -- steps -----------------------------------------------------------------------------------------------------------------------------


def steps(facts: SubjectFacts, wanted: list[Counted], held: set[str], *, vacuum: bool) -> list[Step]:
    """Everything but the proof, in order."""
    touched = [*wanted, *ended_before(facts, wanted)]
    return [
        *_rewriting(facts, [one for one in wanted if one.place.kind != "postgresql"]),
        *(_erase_rows(facts, one) for one in wanted if one.place.kind == "postgresql"),
        *refreshing.steps(
            refreshing.of_touched(facts, touched), f"the rows of {facts.who}", needs_person=True
        ),
        *_removing(facts, wanted),
        *([_remove_bundles(facts)] if facts.bundles and not held else []),
        *(_clearing(facts, one) for one in touched if vacuum and one.place.kind == "postgresql"),
    ]


def nothing_left(facts: SubjectFacts, some: Iterable[Counted]) -> Claim:
    """No row of the subject in some places of one system, found by digests alone: it can be asked when the key is long gone."""
    places = list(some)
    alone = facts.sought.model_copy(update={"reference": None}).model_dump(mode="json")
    arguments = {"stores": [plain(one, expected=False) for one in places], "sought": alone}
    names = ", ".join(one.place.name for one in places)
    return Claim(
        text=f"{names} of {places[0].place.system}: no row of {facts.who} is left",
        call=Call(system=places[0].place.system, action="subject_counts", arguments=arguments),
        expected={one.place.name: 0 for one in places},
        remedy="Something wrote it again: stop that, and plan again.",
    )


def still_there(facts: SubjectFacts, one: Counted) -> Claim:
    """What is held or kept has as many rows as before."""
    return nothing_left(facts, [one]).model_copy(
        update={
            "text": f"{one.place.name}: {one.rows:,} rows of {facts.who} are held or kept, and still there",
            "expected": {one.place.name: one.rows},
            "remedy": "A trigger or a rule took them along: restore them from a backup.",
        }
    )


def still_as_counted(facts: SubjectFacts, one: Counted) -> Claim:
    """As many rows as the plan was made of."""
    arguments = {"stores": [plain(one, expected=False)], "sought": facts.sought.model_dump(mode="json")}
    return Claim(
        text=f"{one.place.name} holds {one.rows:,} rows of {facts.who}",
        call=Call(system=one.place.system, action="subject_counts", arguments=arguments),
        expected={one.place.name: one.rows},
        remedy="The data changed since the plan was made: plan again.",
    )


def holds_as_seen(digest: str) -> Claim:
    """No hold was placed, changed or ended since the plan was made."""
    return Claim(
        text="the legal holds in estate.yaml are those that the plan was made with",
        call=Call(system="compliance", action="holds_digest"),
        expected=digest,
        remedy="A hold was placed or changed since: plan again.",
    )


def _rewriting(facts: SubjectFacts, some: list[Counted]) -> list[Step]:
    """One step for each folder's dataset, one for each DuckDB file: it is written anew once."""
    groups: dict[tuple[str, str], list[Counted]] = {}
    for one in some:
        groups.setdefault(
            (one.place.system, "" if one.place.kind == "duckdb" else one.place.name), []
        ).append(one)
    return [_rewrite(facts, system, name or system, group) for (system, name), group in groups.items()]


def _rewrite(facts: SubjectFacts, system: str, name: str, group: list[Counted]) -> Step:
    stores, tables = [plain(one) for one in group], [one.place.store.table for one in group]
    sought = facts.sought.model_dump(mode="json")
    back = {"tables": tables, "stores": [plain(one, expected=True) for one in group], "sought": sought}
    return Step(
        id=f"rewrite {name}",
        call=Call(
            system=system,
            action="rewrite_files",
            arguments={"stores": stores, "sought": sought, "holds": facts.holds_digest},
        ),
        why=f"{_total(group):,} rows of {facts.who} are in files, which are written anew without them; the former ones stay beside until the end.",
        effect=Effect.REVERSIBLE,
        probe=nothing_left(facts, group),
        undo=(Call(system=system, action="put_back_files", arguments=back),),
        predicted=Prediction(rows=_total(group), basis="counted"),
        touches=tuple(f"{system}:{table}" for table in tables),
        needs_person=True,
    )


def _erase_rows(facts: SubjectFacts, one: Counted) -> Step:
    doing = "deleted" if one.place.store.mode == "delete" else "made anonymous"
    schema = one.place.table.split(".", 1)[0]
    return Step(
        id=f"erase {one.place.name}",
        call=Call(
            system=one.place.system,
            action="erase_rows",
            arguments={
                "store": plain(one),
                "sought": facts.sought.model_dump(mode="json"),
                "holds": facts.holds_digest,
            },
        ),
        why=f"{one.rows:,} rows of {facts.who}, found {one.place.found}, are {doing}, all or none of them.",
        effect=Effect.IRREVERSIBLE,
        probe=nothing_left(facts, [one]),
        no_undo=NO_WAY_BACK,
        predicted=Prediction(rows=one.rows, lock="ROW EXCLUSIVE", basis="counted"),
        touches=(f"{one.place.system}:{one.place.table}",),
        schemas=(schema,),
        needs_person=True,
    )


def _removing(facts: SubjectFacts, wanted: list[Counted]) -> list[Step]:
    tables: dict[str, list[str]] = {}
    for one in wanted:
        if one.place.kind != "postgresql":
            tables.setdefault(one.place.system, []).append(one.place.store.table)
    for one in facts.counted:
        if one.place.system in facts.left and one.place.kind != "postgresql":
            tables.setdefault(one.place.system, []).append(one.place.store.table)
    return [_remove_formers(system, sorted(set(names))) for system, names in sorted(tables.items())]


def _remove_formers(system: str, tables: list[str]) -> Step:
    arguments = {"tables": tables}
    return Step(
        id=f"remove former files of {system}",
        call=Call(system=system, action="remove_former_files", arguments=arguments),
        why="The former files still hold the subject; they were the way back, and go last.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(text=f"no former file stands beside its successor in {system}", call=Call(system=system, action="former_files", arguments=arguments), expected=0),
        no_undo=NO_WAY_BACK,
        touches=tuple(f"{system}:{table}" for table in tables),
        needs_person=True,
    )  # fmt: skip


def _remove_bundles(facts: SubjectFacts) -> Step:
    about = {"subject_digest": facts.sought.digest}
    names = ", ".join(facts.bundles)
    return Step(
        id="remove bundles",
        call=Call(system="compliance", action="remove_bundles", arguments={**about, "bundles": facts.bundles}),
        why=f"An earlier export wrote everything of {facts.who} to {names}.",
        effect=Effect.IRREVERSIBLE,
        probe=Claim(text=f"no bundle of {facts.who} stands below the project", call=Call(system="compliance", action="bundles", arguments=about), expected={}),
        no_undo=NO_WAY_BACK,
        touches=tuple(f"files:{path}" for path in facts.bundles),
        paths=tuple(facts.bundles),
        needs_person=True,
    )  # fmt: skip


def _clearing(facts: SubjectFacts, one: Counted) -> Step:
    columns = sorted(facts.tables[one.place.system][one.place.table]["columns"])
    return Step(
        id=f"clear {one.place.name}",
        call=Call(system=one.place.system, action="clear_statistics", arguments={"table": one.place.table, "columns": columns}),
        why="Deleted rows stay in their pages until VACUUM, and frequent values in the planner's statistics until they are gathered anew.",
        effect=Effect.IRREVERSIBLE,
        probe=statistics_clean(facts, one),
        no_undo="Statistics are gathered anew at any time; the former ones, which told the person, do not come back.",
        touches=(f"{one.place.system}:{one.place.table}",),
        schemas=(one.place.table.split(".", 1)[0],),
    )  # fmt: skip


def statistics_clean(facts: SubjectFacts, one: Counted) -> Claim:
    """The planner's statistics hold no value that tells the subject, unless others share it."""
    columns = sorted(one.place.store.identifying)
    alone = facts.sought.model_copy(update={"reference": None}).model_dump(mode="json")
    return Claim(
        text=f"the statistics of {one.place.name} hold nothing that tells {facts.who}",
        call=Call(system=one.place.system, action="statistics_remain", arguments={"table": one.place.table, "columns": columns, "sought": alone}),
        expected=len(columns) + 1 if one.others else 0,
        comparison="at_most",
    )  # fmt: skip


def nobody_by_value(facts: SubjectFacts, one: Counted) -> Claim | None:
    """No row holds what told the subject, whatever its key; but those of others who share it."""
    by_value = values_of(one.place)
    if by_value is None:
        return None
    alone = facts.sought.model_copy(update={"reference": None}).model_dump(mode="json")
    stores = [by_value.model_dump(mode="json", exclude_defaults=True)]
    return Claim(
        text=f"{one.place.name}: at most {one.others:,} rows, which are others', hold what told {facts.who}",
        call=Call(
            system=one.place.system, action="subject_counts", arguments={"stores": stores, "sought": alone}
        ),
        expected={one.place.name: one.others},
    )


# -- what stands in the way, and what is to be known --------------------------------------------------------------------------------------


def blockers(facts: SubjectFacts, held: set[str], *, leave_held: bool, shared: bool = False) -> list[str]:
    """What keeps the whole erasure from being planned, each with what would unblock it."""
    found = [
        f"Legal hold {hold.name!r} forbids it{f' until {hold.until}' if hold.until else ''}: {hold.why}. Whoever set it ends it in estate.yaml under holds; "
        + (
            "leave_held erases what it does not name."
            if hold.datasets
            else "it names no dataset, so it holds all."
        )
        for hold in facts.holds
        if not leave_held or not hold.datasets
    ]
    found += [f"{one.dataset}: {one.why}. {one.instead}" for one in facts.unreached if one.blocks]
    for one in facts.counted:
        if one.named and one.place.store.mode != "keep" and one.place.name not in held:
            found.append(f"{one.place.name}: {one.named:,} files of {one.place.system} tell {facts.who} by their own names, or their folders', which would stay. Rename or remove them.")  # fmt: skip
        if not one.rows or one.place.store.mode == "keep" or one.place.name in held:
            continue
        if one.place.kind not in WRITTEN:
            found.append(
                f"{one.place.name}: {one.rows:,} rows in {one.place.system}, which Datareeve only reads. As its owner, with the key in place of :key: {statement(one)};"
            )
        elif not one.may:
            found.append(
                f"{one.place.name}: our role may not {'DELETE' if one.place.store.mode == 'delete' else 'UPDATE'} there. GRANT SELECT, DELETE, UPDATE ON {one.place.table} TO it."
            )
    found += [] if shared else _shared(facts, held)
    found += refreshing.blockers(refreshing.of_touched(facts, meant(facts, held)))
    return [*found, *_in_the_way(facts, held), *_of_others(facts, held), *_standbys(facts)]


def _in_the_way(facts: SubjectFacts, held: set[str]) -> list[str]:
    """Rows that stay and refer to rows that are to go."""
    going = {
        (one.place.system, one.place.table) for one in meant(facts, held) if one.place.store.mode == "delete"
    }
    found = []
    for one in facts.counted:
        store = one.place.store
        if not one.rows or not one.place.table or (store.mode == "delete" and one.place.name not in held):
            continue
        for key in facts.tables[one.place.system][one.place.table]["keys"]:
            untouched = one.place.name in held or store.mode == "keep"
            # Rows that are made anonymous need no reference; CASCADE would take them along.
            stays = untouched or (not set(key["columns"]) & set(store.set) and key["on_delete"] not in ("set null", "set default"))  # fmt: skip
            if stays and (one.place.system, key["table"]) in going:
                found.append(
                    f"{one.place.name}: {one.rows:,} rows stay and refer to {key['table']}, whose rows are to go. Give {one.place.name} an erasure (estate.yaml datasets), or {key['table']} erasure: anonymise."
                )
    return found  # fmt: skip


def _of_others(facts: SubjectFacts, held: set[str]) -> list[str]:
    """Rows that are found by another reference: they would be deleted uncounted, or stop the deletion."""
    going = {(one.place.system, one.place.table) for one in meant(facts, held) if one.place.store.mode == "delete"}  # fmt: skip
    kept = held | {one.place.name for one in facts.counted if one.place.store.mode == "keep"}
    found = []
    for one in facts.referred:
        to = one.referring
        loosened = to.on_delete in ("set null", "set default") and to.dataset not in kept
        if (to.system, to.parent) not in going or loosened:
            continue
        found.append(f"{to.dataset}: {one.rows:,} further rows refer to {to.parent} (ON DELETE {to.on_delete.upper()}), whose rows are to go. Delete them first, give {to.parent} erasure: anonymise, or make that reference ON DELETE SET NULL.")  # fmt: skip
    return found


def _shared(facts: SubjectFacts, held: set[str]) -> list[str]:
    """Rows that are found by values alone, while others hold the same values: whose they are nobody can say."""
    sharing, unclear = [one.place.name for one in facts.counted if one.others], ambiguous(facts)
    return [
        f"{one.place.name}: {one.rows:,} rows are found by values that other rows of {', '.join(sharing)} hold too: they may be somebody else's. Give {one.place.name} a subject_key, or let erase_shared say that these people are one."
        for one in meant(facts, held)
        if one.place.name in unclear
    ]


def _standbys(facts: SubjectFacts) -> list[str]:
    return [f"{name} is a standby: give the primary's URL." for name, server in facts.servers.items() if server["in_recovery"]]  # fmt: skip


def findings(facts: SubjectFacts, wanted: list[Counted], held: set[str]) -> list[Finding]:
    """What is to be known before it is approved."""
    return [
        *(_not_reached(one.dataset, one.why, one.instead) for one in facts.unreached),
        *(
            _info("in-backups", one.system, f"{one.what} may hold what is erased; gone {one.until}.")
            for one in facts.backups
        ),
        *(
            _staying(facts, one, held)
            for one in facts.counted
            if one.rows and one not in wanted and (one.place.store.mode == "keep" or one.place.name in held)
        ),
        *(
            Finding(rule="bundle-stays", subject=path, what=f"{path}: {BUNDLE_STAYS}.")
            for path in facts.bundles
            if held
        ),
        *_taken_up(facts),
        *several(facts),
        *(_trigger(one) for one in wanted if one.place.triggers),
        *(_others(one) for one in facts.counted if one.others and (one in wanted or not one.rows)),
        *(finding for name, server in facts.servers.items() for finding in _server(name, server)),
    ]


def _not_reached(dataset: str, why: str, instead: str) -> Finding:
    return Finding(rule="subject-not-reached", subject=dataset, what=f"{dataset} is not searched: {why}.", instead=instead)  # fmt: skip


def _info(rule: str, subject: str, what: str, instead: str = "") -> Finding:
    return Finding(rule=rule, subject=subject, what=what, instead=instead, severity=Severity.INFO)


def _staying(facts: SubjectFacts, one: Counted, held: set[str]) -> Finding:
    rule, law = ("subject-held", "GDPR article 17(3)(e): legal claims.") if one.place.name in held else ("subject-kept", "GDPR article 17(3)(b): a legal obligation.")  # fmt: skip
    return _info(rule, one.place.name, f"{one.rows:,} rows of {one.place.name} stay ({why_it_stays(facts, one, held)}).", law)  # fmt: skip


def _taken_up(facts: SubjectFacts) -> list[Finding]:
    gone = sum(one.gone for one in facts.counted)
    if not facts.unproven.runs:
        return []
    return [_info("erasure-without-proof", facts.sought.subject, f"{', '.join(facts.unproven.runs)} erased {gone:,} rows of {facts.who} and wrote no proof: this one names them too.")]  # fmt: skip


def several(facts: SubjectFacts) -> list[Finding]:
    """Tables of persons where the subject's key is only a part of what tells one row from another, and several rows have it: two tenants' 4711."""
    found = []
    for one in facts.counted:
        place = one.place
        primary = facts.tables.get(place.system, {}).get(place.table, {}).get("primary", [])
        is_part = (
            len(primary) > 1 and place.store.match.column in primary and place.store.match.within is None
        )
        if one.rows > 1 and is_part and any(kind in TELLING for kind in place.store.identifying.values()):
            found.append(Finding(rule="key-is-a-part", subject=place.name, what=f"{one.rows:,} rows of {place.name} have this key, which is one column of its primary key ({', '.join(primary)}) and does not tell them apart: they may be several people, all of whom are meant.", instead="Where they are, give the table one column that tells a person (generated of these columns, say) and name that as subject_key."))  # fmt: skip
    return found


def _trigger(one: Counted) -> Finding:
    return Finding(rule="trigger-may-copy", subject=one.place.name, what=f"{one.place.table} has triggers on deleting or updating ({', '.join(one.place.triggers)}): they may write the rows elsewhere.", instead="Declare the table that they write to as a dataset.")  # fmt: skip


def _others(one: Counted) -> Finding:
    return _info("shared-identifiers", one.place.name, f"{one.others:,} other rows of {one.place.name} hold the same identifying values, and stay: another account, or somebody who shares them.", "Erase those accounts too, where they are the same person's.")  # fmt: skip


def _server(name: str, server: dict[str, Any]) -> list[Finding]:
    found = []
    logs = server["log_statement"] in LOGGED or server["log_min_duration"] not in ("-1", -1)
    if logs and not server["superuser"]:
        found.append(Finding(rule="parameters-are-logged", subject=name, what=f"{name} may write the statements' parameters, the key among them, into its own log.", instead="ALTER SYSTEM SET log_parameter_max_length = 0, or erase as a superuser, who can switch it off."))  # fmt: skip
    if server["statements"]:
        found.append(_info("statements-are-kept", name, f"pg_stat_statements of {name} keeps texts of statements; constants in utility statements stay in it.", "SELECT pg_stat_statements_reset()"))  # fmt: skip
    if server["standbys"] or server["slots"]:
        found.append(_info("replicas-follow", name, f"{server['standbys']} standbys follow at once; {server['slots']} replication slots keep WAL until it is read."))  # fmt: skip
    if server["publications"]:
        found.append(_info("subscribers-follow", name, f"Publications {', '.join(server['publications'])} pass deletions on, where they publish them; subscribers' own copies are theirs to erase."))  # fmt: skip
    return found


def _total(group: list[Counted]) -> int:
    return sum(one.rows for one in group)
