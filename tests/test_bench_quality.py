"""The measurement of data quality rests on this: what is seeded is what is found, and a side that answers otherwise is not compared."""

import sys
from pathlib import Path

import duckdb
import pytest

from datareeve.capabilities.quality.contracts.read import read

ROWS = 20_000
BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture(scope="module")
def parts():
    sys.path.insert(0, str(BENCH))
    try:
        import quality  # noqa: PLC0415 - the folder of measurements is no package
        import quality_checks  # noqa: PLC0415
        import quality_data  # noqa: PLC0415
        import quality_hand  # noqa: PLC0415
        from quality_sides import Run  # noqa: PLC0415

        yield {
            "quality": quality,
            "checks": quality_checks,
            "data": quality_data,
            "hand": quality_hand,
            "run": Run,
        }
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def orders(parts):
    connection = duckdb.connect()
    data = parts["data"]
    connection.execute(f"CREATE TABLE orders AS {data.select(ROWS)}")
    connection.execute(
        f"CREATE TABLE customers AS SELECT i + 1 AS customer_id FROM range({data.customers(ROWS)}) AS r(i)"
    )
    connection.execute(
        f"CREATE TABLE products AS SELECT i + 1 AS product_id FROM range({data.PRODUCTS}) AS r(i)"
    )
    yield connection
    connection.close()


def test_there_are_forty_checks_of_the_kinds_that_are_promised(parts):
    kinds = [check.kind for check in parts["checks"].checks(ROWS)]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "not-null": 8, "unique": 3, "range": 7, "set": 4, "pattern": 6, "length": 3, "foreign-key": 2, "condition": 3,
        "aggregate": 2, "row-count": 1, "freshness": 1,
    }  # fmt: skip


def test_the_contract_asks_every_check_and_leaves_none_out(parts):
    contract = read(parts["checks"].contract(ROWS, "shop", key=False), "orders")
    assert contract.unsupported == ()
    assert {check.id for check in parts["checks"].checks(ROWS)} <= {rule.id for rule in contract.rules}


def test_every_hand_plan_finds_exactly_what_was_seeded(parts, orders):
    for name, plan in parts["hand"].duckdb_plans(ROWS).items():
        answers = {}
        for sql in plan:
            cursor = orders.execute(sql)
            answers |= dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
        run = parts["run"](0, 0, 0, 0, 0, {"answers": {key: float(value) for key, value in answers.items()}})
        assert parts["quality"].wrong_by_hand(ROWS, run) == "", name


def answered(parts, **changes):
    own = {
        check.id: {"passed": check.failing == 0, "failing": None if check.bounds else check.failing}
        for check in parts["checks"].checks(ROWS)
    }
    return parts["run"](0, 0, 0, 0, 0, {"answers": own | changes})


def test_a_peer_with_the_seeded_verdicts_is_compared(parts):
    assert parts["quality"].wrong_of_peer("soda", ROWS, answered(parts)) == ""


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        ("not-null-email", {"passed": True, "failing": 0}),
        ("not-null-email", {"passed": False, "failing": 11}),
        ("range-order_id", {"passed": False, "failing": 1}),
        ("fresh", {"passed": None, "failing": None}),
        ("row-count", None),
    ],
)
def test_a_peer_that_misses_a_violation_or_a_check_is_not_compared(parts, check, answer):
    wrong = parts["quality"].wrong_of_peer("soda", ROWS, answered(parts, **{check: answer}))
    assert check in wrong


def test_a_run_of_ours_with_a_rule_that_was_not_run_is_not_compared(parts):
    told = {
        check.id: {"says": "fail" if check.failing else "pass", "failing": check.failing}
        for check in parts["checks"].checks(ROWS)
    }
    good = parts["run"](0, 0, 0, 0, 0, {"answers": told})
    assert parts["quality"].wrong_of_ours(ROWS, good) == ""
    bad = parts["run"](
        0, 0, 0, 0, 0, {"answers": told | {"set-status": {"says": "not run", "reason": "no rights"}}}
    )
    assert "set-status" in parts["quality"].wrong_of_ours(ROWS, bad)


def test_ratios_are_of_the_best_hand_plan(parts):
    run = parts["run"]
    by_name = {
        "datareeve": run(5, 6, 1, 100, 3),
        "hand: a": run(4, 9, 1, 1, 2),
        "hand: b": run(9, 4, 1, 1, 4),
    }
    own = parts["quality"].figures({"duckdb": by_name}, {"datareeve": run(1, 9, 0.3, 1, 1)})
    assert own["duckdb_ratio_hand_plan"] == pytest.approx(1.5)
    assert own["duckdb_ratio_cpu"] == pytest.approx(1.5)
    assert own["duckdb_ratio_process"] == pytest.approx(1.25)
    assert own["fixed_cpu_s"] == pytest.approx(0.3)
    assert own["peak_mb"] == pytest.approx(100)
