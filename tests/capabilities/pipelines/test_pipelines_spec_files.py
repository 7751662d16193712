"""Pipelines as they are written: read, checked against what is around them, and told with places what is wrong."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.pipelines import spec_errors, spec_files
from datareeve.capabilities.pipelines.spec import Pipeline
from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import Estate
from datareeve.core.yaml_text import Document, parse, said
from datareeve.systems.pipeline_code import PipelineCode
from datareeve.systems.registry import Registry

ESTATE = {
    "systems": {
        "app": {"kind": "postgresql", "url": "postgresql://u@h/app"},
        "warehouse": {"kind": "duckdb", "path": "w.duckdb"},
        "lite": {"kind": "sqlite", "path": "l.sqlite"},
        "files": {"kind": "folder", "path": "in"},
        "cluster": {"kind": "spark", "url": "local[2]"},
        "llm": {"kind": "openai"},
    },
    "pipelines": {"pools": {"night": 2}},
}
WHOLE = """\
description: Flights of the day
target: {system: warehouse, schema: raw}
loads:
  flights:
    source: {system: app, table: flights}
    mode: upsert
    keys: [id]
    cursor: updated_at
    columns: {delay: "decimal(12,2)"}
models:
  daily:
    sql: daily.sql
  carriers:
    query: SELECT DISTINCT carrier FROM flights
"""
PYTHON = """\
from datareeve.pipelines import Column, Cursor, Load, Model, Pipeline, Source, Target

flights = Load(
    source=Source(system="app", table="flights"),
    mode="upsert",
    keys=("id",),
    cursor=Cursor(column="updated_at"),
    columns={"delay": Column(type="decimal(12,2)")},
)
pipeline = Pipeline(
    owner="ops",
    target=Target(system="warehouse", schema="raw"),
    loads={"flights": flights},
    models={
        "daily": Model(sql="daily.sql"),
        "carriers": Model(query="SELECT DISTINCT carrier FROM flights"),
    },
)
print("what it prints goes nowhere")
"""


@pytest.fixture
def project(tmp_path):
    def write(**files):
        for name, text in files.items():
            where = tmp_path / name.replace("__", "/")
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Registry(Estate.model_validate(ESTATE), tmp_path)

    write.folder = tmp_path
    return write


def put(project, files):
    for path, text in files.items():
        where = project.folder / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(text if isinstance(text, bytes) else text.encode())
    return project()


def refused(systems, name="x", code="pipelines.invalid"):
    with pytest.raises(BadInput) as caught:
        spec_files.load(systems, name)
    assert caught.value.code == code
    return caught.value.what


def one(text, **more):
    """A pipeline with one load, changed."""
    return f"target: warehouse\nloads:\n  flights:\n    source: {{system: app, table: flights}}\n{text}"


def test_a_pipeline_is_read_with_its_sql_and_its_short_forms(project):
    systems = put(project, {"etl/x.yaml": WHOLE, "etl/daily.sql": "SELECT 1 AS n\n"})
    found = spec_files.load(systems, "x")
    assert (found.name, found.path) == ("x", "etl/x.yaml")
    assert found.sql == {"daily": "SELECT 1 AS n\n", "carriers": "SELECT DISTINCT carrier FROM flights"}
    load = found.pipeline.loads["flights"]
    assert (load.cursor.column, load.columns["delay"].type) == ("updated_at", "decimal(12,2)")
    assert not found.warnings
    assert spec_files.load(systems, "etl/x.yaml") == found
    assert spec_files.paths(systems) == {"x": "etl/x.yaml"}


def test_all_mistakes_are_told_at_once_each_with_its_place(project):
    text = """\
target: warehose
lods: {}
loads:
  flights:
    source: {system: app, table: flights, keys: [id]}
    cursr: updated_at
    mode: upsrt
    batch_rows: many
  planes:
    source: {system: app, table: planes, query: select 1}
    mode: upsert
  air:
    mode: full
    cursor: x
    source: {files: a.csv, read_as: {format: cvs, delimitr: ";"}}
  paid:
    source: {http: {url: "https://x", auth: {kind: bearer, secret: hunter2}}}
models:
  d: {query: select 1, sql: d.sql}
schedule: {cron: "61 * * * *", timezone: Europe/Berlim, pool: nihgt}
"""
    told = refused(put(project, {"etl/x.yaml": text})).rstrip(".").split("; ")
    assert told == [
        "etl/x.yaml, line 1, column 1: target.system: the estate has no system 'warehose' (did you mean 'warehouse'?)",
        "etl/x.yaml, line 2, column 1: lods: unknown key (did you mean 'loads'?)",
        "etl/x.yaml, line 5, column 43: loads.flights.source.keys: unknown key (it belongs to loads.flights)",
        "etl/x.yaml, line 6, column 5: loads.flights.cursr: unknown key (did you mean 'cursor'?)",
        "etl/x.yaml, line 7, column 5: loads.flights.mode: must be one of full, append, upsert, scd2, snapshot (did you mean 'upsert'?)",
        "etl/x.yaml, line 8, column 5: loads.flights.batch_rows: must be a whole number",
        "etl/x.yaml, line 10, column 27: loads.planes.source.table: give exactly one of table, query, files, http, python, dlt: there are table, query",
        "etl/x.yaml, line 11, column 5: loads.planes.mode: mode upsert needs `keys`",
        "etl/x.yaml, line 13, column 5: loads.air.mode: mode full reads everything: it has no cursor",
        "etl/x.yaml, line 15, column 38: loads.air.source.read_as.format: must be one of csv, jsonl, json, parquet, excel, fixed (did you mean 'csv'?)",
        "etl/x.yaml, line 15, column 51: loads.air.source.read_as.delimitr: unknown key (did you mean 'delimiter'?)",
        "etl/x.yaml, line 17, column 60: loads.paid.source.http.auth.secret: must be a reference, and never the secret itself: env:NAME, file:path, keyring:NAME or vault:path",
        "etl/x.yaml, line 19, column 24: models.d.sql: give `sql` (a file) or `query` (the SELECT), not both",
        "etl/x.yaml, line 20, column 12: schedule.cron: '61 * * * *' is not a cron expression: Bad minute (Five fields: minute, hour, day, month, weekday: '30 2 * * *')",
        "etl/x.yaml, line 20, column 32: schedule.timezone: there is no time zone 'Europe/Berlim': write Europe/Berlin",
        "etl/x.yaml, line 20, column 57: schedule.pool: the estate's `pipelines.pools` has no 'nihgt' (did you mean 'night'?)",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "what"), [
    (one("    mode: upsert\n    keys: [id]\n    columns: {id: {drop: true}}\n"), "line 6, column 12: loads.flights.keys[0]", "is a key, and `columns` drops it"),
    (one("    mode: append\n    cursor: at\n    columns: {at: {drop: true}}\n"), "line 6, column 5: loads.flights.cursor.column", "is the cursor, and"),
    (one("    columns: {at: {timezone: Mars/Olympus}}\n"), "line 5, column 20: loads.flights.columns.at.timezone", "no time zone"),
    (one("    mode: append\n    cursor: {column: at, lag: 1h}\n"), "line 5, column 5: loads.flights.mode", "a lag reads rows twice"),
    (one("    mode: upsert\n    keys: [a]\n    cursor: {column: at, lag: 1 hour}\n"), "line 7, column 26: loads.flights.cursor.lag", "a number and a unit"),
    (one("    mode: upsert\n    keys: [a]\n    cursor: {column: at, lag: 0s}\n"), "line 7, column 26: loads.flights.cursor.lag", "longer than nothing"),
    (one("    mode: upsert\n    keys: [a, a]\n"), "line 6, column 5: loads.flights.keys", "names 'a' twice"),
    (one("schedule: {}\n"), "line 5, column 1: schedule", "says no when"),
    (one("schedule: {cron: '0 2 * * *', timeout: 99999999999999999999w}\n"), "line 5, column 31: schedule.timeout", "ten years"),
    (one("schedule: {cron: '0 2 * * *', skip_days: [Sat, Holidays]}\n"), "line 5, column 31: schedule.skip_days", "no day that can be skipped"),
    (one("schedule: {after: [x]}\n"), "line 5, column 20: schedule.after[0]", "not run after itself"),
    (one("schedule: {after: [y]}\n"), "line 5, column 20: schedule.after[0]", "there is no pipeline 'y'"),
    (one("environments: {dev: {system: lite}}\n"), "line 5, column 22: environments.dev.system", "of kind sqlite, which nothing is published to"),
    (one("models: {m: {query: SELECT 1, to: FLIGHTS}}\n"), "line 5, column 31: models.m.to", "both published as FLIGHTS"),
    (one("models: {m: {query: SELECT 1, engine: app}}\n"), "line 5, column 31: models.m.engine", "or by Spark"),
    (one("models: {m: {query: ' '}}\n"), "line 5, column 14: models.m.query", "is empty"),
    (one("models: {m: {sql: ../../m.sql}}\n"), "line 5, column 14: models.m.sql", "leads elsewhere"),
    (one("models: {m: {sql: /etc/passwd}}\n"), "line 5, column 14: models.m.sql", "leads elsewhere"),
    (one("models: {m: {sql: dayly.sql}}\n"), "line 5, column 14: models.m.sql", "there is no etl/dayly.sql (did you mean 'daily.sql'?)"),
    (one("models: {m: {sql: empty.sql}}\n"), "line 5, column 14: models.m.sql", "etl/empty.sql is empty"),
    (one("models: {m: {sql: link.sql}}\n"), "line 5, column 14: models.m.sql", "behind, a link"),
    (one("models: {m: {sql: latin.sql}}\n"), "line 5, column 14: models.m.sql", "is not UTF-8"),
    (one("models: {m: {query: SELECT 1, materialized: incremental, keys: [a], incremental: {by: time, column: d, start: yesterday}}}\n"), "models.m.incremental.start", "is not a moment"),
    ("target: warehouse\nloads: {a: {source: {system: llm, table: t}}}\n", "line 2, column 22: loads.a.source.system", "has no rows to load"),
    ("target: llm\nloads: {a: {source: {system: app, table: t}}}\n", "line 1, column 1: target.system", "it holds no tables"),
    ("target: warehouse\nloads: {a: {source: {system: app, files: t.csv}}}\n", "line 2, column 22: loads.a.source.system", "files lie in a folder"),
    ("target: warehouse\n", "line 1, column 1: a pipeline has", "`loads`, `models`, or both"),
    ("loads: {a: {source: {system: app, table: t}}}\n", "line 1, column 1: target", "is missing"),
    ("target: warehouse\nloads:\n", "line 2, column 1: loads", "must be a mapping of keys (nothing stands there)"),
    ("- a\n", "line 1, column 1: is no pipeline", "keys with values"),
    ("", "line 1, column 1: is no pipeline", "keys with values"),
])  # fmt: skip
def test_what_does_not_hold_together_is_told_where_it_stands(project, text, place, what):
    systems = put(project, {"etl/x.yaml": text, "etl/daily.sql": "SELECT 1", "etl/empty.sql": " \n", "etl/latin.sql": b"SELECT '\xe9'", "secret.sql": "SELECT 1"})  # fmt: skip
    (project.folder / "etl/link.sql").symlink_to(project.folder / "secret.sql")
    told = refused(systems)
    assert place in told
    assert what in told
    assert ";" not in told or "line" not in told.partition(";")[2], "one mistake is told once"


def test_a_contract_that_is_not_there_yet_is_a_warning(project):
    systems = put(
        project, {"etl/x.yaml": one("contract: [flights, flihgts]\n"), "contracts/flights.yaml": "-"}
    )
    (warning,) = spec_files.load(systems, "x").warnings
    assert warning.startswith("etl/x.yaml, line 5, column 21: contract[1]: there is no contract 'flihgts' yet (did you mean 'flights'?)")  # fmt: skip


def test_cycles_among_pipelines_are_told(project):
    files = {f"etl/{name}.yaml": one(f"    to: t_{name}\nschedule: {{after: [{after}]}}\n") for name, after in (("x", "y"), ("y", "z"), ("z", "x"), ("w", "x"))}  # fmt: skip
    systems = put(project, files)
    assert "is a cycle: x runs after y after z after x" in refused(systems)
    assert spec_files.load(
        put(project, {"etl/z.yaml": one("    to: t_z\n")}), "w"
    ).pipeline.schedule.after == ("x",)


def test_one_table_of_two_pipelines_is_told_however_it_is_written(project):
    python = 'from datareeve.pipelines import *\npipeline = Pipeline(target=Target(system="warehouse", schema="raw"), loads={"Flights": Load(source=Source(files="a.csv"))})\n'
    other = "target: {system: warehouse, schema: raw}\nloads: {flights: {source: {system: app, table: flights}}}\n"
    elsewhere = (
        "target: {system: app, schema: raw}\nloads: {flights: {source: {system: app, table: flights}}}\n"
    )
    broken = "target: warehouse\nloads: {flights: [\n"
    systems = put(
        project, {"etl/x.yaml": other, "etl/q.py": python, "etl/e.yaml": elsewhere, "etl/b.yaml": broken}
    )
    assert "loads.flights: flights is published by the pipeline q too" in refused(systems)
    assert spec_files.load(systems, "e")


@pytest.mark.parametrize(("files", "name", "code", "what"), [
    ({"etl/flights.yaml": "a"}, "flihgts", "pipelines.unknown", "Did you mean 'flights'?"),
    ({}, "x", "pipelines.unknown", "no pipeline 'x'"),
    ({"etl/x.yaml": "a", "etl/x.yml": "a"}, "x", "pipelines.two", "two"),
    ({"etl/x.yaml": b"a: \xff"}, "x", "pipelines.not-text", "not UTF-8: byte 4"),
    ({"etl/x.yaml": "a: [1"}, "x", "pipelines.syntax", "line 1"),
    ({"etl/x.yaml": "a: 1\na: 2"}, "x", "pipelines.syntax", "line 2, column 1, has the key 'a' twice"),
    ({"etl/x.yaml": "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True))}, "x", "pipelines.syntax", "unfolds"),
    ({"etl/x.yaml": "[" * 5000}, "x", "pipelines.syntax", "nested"),
    ({"etl/x.yaml": "a: !!python/object:os.system {}"}, "x", "pipelines.syntax", "tag"),
    ({"etl/my flights.yaml": "a: 1"}, "my flights", "pipelines.name", "letters, digits"),
    ({"etl/tools.py": "def rows():\n    yield {}\n"}, "tools", "pipelines.unknown", "says no pipeline"),
])  # fmt: skip
def test_files_that_cannot_be_read_are_clear_errors(project, files, name, code, what):
    with pytest.raises(BadInput) as caught:
        spec_files.load(put(project, files), name)
    assert caught.value.code == code
    assert what in str(caught.value) or (what == "two" and "of one name" in str(caught.value))
    assert caught.value.remedy


def test_what_changes_nothing_of_what_is_built_changes_no_digest(project):
    def of(text):
        return spec_files.load(
            put(project, {"etl/x.yaml": text, "etl/daily.sql": "SELECT 1 AS n"}), "x"
        ).digest

    first = of(WHOLE)
    same = (
        WHOLE.replace("of the day", "of all days")
        + "owner: me\nschedule: {cron: '0 2 * * *'}\nchange_budget: {removed_rows: 5}\n"
    )
    assert of(same) == first
    assert of(WHOLE.replace("    sql: daily.sql", "    query: SELECT 1 AS n")) == first
    assert of(WHOLE.replace("    keys: [id]", "    keys: [id]\n    to: flights\n    parallel: 4")) == first
    changed = [
        WHOLE.replace("[id]", "[id, at]"), WHOLE.replace("schema: raw", "schema: other"), WHOLE.replace("12,2", "12,3"),
        WHOLE.replace("DISTINCT carrier", "DISTINCT tailnum"), WHOLE.replace("  carriers:", "  carrier:"), WHOLE.replace("    keys", "    batch_rows: 7\n    keys"),
    ]  # fmt: skip
    assert len({first, *map(of, changed)}) == len(changed) + 1
    (project.folder / "etl/daily.sql").write_text("SELECT 2 AS n")
    assert spec_files.load(project(), "x").digest != first


def test_code_that_rows_come_from_is_part_of_the_digest(project):
    text = "target: warehouse\nloads: {a: {source: {python: 'etl.gen:rows'}}}\n"
    first = spec_files.load(
        put(project, {"etl/x.yaml": text, "etl/gen.py": "def rows(): yield {}"}), "x"
    ).digest
    assert spec_files.load(put(project, {"etl/gen.py": "def rows(): yield {'a': 1}"}), "x").digest != first


# -- Python -------------------------------------------------------------------------------------------------------------------------------


def test_a_pipeline_in_python_is_the_same_as_in_yaml(project):
    put(project, {"etl/x.yaml": WHOLE, "etl/daily.sql": "SELECT 1"})
    yaml = spec_files.load(project(), "x")
    (project.folder / "etl/x.yaml").unlink()
    python = spec_files.load(put(project, {"etl/x.py": PYTHON}), "x")
    assert python.digest == yaml.digest
    assert python.pipeline.loads == yaml.pipeline.loads
    assert python.path == "etl/x.py"


@pytest.mark.parametrize(("text", "code", "what"), [
    ("pipeline = Pipeline(\n", "pipelines.python", "line 1, column 20: is not Python"),
    ("pipeline = 5\n", "pipelines.python", "line 1: `pipeline` is not a Pipeline"),
    ("import os\n\npipeline = os.environ['PASSWORD']\n", "pipelines.python", "line 3: KeyError."),
    ("def f():\n    raise ValueError('hunter2')\n\npipeline = f()\n", "pipelines.python", "line 2: ValueError."),
    ("pipeline = nothing\n", "pipelines.python", "line 1: NameError: name 'nothing' is not defined"),
    ("import sys\npipeline = 1\nsys.exit(0)\n", "pipelines.python", "line 3: it ends the process"),
    ("import os\npipeline = 1\nos._exit(0)\n", "pipelines.python", "ends the process that reads it"),
    ("pipeline = (lambda f: f(f))(lambda f: f(f))\n", "pipelines.python", "RecursionError"),
    ("from datareeve.pipelines import Load\nflights = Load(\n    source={'table': 'a'},\n    cursr='x',\n)\npipeline = flights\n", "pipelines.invalid", "line 2: Load.cursr: unknown key (did you mean 'cursor'?)"),
    ("from datareeve.pipelines import Load, Source\npipeline = Load(source=Source(system='app', table='t'), mode='upsert')\n", "pipelines.invalid", "line 2: Load: mode upsert needs `keys`"),
    ("from datareeve.pipelines import *\nrows = Load(source=Source(system='apq', table='t'))\npipeline = Pipeline(\n    target=Target(system='warehouse'),\n    loads={'a': rows})\n", "pipelines.invalid", "etl/x.py, line 2, column 27: loads.a.source.system: the estate has no system 'apq' (did you mean 'app'?)"),
])  # fmt: skip
def test_errors_of_python_are_told_with_file_and_line_and_nothing_that_it_read(project, text, code, what):
    told = refused(put(project, {"etl/x.py": text}), code=code)
    assert told.startswith("etl/x.py")
    assert what in told
    assert "hunter2" not in told
    assert "Traceback" not in told


def test_a_python_file_reads_no_secret_of_ours_and_may_use_modules_beside_it(project, monkeypatch):
    monkeypatch.setenv("PASSWORD", "hunter2")
    helper = "TABLES = ['a', 'b']\n"
    text = (
        "import os\nfrom datareeve.pipelines import *\nfrom helper import TABLES\nassert 'PASSWORD' not in os.environ\n"
        "pipeline = Pipeline(target=Target(system='warehouse'), loads={t: Load(source=Source(system='app', table=t)) for t in TABLES})\n"
    )
    systems = put(project, {"etl/x.py": text, "etl/helper.py": helper})
    assert spec_files.paths(systems) == {"x": "etl/x.py"}
    assert list(spec_files.load(systems, "x").pipeline.loads) == ["a", "b"]
    assert not list(project.folder.rglob("__pycache__"))


def test_a_python_file_that_does_not_end_is_ended(project):
    put(project, {"etl/x.py": "while True:\n    pass\npipeline = 1\n"})
    code = PipelineCode(project.folder, Estate.model_validate(ESTATE), seconds=1.0)
    with pytest.raises(Failed) as caught:
        code.read("made", path="etl/x.py")
    assert caught.value.code == "pipelines.python-time"


# -- whatever stands there ----------------------------------------------------------------------------------------------------------------

OURS = re.compile(r"Input should|Field required|Extra inputs|pydantic|type=|_type|_parsing|Traceback")
KEYS = sorted({*Pipeline.model_fields, "source", "table", "system", "mode", "keys", "cursor", "columns", "files", "http", "url", "auth", "secret", "a", "sql"})  # fmt: skip
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(string.printable, max_size=8), st.sampled_from(["upsert", "full", "1h", "env:X"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), DATA, max_size=6))
def test_whatever_stands_there_is_read_or_told_in_our_words(data):
    pipeline, problems = spec_errors.read(data)
    assert pipeline is not None or problems
    told = spec_errors.told("etl/x.yaml", problems, Document(data, {}))
    assert not [line for line in told if OURS.search(line)]
    if not problems:
        assert Pipeline.model_validate(data) == pipeline


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_broken_value_is_told_at_its_own_place(data):
    document = parse(WHOLE, "x")
    paths = [path for path in document.places if path and path[0] != "description"]
    path = data.draw(st.sampled_from(paths))
    holder = document.data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = {"no such key": {"x": 1}}
    _, problems = spec_errors.read(document.data)
    assert problems
    assert all(said(path[:2]) in said(one.path) or one.path == path[: len(one.path)] for one in problems)
