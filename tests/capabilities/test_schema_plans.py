"""Plans of keys and documents as data: facts in, steps out."""

import pytest

from datareeve.capabilities.databases.operations.add_foreign_key import AddForeignKey, AddForeignKeyFacts
from datareeve.capabilities.databases.operations.add_primary_key import AddPrimaryKey, AddPrimaryKeyFacts
from datareeve.capabilities.databases.operations.document_schema import DocumentSchema, DocumentSchemaFacts

PRIMARY = AddPrimaryKey(system="app", table="order", columns=("day", "no"))
NULLABLE = AddPrimaryKeyFacts(table_kind="r", nullable={"day": True, "no": False}, rows=7)
FOREIGN = AddForeignKey(
    system="app", table="f", columns=("c",), references_table="a", references_columns=("k",)
)
WHOLE = AddForeignKeyFacts(
    table_kind="r",
    references_kind="r",
    types={"c": "integer"},
    references_types={"k": "bigint"},
    is_key=True,
    rows=90,
)


def statements(plan):
    return [step.call.arguments["sql"] for step in plan.steps]


def undone(plan):
    return [call.arguments["sql"] for step in reversed(plan.steps) for call in step.undo]


def test_a_primary_key_is_built_proved_and_made_in_six_steps():
    plan = PRIMARY.plan(NULLABLE)
    assert statements(plan) == [
        'CREATE UNIQUE INDEX CONCURRENTLY order_pkey ON public."order" (day, no)',
        'ALTER TABLE public."order" ADD CONSTRAINT order_pkey_not_null_check CHECK (day IS NOT NULL) NOT VALID',
        'ALTER TABLE public."order" VALIDATE CONSTRAINT order_pkey_not_null_check',
        'ALTER TABLE public."order" ALTER COLUMN day SET NOT NULL',
        'ALTER TABLE public."order" DROP CONSTRAINT IF EXISTS order_pkey_not_null_check',
        'ALTER TABLE public."order" ADD CONSTRAINT order_pkey PRIMARY KEY USING INDEX order_pkey',
    ]
    assert undone(plan)[0] == 'ALTER TABLE IF EXISTS public."order" DROP CONSTRAINT IF EXISTS order_pkey'
    assert undone(plan)[-1] == "DROP INDEX CONCURRENTLY IF EXISTS public.order_pkey"
    assert 'ALTER TABLE IF EXISTS public."order" ALTER COLUMN day DROP NOT NULL' in undone(plan)


def test_columns_that_are_not_null_already_are_left_as_they_are():
    plan = PRIMARY.plan(NULLABLE.model_copy(update={"nullable": {"day": False, "no": False}}))
    assert [step.id for step in plan.steps] == ["build-index order_pkey", "add-primary-key order_pkey"]
    assert not any("NOT NULL" in text for text in undone(plan))


def test_the_same_facts_give_the_same_fingerprint():
    assert PRIMARY.plan(NULLABLE).fingerprint == PRIMARY.plan(NULLABLE).fingerprint


@pytest.mark.parametrize(
    ("change", "blocker"),
    [
        ({"table_kind": None}, "There is no table public.order."),
        ({"table_kind": "p"}, "public.order is not a plain table"),
        ({"nullable": {"day": True}}, "public.order has no column no."),
        ({"primary_key": ("id",)}, "public.order has another primary key, (id)."),
        ({"name_taken": True}, "public has another relation order_pkey."),
        (
            {"repeated": 3, "nulls": 1},
            "public.order: 3 rows repeat another row's (day, no), 1 have a null in it.",
        ),
    ],
)
def test_what_stands_in_the_way_of_a_primary_key_is_said(change, blocker):
    plan = PRIMARY.plan(NULLABLE.model_copy(update=change))
    assert plan.steps == ()
    assert plan.blockers[0].startswith(blocker)


def test_a_primary_key_that_is_there_is_nothing_to_do():
    plan = PRIMARY.plan(NULLABLE.model_copy(update={"primary_key": ("day", "no")}))
    assert (plan.nothing_to_do, plan.steps) == ("public.order has the primary key (day, no).", ())


def test_a_foreign_key_is_added_then_validated():
    plan = FOREIGN.plan(WHOLE)
    assert statements(plan) == [
        "ALTER TABLE public.f ADD CONSTRAINT f_c_fkey FOREIGN KEY (c) REFERENCES public.a (k) NOT VALID",
        "ALTER TABLE public.f VALIDATE CONSTRAINT f_c_fkey",
    ]
    assert [check.expected for check in plan.checks] == ["valid"]
    assert plan.steps[0].touches == ("app:public.f", "app:public.a")


@pytest.mark.parametrize(
    ("change", "blocker"),
    [
        ({"table_kind": None}, "There is no table public.f."),
        ({"references_kind": None}, "There is no table public.a."),
        ({"table_kind": "p"}, "public.f (c) to public.a (k): only plain tables"),
        ({"types": {}}, "public.f has no column c."),
        ({"references_types": {}}, "public.a has no column k."),
        (
            {"types": {"c": "text"}},
            "public.f (c) and public.a (k) are of types that do not compare: c is text, k is bigint.",
        ),
        ({"is_key": False}, "public.a (k) is not a key"),
        ({"name_taken": True}, "public.f has another constraint f_c_fkey."),
    ],
)
def test_what_stands_in_the_way_of_a_foreign_key_is_said(change, blocker):
    plan = FOREIGN.plan(WHOLE.model_copy(update=change))
    assert plan.steps == ()
    assert plan.blockers[0].startswith(blocker)


def test_a_key_that_an_earlier_part_adds_may_be_referred_to():
    assert FOREIGN.plan(WHOLE.model_copy(update={"is_key": False, "key_planned": True})).steps


ORPHANS = {"orphan_rows": 5, "orphan_values": 2, "orphan_keys": ("x", "y")}


def test_orphans_block_a_foreign_key_and_are_named_by_key():
    plan = FOREIGN.plan(WHOLE.model_copy(update=ORPHANS))
    assert plan.steps == ()
    assert plan.blockers == (
        "public.f (c): 5 of 90 rows refer to 2 keys that public.a does not have. Mend them, or give not_valid_ok=True to enforce it for new rows only.",
    )
    assert plan.findings[0].figures["orphan_keys"] == ["x", "y"]


def test_with_leave_orphans_stay_and_the_constraint_stays_not_valid():
    plan = FOREIGN.model_copy(update={"not_valid_ok": True}).plan(WHOLE.model_copy(update=ORPHANS))
    assert [step.id for step in plan.steps] == ["add-foreign-key f_c_fkey"]
    assert [check.expected for check in plan.checks] == ["not valid"]
    assert plan.summary.endswith("it stays NOT VALID until 5 orphan rows are mended.")


def test_with_leave_a_second_run_is_quiet_until_the_orphans_are_gone():
    lenient = FOREIGN.model_copy(update={"not_valid_ok": True})
    there = {
        "present_name": "old_fk",
        "present_valid": False,
        "present_definition": "FOREIGN KEY (c) REFERENCES a(k) NOT VALID",
        "name_taken": True,
    }
    assert lenient.plan(WHOLE.model_copy(update=there | ORPHANS)).nothing_to_do
    plan = lenient.plan(WHOLE.model_copy(update=there))
    assert statements(plan) == ["ALTER TABLE public.f VALIDATE CONSTRAINT old_fk"]
    assert undone(plan) == [
        "ALTER TABLE IF EXISTS public.f DROP CONSTRAINT IF EXISTS old_fk",
        "ALTER TABLE public.f ADD CONSTRAINT old_fk FOREIGN KEY (c) REFERENCES a(k) NOT VALID",
    ]


def test_only_documents_out_of_date_are_written_and_what_stood_there_comes_back():
    facts = DocumentSchemaFacts(
        digests={"data/app-schema.md": "abc", "data/app-schema.html": None},
        current={"data/app-schema.md": True, "data/app-schema.html": False},
    )
    plan = DocumentSchema(system="app").plan(facts)
    assert [step.paths for step in plan.steps] == [("data/app-schema.html",)]
    assert plan.steps[0].undo[0].arguments == {"path": "data/app-schema.html", "digest": None}
    both = DocumentSchema(system="app", even_if_current=True).plan(facts)
    assert [step.undo[0].arguments["digest"] for step in both.steps] == ["abc", None]
