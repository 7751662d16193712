"""Learned expectations on real engines: read from the table, written into its contract, judged, marked, taken back."""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from contextlib import closing
from datetime import UTC, datetime, timedelta

import duckdb
import psycopg
import pytest
import time_machine

from datareeve.app import App
from datareeve.capabilities.quality import report, report_facts
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.contracts.write import changed
from datareeve.capabilities.quality.learned.seeding import KINDS
from datareeve.capabilities.quality.operations.backtest import RunBacktest
from datareeve.capabilities.quality.operations.check_contract import CheckContract
from datareeve.capabilities.quality.operations.learn_expectations import LearnExpectations
from datareeve.capabilities.quality.operations.mark_expected import MarkExpected
from datareeve.core.errors import BadInput, StalePlan

NOW = datetime.now(UTC).replace(microsecond=0)  # the engines' clocks are asked for yesterday
TODAY = NOW.replace(hour=0, minute=0, second=0)
DAYS = 70
ENGINES = ["on_duckdb", "on_sqlite", "on_postgresql", "on_mariadb"]
CANARY = "canary7f3a"
CONTRACT = """# sales of the shop
version: 1.0.0
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
status: active
name: shop
schema:
  - name: sales
    properties:
      - name: amount  # in cents
        logicalType: number
      - name: email
        logicalType: string
"""


def rows():
    """Some twenty sales a day, fewer at weekends, an amount missing now and then, until yesterday, and half of today."""
    for day in range(DAYS, -1, -1):
        at = TODAY - timedelta(days=day)
        count = (12 if at.weekday() >= 5 else 20) + day * 7 % 3
        for n in range(count if day else 2):
            amount = None if (n + day) % 6 == 0 else 100 + (n * 37 + day * 11) % 50
            yield (at + timedelta(minutes=n), amount, f"{n}@{CANARY}", at + timedelta(hours=30))


def project(folder, system):
    (folder / "contracts").mkdir()
    (folder / "contracts" / "shop.yaml").write_text(CONTRACT)
    (folder / "estate.yaml").write_text(
        f"systems:\n  shop: {system}\ndatasets:\n  sales: {{system: shop, table: sales, personal: {{email: email}}}}\n"
    )
    return App.open(folder)


@pytest.fixture
def on_duckdb(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE sales (sold TIMESTAMP, amount DOUBLE, email VARCHAR, loaded TIMESTAMP)"
        )
        naive = [
            (at.replace(tzinfo=None), amount, email, loaded.replace(tzinfo=None))
            for at, amount, email, loaded in rows()
        ]
        columns = [list(column) for column in zip(*naive, strict=True)]
        connection.execute("INSERT INTO sales SELECT unnest(?), unnest(?), unnest(?), unnest(?)", columns)
    with closing(project(tmp_path, "{kind: duckdb, path: shop.duckdb}")) as app:
        yield app


@pytest.fixture
def on_sqlite(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (sold TIMESTAMP, amount REAL, email TEXT, loaded TIMESTAMP)")
        told = [
            (at.isoformat(" ")[:19], amount, email, loaded.isoformat(" ")[:19])
            for at, amount, email, loaded in rows()
        ]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", told)
        connection.commit()
    with closing(project(tmp_path, "{kind: sqlite, path: shop.db}")) as app:
        yield app


@pytest.fixture
def on_postgresql(tmp_path, database):
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE sales (sold timestamptz, amount float8, email text, loaded timestamptz)")
        cursor.executemany("INSERT INTO sales VALUES (%s, %s, %s, %s)", list(rows()))
    with closing(project(tmp_path, f"{{kind: postgresql, url: '{database}'}}")) as app:
        yield app


@pytest.fixture
def on_mariadb(tmp_path, mariadb):
    with mariadb.database(
        "CREATE TABLE sales (sold datetime, amount double, email text, loaded datetime)"
    ) as url:
        name = url.rsplit("/", 1)[1]
        with closing(mariadb.connect(name)) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO sales VALUES (%s, %s, %s, %s)", [(a.replace(tzinfo=None), b, c, d.replace(tzinfo=None)) for a, b, c, d in rows()])  # fmt: skip
        with closing(project(tmp_path, f"{{kind: mysql, url: '{url}'}}")) as app:
            yield app


def learning(**more):
    return LearnExpectations(contract="shop", table="sales", system="shop", time="sold", **more)


def carried_out(app, operation):
    plan = app.preview(operation)
    assert plan.fingerprint == operation.plan(operation.observe(app.systems)).fingerprint
    return plan, app.apply(plan, by="test", approved=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_learned_is_written_judges_on_the_first_day_and_is_taken_back(engine, request, tmp_path):
    app, path = request.getfixturevalue(engine), tmp_path / "contracts" / "shop.yaml"
    plan, outcome = carried_out(
        app, learning(metrics=("row-count", "null-percent:amount", "mean:amount", "distinct:email"))
    )
    assert outcome.status == "done"
    told = path.read_text()
    assert CANARY not in told
    assert told.startswith("# sales of the shop")
    assert "# in cents" in told
    contract = read(told, "shop")
    assert not contract.unsupported
    assert {rule.id for rule in contract.rules if rule.kind == "learned"} == {
        "sales-learned-row-count", "sales-amount-learned-null-percent", "sales-amount-learned-mean", "sales-email-learned-distinct",
    }  # fmt: skip
    counted = next(rule for rule in contract.rules if rule.id == "sales-learned-row-count")
    assert counted.arguments["baseline"]["figures"].split()[-1] == str(sum(1 for row in rows() if row[0].date() == (TODAY - timedelta(days=1)).date()))  # fmt: skip
    assert len(counted.arguments["baseline"]["figures"].split()) == DAYS  # today still fills
    assert plan.figures["rules"] == 4
    assert "The contract has these very rules" in app.preview(learning(metrics=("row-count", "null-percent:amount", "mean:amount", "distinct:email"))).nothing_to_do  # fmt: skip
    assert app.undo(outcome.run, by="test").status == "undone"
    assert path.read_text() == CONTRACT


# -- checked: what is learned is what is measured --------------------------------------------------------------------------------------

YESTERDAY = [row for row in rows() if row[0].date() == (TODAY - timedelta(days=1)).date()]
AMOUNTS = [row[1] for row in YESTERDAY if row[1] is not None]
LENGTHS = [len(row[2]) for row in YESTERDAY]
MISSING = len(YESTERDAY) - len(AMOUNTS)


def quantile(q):
    ordered, place = sorted(AMOUNTS), (len(AMOUNTS) - 1) * q
    low = math.floor(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


BY_HAND = {
    "row-count": len(YESTERDAY), "count": len(AMOUNTS), "distinct": len(set(AMOUNTS)), "null-count": MISSING,
    "null-percent": 100 * MISSING / len(YESTERDAY), "distinct-percent": 100 * len(set(AMOUNTS)) / len(AMOUNTS),
    "min": min(AMOUNTS), "max": max(AMOUNTS), "sum": sum(AMOUNTS), "mean": statistics.fmean(AMOUNTS), "stddev": statistics.stdev(AMOUNTS),
    "median": statistics.median(AMOUNTS), "quantile": quantile(0.9),
    "min-length": min(LENGTHS), "max-length": max(LENGTHS), "mean-length": statistics.fmean(LENGTHS),
}  # fmt: skip
LEARNED = {
    "sales-learned-row-count": "row-count", "sales-amount-learned-null-percent": "null-percent", "sales-amount-learned-mean": "mean",
    "sales-amount-learned-sum": "sum", "sales-amount-learned-distinct": "distinct",
}  # fmt: skip
ASKED = ("row-count", "null-percent:amount", "mean:amount", "sum:amount", "distinct:amount")
FAULTS = {  # of yesterday's rows: what is to be noticed, whatever else is; and what is not
    "UPDATE sales SET amount = amount * 10 WHERE {}": ({"mean", "sum"}, {"row-count", "null-percent"}),
    "UPDATE sales SET amount = NULL WHERE {} AND email NOT LIKE '3@%'": ({"null-percent"}, {"row-count", "mean"}),
    "UPDATE sales SET amount = 125 WHERE {} AND amount IS NOT NULL": ({"distinct"}, {"row-count", "null-percent", "mean", "sum"}),
    "DELETE FROM sales WHERE {} AND email NOT LIKE '1%'": ({"row-count", "sum"}, set()),
}  # fmt: skip


def change(engine, request, tmp_path, sql):
    """Change the data behind the tool's back."""
    begins, ends = (f"{(TODAY - timedelta(days=back)):%Y-%m-%d %H:%M:%S}" for back in (1, 0))
    zone = "+00" if engine == "on_postgresql" else ""
    sql = sql.format(f"sold >= '{begins}{zone}' AND sold < '{ends}{zone}'")
    if engine == "on_duckdb":
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
            connection.execute(sql)
    elif engine == "on_sqlite":
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
            connection.execute(sql)
    elif engine == "on_postgresql":
        with psycopg.connect(request.getfixturevalue("database")) as connection:
            connection.execute(sql.replace("%", "%%"), ())
    else:
        name = (tmp_path / "estate.yaml").read_text().split("url: '")[1].split("'")[0].rsplit("/", 1)[1]
        server = request.getfixturevalue("mariadb")
        with closing(server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)


def checked(app, **more):
    """(outcome, what each rule said: {rule: row}) of a check."""
    outcome = app.apply(
        app.preview(CheckContract(contract="shop", system="shop", **more)), by="test", approved=True
    )
    told = app.systems["quality"].read("verdicts", contract="shop", system="shop", run=outcome.run)
    return outcome, {one["rule"]: one for one in told if "schema" not in one["rule"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_clean_data_passes_each_learned_rule_with_the_figure_that_one_counts_by_hand(engine, request):
    app = request.getfixturevalue(engine)
    carried_out(app, learning())  # as it comes: rows, and NULLs of every column that has some
    carried_out(app, learning(metrics=ASKED[2:]))
    outcome, told = checked(app)
    assert outcome.status == "done"
    assert told.keys() == LEARNED.keys()
    for rule, metric in LEARNED.items():
        assert told[rule]["says"] == "pass", told[rule]
        assert told[rule]["told"]["figure"] == pytest.approx(BY_HAND[metric]), rule
        low, high = (told[rule]["told"]["figures"][end] for end in ("low", "high"))
        assert low <= BY_HAND[metric] <= high


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_wrong_with_yesterday_is_told_by_the_rule_that_it_breaks(engine, request, tmp_path):
    app = request.getfixturevalue(engine)
    carried_out(app, learning(metrics=ASKED))
    for fault, (noticed, quiet) in FAULTS.items():
        change(engine, request, tmp_path, "CREATE TABLE kept AS SELECT * FROM sales")
        change(engine, request, tmp_path, fault)
        _, told = checked(app)
        says = {metric: told[rule]["says"] for rule, metric in LEARNED.items()}
        assert {says[metric] for metric in noticed} == {"warn"}, (fault, says)
        assert {says[metric] for metric in quiet} <= {"pass"}, (fault, says)
        causes = {one["cause"] for one in app.systems["quality"].read("incidents", open_only=True)}
        assert ("truncated-load" in causes) == ("row-count" in noticed)  # a mean is no load
        for sql in ("DELETE FROM sales", "INSERT INTO sales SELECT * FROM kept", "DROP TABLE kept"):
            change(engine, request, tmp_path, sql)
    assert {row["says"] for row in checked(app)[1].values()} == {"pass"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_metric_is_measured_of_the_last_whole_day_and_its_history_begins_with_the_first_check(
    engine, request, tmp_path
):
    app = request.getfixturevalue(engine)
    path = tmp_path / "contracts" / "shop.yaml"
    write_learned(path)
    outcome, told = checked(app)
    assert outcome.status == "done"  # young, and no fault of anybody
    assert not app.systems["quality"].read("incidents", contract="shop")
    assert told.keys() == BY_HAND.keys()
    for metric, by_hand in BY_HAND.items():
        assert told[metric]["told"]["figure"] == pytest.approx(by_hand), metric
        assert told[metric]["told"]["reason"] == "not enough history (0 of 28 days)"
        (kept,) = app.systems["quality"].read("history", contract="shop", system="shop", rule=metric)
        assert kept["figure"] == pytest.approx(by_hand)
    (finding,) = [one for one in outcome.parts[0].findings if one.figures["rule"] == "mean"]
    assert finding.severity == "info"
    assert finding.what == "Not run: not enough history (0 of 28 days)."
    standing = report.figures(report_facts.gather(app.systems, None, 30, catalogs=False))
    assert (standing["rules_not_run"], standing["rules_not_yet"]) == (0, len(BY_HAND))
    figures = outcome.parts[0].figures
    assert (figures["not_run"], figures["not_yet"], figures["failed"]) == (0, len(BY_HAND), 0)


def write_learned(path):
    """A learned rule of each metric into the contract."""
    entries = [
        {
            "id": metric, "type": "custom", "engine": "datareeve",
            "implementation": {
                "kind": "learned", "arguments": {"metric": metric, "time": "sold", "per": "day", "q": 0.9},
                "columns": [] if metric == "row-count" else ["email"] if "length" in metric else ["amount"],
            },
        }
        for metric in BY_HAND
    ]  # fmt: skip
    path.write_text(CONTRACT + f"    quality: {json.dumps(entries)}\n")


def test_a_rule_that_was_learned_on_one_engine_is_asked_on_another(on_duckdb, tmp_path):
    carried_out(on_duckdb, learning(metrics=ASKED))
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (sold TIMESTAMP, amount REAL, email TEXT, loaded TIMESTAMP)")
        told = [(a.isoformat(" ")[:19], b, c, d.isoformat(" ")[:19]) for a, b, c, d in rows()]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", told)
    estate = tmp_path / "estate.yaml"
    estate.write_text(
        estate.read_text().replace("systems:\n", "systems:\n  other: {kind: sqlite, path: other.db}\n")
    )
    with closing(App.open(tmp_path)) as app:
        app.apply(app.preview(CheckContract(contract="shop", system="other")), by="test", approved=True)
        told = app.systems["quality"].read("verdicts", contract="shop", system="other")
    told = [one for one in told if one["rule"] in LEARNED]
    assert len(told) == len(LEARNED)
    for one in told:
        assert one["says"] == "pass", one
        assert one["told"]["figure"] == pytest.approx(BY_HAND[LEARNED[one["rule"]]])


def test_a_moment_that_mariadb_shows_in_the_sessions_zone_is_of_the_same_day(on_mariadb, tmp_path, request):
    change("on_mariadb", request, tmp_path, "ALTER TABLE sales MODIFY sold timestamp")
    carried_out(on_mariadb, learning(metrics=ASKED))
    for rule, row in checked(on_mariadb)[1].items():
        assert row["says"] == "pass", row
        assert row["told"]["figure"] == pytest.approx(BY_HAND[LEARNED[rule]])


def test_a_day_that_is_closed_each_week_has_no_mean_and_that_is_no_fault(on_duckdb, tmp_path, request):
    weekday = (TODAY - timedelta(days=1)).isoweekday()
    change("on_duckdb", request, tmp_path, f"DELETE FROM sales WHERE isodow(sold) = {weekday}")
    carried_out(on_duckdb, learning(metrics=ASKED))
    outcome, told = checked(on_duckdb)
    assert outcome.status == "done"
    says = {metric: told[rule]["says"] for rule, metric in LEARNED.items()}
    assert says == {
        "row-count": "pass",
        "sum": "pass",
        "distinct": "pass",
        "mean": "not yet",
        "null-percent": "not yet",
    }
    path = tmp_path / "contracts" / "shop.yaml"

    def never_closed(data):
        for entry in data["schema"][0]["properties"][0]["quality"]:
            known = entry["implementation"]["arguments"]["baseline"]
            known["figures"] = known["figures"].replace("-", "100")

    path.write_text(changed(path.read_text(), never_closed))
    outcome, told = checked(on_duckdb)  # no such day is known: why is there no mean?
    assert {told[rule]["says"] for rule, metric in LEARNED.items() if metric == "mean"} == {"not run"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"time": "email"}, "no moment"),
        ({"time": "nothing"}, "no column"),
        ({"time": "sold", "zone": "Mars/Olympus"}, "no time zone"),
        ({"time": "sold", "per": "fortnight"}, "cannot be asked of a fortnight"),
        ({"time": "sold", "settles": 10**9}, "settles"),
        ({"metric": "moon"}, "no metric moon"),
        ({"metric": "mean", "columns": []}, "is about one column"),
    ],
)
def test_what_cannot_be_measured_says_why_and_is_no_count_of_rows(given, said, on_duckdb, tmp_path):
    columns = given.get("columns", ["amount"])
    arguments = {"metric": "mean", **{key: value for key, value in given.items() if key != "columns"}}
    entry = {"id": "r", "type": "custom", "engine": "datareeve", "implementation": {"kind": "learned", "arguments": arguments, "columns": columns}}  # fmt: skip
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT + f"    quality: {json.dumps([entry])}\n")
    outcome, told = checked(on_duckdb)
    assert outcome.status == "failed"
    assert told["r"]["says"] == "not run"
    assert said in told["r"]["told"]["reason"]


def test_a_condition_of_another_engine_that_this_one_cannot_have_says_so(on_sqlite, tmp_path):
    own = {"kind": "learned", "where": "sold AT TIME ZONE 'UTC' >= CURRENT_DATE", "dialect": "postgres"}
    entry = {"id": "r", "type": "custom", "engine": "datareeve", "implementation": own}
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT + f"    quality: {json.dumps([entry])}\n")
    reason = checked(on_sqlite)[1]["r"]["told"]["reason"]
    assert "SQLite knows none, though it is written for postgres" in reason


def test_a_rule_that_names_its_metric_by_the_older_word_measures_it_too(on_duckdb, tmp_path):
    entry = {"id": "r", "type": "custom", "engine": "datareeve", "implementation": {"kind": "learned", "arguments": {"of": "mean", "time": "sold"}, "columns": ["amount"]}}  # fmt: skip
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT + f"    quality: {json.dumps([entry])}\n")
    assert checked(on_duckdb)[1]["r"]["told"]["figure"] == pytest.approx(BY_HAND["mean"])


def test_an_edit_made_after_the_plan_is_not_written_over(on_duckdb, tmp_path):
    path = tmp_path / "contracts" / "shop.yaml"
    plan = on_duckdb.preview(learning(metrics=("row-count",)))
    edited = path.read_text() + "# looked at by Ann\n"
    path.write_text(edited)
    with pytest.raises(StalePlan, match="is as it was looked at"):
        on_duckdb.apply(plan, by="test", approved=True)
    assert path.read_text() == edited


def test_how_late_rows_come_is_learned_from_when_they_were_loaded(on_duckdb):
    plan = on_duckdb.preview(learning(loaded="loaded", metrics=("row-count",)))
    text = plan.steps[0].call.arguments["text"]
    rule = next(rule for rule in read(text, "shop").rules if rule.kind == "learned")
    # Rows are loaded at six the next morning, seen by seven: the bucket of yesterday is not yet whole today.
    assert rule.arguments["settles"] == 1
    assert len(rule.arguments["baseline"]["figures"].split()) == DAYS - (NOW.hour < 7)


def test_a_mean_of_a_personal_column_is_refused_and_so_is_what_is_not_there(on_duckdb):
    for metrics, said in (
        (("mean:email",), "personal"),
        (("mean:nothing",), "no column"),
        (("median:amount",), "no metric"),
        (("row-count:amount",), "no metric"),
        (("sum:sold",), "there is no sum of it"),
    ):
        with pytest.raises(BadInput, match=said):
            on_duckdb.preview(learning(metrics=metrics))
    with pytest.raises(BadInput, match="no moment"):
        on_duckdb.preview(LearnExpectations(contract="shop", table="sales", system="shop", time="email"))
    with pytest.raises(BadInput, match="no table 'orders'"):
        on_duckdb.preview(LearnExpectations(contract="shop", table="orders", system="shop", time="sold"))


def test_a_young_table_is_told_how_much_more_is_wanting(on_duckdb):
    with time_machine.travel(NOW - timedelta(days=DAYS - 10), tick=False):
        plan = on_duckdb.preview(learning())
    assert plan.steps == ()
    assert {finding.rule for finding in plan.findings} == {"not-enough-history"}


def test_a_backtest_of_a_table_tells_its_figures_whole_and_keeps_them(on_postgresql):
    operation = RunBacktest(
        system="shop",
        table="public.sales",
        time="sold",
        metrics=("row-count", "null-percent:amount"),
        trials=4,
    )
    plan, outcome = carried_out(on_postgresql, operation)
    assert outcome.status == "done"
    rows, nulls = plan.figures["series"]
    assert (rows["metric"], nulls["metric"]) == ("rows", "nulls in percent of amount")
    assert rows["points"] == DAYS
    assert rows["at_least"] <= rows["alarms_a_year"] <= rows["at_most"]
    of_rows = [one for one in plan.figures["anomalies"] if one["metric"] == "rows"]
    assert {one["anomaly"] for one in of_rows} <= set(KINDS["count"])
    assert sum(one["of"] for one in of_rows) == rows["seeded"]
    assert sum(one["noticed"] for one in of_rows) == pytest.approx(rows["recall"] * rows["seeded"], abs=0.05)
    assert "where 2 are accepted" in plan.summary
    assert plan == on_postgresql.preview(operation)
    (kept,) = on_postgresql.systems["quality"].read("documents", kind="backtest")
    assert kept["told"]["series"] == list(plan.figures["series"])
    with pytest.raises(BadInput, match="not said what is replayed"):
        on_postgresql.preview(RunBacktest(system="shop"))


def test_four_weeks_are_enough_to_learn_and_ten_days_more_to_replay(on_duckdb):
    for days, learned in ((27, 0), (28, 1)):
        with time_machine.travel(TODAY - timedelta(days=DAYS - days) + timedelta(hours=1), tick=False):
            plan = on_duckdb.preview(learning(metrics=("row-count",)))
            assert plan.figures["rules"] == learned
    with time_machine.travel(TODAY - timedelta(days=DAYS - 27) + timedelta(hours=1), tick=False):
        (finding,) = on_duckdb.preview(learning(metrics=("row-count",))).findings
        assert finding.what == "There is not enough history (27 of 28 days)."
        plan = on_duckdb.preview(RunBacktest(system="shop", table="sales", time="sold"))
    assert plan.steps == ()
    assert "27 of 38 points" in plan.summary


def test_a_persons_word_is_kept_and_taken_back(on_duckdb):
    store = on_duckdb.systems["quality"].store
    at = (NOW - timedelta(hours=1)).isoformat()
    run = {"run": "r1", "contract": "shop", "system": "shop", "version": "1", "began": at, "snapshot": None, "seconds": 1.0, "down": "",
           "passed": 0, "warned": 0, "failed": 1, "not_run": 0, "partial": 0}  # fmt: skip
    store.put_run(
        run,
        [
            {
                "rule": "volume",
                "at": at,
                "says": "fail",
                "figure": 7.0,
                "failing": None,
                "checked": None,
                "told": {},
            }
        ],
    )
    say = {"contract": "shop", "system": "shop", "rule": "volume", "why": "the shop was closed"}
    _, first = carried_out(on_duckdb, MarkExpected(**say, kind="one-off"))
    assert first.status == "done"
    marks = on_duckdb.systems["quality"].read("history", contract="shop", system="shop", rule="volume")
    assert [row["mark"] for row in marks] == ["one-off"]
    assert "already" in on_duckdb.preview(MarkExpected(**say, kind="one-off")).nothing_to_do
    _, second = carried_out(on_duckdb, MarkExpected(**say, kind="new-normal"))
    assert on_duckdb.undo(second.run, by="test").status == "undone"
    same = {"contract": "shop", "system": "shop", "rule": "volume", "at": at}
    assert on_duckdb.systems["quality"].read("mark_of", **same) == "one-off"
    on_duckdb.undo(first.run, by="test")
    assert on_duckdb.systems["quality"].read("mark_of", **same) is None
    nothing = on_duckdb.preview(MarkExpected(**{**say, "rule": "other"}, kind="one-off"))
    assert "no figure" in nothing.blockers[0]
