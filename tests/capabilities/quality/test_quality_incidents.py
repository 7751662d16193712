"""Incidents: many verdicts, one cause, with since when and what it touches. Data in, incidents out."""

import pytest

from datareeve.capabilities.quality.incidents import Incident, Seen, downstream, incidents, upstream
from datareeve.capabilities.quality.rule import Contract, Rule, Table
from datareeve.capabilities.quality.verdicts import Says, Verdict

KEYS = ({"id": 1}, {"id": 2}, {"id": 3})
NOW, BEFORE = "2026-11-23T10:00:00+00:00", "2026-11-22T10:00:00+00:00"
RULES = (
    Rule(id="fresh", kind="freshness", table="orders", columns=("at",), unit="seconds", owner="sales"),
    Rule(id="many", kind="row-count", table="orders", bounds={"at_least": 100, "at_most": 200}, unit="value"),
    Rule(id="hours", kind="continuity", table="orders", columns=("at",), arguments={"every": "1 hour"}),
    Rule(id="key", kind="unique", table="orders", columns=("id",)),
    Rule(id="amount", kind="range", table="orders", columns=("amount",), arguments={"at_least": 0}),
    Rule(id="amount-there", kind="not-null", table="orders", columns=("amount",)),
    Rule(
        id="ends", kind="condition", table="orders", columns=("at", "until"), arguments={"sql": "at < until"}
    ),
    Rule(id="mean", kind="learned", table="orders", columns=("amount",), arguments={"metric": "mean"}),
    Rule(id="state", kind="set", table="orders", columns=("state",), arguments={"values": ["a"]}),
    Rule(
        id="both",
        kind="condition",
        table="orders",
        columns=("amount", "state"),
        arguments={"sql": "amount > 0 OR state = 'a'"},
    ),
    Rule(
        id="own",
        kind="sql",
        table="orders",
        arguments={"query": "SELECT count(*) FROM orders WHERE amount IS NULL"},
    ),
    Rule(id="shape", kind="schema", table="orders", arguments={"columns": []}),
    Rule(
        id="line-order",
        kind="foreign-key",
        table="lines",
        columns=("order_id",),
        arguments={"table": "orders", "columns": ["id"]},
    ),
    Rule(
        id="line-qty",
        kind="range",
        table="lines",
        columns=("qty",),
        arguments={"at_least": 1},
        severity="warning",
    ),
)
SHOP = Contract(
    name="shop",
    id="x",
    version="1",
    tables=(Table(name="orders", physical_name="public.orders"), Table(name="lines", physical_name="lines")),
    rules=RULES,
)


def looked(seen=None, **said):
    """The incidents of verdicts: those that are not told pass."""
    verdicts = [said.get(rule.id.replace("-", "_"), Verdict(rule=rule.id, says=Says.PASS)) for rule in RULES]
    return incidents(SHOP, "app", verdicts, seen or Seen(at=NOW))


def fails(rule, **told):
    return Verdict(rule=rule, says=Says.FAIL, **told)


def not_run(rule, reason):
    return Verdict(rule=rule, says=Says.NOT_RUN, reason=reason)


def numbered(first):
    return [{"id": first + n * 2} for n in range(20)]


def told(found):
    return {(one.cause, one.subject): one.rules for one in found}


def test_nothing_is_wrong():
    assert looked() == []


CASES = {
    "a load that did not come": (
        {"fresh": fails("fresh", figure=9e5), "hours": fails("hours", failing=20)},
        {("stale-load", "orders"): ("fresh", "hours")},
    ),
    "a load that stopped half-way takes the orphans of its rows with it": (
        {"many": fails("many", figure=50), "hours": fails("hours", failing=3), "line_order": fails("line-order", failing=40)},
        {("truncated-load", "orders"): ("hours", "line-order", "many")},
    ),
    "a batch that came twice": (
        {"many": fails("many", figure=300), "key": fails("key", failing=150, checked=300)},
        {("doubled-load", "orders"): ("key", "many")},
    ),
    "one duplicate is no load": ({"key": fails("key", failing=1, checked=300)}, {("duplicates", "orders.id"): ("key",)}),
    "rules about one column": (
        {"amount": fails("amount", failing=3), "amount_there": fails("amount-there", failing=1)},
        {("values", "orders.amount"): ("amount", "amount-there")},
    ),
    "a column that went takes the rules about it": (
        {
            "shape": fails("shape", failing=1, keys_left_out="amount is missing"),
            "amount": not_run("amount", "public.orders has no column amount"),
            "amount_there": not_run("amount-there", "public.orders has no column amount"),
        },
        {("schema-change", "orders"): ("amount", "amount-there", "shape")},
    ),
    "a table that went": (
        {rule.id.replace("-", "_"): not_run(rule.id, "app has no table public.orders") for rule in RULES if rule.table == "orders"},
        {("table-missing", "orders"): tuple(sorted(rule.id for rule in RULES if rule.table == "orders"))},
    ),
    "a system that is down is one incident": (
        {rule.id.replace("-", "_"): not_run(rule.id, "app does not answer: postgres.unreachable: no") for rule in RULES},
        {("system-down", "app"): tuple(sorted(rule.id for rule in RULES))},
    ),
    "a reference to a table that went": (
        {"line_order": not_run("line-order", "There is no table orders that this role may read."), "amount": fails("amount", failing=3)},
        {("table-missing", "orders"): ("line-order",), ("values", "orders.amount"): ("amount",)},
    ),
    "a query of a table that went": (
        {"own": not_run("own", 'postgres.42P01: app: relation "staged" does not exist.'), "amount": fails("amount", failing=3)},
        {("table-missing", "staged"): ("own",), ("values", "orders.amount"): ("amount",)},
    ),
    "a query that names the column that broke": (
        {"own": fails("own", figure=3), "amount": fails("amount", failing=3)},
        {("values", "orders.amount"): ("amount", "own")},
    ),
    "the same rows break two columns": (
        {"amount": fails("amount", failing=3, checked=90, keys=KEYS), "state": fails("state", failing=3, checked=90, keys=KEYS)},
        {("values", "orders (amount, state)"): ("amount", "state")},
    ),
    "other rows break two columns": (
        {"amount": fails("amount", failing=3, checked=90, keys=KEYS), "state": fails("state", failing=3, checked=90, keys=[{"id": 7}, {"id": 8}, {"id": 9}])},
        {("values", "orders.amount"): ("amount",), ("values", "orders.state"): ("state",)},
    ),
    "nearly as many of many rows, of which others are named": (
        {"amount": fails("amount", failing=308, checked=9000, keys=numbered(0)), "state": fails("state", failing=299, checked=9000, keys=numbered(5000))},
        {("values", "orders (amount, state)"): ("amount", "state")},
    ),
    "nearly as many of many rows, of which those between are named": (
        {"amount": fails("amount", failing=308, checked=9000, keys=numbered(0)), "state": fails("state", failing=299, checked=9000, keys=numbered(1))},
        {("values", "orders.amount"): ("amount",), ("values", "orders.state"): ("state",)},
    ),
    "other rows of a condition that is broken too": (
        {"amount": fails("amount", failing=3, checked=90, keys=KEYS), "both": fails("both", failing=2, checked=90, keys=[{"id": 8}, {"id": 9}])},
        {("values", "orders.amount"): ("amount",), ("rows", "orders (amount, state)"): ("both",)},
    ),
    "a condition that is broken too, whose rows are not known": (
        {"amount": fails("amount", failing=3), "both": fails("both", failing=200)},
        {("values", "orders (amount, state)"): ("amount", "both")},
    ),
    "as many rows, of which none may be named": (
        {"amount": fails("amount", failing=30, checked=900), "state": fails("state", failing=30, checked=900)},
        {("values", "orders (amount, state)"): ("amount", "state")},
    ),
    "no right to a column": ({"amount": not_run("amount", "This role may not read public.orders.amount.")}, {("no-rights", "orders"): ("amount",)}),
    "orphans without any trouble of the parent": ({"line_order": fails("line-order", failing=2)}, {("orphans", "lines.order_id"): ("line-order",)}),
    "a condition across columns": ({"ends": fails("ends", failing=5)}, {("rows", "orders (at, until)"): ("ends",)}),
    "what could not be measured is no broken value": (
        {
            "amount": not_run("amount", "postgres.timeout: too long"),
            "key": not_run("key", "postgres.memory: too much"),
            "amount_there": fails("amount-there", failing=1),
        },
        {("not-run", "orders"): ("amount", "key"), ("values", "orders.amount"): ("amount-there",)},
    ),
    "a mean that is another is no load in part": ({"mean": fails("mean", figure=3, figures={"low": 5, "high": 9})}, {("values", "orders.amount"): ("mean",)}),
    "two causes are two incidents": (
        {"amount": fails("amount", failing=3), "fresh": fails("fresh", figure=9e5)},
        {("stale-load", "orders"): ("fresh",), ("values", "orders.amount"): ("amount",)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), CASES.values(), ids=CASES)
def test_broken_rules_are_told_by_their_cause(said, expected):
    assert told(looked(**said)) == expected


def test_every_broken_rule_belongs_to_exactly_one_incident():
    everything = {
        rule.id.replace("-", "_"): fails(rule.id, failing=1, checked=1000, figure=1) for rule in RULES
    }
    found = [rule for one in looked(**everything) for rule in one.rules]
    assert sorted(found) == sorted(rule.id for rule in RULES)


def test_an_incident_goes_on_under_its_name_until_its_rules_pass():
    (first,) = looked(Seen(at=BEFORE), amount=fails("amount", failing=3))
    (again,) = looked(Seen(at=NOW, open=(first,)), amount=fails("amount", failing=5))
    assert (again.id, again.opened, again.last_seen, again.ended) == (first.id, BEFORE, NOW, None)
    assert again.counts == {"amount": 5}
    (over,) = looked(Seen(at=NOW, open=(again,)))
    assert (over.id, over.ended) == (first.id, NOW)


def test_an_incident_is_not_over_while_its_rule_cannot_be_run():
    (first,) = looked(Seen(at=BEFORE), amount=fails("amount", failing=3))
    found = looked(Seen(at=NOW, open=(first,)), amount=not_run("amount", "postgres.timeout: too long"))
    assert [one.ended for one in found] == [None]
    assert [one.id for one in found] == [first.id]


def test_what_went_away_while_it_was_measured_is_down_whatever_its_error_is_called():
    said = {rule.id.replace("-", "_"): not_run(rule.id, "duckdb.locked: is open elsewhere") for rule in RULES}
    found = looked(Seen(at=NOW, down="duckdb.locked: is open elsewhere"), **said)
    assert told(found) == {("system-down", "app"): tuple(sorted(rule.id for rule in RULES))}


def test_what_was_not_measured_while_the_system_was_down_does_not_go_on_as_that():
    (down,) = looked(Seen(at=BEFORE), amount=not_run("amount", "app does not answer: no"))
    found = looked(Seen(at=NOW, open=(down,)), amount=not_run("amount", "postgres.timeout: too long"))
    assert told(found) == {("not-run", "orders"): ("amount",)}


def test_an_incident_goes_on_with_what_befalls_another_column_in_the_same_rows():
    (first,) = looked(Seen(at=BEFORE), amount=fails("amount", failing=3, checked=90, keys=KEYS))
    both = {one: fails(one, failing=3, checked=90, keys=KEYS) for one in ("amount", "state")}
    (found,) = looked(Seen(at=NOW, open=(first,)), **both)
    assert (found.id, found.opened, found.rules) == (first.id, BEFORE, ("amount", "state"))
    assert (
        found.words == "orders (amount, state) holds values out of range and values outside its set: 2 rules"
    )


def test_another_fault_of_a_column_is_another_incident():
    (first,) = looked(Seen(at=BEFORE), amount_there=fails("amount-there", failing=1))
    assert first.words == "orders.amount holds NULL: 1 rule"
    found = looked(Seen(at=NOW, open=(first,)), amount=fails("amount", failing=3))
    assert [(one.id == first.id, one.ended, one.part_of) for one in found] == [
        (False, None, ""),
        (True, NOW, ""),
    ]


def test_two_incidents_that_turn_out_to_be_one_are_not_told_as_over():
    stood = looked(Seen(at=BEFORE), amount=fails("amount", failing=1), state=fails("state", failing=2))
    assert len(stood) == 2
    both = {one: fails(one, failing=3, checked=90, keys=KEYS) for one in ("amount", "state")}
    going, absorbed = looked(Seen(at=NOW, open=tuple(stood)), **both)
    assert (going.id, going.ended) == (stood[0].id, None)
    assert (absorbed.id, absorbed.ended, absorbed.part_of) == (stood[1].id, NOW, going.id)


def test_a_table_that_came_back_is_over_though_a_column_of_it_is_wrong():
    gone = {rule.id.replace("-", "_"): not_run(rule.id, "app has no table public.orders") for rule in RULES if rule.table == "orders"}  # fmt: skip
    (missing,) = looked(Seen(at=BEFORE), **gone)
    found = looked(Seen(at=NOW, open=(missing,)), amount=fails("amount", failing=3))
    assert [(one.cause, one.ended, one.part_of) for one in found] == [("values", None, ""), ("table-missing", NOW, "")]  # fmt: skip


def test_rows_that_are_there_twice_are_called_that_whatever_else_is_unique_of_them():
    rules = (Rule(id="id", kind="unique", table="t", columns=("id",)), Rule(id="no", kind="unique", table="t", columns=("no",)))  # fmt: skip
    contract = Contract(name="c", id="c", version="1", tables=(Table(name="t", physical_name="t", key=("id",)),), rules=rules)  # fmt: skip
    both = [fails("id", failing=3, checked=900), fails("no", failing=3, checked=900)]
    (rows,) = incidents(contract, "app", both, Seen(at=NOW))
    assert rows.words == "t holds rows more than once: 2 rules"
    (values,) = incidents(contract, "app", both[1:], Seen(at=NOW))
    assert values.words == "t.no holds values more than once: 1 rule"


def test_too_many_rows_are_called_that():
    (found,) = looked(many=fails("many", figure=300))
    assert found.words == "orders has another number of rows than is asked: 1 rule"


def test_an_incident_that_opens_again_is_another():
    (first,) = looked(Seen(at=BEFORE), amount=fails("amount", failing=3))
    (second,) = looked(Seen(at=NOW), amount=fails("amount", failing=3))
    assert first.id != second.id


def test_what_likely_did_it_is_the_last_run_that_touched_the_table_since_its_rules_passed():
    load = {
        "run": "20261123-090000-aa",
        "operation": "pipelines.load",
        "summary": "Load orders.",
        "at": "2026-11-23T09:00:00+00:00",
    }
    (found,) = looked(
        Seen(at=NOW, changes={"orders": load}, last_good={"amount": BEFORE}), amount=fails("amount")
    )
    assert found.likely == "the load 20261123-090000-aa (pipelines.load, 2026-11-23 09:00)"
    (found,) = looked(
        Seen(at=NOW, changes={"orders": load}, last_good={"amount": "2026-11-23T09:30:00+00:00"}),
        amount=fails("amount"),
    )
    assert found.likely == ""


DATASETS = {
    "orders": {"system": "app", "table": "public.orders"},
    "revenue": {"system": "lake", "table": "revenue", "derived_from": ["orders"]},
    "board": {"system": "lake", "table": "board", "derived_from": ["revenue"]},
    "other": {"system": "app", "table": "lines"},
}


def test_what_is_made_of_a_table_is_touched_by_its_incident():
    (found,) = looked(
        Seen(at=NOW, datasets=DATASETS, tables={"orders": "public.orders"}), amount=fails("amount")
    )
    assert (found.dataset, found.impact) == ("orders", ("revenue", "board"))


def test_an_incident_below_another_names_it():
    above = Incident(
        id="I-1",
        contract="raw",
        system="src",
        cause="stale-load",
        subject="orders_raw",
        rules=("r",),
        opened=BEFORE,
        last_seen=NOW,
        dataset="raw",
    )
    datasets = {
        **DATASETS,
        "raw": {"system": "src", "table": "orders_raw"},
        "orders": {**DATASETS["orders"], "derived_from": ["raw"]},
    }
    (found,) = looked(
        Seen(at=NOW, datasets=datasets, tables={"orders": "public.orders"}, elsewhere=(above,)),
        fresh=fails("fresh", figure=9e5),
    )
    assert (found.caused_by, found.likely) == ("I-1", "orders_raw upstream: incident I-1")


def test_lineage_that_goes_in_circles_ends():
    circle = {"a": {"derived_from": ["b"]}, "b": {"derived_from": ["a"]}}
    assert (upstream("a", circle), downstream("a", circle)) == (["b"], ["b"])


def test_a_broken_warning_is_a_warning_incident():
    (found,) = looked(line_qty=Verdict(rule="line-qty", says=Says.WARN, failing=2))
    assert found.severity == "warning"


def test_a_run_of_some_rules_ends_no_incident_of_others():
    (first,) = looked(Seen(at=BEFORE), amount=fails("amount", failing=3))
    some = SHOP.model_copy(update={"rules": tuple(rule for rule in RULES if rule.table == "lines")})
    passed = [Verdict(rule=rule.id, says=Says.PASS) for rule in some.rules]
    every = tuple(rule.id for rule in RULES)
    assert incidents(some, "app", passed, Seen(at=NOW, open=(first,), rules=every)) == []


def test_a_run_of_some_rules_takes_no_rule_out_of_an_incident():
    both = {one: fails(one, failing=3, checked=90, keys=KEYS) for one in ("amount", "state")}
    (first,) = looked(Seen(at=BEFORE), **both)
    some = SHOP.model_copy(update={"rules": tuple(rule for rule in RULES if rule.id == "amount")})
    seen = Seen(at=NOW, open=(first,), rules=tuple(rule.id for rule in RULES))
    (found,) = incidents(some, "app", [both["amount"]], seen)
    assert (found.id, found.words, found.rules) == (first.id, first.words, ("amount", "state"))
