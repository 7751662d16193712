"""N+1 with the loop's shape, and the clean workloads that only resemble it."""

import json
import random

import pytest

from datareeve.systems.workload_source import Seen, find_loops, record


class App:
    """Sessions of an application, as a recording sees them."""

    def __init__(self, seed=1, *, tells_rows=True):
        self.random = random.Random(seed)  # noqa: S311 - a reproducible workload
        self.tells_rows = tells_rows
        self.sessions = {}

    def ask(self, session, family, rows=1):
        seen = Seen(family, self.random.getrandbits(60), 1.0, rows if self.tells_rows else None)
        self.sessions.setdefault(session, []).append(seen)

    def loops(self):
        return {(loop["parent"], tuple(loop["children"])): loop for loop in find_loops(self.sessions)}


def test_a_loop_within_a_loop_is_found_from_the_inside():
    app = App()
    for _ in range(5):
        app.ask("s", "orders", rows=12)
        for n in range(12):
            app.ask("s", "items of an order", rows=4 + n % 3)
            for _ in range(4 + n % 3):
                app.ask("s", "product")
    found = app.loops()
    assert {key: loop["loops"] for key, loop in found.items()} == {
        ("orders", ("items of an order",)): 5,
        ("items of an order", ("product",)): 60,
    }
    assert found["orders", ("items of an order",)]["calls"] == 60


def test_children_asked_in_batches_are_one_loop():
    app = App()
    for _ in range(4):
        app.ask("s", "orders", rows=50)
        for child in ("customer", "items"):
            for _ in range(50):
                app.ask("s", child)
    assert {key: (loop["loops"], loop["calls"], loop["rows"]) for key, loop in app.loops().items()} == {
        ("orders", ("customer", "items")): (4, 400, 200)
    }


def test_one_lookup_in_the_loops_of_two_pages_is_told_for_each():
    app = App()
    for page, rows in (("board", 20), ("search", 9)):
        for _ in range(6):
            app.ask("s", page, rows=rows)
            for _ in range(rows):
                app.ask("s", "airline")
    assert set(app.loops()) == {("board", ("airline",)), ("search", ("airline",))}


def test_a_loop_is_seen_through_what_others_ask_on_a_shared_connection():
    app = App()
    for _ in range(10):
        app.ask("pooled", "orders", rows=30)
        for n in range(30):
            app.ask("pooled", "customer")
            if n % 5 == 4:
                app.ask("pooled", app.random.choice(("login", "search", "stock")), rows=0)
    assert app.loops()["orders", ("customer",)]["loops"] == 10


def test_a_request_that_runs_on_several_connections_is_followed_by_its_own_id(tmp_path):
    lines = []
    for request in range(5):
        asked = [("SELECT * FROM orders LIMIT 5", 5), *[("SELECT * FROM customers WHERE id = %s", 1)] * 5]
        for n, (sql, rows) in enumerate(asked):
            lines.append(
                {
                    "session": n % 3,
                    "request": f"r{request}",
                    "sql": sql,
                    "parameters": [request * 10 + n],
                    "ms": 1,
                    "rows": rows,
                }
            )
    order = sorted(range(len(lines)), key=lambda n: (n % 6, n))  # requests run at the same time
    (tmp_path / "t").write_text("\n".join(json.dumps(lines[n]) for n in order))
    (loop,) = record("trace", tmp_path / "t", "t", "app").summary()["loops"]
    assert (loop["loops"], loop["calls"], loop["rows"]) == (5, 25, 25)


def test_a_log_without_row_counts_tells_a_habit():
    app = App(tells_rows=False)
    for n in range(20):
        app.ask("s", "orders")
        for _ in range(5 + n % 4):
            app.ask("s", "customer")
        app.ask("s", "log out")
    assert set(app.loops()) == {("orders", ("customer",))}


def test_a_list_that_most_pages_use_without_a_loop_does_not_hide_the_page_that_loops():
    app = App()
    for n in range(300):
        app.ask("s", "board", rows=20)
        for _ in range(20 if n % 7 == 0 else 0):
            app.ask("s", "airline")
        app.ask("s", app.random.choice(("passenger", "weather", "route")), rows=2)
    assert {key: loop["loops"] for key, loop in app.loops().items()} == {("board", ("airline",)): 43}


# -- clean ones -------------------------------------------------------------------------------------------------------------------


def tpc_b(app):
    for _ in range(400):
        for family in (
            "update accounts",
            "select account",
            "update tellers",
            "update branches",
            "insert history",
        ):
            app.ask("s", family)


def select_only(app):
    for _ in range(2000):
        app.ask("s", "select account")


def independent_lookups(app):
    """A mix in which one lookup is most of the traffic, and lists of all lengths stand in between."""
    for _ in range(4000):
        family = app.random.choices(("user", "product", "list", "stock"), (70, 15, 10, 5))[0]
        app.ask("s", family, rows=app.random.randint(3, 25) if family == "list" else 1)


def short_lists(app):
    """Lists of three among lookups that are nearly all of the traffic: runs of three are everywhere."""
    for _ in range(4000):
        family = app.random.choices(("user", "list", "stock"), (90, 5, 5))[0]
        app.ask("s", family, rows=3 if family == "list" else 1)


def shop(app):
    """A list, then a page or two of what was on it."""
    for _ in range(600):
        app.ask("s", "list", rows=20)
        for _ in range(app.random.randint(0, 3)):
            app.ask("s", "product")
            app.ask("s", "stock")
        if app.random.random() < 0.2:
            app.ask("s", "order")


def import_of_rows(app):
    """One row of settings, then thousands of rows written."""
    for _ in range(3):
        app.ask("s", "settings", rows=1)
        for _ in range(1000):
            app.ask("s", "insert", rows=1)


def pooled(app):
    """Many users on few connections, each asking something else."""
    for _ in range(4000):
        family = app.random.choices(("session", "list", "detail", "cart", "price"), (40, 10, 20, 15, 15))[0]
        app.ask(app.random.randrange(3), family, rows=app.random.randint(5, 40) if family == "list" else 1)


@pytest.mark.parametrize(
    "clean", [tpc_b, select_only, independent_lookups, short_lists, shop, import_of_rows, pooled]
)
@pytest.mark.parametrize("seed", range(5))
def test_a_clean_workload_has_no_loop(clean, seed):
    app = App(seed)
    clean(app)
    assert app.loops() == {}


@pytest.mark.parametrize("clean", [tpc_b, select_only, independent_lookups, short_lists, shop, pooled])
@pytest.mark.parametrize("seed", range(3))
def test_a_clean_log_without_row_counts_has_no_loop(clean, seed):
    app = App(seed, tells_rows=False)
    clean(app)
    assert app.loops() == {}
