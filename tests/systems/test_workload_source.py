import json

import pytest

from datareeve.systems import workload_source
from datareeve.systems.workload_source import Seen, Statement, executable, find_loops, record, shape_of


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (
            "select * from f where a = 'O''Hare' and b in (1, 2,3)",
            "SELECT * FROM f WHERE a = $1 AND b IN ($2)",
        ),
        ("SELECT a FROM f WHERE a = %s -- user 42", "SELECT a FROM f WHERE a = $1"),
        ("SELECT f($1,$2),$3 FROM t", "SELECT F($1, $2), $3 FROM t"),
        (
            "SELECT a FROM t WHERE d > now() - interval '1 day'",
            "SELECT a FROM t WHERE d > CURRENT_TIMESTAMP - CAST($1 AS INTERVAL)",
        ),
        ("SELECT $tag$secret$tag$, E'a\\'b' FROM t1", "SELECT $1, $2 FROM t1"),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')", "INSERT INTO t (a, b) VALUES ($1, $2)"),
        ("SELECT a FROM t WHERE b = 'half written", "SELECT a FROM t WHERE b = $1"),
        ("SELECT\ta\x01 FROM t\nWHERE b = -3.5e7", "SELECT a FROM t WHERE b = -$1"),
    ],
)
def test_a_statement_is_known_by_its_text_without_values(text, sql):
    shape = shape_of(text)
    assert (shape.sql, shape.parsed) == (sql, True)


def test_what_cannot_be_parsed_is_known_by_its_text_and_holds_no_value():
    shape = shape_of("SELECT FROM WHERE ((( x = 'secret'")
    assert (shape.sql, shape.parsed, shape.kind) == ("SELECT FROM WHERE ((( x = $1", False, "read")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("SELECT 1", "read"), ("WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d", "write"), ("SELECT a FROM t FOR UPDATE", "write"),
     ("BEGIN", "control"), ("VACUUM t", "other"), ("SELECT relname FROM pg_catalog.pg_class WHERE oid = $1", "other")],
)  # fmt: skip
def test_reads_writes_and_the_rest_are_told_apart(text, kind):
    assert shape_of(text).kind == kind


def trace(tmp_path, *lines, end=b""):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + end)
    return record("trace", path, "trace.jsonl", "app").summary()


def test_a_trace_becomes_families_with_counts_and_percentiles(tmp_path):
    lines = [
        {
            "at": f"2025-07-20T10:00:{n:02d}",
            "session": 0,
            "sql": "SELECT a FROM t WHERE b = %s",
            "parameters": [f"secret{n}"],
            "ms": n,
            "rows": 2,
        }
        for n in range(1, 21)
    ]
    found = trace(tmp_path, *lines)
    family = found["families"][0]
    assert {key: family[key] for key in ("sql", "calls", "total_ms", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "rows", "is_write", "tables")} == {
        "sql": "SELECT a FROM t WHERE b = $1", "calls": 20, "total_ms": 210, "mean_ms": 10.5, "p50_ms": 10, "p95_ms": 19, "p99_ms": 20,
        "rows": 40, "is_write": False, "tables": ["t"],
    }  # fmt: skip
    assert (found["source"]["statements"], found["source"]["seconds"], found["source"]["sessions"]) == (
        20,
        19.0,
        1,
    )
    assert "secret" not in json.dumps(found)


def test_damage_is_counted_and_the_rest_is_used(tmp_path):
    good = {"sql": "SELECT 1", "ms": 1}
    found = trace(
        tmp_path, good, {"sql": ""}, ["no object"], end=b'{"sql": "SELECT \xff\xfe 2"}\n{"sql": "SEL'
    )
    assert found["source"]["statements"] == 2
    assert found["source"]["skipped"] == 3
    assert found["source"]["wrong_encoding"] == 1


JSONLOG = """{"timestamp":"2025-07-20 10:00:00.000 UTC","dbname":"app","session_id":"6.1","message":"duration: 1.500 ms  statement: SELECT a FROM t WHERE b = 'x'"}
{"timestamp":"2025-07-20 10:00:02.500 UTC","dbname":"app","session_id":"6.1","message":"duration: 2.500 ms  execute <unnamed>: SELECT a FROM t WHERE b = $1","detail":"Parameters: $1 = 'it''s'"}
{"timestamp":"2025-07-20 10:00:02.600 UTC","dbname":"app","session_id":"6.1","message":"duration: 0.100 ms  bind <unnamed>: SELECT a FROM t WHERE b = $1"}
{"timestamp":"2025-07-20 10:00:02.700 UTC","dbname":"other","session_id":"7.1","message":"duration: 9 ms  statement: SELECT 1"}
"""


def test_a_json_log_gives_the_executions_of_this_database(tmp_path):
    (tmp_path / "log.json").write_text(JSONLOG)
    recording = record("log", tmp_path / "log.json", "log.json", "app")
    family = next(iter(recording.families.values()))
    assert (family.calls, family.total_ms, recording.counts["skipped"]) == (2, 4.0, 2)
    assert recording.summary()["source"]["seconds"] == 2.5
    assert [executable(s) for s in family.examples] == [
        ("SELECT a FROM t WHERE b = 'x'", None),
        ("SELECT a FROM t WHERE b = %(p1)s", {"p1": "it's"}),
    ]


def test_a_csv_log_gives_statements_of_several_lines(tmp_path):
    columns = [
        "2025-07-20 10:00:00.000 UTC",
        "u",
        "app",
        "1",
        "",
        "6.1",
        "1",
        "SELECT",
        "",
        "",
        "0",
        "LOG",
        "00000",
    ]
    message = '"duration: 1.5 ms  statement: SELECT a\n  FROM t\n WHERE b = ""c"""'
    (tmp_path / "log.csv").write_text(",".join([*columns, message, *[""] * 12]) + "\n" + '2025,"half')
    recording = record("log", tmp_path / "log.csv", "log.csv", "app")
    assert [family.shape.sql for family in recording.families.values()] == ['SELECT a FROM t WHERE b = "c"']
    assert recording.counts["skipped"] == 1


def test_a_file_of_statements_is_split_outside_of_strings(tmp_path):
    (tmp_path / "w.sql").write_text("-- first\nSELECT ';' FROM t;\nSELECT $a$;$a$ FROM u;;\n-- end\n")
    recording = record("sql", tmp_path / "w.sql", "w.sql", "app")
    assert sorted(family.shape.sql for family in recording.families.values()) == [
        "SELECT $1 FROM t",
        "SELECT $1 FROM u",
    ]


def test_numbered_parameters_become_names_and_percent_signs_stay():
    statement = Statement("", "SELECT a FROM t WHERE a LIKE 'x%' AND b = $2 AND c = $1", [1, 2])
    assert executable(statement) == (
        "SELECT a FROM t WHERE a LIKE 'x%%' AND b = %(p2)s AND c = %(p1)s",
        {"p1": 1, "p2": 2},
    )


def test_a_statement_whose_parameters_are_not_known_cannot_be_run():
    assert executable(Statement("", "SELECT a FROM t WHERE a = $1")) is None


def seen(*calls):
    return [Seen(fingerprint, values, 1.0, rows) for fingerprint, values, rows in calls]


def test_a_loop_is_a_query_for_each_row_of_another():
    rows = seen(
        ("list", 0, 4), *[(name, n, 1) for n in range(4) for name in ("airline", "plane")], ("next", 0, 1)
    )
    assert find_loops({"s": rows}) == [
        {
            "parent": "list",
            "children": ["airline", "plane"],
            "loops": 1,
            "calls": 8,
            "rows": 4,
            "total_ms": 8.0,
        }
    ]


@pytest.mark.parametrize(
    "rows",
    [
        seen(("list", 0, 40), *[("plane", n, 1) for n in range(4)]),  # four of forty rows
        seen(("list", 0, 4), *[("plane", 7, 1) for n in range(4)]),  # always the same value
        seen(("list", 0, 2), ("plane", 1, 1), ("plane", 2, 1)),  # two are no loop
    ],
)
def test_what_only_resembles_a_loop_is_none(rows):
    assert find_loops({"s": rows}) == []


def test_a_hundred_thousand_literal_statements_are_read_without_parsing_each(tmp_path):
    lines = (json.dumps({"sql": f"SELECT a FROM t WHERE b = 'v{n}' AND c = {n}"}) for n in range(100_000))
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    parsed = len(workload_source._SHAPES)
    recording = record("trace", tmp_path / "t.jsonl", "t.jsonl", "app")
    assert [family.calls for family in recording.families.values()] == [100_000]
    assert len(workload_source._SHAPES) - parsed <= 1


LATIN1 = (
    '{"timestamp":"2025-07-20 10:00:00.000 UTC","session_id":"6.1","message":"duration: 1.500 ms  statement: '
    "SELECT größe FROM straße WHERE b = 'Käse'\"}\n"
)


def test_a_log_in_latin1_keeps_its_names_and_counts_its_lines(tmp_path):
    (tmp_path / "log.json").write_bytes(LATIN1.encode("latin-1") + LATIN1.encode())
    recording = record("log", tmp_path / "log.json", "log.json", "app")
    (family,) = recording.families.values()
    assert (family.shape.sql, family.calls, family.shape.tables) == (
        "SELECT größe FROM straße WHERE b = $1",
        2,
        ("straße",),
    )
    assert recording.counts["wrong_encoding"] == 1


def test_what_datareeve_asked_itself_is_left_out_of_a_log(tmp_path):
    ours = JSONLOG.splitlines()[0].replace('"dbname"', '"application_name":"datareeve/read","dbname"')
    (tmp_path / "log.json").write_text(f"{ours}\n{JSONLOG}")
    recording = record("log", tmp_path / "log.json", "log.json", "app")
    assert (recording.counts["own"], sum(family.calls for family in recording.families.values())) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM information_schema.tables WHERE table_name = 'x'",
        "SELECT pg_reload_conf()",
        "SELECT pg_stat_statements_reset()",
    ],
)
def test_what_asks_the_server_itself_is_no_workload(text):
    assert shape_of(text).kind == "other"


def test_times_are_kept_with_their_moments_for_windows(tmp_path):
    lines = [
        {"at": f"2025-07-20T10:00:{n:02d}.5+00:00", "session": 0, "sql": "SELECT 1 FROM t", "ms": n}
        for n in (1, 2, 3)
    ]
    (tmp_path / "t").write_text(
        "\n".join(json.dumps(line) for line in [*lines, {"sql": "SELECT 1 FROM t", "ms": 9}])
    )
    recording = record("trace", tmp_path / "t", "t", "app")
    (family,) = recording.families.values()
    assert [round(at - family.when[0]) for at in family.when[:3]] == [0, 1, 2]
    assert family.when[3] != family.when[3]
    assert (family.min_ms, family.max_ms, family.squares) == (1, 9, 95)
