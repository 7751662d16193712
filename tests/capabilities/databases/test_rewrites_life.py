"""Rewrites proved by executing: proposed where the same and faster, told as what they are where not. No recorded value is shown."""

import json

import psycopg
import pytest

import servers
from datareeve.capabilities.databases.operations.advise_rewrites import AdviseRewrites
from datareeve.core.errors import BadInput
from datareeve.core.estate import WorkloadSource
from datareeve.systems import pg_rewrite
from datareeve.systems.pg_copy import copy_of
from datareeve.systems.workload_source import Statement, shape_of

SCHEMA = (
    "CREATE TABLE events (id int PRIMARY KEY, ts timestamptz, name text, n int NOT NULL, kind text)",
    "INSERT INTO events SELECT g, timestamptz '2026-01-01' + g * interval '5 minutes', 'secret-' || g % 5000, g % 5000, 'k' || g % 3 FROM generate_series(1, 60000) g",
    "CREATE INDEX events_ts ON events (ts)",
    "CREATE INDEX events_n ON events (n)",
    "CREATE INDEX events_name ON events (name)",
    "CREATE TABLE notes (note_id int PRIMARY KEY, event_id int NOT NULL, maybe int, amount numeric NOT NULL)",
    "INSERT INTO notes SELECT g, 1 + g % 3000, NULLIF(g % 50, 0), g % 100 FROM generate_series(1, 6000) g",
    "ANALYZE",
)
TRACE = {
    "day": (
        "SELECT id FROM events WHERE CAST(ts AS date) = %s ORDER BY id",
        [["2026-02-03"], ["2026-03-04"]],
    ),
    "sum": ("SELECT id FROM events WHERE n + 1 = %s", [[17], [4000]]),
    "exists": (
        "SELECT id FROM events e WHERE (SELECT count(*) FROM notes WHERE event_id = e.id AND amount > %s) > 0 AND e.id < 250",
        [[90]],
    ),
    "not in": ("SELECT id FROM events WHERE id NOT IN (SELECT maybe FROM notes) AND n = %s", [[7]]),
    "average": (
        "SELECT o.note_id FROM notes o WHERE o.amount > (SELECT 1.5 * avg(i.amount) FROM notes i WHERE i.event_id = o.event_id) AND o.note_id < %s",
        [[400]],
    ),
    "like": ("SELECT id FROM events WHERE name LIKE 'secret-77'", [None]),
    "distinct": ("SELECT DISTINCT id, name FROM events WHERE n = %s", [[3]]),
    "both": (
        "SELECT DISTINCT id, name FROM events WHERE CAST(ts AS date) = %s AND n + 1 = %s",
        [["2026-02-03", 18]],
    ),
    "good": ("SELECT id FROM events WHERE n = %s", [[5], [6]]),
}


@pytest.fixture(scope="module")
def world(pg18, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rewrites")
    lines = [
        {"sql": sql, "ms": 10.0, "rows": 1, **({"parameters": one} if one else {})}
        for sql, given in TRACE.values()
        for one in given
    ]
    (folder / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pg18.database(*SCHEMA) as url:
        registry = servers.registry(folder, url, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
        with copy_of(registry["app"], folder) as copy:
            yield registry, copy
        registry.close()


@pytest.fixture(scope="module")
def advised(world):
    registry, copy = world
    operation = AdviseRewrites(system="app")
    facts = operation.observe(registry)
    return operation, facts, operation.plan(operation.rehearse(facts, copy))


def fingerprint(which):
    return shape_of(TRACE[which][0]).fingerprint


def told(plan, which, rule):
    return next(f for f in plan.findings if f.rule == rule and f.figures["fingerprint"] == fingerprint(which))


@pytest.mark.parametrize(
    ("which", "rule"),
    [
        ("day", "moment-to-range"),
        ("sum", "arithmetic-on-column"),
        ("exists", "count-for-existence"),
        ("average", "correlated-subquery"),
        ("like", "like-without-wildcard"),
    ],
)
def test_what_gives_the_same_rows_faster_is_proposed(advised, which, rule):
    finding = told(advised[2], which, rule)
    if rule == "like-without-wildcard":  # the index serves a pattern without wildcards too: equal, not faster
        assert finding.figures["verdict"] in {"proposed", "not faster"}
        return
    assert (finding.figures["verdict"], finding.severity) == ("proposed", "warning")
    assert finding.figures["ms_after"] * 1.1 < finding.figures["ms_before"]
    assert finding.figures["rounds"] == 3
    assert "$1" in finding.instead


def test_what_gives_other_rows_is_told_and_not_proposed(advised):
    finding = told(advised[2], "not in", "not-in-to-exists")
    assert (finding.figures["verdict"], finding.severity) == ("different", "info")
    assert finding.instead.startswith("Not the same, so do not use: ")
    assert "notes.maybe may be NULL" in finding.why


def test_what_is_equal_but_no_faster_is_told_so(advised):
    assert told(advised[2], "distinct", "distinct-over-key").figures["verdict"] in {"not faster", "proposed"}


def test_what_several_rules_make_of_a_statement_is_tried_together_too(advised):
    finding = told(advised[2], "both", "several-rewrites")
    assert finding.figures["verdict"] == "proposed"
    assert "DISTINCT" not in finding.instead
    assert "n = CAST($2 AS INT) - $" in finding.instead.replace("$3", "$2")
    assert finding.why.startswith("Taken together: moment-to-range, arithmetic-on-column, distinct-over-key.")
    assert "events (id) is a key" in finding.why


def test_no_value_of_the_workload_is_shown(advised):
    text = advised[1].model_dump_json() + advised[2].model_dump_json()
    assert "secret" not in text
    assert "2026-02-03" not in text


def test_without_a_copy_it_says_that_nothing_is_proved(advised):
    operation, facts, _ = advised
    plan = operation.plan(facts)
    assert (plan.nothing_to_do, {f.figures["verdict"] for f in plan.findings}) == ("", {"not tried"})
    assert {f.severity for f in plan.findings} == {"info"}
    assert plan.fingerprint == operation.plan(facts).fingerprint


def test_a_single_statement_is_proved_with_its_own_values_which_are_not_shown(world):
    registry, copy = world
    operation = AdviseRewrites(
        system="app", sql="SELECT id FROM events WHERE CAST(ts AS date) = '2026-04-05'"
    )
    plan = operation.plan(operation.observe(registry))
    again = AdviseRewrites(**plan.inputs)  # as rehearsal makes it, from the plan's inputs
    plan = again.plan(again.rehearse(again.observe(registry), copy))
    assert "2026-04-05" not in plan.model_dump_json()
    [finding] = plan.findings
    assert (finding.figures["verdict"], finding.figures["cases"]) == ("proposed", 1)


def test_where_no_copy_is_made_it_may_be_compared_on_the_source_read_only(world):
    registry, _ = world
    operation = AdviseRewrites(system="app", fingerprint=fingerprint("sum"), on_source=True)
    plan = operation.plan(operation.observe(registry))
    assert [finding.figures["verdict"] for finding in plan.findings] == ["proposed"]
    assert plan.nothing_to_do == plan.summary


def test_times_of_a_part_of_the_rows_prove_nothing(advised, world):
    operation, facts, _ = advised
    facts = operation.rehearse(facts, world[1]).model_copy(update={"where": "sample"})
    finding = told(operation.plan(facts), "sum", "arithmetic-on-column")
    assert (finding.figures["verdict"], finding.severity) == ("not proved", "info")
    assert finding.what.startswith("On a part of the rows ")


def test_a_well_written_workload_has_no_finding(world):
    registry, _ = world
    operation = AdviseRewrites(system="app", fingerprint=fingerprint("good"))
    plan = operation.plan(operation.observe(registry))
    assert (plan.findings, plan.nothing_to_do) == ((), "No rule has a better writing for 1 statement.")


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"sql": "SELECT 1", "fingerprint": "f"}, "rewrite.which"),
        ({"fingerprint": "nothing"}, "workload.unknown-family"),
        ({"sql": "SELEC ((( 1"}, "statement.unparsed"),
    ],
)
def test_bad_input_is_told(world, inputs, code):
    with pytest.raises(BadInput) as refused:
        AdviseRewrites(system="app", **inputs).observe(world[0])
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "parameters", "sql", "expected"),
    [
        ("SELECT a FROM t WHERE b = %s AND c = 'x%%'", [1], "SELECT a FROM t WHERE c = $2 AND b = $1",
         ("SELECT a FROM t WHERE c = 'x%%' AND b = %(p1)s", {"p1": 1})),
        ("SELECT a FROM t WHERE b = $1 AND c LIKE 'x%'", [1], "SELECT a % 2 FROM t WHERE c LIKE $2 AND b = $1",
         ("SELECT a %% 2 FROM t WHERE c LIKE 'x%%' AND b = %(p1)s", {"p1": 1})),
        ("SELECT a FROM t WHERE b IN (1, 2, 3) AND c = 4", None, "SELECT a FROM t WHERE c = $2 AND b = ANY(ARRAY[$1])",
         ("SELECT a FROM t WHERE c = 4 AND b = ANY(ARRAY[1, 2, 3])", None)),
        ("SELECT a FROM t WHERE ts > now() - interval '1 day' AND b = %(b)s", {"b": 2}, "SELECT $2, CAST($1 AS interval)",
         ("SELECT %(b)s, CAST('1 day' AS interval)", {"b": 2})),
        ("SELECT a FROM t WHERE b = $1", None, "SELECT $1", None),  # the value was not recorded
        ("SELECT * FROM (VALUES (1, 2), (3, 4)) v", None, "SELECT $1, $2", None),  # rows are lost in the shape
    ],
)  # fmt: skip
def test_recorded_values_find_their_places_in_another_writing(text, parameters, sql, expected):
    assert pg_rewrite.bound(Statement("", text, parameters), sql) == expected


def test_equal_rows_in_another_order_are_no_equal_answer_to_an_order_by(world):
    registry, copy = world
    shape = registry["app"].read("statement", sql="SELECT id FROM events WHERE n < 3 ORDER BY id")
    found = copy.read(
        "compare_statements",
        fingerprint=shape["fingerprint"],
        sql="SELECT id FROM events WHERE n < $1 ORDER BY id DESC",
    )
    assert (found["cases"], found["equal"], found["ordered"]) == (1, 1, 0)
    other = copy.read(
        "compare_statements", fingerprint=shape["fingerprint"], sql="SELECT id FROM events WHERE n <= $1"
    )
    assert other["equal"] == 0
    wrong = copy.read(
        "compare_statements", fingerprint=shape["fingerprint"], sql="SELECT missing FROM events WHERE n <= $1"
    )
    assert wrong["failed"] == ["new postgres.42703"]


def test_the_driver_is_never_given_two_statements(world):
    registry, _ = world
    with pytest.raises(BadInput):
        registry["app"].read("statement", sql="SELECT 1; DROP TABLE events")
    with psycopg.connect(registry["app"].entry.url) as app:
        assert app.execute("SELECT count(*) FROM events").fetchone() == (60000,)
