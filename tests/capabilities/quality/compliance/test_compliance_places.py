"""Where a subject's data is, as data: an estate and catalogs in, places out."""

from datetime import date

import pytest
from pydantic import ValidationError

from datareeve.capabilities.quality.compliance.erasing import blockers, held_datasets, meant
from datareeve.capabilities.quality.compliance.looking import (
    Counted,
    Hold,
    Referred,
    SubjectFacts,
    _backups,
    holds_on,
)
from datareeve.capabilities.quality.compliance.places import Surroundings, find
from datareeve.capabilities.quality.compliance.proving import condition
from datareeve.core.errors import Failed
from datareeve.core.estate_data import DataSettings
from datareeve.systems.subject_shapes import Sought


def table(*columns, keys=(), kind="r", triggers=()):
    about = {name: {"type": "text", "nullable": True, "generated": False} for name in columns}
    refs = [
        {"columns": [column], "table": to, "references": [ref], "on_delete": rule}
        for column, to, ref, rule in keys
    ]
    return {"source": "quoted", "kind": kind, "columns": about, "keys": refs, "triggers": list(triggers)}


TABLES = {
    "public.people": table("id", "mail"),
    "public.orders": table("id", "person", keys=[("person", "public.people", "id", "no action")]),
    "public.items": table("order_id", "gift", keys=[("order_id", "public.orders", "id", "cascade")]),
    "public.notes": table("item", "text", keys=[("item", "public.items", "order_id", "set null")]),
    "public.mails": table("mail", "n"),
    "public.sums": table("month", "total"),
    "public.copy": table("id", "total"),
    "public.seen": table("id", "mail", kind="v"),
}
PEOPLE = {
    "system": "app",
    "table": "people",
    "subject": "person",
    "subject_key": "id",
    "personal": {"mail": "email"},
}


def search(datasets, tables=None, **more):
    declared = DataSettings.model_validate({"datasets": {"people": PEOPLE, **datasets}})
    seen = Surroundings(
        kinds={"app": "postgresql", "lake": "folder", "far": "spark"},
        tables={"app": tables or TABLES},
        **more,
    )
    found = find(declared, seen, "person")
    return {place.name: place for place in found.places}, {one.dataset: one for one in found.unreached}


def dataset(name, **more):
    return {"system": "app", "table": name, **more}


@pytest.mark.parametrize(
    ("one", "found", "where"),
    [
        (dataset("orders", subject="person", subject_key="person"), "by key", "person = :key"),
        (dataset("orders"), "by reference", "person = :key"),
        (dataset("items"), "by reference", "order_id IN (SELECT id FROM quoted WHERE person = :key)"),
        (dataset("notes", subject="person"), "by reference", "item IN (SELECT order_id FROM quoted WHERE order_id IN (SELECT id FROM quoted WHERE person = :key))"),
        (dataset("copy", derived_from=["people"]), "by lineage", "id = :key"),
        (dataset("mails", subject="person", personal={"mail": "email"}), "by values", "mail = :mail_of_the_subject"),
    ],
)  # fmt: skip
def test_a_dataset_is_found_by_the_surest_way_there_is(one, found, where):
    places, unreached = search({"it": one})
    assert unreached == {}
    assert (places["it"].found, condition(places["it"].store.match)) == (found, where)


def test_an_aggregate_and_a_view_are_named_as_not_reached():
    _, unreached = search(
        {
            "sums": dataset("sums", derived_from=["people"]),
            "seen": dataset("seen", subject="person", subject_key="id"),
            "far": {"system": "far", "table": "t", "subject": "person"},
        }
    )
    assert "nothing in it tells one subject from another" in unreached["sums"].why
    assert unreached["seen"].why == "public.seen is a view: its rows are those of its tables"
    assert "spark" in unreached["far"].why
    assert not any(one.blocks for one in unreached.values())


def test_what_is_missing_blocks():
    _, unreached = search(
        {
            "x": dataset("nowhere", subject="person", subject_key="id"),
            "y": {"system": "gone", "table": "t", "subject": "person"},
        }
    )
    assert (unreached["x"].blocks, unreached["y"].blocks) == (True, True)


def test_tables_that_nobody_declared_go_with_the_rows_they_refer_to():
    places, _ = search({"orders": dataset("orders", subject="person", subject_key="person")})
    assert (places["app:public.items"].store.mode, places["app:public.items"].declared) == ("delete", False)
    assert (places["app:public.notes"].store.mode, places["app:public.notes"].store.set) == (
        "anonymise",
        {"item": "null"},
    )


def test_a_dataset_of_another_subject_is_not_this_ones():
    places, _ = search(
        {"copy": dataset("copy", subject="supplier", subject_key="id", derived_from=["people"])}
    )
    assert set(places) == {"people", "app:public.orders"}


def test_references_in_a_circle_end():
    tables = {
        **TABLES,
        "public.a": table("b", keys=[("b", "public.b", "a", "no action")]),
        "public.b": table("a", keys=[("a", "public.a", "b", "no action")]),
    }
    _, unreached = search({"a": dataset("a", subject="person")}, tables)
    assert "a" in unreached


@pytest.mark.parametrize(
    ("files", "one", "found"),
    [
        ({"forms": ["text"], "columns": []}, {"subject": "person"}, "in text"),
        ({"forms": ["csv"], "columns": ["id", "x"]}, {"subject": "person", "subject_key": "id"}, "by key"),
        ({"forms": ["json"], "columns": []}, {"subject": "person", "subject_key": "id"}, "by key"),
        ({"forms": ["json"], "columns": []}, {"subject": "person"}, "in text"),
        ({"forms": ["parquet"], "columns": ["id"]}, {"derived_from": ["people"]}, "by lineage"),
        ({"forms": ["parquet"], "columns": ["m"]}, {"subject": "person", "personal": {"m": "email"}}, "by values"),
        ({"forms": ["csv"], "columns": ["x"]}, {"subject": "person", "subject_key": "id"}, "blocked"),
        ({"forms": ["json"], "columns": [], "unread": ["a.json"]}, {"subject": "person"}, "blocked"),
        ({"forms": [], "columns": []}, {"subject": "person"}, "blocked"),
    ],
)  # fmt: skip
def test_files_are_found_by_what_their_form_tells(files, one, found):
    places, unreached = search(
        {"f": {"system": "lake", "table": "f", **one}}, files={"f": {"unread": [], **files}}
    )
    assert (
        places["f"].found if "f" in places else "blocked" if unreached["f"].blocks else "not reached"
    ) == found


def test_what_may_not_be_null_and_holds_no_text_needs_a_word():
    tables = {
        **TABLES,
        "public.people": {
            **TABLES["public.people"],
            "columns": {
                "id": {"type": "integer", "nullable": False, "generated": False},
                "mail": {"type": "bytea", "nullable": False, "generated": False},
            },
        },
    }
    people = {**PEOPLE, "erasure": "anonymise"}
    _, unreached = search({"people": people}, tables)
    assert "mail may not be NULL" in unreached["people"].why
    places, _ = search({"people": {**people, "anonymise": {"mail": "text:-"}}}, tables)
    assert places["people"].store.set == {"mail": "text:-"}


def test_what_is_kept_says_why():
    with pytest.raises(ValidationError, match="kept_because"):
        DataSettings.model_validate({"datasets": {"x": {**PEOPLE, "erasure": "keep"}}})


def facts(  # noqa: PLR0913 - what was seen
    datasets, tables, rows, *, referred=None, holds=(), others=None
):
    declared = DataSettings.model_validate({"datasets": datasets})
    found = find(declared, Surroundings(kinds={"app": "postgresql"}, tables={"app": tables}), "person")
    counted = tuple(
        Counted(place=one, rows=rows.get(one.name, 0), others=(others or {}).get(one.name, 0))
        for one in found.places
    )
    said = tuple(
        Referred(referring=one, rows=referred[one.dataset])
        for one in found.referring
        if one.dataset in (referred or {})
    )
    return SubjectFacts(
        sought=Sought(subject="person", digest="d" * 32),
        counted=counted,
        tables={"app": tables},
        referred=said,
        holds=holds,
    )


def bills(on_delete):
    return {
        "public.people": table("id", "mail"),
        "public.bills": table("n", "person", keys=[("person", "public.people", "id", on_delete)]),
    }


BILLS = {"system": "app", "table": "bills", "subject": "person", "subject_key": "person"}
RULES = ["no action", "restrict", "cascade", "set null", "set default"]


@pytest.mark.parametrize("on_delete", RULES)
def test_no_reference_takes_along_what_is_kept(on_delete):
    kept = {**BILLS, "erasure": "keep", "kept_because": "tax law"}
    seen = facts({"people": PEOPLE, "bills": kept}, bills(on_delete), {"people": 1, "bills": 2})
    assert any("bills: 2 rows stay" in one for one in blockers(seen, set(), leave_held=False))


@pytest.mark.parametrize("on_delete", RULES)
def test_no_reference_takes_along_what_is_held(on_delete):
    audit = Hold(name="audit", why="w", datasets=("bills",))
    seen = facts(
        {"people": PEOPLE, "bills": BILLS}, bills(on_delete), {"people": 1, "bills": 2}, holds=(audit,)
    )
    assert any("bills: 2 rows stay" in one for one in blockers(seen, held_datasets(seen), leave_held=True))


@pytest.mark.parametrize(
    ("on_delete", "blocks"), [("no action", True), ("cascade", True), ("set null", False)]
)
def test_rows_made_anonymous_are_not_deleted_with_their_parents(on_delete, blocks):
    masked = {**BILLS, "erasure": "anonymise", "anonymise": {"n": "null"}}
    seen = facts({"people": PEOPLE, "bills": masked}, bills(on_delete), {"people": 1, "bills": 2})
    assert bool(blockers(seen, set(), leave_held=False)) is blocks


def test_parts_of_what_is_held_are_held():
    tables = {
        **bills("no action"),
        "public.lines": table("bill", keys=[("bill", "public.bills", "n", "cascade")]),
    }
    audit = Hold(name="audit", why="w", datasets=("bills",))
    seen = facts(
        {"people": PEOPLE, "bills": BILLS}, tables, {"app:public.lines": 3, "bills": 1}, holds=(audit,)
    )
    assert held_datasets(seen) == {"bills", "app:public.lines"}
    assert meant(seen, held_datasets(seen)) == []


MESSAGES = {
    "public.people": table("id", "mail"),
    "public.messages": table(
        "sender",
        "recipient",
        keys=[("sender", "public.people", "id", "cascade"), ("recipient", "public.people", "id", "cascade")],
    ),
}


def test_a_second_reference_and_one_to_itself_are_looked_at():
    tables = {
        **MESSAGES,
        "public.people": table("id", "boss", keys=[("boss", "public.people", "id", "no action")]),
    }
    declared = DataSettings.model_validate({"datasets": {"people": PEOPLE, "messages": dataset("messages")}})
    found = find(declared, Surroundings(kinds={"app": "postgresql"}, tables={"app": tables}), "person")
    told = {(one.dataset, one.store.match.column): one.own.match.also for one in found.referring}
    assert set(told) == {("people", "boss"), ("messages", "recipient")}
    assert {also.column for also in told.values()} == {"id", "sender"}


def test_rows_of_others_that_would_go_along_block():
    datasets = {"people": PEOPLE, "messages": dataset("messages")}
    seen = facts(datasets, MESSAGES, {"people": 1}, referred={"messages": 2})
    (told,) = blockers(seen, set(), leave_held=False)
    assert "refer to public.people (ON DELETE CASCADE)" in told


def test_a_reference_of_several_columns_is_followed():
    two = {
        "columns": ["tenant", "person"],
        "table": "public.people",
        "references": ["tenant", "id"],
        "on_delete": "cascade",
    }
    tables = {"public.people": table("id"), "public.x": {**table("tenant", "person"), "keys": [two]}}
    found = find(
        DataSettings.model_validate({"datasets": {"people": PEOPLE}}),
        Surroundings(kinds={"app": "postgresql"}, tables={"app": tables}),
        "person",
    )
    (child,) = [place for place in found.places if not place.declared]
    assert (child.name, child.store.mode, child.found) == ("app:public.x", "delete", "by cascade")
    assert condition(child.store.match) == "(tenant, person) IN (SELECT tenant, id FROM quoted WHERE id = :key)"  # fmt: skip


def test_what_is_found_by_values_that_others_share_needs_a_word():
    datasets = {"people": PEOPLE, "mails": dataset("mails", subject="person", personal={"mail": "email"})}
    seen = facts(datasets, TABLES, {"people": 1, "mails": 2}, others={"people": 1})
    assert ["mails" in one for one in blockers(seen, set(), leave_held=False)] == [True]
    assert blockers(seen, set(), leave_held=False, shared=True) == []
    assert blockers(facts(datasets, TABLES, {"people": 1, "mails": 2}), set(), leave_held=False) == []
    assert [one.place.name for one in meant(seen, set())] == ["mails", "people"]


def test_personal_data_of_nobody_in_particular_is_searched_or_named():
    places, unreached = search(
        {
            "news": dataset("mails", personal={"mail": "email"}),
            "sums": dataset("sums", personal={"month": "birth-date"}),
            "plain": dataset("sums", personal={"month": "no"}),
        }
    )
    assert places["news"].found == "by values"
    assert "names no subject" in unreached["sums"].why
    assert "plain" not in unreached


@pytest.mark.parametrize(("kind", "why"), [("m", "materialized view"), ("f", "foreign table")])
def test_what_keeps_rows_of_its_own_is_no_view(kind, why):
    tables = {**TABLES, "public.seen": table("id", "mail", kind=kind)}
    _, unreached = search({"seen": dataset("seen", subject="person", subject_key="id")}, tables)
    assert why in unreached["seen"].why
    assert unreached["seen"].blocks


@pytest.mark.parametrize(
    "until", ["12/31/2030", "01.06.2030", "2030", "2030-02-30", "20300101", "soon", 20300101]
)
def test_a_hold_ends_on_a_day_or_is_refused(until):
    with pytest.raises(ValidationError):
        DataSettings.model_validate({"holds": {"h": {"why": "x", "until": until}}})


@pytest.mark.parametrize("key", ["3f2a91c0d4e5", "4711", "", "G" * 32])
def test_a_hold_names_people_by_whole_digests(key):
    with pytest.raises(ValidationError):
        DataSettings.model_validate({"holds": {"h": {"why": "x", "keys": [key]}}})


def test_a_hold_whose_keys_another_project_made_holds_everybody():
    day = date(2999, 1, 1)
    declared = DataSettings.model_validate(
        {"holds": {"h": {"why": "x", "subject": "person", "keys": ["a" * 32], "until": day}}}
    )
    mine, foreign = "b" * 24 + "a" * 8, "b" * 32
    assert holds_on(declared, "person", mine, {"people"}) == ()
    (held,) = holds_on(declared, "person", foreign, {"people"})
    assert "holds everybody" in held.why
    assert held.until == "2999-01-01"


class Reader:
    """A system that answers what it was given."""

    def __init__(self, kind, answers):
        self.kind, self.answers = kind, answers

    def read(self, action, /, **arguments):
        answer = self.answers[action]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([], ["whatever backs app up (the estate knows of nothing)"]),
        ([{"label": "b1", "finished": "2026-01-02T00:00:00", "archived": False}], ["base backup b1 of 2026-01-02"]),
        ([{"label": "b1", "finished": "2026-01-02T00:00:00", "archived": True}], ["base backup b1 of 2026-01-02", "the archived WAL since the oldest of them"]),
        (Failed("x", "no rights."), ["whatever backs app up (its catalogue cannot be read: no rights)"]),
    ],
)  # fmt: skip
def test_backups_that_keep_what_is_erased_are_named_with_their_end(answer, told):
    systems = {
        "app": Reader("postgresql", {"backups": answer}),
        "estate": Reader("estate", {"get": {"backups": {"keep": 3}}}),
    }
    found = _backups(systems, "app")
    assert [one.what for one in found] == told
    assert not answer or isinstance(answer, Exception) or "when 3 newer ones" in found[0].until
