"""Rules as data: what was surveyed in, findings out."""

import pytest

from datareeve.capabilities.databases.operations.review_schema import ReviewSchema
from datareeve.capabilities.databases.rules.schema import review
from datareeve.capabilities.databases.schema import Column, Constraint, Index, Schema, Table
from datareeve.capabilities.databases.survey import CandidateKey, ColumnSample, Reference, Survey

KEY = Constraint(name="t_pkey", kind="p", columns=("id",))
ID = Column(name="id", type="bigint", not_null=True)


def survey(*columns, constraints=(KEY,), **more):
    table = Table(
        schema="public",
        name="t",
        columns=(ID, *columns),
        constraints=constraints,
        indexes=more.pop("indexes", ()),
        bytes=more.pop("bytes", 0),
    )
    return Survey(schema_facts=Schema(relations=(table,)), **more)


def sample(column, **counts):
    return ColumnSample(
        table="public.t", column=column, **({"values": 100, "whole": 0, "moments": 0, "booleans": 0} | counts)
    )


FOREIGN = Constraint(
    name="t_a_fkey",
    kind="f",
    columns=("a",),
    references_schema="public",
    references_table="t",
    references_columns=("id",),
    validated=False,
)
A = Column(name="a", type="bigint")
REFERENCE = Reference(
    table="public.t", columns=("a",), target="public.t", keys=("id",), evidence="name", values=9, rows=90
)

CASES = {
    "a sound table": (survey(), []),
    "no key and none found": (survey(constraints=()), [("warning", "missing-primary-key", "public.t")]),
    "a serial at 60 %": (
        survey(Column(name="n", type="integer", sequence_value=1_300_000_000)),
        [("warning", "key-near-its-end", "public.t (n)")],
    ),
    "a smallint at 90 %": (
        survey(Column(name="n", type="smallint", sequence_value=29_600)),
        [("critical", "key-near-its-end", "public.t (n)")],
    ),
    "a bigint that is far along": (survey(Column(name="n", type="bigint", sequence_value=2**40)), []),
    "a reference that all rows keep": (
        survey(A, references=(REFERENCE,)),
        [("warning", "missing-foreign-key", "public.t (a)")],
    ),
    "a reference with orphans": (
        survey(A, references=(REFERENCE.model_copy(update={"orphan_rows": 2, "orphan_values": 1}),)),
        [("warning", "orphans", "public.t (a)")],
    ),
    "a foreign key neither validated nor indexed": (
        survey(A, constraints=(KEY, FOREIGN)),
        [
            ("warning", "unvalidated-foreign-key", "public.t (a)"),
            ("info", "unindexed-foreign-key", "public.t (a)"),
        ],
    ),
    "a foreign key of a large table, indexed but invalidly": (
        survey(
            A,
            constraints=(KEY, FOREIGN.model_copy(update={"validated": True})),
            bytes=2**30,
            indexes=(Index(name="i", columns=("a",), valid=False),),
        ),
        [("warning", "unindexed-foreign-key", "public.t (a)")],
    ),
    "a foreign key with an index": (
        survey(
            A,
            constraints=(KEY, FOREIGN.model_copy(update={"validated": True})),
            indexes=(Index(name="i", columns=("a", "id")),),
        ),
        [],
    ),
    "money, a floating fare, char(n) and timestamp": (
        survey(
            Column(name="m", type="money"),
            Column(name="base_fare", type="double precision"),
            Column(name="welfare", type="double precision"),
            Column(name="c", type="character(3)"),
            Column(name="at", type="timestamp(3) without time zone"),
        ),
        [
            ("info", "money-type", "public.t (m)"),
            ("info", "inexact-money", "public.t (base_fare)"),
            ("info", "timestamp-without-time-zone", "public.t (at)"),
            ("info", "padded-char", "public.t (c)"),
        ],
    ),
    "texts that are numbers, moments, booleans": (
        survey(
            *(Column(name=name, type="text") for name in ("n", "at", "b", "few", "mixed")),
            samples=(
                sample("n", whole=100),
                sample("at", moments=100),
                sample("b", booleans=100),
                sample("few", values=5, whole=5),
                sample("mixed", whole=99),
            ),
        ),
        [
            ("info", "narrower-type", "public.t (n)"),
            ("info", "narrower-type", "public.t (at)"),
            ("info", "narrower-type", "public.t (b)"),
        ],
    ),
    "a numeric of whole numbers": (
        survey(Column(name="n", type="numeric(10,2)"), samples=(sample("n", whole=100),)),
        [("info", "narrower-type", "public.t (n)")],
    ),
    "a table that was not read": (
        survey(untested=("public.t",), constraints=()),
        [("info", "untested", "public.t")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_says_what_it_should_and_nothing_else(case):
    facts, expected = CASES[case]
    assert [(f.severity, f.rule, f.subject) for f in review(facts)] == expected


@pytest.mark.parametrize(
    ("key", "what", "instead"),
    [
        (None, "no natural key was found", "GENERATED ALWAYS AS IDENTITY"),
        (
            {"evidence": "name", "rows": 5},
            "(id) is unique and never null in all 5 rows",
            "databases.add-primary-key",
        ),
        (
            {"evidence": "name", "rows": 5, "repeated": 2, "nulls": 1},
            "2 rows repeat another's and 1 are null",
            "Mend those rows",
        ),
        ({"evidence": "values", "rows": 5}, "no name says that it should be", "Decide whether that is meant"),
        (
            {"evidence": "values", "rows": 5, "sampled": True},
            "in its first 5 rows (id) is unique",
            "review-schema tests it",
        ),
    ],
)
def test_a_missing_primary_key_says_what_its_rows_allow(key, what, instead):
    keys = (CandidateKey(table="public.t", columns=("id",), **key),) if key else ()
    (finding,) = review(survey(constraints=(), keys=keys))
    assert what in finding.what
    assert instead in finding.instead


def test_orphans_come_with_the_statement_to_paste():
    broken = REFERENCE.model_copy(update={"orphan_rows": 2, "orphan_values": 1, "orphan_keys": ("7",)})
    (finding,) = review(survey(A, references=(broken,)))
    assert finding.what == "2 of 90 rows refer to 1 keys that public.t does not have."
    assert finding.instead.endswith(
        "ALTER TABLE public.t ADD FOREIGN KEY (a) REFERENCES public.t (id) NOT VALID;"
    )
    assert finding.figures["orphan_keys"] == ["7"]


def test_a_review_plans_no_step():
    plan = ReviewSchema(system="app").plan(survey(Column(name="m", type="money")))
    assert (plan.steps, plan.effect) == ((), "read")
    assert plan.summary == "1 tables reviewed: 1 money-type."
    assert plan.nothing_to_do
