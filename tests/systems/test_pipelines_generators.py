"""Rows from a project's own Python and from connectors of dlt: in a process of their own, typed over all of them."""

import datetime as dt
from decimal import Decimal
from importlib.util import find_spec
from textwrap import dedent

import pytest

from datareeve.core.errors import DatareeveError
from datareeve.core.secrets import Secret
from datareeve.systems.dlt_source import open_dlt
from datareeve.systems.mover import Mover
from datareeve.systems.python_source import open_python


@pytest.fixture
def mover():
    with Mover() as one:
        yield one


def opened(folder, code, cursor=None, seconds=60.0):
    (folder / "mine.py").write_text(dedent(code))
    return open_python("mine:rows", project=folder, spool=folder / "spool", cursor=cursor, seconds=seconds)


def read(mover, source, position=None):
    try:
        reading = source.reading(mover, position, None)
        columns = {one.name: one.type for one in source.columns(mover)} if reading.parts else {}
        rows = [
            row
            for part in reading.parts
            for row in mover.execute(f"SELECT * FROM {source.relation(mover, part)}").fetchall()
        ]
        return columns, rows, reading
    finally:
        source.close()


def test_rows_of_every_form_are_typed_over_all_of_them(mover, tmp_path):
    columns, rows, _ = read(mover, opened(tmp_path, """
        import datetime as dt
        from decimal import Decimal
        import pyarrow as pa
        print("what it prints is no row")
        def rows():
            yield {"id": 1, "price": Decimal("1.5"), "day": dt.date(2026, 1, 2), "zip": "00123", "never": None}
            yield [{"id": 2, "price": Decimal("2.25"), "more": {"a": [1]}}]
            yield pa.table({"id": [3.5], "zip": ["x"]})
            yield pa.table({"id": pa.array([4], pa.int64())}).to_batches()[0]
    """))  # fmt: skip
    assert columns["price"] == "DECIMAL(3,2)"
    assert (columns["day"], columns["zip"], columns["more"], columns["never"]) == (
        "DATE",
        "VARCHAR",
        "VARCHAR",
        "VARCHAR",
    )
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [row["id"] for row in found] == [
        "1",
        "2",
        "3.5",
        "4",
    ]  # whole numbers of 64 bits beside fractions: nothing is rounded
    assert (found[0]["price"], found[0]["day"], found[0]["zip"], found[1]["more"]) == (
        Decimal("1.50"),
        dt.date(2026, 1, 2),
        "00123",
        '{"a": [1]}',
    )


def test_a_generator_is_given_where_the_last_load_came_to(mover, tmp_path):
    code = """
        def rows(cursor=None):
            since = int(cursor or 0)
            for n in range(since + 1, since + 25_001):
                yield {"id": n}
    """
    _, rows, first = read(mover, opened(tmp_path, code, {"column": "id"}))
    assert (len(rows), first.position) == (25_000, {"cursor": "25000"})
    _, rows, second = read(mover, opened(tmp_path, code, {"column": "id"}), first.position)
    assert (min(rows), second.position) == ((25_001,), {"cursor": "50000"})


@pytest.mark.parametrize(("code", "error", "said"), [
    ("def rows():\n    yield {'a': 1}\n    raise ValueError('the value 4711 of a row')\n", "pipelines.code-failed", "mine.py:3"),
    ("def rows():\n    yield {'a': undefined}\n", "pipelines.code-failed", "undefined"), ("def rows(:\n", "pipelines.code-failed", "SyntaxError"),
    ("def rows():\n    yield 5\n", "pipelines.code-failed", "TypeError"), ("def rows():\n    yield [5]\n", "pipelines.code-rows", "no row"),
    ("import os\ndef rows():\n    yield {'a': 1}\n    os._exit(0)\n", "pipelines.code-ended", "ended"), ("x = 1\n", "pipelines.code-failed", "rows"),
])  # fmt: skip
def test_what_is_wrong_is_told_by_place_without_values(mover, tmp_path, code, error, said):
    with pytest.raises(DatareeveError) as told:
        read(mover, opened(tmp_path, code))
    assert told.value.code == error
    assert said in told.value.what
    assert "4711" not in str(told.value)


def test_one_that_does_not_end_is_ended(mover, tmp_path):
    with pytest.raises(DatareeveError) as told:
        read(
            mover, opened(tmp_path, "def rows():\n    while True:\n        pass\n    yield {}\n", seconds=1.0)
        )
    assert told.value.code == "pipelines.code-time"


def test_no_rows_are_no_error(mover, tmp_path):
    _, rows, reading = read(
        mover, opened(tmp_path, "def rows(cursor):\n    return iter(())\n", {"column": "id"}), {"cursor": "5"}
    )
    assert (rows, reading.position) == ([], {"cursor": "5"})


@pytest.mark.skipif(find_spec("dlt") is None, reason="dlt is an extra")
def test_the_state_of_a_dlt_connector_is_kept_in_the_position(mover, tmp_path):
    (tmp_path / "connector.py").write_text(dedent("""
        import dlt

        @dlt.source
        def shop(token, rows):
            @dlt.resource(primary_key="id")
            def orders(updated=dlt.sources.incremental("id", initial_value=0)):
                assert token == "t0p-secret"
                yield [{"id": n, "seen": updated.last_value} for n in range(1, rows + 1)]

            return orders
    """))  # fmt: skip

    def source(rows):
        spec = {
            "source": "connector:shop",
            "resource": "orders",
            "arguments": {"token": "env:TOKEN", "rows": rows},
        }
        return open_dlt(
            spec, project=tmp_path, spool=tmp_path / "spool", secret=lambda _: Secret("t0p-secret")
        )

    _, rows, first = read(mover, source(3))
    assert sorted(rows) == [(1, 0), (2, 0), (3, 0)]
    _, rows, second = read(mover, source(5), first.position)
    assert sorted(rows) == [(4, 3), (5, 3)]
    assert "t0p-secret" not in str((first, second)) + "".join(
        path.read_text(errors="replace") for path in tmp_path.glob("spool/*/*.json")
    )
