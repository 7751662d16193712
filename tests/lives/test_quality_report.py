"""A contract's life on the desk: checked, broken, told as an incident, mended, reported, watched; and nothing of a row anywhere but keys."""

import re
import sqlite3

import pytest

from datareeve.agent import standing
from datareeve.app import App
from datareeve.core.errors import BadInput

CANARY = "canary-9c41"
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 1.0.0
status: active
servers: [{server: app, type: custom}]
schema:
- name: customers
  properties:
  - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
  - {name: email, logicalType: string, classification: personal, quality: [{id: email-shape, type: custom, engine: datareeve, implementation: {kind: pattern, regex: "@"}}]}
- name: orders
  properties:
  - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
  - {name: customer, logicalType: integer, required: true, relationships: [{type: foreignKey, to: customers.id}]}
  - {name: amount, logicalType: number}
  - {name: at, logicalType: timestamp, quality: [{id: fresh, type: custom, engine: datareeve, implementation: {kind: freshness}, mustBeLessThan: 3600}]}
  quality:
  - {id: amount-positive, type: custom, engine: datareeve, implementation: {kind: range, columns: [amount], at_least: 0}}
"""
TABLES = (
    "CREATE TABLE customers (id int PRIMARY KEY, email text)",
    f"INSERT INTO customers SELECT n, 'p' || n || '-{CANARY}@example.com' FROM generate_series(1, 50) AS n",
    "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, amount numeric(10,2), at timestamptz)",
    "INSERT INTO orders SELECT n, 1 + n % 50, n, now() FROM generate_series(1, 500) AS n",
    "CREATE TABLE nobody_asks (x int)",
)


@pytest.fixture
def project(tmp_path, pg18):
    with pg18.database(*TABLES) as url:
        (tmp_path / "contracts").mkdir()
        (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT)
        systems = f"systems: {{app: {{kind: postgresql, url: '{url}'}}}}\n"
        datasets = "datasets:\n  orders: {system: app, table: orders}\n  revenue: {system: app, table: revenue, derived_from: [orders]}\n"
        (tmp_path / "estate.yaml").write_text(f"version: 1\n{systems}{datasets}")
        app = App.open(tmp_path)
        with pg18.connect(url.rsplit("/", 1)[1]) as connection:
            app.sql = connection.execute
            yield app
        app.close()


def run(app, operation, **inputs):
    plan = app.preview(app.catalogue.make(operation, inputs))
    return app.apply(plan, by="a test", approved=True)


def told(outcome, prefix):
    return {f.rule: f for part in outcome.parts for f in part.findings if f.rule.startswith(prefix)}


def test_a_contract_that_holds_is_done_and_reported(project):
    outcome = run(project, "quality.check-contract", contract="shop")
    assert outcome.status == "done", outcome
    (part,) = outcome.parts
    assert (part.figures["passed"], part.figures["rules"], part.figures["pass_percent"]) == (
        part.figures["rules"],
        part.figures["rules"],
        100.0,
    )
    figures = project.preview(project.catalogue.make("quality.report", {})).figures
    assert (figures["pass_percent_period"], figures["pass_target_met"], figures["incidents_open"]) == (
        100.0,
        True,
        0,
    )
    assert (figures["tables"], figures["tables_without_contract"]) == (3, 1)


def test_an_incident_opens_goes_on_and_ends(project):
    run(project, "quality.check-contract", contract="shop")
    project.sql("UPDATE orders SET amount = -amount WHERE id <= 7")
    broken = run(project, "quality.check-contract", contract="shop")
    assert broken.status == "failed"
    incident = told(broken, "incident-")["incident-values"]
    assert incident.figures["rules"] == ["amount-positive"]
    assert incident.figures["impact"] == ["revenue"]
    assert "its rules last passed" in incident.why
    rule = told(broken, "range-")["range-fail"]
    assert rule.figures["failing"] == 7
    assert sorted(key["id"] for key in rule.figures["keys"]) == list(range(1, 8))
    again = told(run(project, "quality.check-contract", contract="shop"), "incident-")["incident-values"]
    assert again.figures["incident"] == incident.figures["incident"]
    project.sql("UPDATE orders SET amount = abs(amount)")
    mended = run(project, "quality.check-contract", contract="shop")
    assert mended.status == "done"
    assert told(mended, "incident-")["incident-over"].figures["incident"] == incident.figures["incident"]
    assert project.systems["quality"].read("incidents", open_only=True) == []


def test_what_is_stale_is_told_as_a_load_that_did_not_come(project):
    project.sql("UPDATE orders SET at = at - interval '1 day'")
    outcome = run(project, "quality.check-contract", contract="shop")
    assert set(told(outcome, "incident-")) == {"incident-stale-load"}


def test_a_rule_that_cannot_be_run_fails_the_run_and_is_no_broken_rule(project):
    project.sql("ALTER TABLE orders RENAME amount TO sum")
    outcome = run(project, "quality.check-contract", contract="shop")
    assert outcome.status == "failed"
    assert outcome.parts[0].figures["not_run"] == 1
    assert "has no column amount" in told(outcome, "range-")["range-not-run"].what
    assert set(told(outcome, "incident-")) == {"incident-schema-change"}


def test_rows_that_break_a_personal_column_are_named_by_key_and_their_values_are_nowhere(project, tmp_path):
    project.sql(f"UPDATE customers SET email = '{CANARY}' WHERE id = 3")
    outcome = run(project, "quality.check-contract", contract="shop")
    assert told(outcome, "pattern-")["pattern-fail"].figures["keys"] == [{"id": 3}]
    run(project, "quality.report", html="data/q.html", markdown="data/q.md")
    project.close()
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert CANARY.encode() not in everything
    assert CANARY not in outcome.model_dump_json()


def test_the_page_says_what_the_figures_say(project, tmp_path):
    project.sql("UPDATE orders SET amount = -amount WHERE id <= 7")
    run(project, "quality.check-contract", contract="shop")
    outcome = run(project, "quality.report", html="data/q.html", markdown="data/q.md")
    assert outcome.status == "done"
    page, text = (tmp_path / "data/q.html").read_text(), (tmp_path / "data/q.md").read_text()
    rate = f"{outcome.parts[0].figures['pass_percent_period']:g} %"
    for said in (rate, "orders.amount: is at least 0", "7 of 500 rows break it", "nobody_asks"):
        assert said in page, said
        assert said in text, said
    assert not re.search(r"<script|https?://|src=", page)
    undone = project.undo(outcome.run, by="a test")
    assert undone.status == "undone"
    assert not (tmp_path / "data/q.html").exists()


@pytest.mark.parametrize("named", [True, False], ids=["by its name", "as one of several"])
def test_a_system_whose_secret_is_missing_is_not_run_and_the_others_are(project, tmp_path, named):
    away = (
        "  away: {kind: postgresql, url: 'postgresql://u@127.0.0.1:1/x', password: 'env:NOBODY_SET_THIS'}\n"
    )
    estate, contract = tmp_path / "estate.yaml", tmp_path / "contracts" / "shop.yaml"
    first, second = estate.read_text().split("datasets:")
    first = first.replace("systems: {app: ", "systems:\n  app: ").replace("}}", "}")
    estate.write_text(f"{first}{away}datasets:{second}")
    contract.write_text(CONTRACT.replace("{server: app, type: custom}", "{server: app, type: custom}, {server: away, type: custom}"))  # fmt: skip
    project.reload()
    outcome = run(project, "quality.check-contract", contract="shop", **({"system": "away"} if named else {}))
    parts = {part.figures["rules"] - part.figures["not_run"]: part for part in outcome.parts}
    assert len(parts) == len(outcome.parts) == (1 if named else 2)
    missing = parts.pop(0)
    assert {f.rule for f in missing.findings if f.rule.startswith("incident")} == {"incident-closed"}
    reasons = {f.what for f in missing.findings if f.rule.endswith("not-run")}
    assert reasons == {"Not run: away could not be opened, its secret is not there: Nothing is stored at env:NOBODY_SET_THIS."}  # fmt: skip
    assert all(part.figures["passed"] == part.figures["rules"] for part in parts.values())
    report = project.preview(project.catalogue.make("quality.report", {}))
    assert report.figures["rules_not_run"] == missing.figures["rules"]


def test_a_contract_that_was_damaged_is_reported_and_the_others_are_too(project, tmp_path):
    run(project, "quality.check-contract", contract="shop")
    (tmp_path / "contracts" / "other.yaml").write_text("kind: [")
    plan = project.preview(project.catalogue.make("quality.report", {}))
    assert {f.rule for f in plan.findings} >= {"contract-damaged"}
    assert plan.figures["rules_passed"] > 0


def test_contracts_are_watched_and_the_pass_rate_is_a_service_level(project):
    outcome = run(project, "quality.watch-contracts", notify=("file:data/alerts.jsonl",))
    assert outcome.status == "done", outcome
    estate = project.reload()
    assert estate.schedules["check-shop"].operation == "quality.check-contract"
    assert {rule.name for rule in estate.alerts} >= {
        "quality-incidents",
        "quality-pass-rate",
        "quality-no-data",
    }
    assert run(project, "quality.watch-contracts").status == "nothing to do"
    run(project, "quality.check-contract", contract="shop")
    levels = standing.levels(estate, project.catalogue, project.preview)
    (level,) = [
        o
        for o in standing.objectives(estate, project.ledger, levels)
        if o.target == "validation_pass_percent"
    ]
    assert (level.latest, level.kept, level.limit) == (100.0, True, 99.0)
    assert project.undo(outcome.run, by="a test").status == "undone"
    assert project.reload().schedules == {}


def test_a_contract_that_is_not_there_is_asked_for_by_the_nearest_name(project):
    with pytest.raises(BadInput, match="Did you mean 'shop'") as error:
        run(project, "quality.check-contract", contract="shp")
    assert error.value.code == "contract.unknown"


def test_the_store_of_a_newer_version_is_not_touched(project, tmp_path):
    run(project, "quality.check-contract", contract="shop")
    project.close()
    with sqlite3.connect(tmp_path / ".datareeve" / "quality.sqlite") as store:
        store.execute("UPDATE meta SET version = 99")
    with pytest.raises(BadInput, match="newer Datareeve"):
        project.systems["quality"].read("runs")
