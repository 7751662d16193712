"""Statistics gathered on a real server, partitioned parents too, and extended ones where they mend a measured misestimate."""

import psycopg
import pytest

import maintenance_rig
import servers
from datareeve.capabilities.databases.operations.analyze_table import AnalyzeTable
from datareeve.systems.pg_copy import Copy

CITIES = (
    "CREATE TABLE addresses (id int PRIMARY KEY, city text, country text, noise int)",
    # a city decides its country: the planner multiplies 1/100 by 1/10, and expects a tenth of the rows
    "INSERT INTO addresses SELECT n, 'city ' || n % 100, 'country ' || n % 100 % 10, (n * 7919) % 13 FROM generate_series(1, 20000) AS n",
)


@pytest.fixture
def addresses(database):
    with psycopg.connect(database, autocommit=True) as app:
        for statement in CITIES:
            app.execute(statement)
        yield app


def copy_like(systems, database):
    """The database itself as its copy, with all rows: what is tried there is undone by the test's end."""
    entry = systems["app"].entry
    copy = Copy("app", entry, None, None)
    copy.original = systems["app"]
    return copy


def test_a_table_that_was_never_analysed_is(tmp_path, database, addresses):
    with maintenance_rig.opened(tmp_path, database) as app:
        outcome = maintenance_rig.life(app, AnalyzeTable(system="app"))
        assert outcome.parts[0].summary == "Analyse public.addresses: it was never analysed."
        assert (
            addresses.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'addresses'").fetchone()[0]
            == 4
        )


def test_a_changed_table_is_analysed_again(tmp_path, database, addresses):
    addresses.execute("ANALYZE addresses")
    addresses.execute("UPDATE addresses SET noise = 0 WHERE id <= 5000")
    addresses.execute("SELECT pg_stat_force_next_flush()")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(AnalyzeTable(system="app"))
        assert "of its rows have changed since" in plan.parts[0].summary
        maintenance_rig.life(app, AnalyzeTable(system="app"))


def test_a_partitioned_parent_is_analysed_with_its_partitions_once(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE p (id int, a int) PARTITION BY RANGE (id)")
        made.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (5000)")
        made.execute("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (5000) TO (10000)")
        made.execute("INSERT INTO p SELECT n, n % 10 FROM generate_series(1, 9000) AS n")
        with maintenance_rig.opened(tmp_path, database) as app:
            plan = app.preview(AnalyzeTable(system="app"))
            assert [step.id for step in plan.all_steps()] == ["analyze public.p"]
            maintenance_rig.life(app, AnalyzeTable(system="app"))
        known = made.execute(
            "SELECT tablename, inherited FROM pg_stats WHERE attname = 'a' ORDER BY 1, 2"
        ).fetchall()
        assert known == [("p", True), ("p1", False), ("p2", False)]


def test_the_target_of_a_column_is_set_and_taken_back(tmp_path, database, addresses, pg18):
    dumped = servers.dump_schema(pg18.local.bin, database)
    operation = AnalyzeTable(system="app", table="addresses", columns=("city",), statistics_target=700)
    with maintenance_rig.opened(tmp_path, database) as app:
        outcome = maintenance_rig.life(app, operation)
        assert servers.dump_schema(pg18.local.bin, database) != dumped
        assert app.undo(outcome.run, by="test").status == "undone"
    assert servers.dump_schema(pg18.local.bin, database) == dumped


@pytest.mark.parametrize("at", ["after effect of /target", "before effect of /analyze"])
def test_a_worker_that_dies_between_target_and_statistics_is_followed(tmp_path, database, addresses, at):
    operation = AnalyzeTable(system="app", table="addresses", columns=("city",), statistics_target=700)
    assert maintenance_rig.killed_in_the_middle(tmp_path, database, operation, at=at).status == "done"


def test_columns_that_depend_on_one_another_are_found_and_measured(systems, database, addresses):
    addresses.execute("ANALYZE addresses")
    found = systems["app"].read("dependencies", schema="public", table="addresses")
    assert {tuple(one["columns"]) for one in found} == {("city", "country")}
    assert found[0]["degree"] == 1.0
    assert found[0]["factor"] > 5


def test_extended_statistics_are_proposed_where_a_copy_shows_that_they_mend_it(
    tmp_path, systems, database, addresses, monkeypatch
):
    addresses.execute("ANALYZE addresses")
    operation = AnalyzeTable(system="app", table="addresses")
    copy = copy_like(systems, database)
    monkeypatch.setattr(copy, "read", _as_clone(copy.read))
    facts = operation.rehearse(operation.observe(systems), copy)
    copy.close()
    (one,) = facts.correlations
    assert one.columns == ("city", "country")
    assert one.factor_before > 5
    assert one.factor_after < 1.5
    assert addresses.execute("SELECT count(*) FROM pg_statistic_ext").fetchone()[0] == 0
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = operation.plan(facts)
        assert [step.id for step in plan.steps] == [
            "statistics public.addresses_city_country_stat",
            "analyze public.addresses",
        ]
        assert "city 1" not in plan.model_dump_json()
        outcome = app.apply(plan, by="test")
        assert outcome.status == "done"
        assert (
            systems["app"].read(
                "misestimate", schema="public", table="addresses", columns=["city", "country"]
            )
            < 1.5
        )
        assert app.undo(outcome.run, by="test").status == "undone"
    assert addresses.execute("SELECT count(*) FROM pg_statistic_ext").fetchone()[0] == 0


def test_it_is_rehearsed_on_a_real_copy_and_proposed_from_there(tmp_path, database, addresses):
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.rehearse(app.preview(AnalyzeTable(system="app", table="addresses")))
        assert [step.id for step in plan.steps] == [
            "statistics public.addresses_city_country_stat",
            "analyze public.addresses",
        ]
        assert plan.blockers == ()
        assert app.apply(plan, by="test").status == "done"
        assert app.preview(AnalyzeTable(system="app", table="addresses")).nothing_to_do


def _as_clone(read):
    def reading(action, /, **arguments):
        return "clone" if action == "copy_kind" else read(action, **arguments)

    return reading
