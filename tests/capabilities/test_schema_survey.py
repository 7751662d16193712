"""What names and statistics propose, as data: tables in, candidates out."""

import pytest

from datareeve.capabilities.databases.schema import Column, Constraint, Index, Table, made_name
from datareeve.capabilities.databases.survey import (
    CandidateKey,
    composite_candidates,
    names_match,
    propose_references,
    single_candidates,
    singular,
)


def table(name, *columns, rows=1000, primary_key=()):
    constraints = (Constraint(name=f"{name}_pkey", kind="p", columns=primary_key),) if primary_key else ()
    indexes = (Index(name=f"{name}_pkey", columns=primary_key, unique=True),) if primary_key else ()
    return Table(
        schema="public",
        name=name,
        estimated_rows=rows,
        columns=columns,
        constraints=constraints,
        indexes=indexes,
    )


def integer(name, **more):
    return Column(name=name, type="integer", **more)


def text(name, **more):
    return Column(name=name, type="text", **more)


def columns_of(candidates):
    return [c.columns for c in candidates]


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("flights", "flight"),
        ("companies", "company"),
        ("boxes", "box"),
        ("address", "address"),
        ("airlines", "airline"),
        ("s", "s"),
    ],
)
def test_a_table_name_is_made_singular(plural, one):
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("column", "target", "key", "matches"),
    [
        ("carrier", "airlines", "carrier", True),
        ("passenger_id", "passengers", "id", True),
        ("author_user_id", "users", "id", True),
        ("country", "country", "code", True),
        ("id", "users", "id", False),
        ("year", "planes", "seats", False),
        ("name", "airlines", "name", False),
        ("aid", "ids", "id", False),
        ("subcarrier", "airlines", "carrier", False),
    ],
)
def test_a_column_refers_by_name_or_not(column, target, key, matches):
    assert names_match(table("other"), column, table(target), key, is_key=False) is matches


def test_a_column_that_identifies_its_own_table_refers_only_where_its_name_speaks_of_the_other():
    profiles, users = table("profiles"), table("users")
    assert names_match(profiles, "user_id", users, "user_id", is_key=True)
    assert not names_match(users, "user_id", profiles, "user_id", is_key=True)


def test_a_parent_refers_to_its_own_table():
    tree = table("tree", integer("id"), integer("parent_id"))
    assert names_match(tree, "parent_id", tree, "id", is_key=False)


def test_statistics_refute_a_key_and_names_keep_it():
    found = single_candidates(
        table(
            "seats",
            text("row", distinct=30.0),
            integer("seat_id", distinct=-0.2),
            text("note", distinct=-1.0),
        ),
        [],
    )
    assert columns_of(found) == [("seat_id",)]


def test_a_declared_unique_index_is_the_first_candidate():
    users = table("users", integer("id"), text("email")).model_copy(
        update={"indexes": (Index(name="u", columns=("email",), unique=True),)}
    )
    assert columns_of(single_candidates(users, [])) == [("email",), ("id",)]


def test_a_partial_or_an_expression_index_is_no_candidate():
    users = table("users", text("a"), text("email")).model_copy(
        update={
            "indexes": (
                Index(name="p", columns=("email",), unique=True, whole=False),
                Index(name="e", columns=("lower(email)",), unique=True),
            )
        }
    )
    assert columns_of(single_candidates(users, [])) == [("a",)]


def test_keys_of_several_columns_hold_one_moment_at_most_and_enough_values():
    weather = table(
        "weather",
        text("origin", distinct=3.0),
        integer("temp"),
        Column(name="at", type="timestamp with time zone", distinct=500.0),
        Column(name="stored", type="date", distinct=700.0),
    )
    assert columns_of(composite_candidates(weather)) == [("origin", "at"), ("origin", "stored")]


def test_a_column_with_nulls_is_in_no_key_of_several_columns():
    assert composite_candidates(table("t", text("a"), text("b", null_share=0.1))) == []


def test_integers_are_never_matched_by_value_and_texts_are():
    planes = table("planes", text("tailnum", distinct=-1.0), integer("seats"), primary_key=("tailnum",))
    counts = table("counts", integer("n"), primary_key=("n",))
    flights = table("flights", integer("year"), text("dest", distinct=105.0))
    pairs = propose_references([planes, counts, flights], [])
    assert [(p.columns, p.target, p.evidence) for p in pairs] == [(("dest",), "public.planes", "values")]


def test_a_key_that_was_found_is_referred_to_like_a_declared_one():
    airlines, flights = table("airlines", text("carrier")), table("flights", text("carrier"))
    key = CandidateKey(table="public.airlines", columns=("carrier",), evidence="name", rows=16)
    assert [p.start for p in propose_references([airlines, flights], [key])] == ["public.flights (carrier)"]
    assert propose_references([airlines, flights], [key.model_copy(update={"repeated": 1})]) == []


def test_a_made_name_fits_63_bytes_and_keeps_its_suffix():
    assert made_name("flights", "pkey") == "flights_pkey"
    assert made_name("é" * 40, "pkey") == "é" * 29 + "_pkey"


def test_how_a_person_is_reached_neither_names_a_row_nor_refers_to_one():
    customer = table("customer", integer("id"), text("email", distinct=-1.0), primary_key=("id",))
    invoice = table("invoice", integer("number"), text("email", distinct=-1.0))
    assert ("email",) not in columns_of(single_candidates(invoice, [customer, invoice]))
    unique = CandidateKey(table="public.invoice", columns=("email",), evidence="declared")
    assert propose_references([customer, invoice], [unique]) == []
