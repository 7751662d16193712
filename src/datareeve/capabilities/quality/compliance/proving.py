"""The proof of an erasure: what is gone, what stays and why, where nothing was found, and what is not reached. Pure, of what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.compliance.looking import values_of
from datareeve.core.operation import Call, Claim, Effect, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.compliance.looking import Counted, SubjectFacts
    from datareeve.systems.subject_shapes import Store


def proof(facts: SubjectFacts, wanted: list[Counted], held: set[str], path: str) -> Step:
    """The document, written when everything is searched once more."""
    removed = {} if held else {**facts.unproven.bundles, **facts.bundles}
    about = {
        "what": "erasure",
        "subject": facts.sought.subject,
        "subject_digest": facts.sought.digest,
        "unreached": list(unreached(facts, held)),
        "holds": [f"{one.name}: {one.why}" for one in facts.holds],
        "bundles": [{"path": name, "sha256": removed[name]} for name in sorted(removed)],
        "former_runs": list(facts.unproven.runs),
    }
    stores = [place for one in facts.counted for place in _places(facts, one, wanted, held)]
    arguments = {"path": path, "about": about, "stores": stores, "sought": facts.sought.model_copy(update={"reference": None}).model_dump(mode="json")}  # fmt: skip
    return Step(
        id="write the proof",
        call=Call(system="compliance", action="write_proof", arguments=arguments),
        why="Whoever answers for it can show what was erased, what stays and why, where it was searched, by whose approval, and what remains until when.",
        effect=Effect.IRREVERSIBLE,
        probe=proof_stands(path),
        no_undo="A proof of what was done stays.",
        touches=(f"files:{path}",),
        paths=(path, path.removesuffix(".json") + ".md"),
    )


def unreached(facts: SubjectFacts, held: set[str]) -> Iterator[str]:
    """Where copies may be that the erasure does not get at, in one line each."""
    yield from (f"{one.dataset}: {one.why}" for one in facts.unreached)
    yield from (f"{one.system}: {one.what}, gone {one.until}" for one in facts.backups)
    yield from (f"{path}: {BUNDLE_STAYS}" for path in facts.bundles if held)
    known = {one.place.name for one in facts.counted}
    yield from (f"{name}: a former run erased there; it is no dataset of the estate any more, and not searched" for name in sorted(facts.unproven.rows) if name not in known)  # fmt: skip


BUNDLE_STAYS = (
    "a bundle of an earlier export stays, for it holds what is held; remove that file when the hold has ended"
)


def _places(facts: SubjectFacts, one: Counted, wanted: list[Counted], held: set[str]) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A place in the proof: under what was erased, what stays, or where there was nothing; and the others' rows in it."""
    about = {"dataset": one.place.name, "system": one.place.system, "found": one.place.found}
    if one in wanted or one.gone:
        more = {"mode": one.place.store.mode, "before": one.rows + one.gone, "statement": statement(one)}
        yield _place("datasets", one, one.place.store, {**about, **more})
    elif one.rows:
        yield _place("stays", one, one.place.store, {**about, "before": one.rows, "why": why_it_stays(facts, one, held)})  # fmt: skip
    else:
        yield _place("searched", one, one.place.store, about)
    by_value = values_of(one.place)
    if one.others and by_value is not None and (one in wanted or one.gone or not one.rows):
        yield _place("stays", one, by_value, {**about, "found": "by values", "before": one.others, "why": "they are another key's, and hold the same identifying values"})  # fmt: skip


def _place(part: str, one: Counted, store: Store, told: dict[str, Any]) -> dict[str, Any]:
    return {"part": part, "system": one.place.system, "store": store.model_dump(mode="json", exclude_defaults=True), "told": told}  # fmt: skip


def why_it_stays(facts: SubjectFacts, one: Counted, held: set[str]) -> str:
    """The law or the hold that has rows kept."""
    if one.place.name in held:
        named = [f"{hold.name}: {hold.why}" for hold in facts.holds if one.place.name in hold.datasets]
        return f"legal hold {'; '.join(named)}" if named else "they are parts of what a legal hold names"
    law = facts.registered.get(one.place.name, {}).get("kept_because")
    return f"kept: {law}" if law else "kept: no dataset of the estate says what becomes of them"


def proof_stands(path: str) -> Claim:
    """Signed, clean, and the ledger agrees."""
    return Claim(
        text=f"{path} is signed by this project, and the ledger holds the steps that it names",
        call=Call(system="compliance", action="proof_stands", arguments={"path": path}),
    )


def statement(one: Counted) -> str:
    """The statement's shape, without a value."""
    store, table = one.place.store, one.place.table or one.place.store.table
    if (
        one.place.kind == "folder"
        and store.form == "lines"
        and not store.match.column
        and not store.match.values
    ):
        return f"{'lines with it are left out' if store.mode == 'delete' else 'what tells the subject is replaced by [erased]'} in {table}"  # fmt: skip
    where = condition(store.match)
    if store.mode == "delete":
        return f"DELETE FROM {table} WHERE {where}"
    return f"UPDATE {table} SET {', '.join(f'{column} = {how}' for column, how in sorted(store.set.items()))} WHERE {where}"


def condition(match: Any) -> str:
    """A match in words of SQL, with `:key` for the subject."""
    if match.within is not None:
        refers, keys = (
            ", ".join((match.column, *match.along)),
            ", ".join((match.within.column, *match.within.along)),
        )
        return f"{f'({refers})' if match.along else refers} IN (SELECT {keys} FROM {match.within.table} WHERE {condition(match.within.match)})"
    if match.values:
        return " OR ".join(f"{column} = :{column}_of_the_subject" for column in match.values)
    return f"{match.column} = :key"
