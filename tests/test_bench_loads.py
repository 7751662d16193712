"""The measurement of loads rests on this: its data is right, a wrong table is not compared, ratios are of the right limit, and its rig runs at all."""

import sys
from pathlib import Path

import duckdb
import pytest

ROWS = 2_000
BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture(scope="module")
def parts():
    sys.path.insert(0, str(BENCH))
    try:
        import loads  # noqa: PLC0415 - the folder of measurements is no package
        import loads_data  # noqa: PLC0415
        import loads_figures  # noqa: PLC0415
        import loads_limits  # noqa: PLC0415
        import loads_sides  # noqa: PLC0415
        from quality_sides import Run  # noqa: PLC0415

        yield {
            "loads": loads,
            "data": loads_data,
            "figures": loads_figures,
            "limits": loads_limits,
            "sides": loads_sides,
            "run": Run,
        }
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def lineitem(parts, tmp_path_factory):
    before, parts["data"].FOLDER = parts["data"].FOLDER, tmp_path_factory.mktemp("loads")
    yield parts["data"]
    parts["data"].FOLDER = before


def test_the_table_has_eighteen_columns_and_every_row_in_every_format(lineitem, parts):
    readers = parts["limits"].READERS
    with duckdb.connect() as connection:
        for ending, reader in readers.items():
            found = connection.execute(f"FROM {reader.format(lineitem.file(ROWS, ending))}").fetchall()
            assert len(found) == ROWS
            assert {len(row) for row in found} == {18} == {len(parts["limits"].COLUMNS)}


def test_the_digest_is_the_same_in_every_format(lineitem, parts):
    for ending, reader in parts["limits"].READERS.items():
        found = lineitem.digest_of_duckdb(reader.format(lineitem.file(ROWS, ending)))
        assert found == lineitem.truth(ROWS), ending


@pytest.mark.parametrize(
    "change",
    [
        "SELECT * FROM base WHERE id <> 7",  # lost
        "SELECT * FROM base UNION ALL SELECT * FROM base WHERE id = 7",  # doubled
        "SELECT * FROM base WHERE id <> 7 UNION ALL SELECT * FROM base WHERE id = 8",  # one for another
        "SELECT * REPLACE (CASE id WHEN 7 THEN 'x' ELSE l_comment END AS l_comment) FROM base",
        "SELECT * REPLACE (CASE id WHEN 7 THEN updated_at + INTERVAL 1 SECOND ELSE updated_at END AS updated_at) FROM base",
    ],
)
def test_a_table_with_a_row_that_is_wrong_is_not_taken_for_right(lineitem, change):
    base = f"read_parquet('{lineitem.file(ROWS)}')"
    found = lineitem.digest_of_duckdb(f"({change.replace('base', base)})")
    assert found != lineitem.truth(ROWS)


def test_the_upsert_changes_a_tenth_of_which_a_tenth_is_new(lineitem):
    count, *_ = lineitem.truth(ROWS, upserted=True)
    assert count == ROWS + ROWS // 100
    with duckdb.connect() as connection:
        changes = connection.execute(
            f"SELECT count(*), count(*) FILTER (id > {ROWS}) FROM '{lineitem.file(ROWS, 'changes.csv')}'"
        )
        assert changes.fetchone() == (ROWS // 10, ROWS // 100)


def run_of(parts, seconds, **told):
    return parts["run"](
        seconds, seconds, seconds, 100.0, seconds / 2, {"load_s": seconds / 4, "steps": {}, **told}
    )


def test_the_ratio_is_to_copy_and_the_engines_own_way_stands_beside(parts):
    by_side = {"datareeve": run_of(parts, 6), "limit: copy_out": run_of(parts, 4), "limit: scanner same": run_of(parts, 5),
               "limit: scanner defaults": run_of(parts, 3)}  # fmt: skip
    own = parts["figures"].of_route("postgres_duckdb", by_side, 600)
    assert own["postgres_duckdb_ratio_limit"] == pytest.approx(1.5)
    assert own["postgres_duckdb_ratio_engine"] == pytest.approx(2.0)
    assert own["postgres_duckdb_ratio_limit_work"] == pytest.approx(3.0)
    assert own["postgres_duckdb_rows_per_s"] == pytest.approx(100)


def test_of_a_reader_with_two_settings_the_quicker_is_the_limit(parts):
    by_side = {
        "datareeve": run_of(parts, 6),
        "limit: reader same": run_of(parts, 5),
        "limit: reader defaults": run_of(parts, 4),
    }
    own = parts["figures"].of_route("csv_duckdb", by_side, 600)
    assert own["csv_duckdb_ratio_limit"] == pytest.approx(1.5)
    assert "csv_duckdb_ratio_engine" not in own


def test_a_route_that_is_blocked_has_no_figures_but_a_reason(parts):
    runs = {"csv_duckdb": {"limit: reader same": run_of(parts, 5)}}
    told = parts["figures"].told(
        runs, {"datareeve on csv_duckdb": "no such source"}, parts["loads"].QUICK, {}
    )
    assert told["figures"]["csv_duckdb_ratio_limit"] is None
    assert "no such source" in told["notes"]["not compared"]
    assert "no such source" in parts["figures"].markdown(told)


def test_growth_on_one_line_is_told_from_growth_that_bends(parts):
    line = {rows: run_of(parts, 1 + rows / 1_000_000) for rows in (1_000_000, 5_000_000, 20_000_000)}
    bent = {rows: run_of(parts, (rows / 1_000_000) ** 2) for rows in line}
    assert parts["figures"].of_growth(line)["growth_r2"] == pytest.approx(1)
    assert parts["figures"].of_growth(bent)["growth_r2"] < 0.98
    assert parts["figures"].of_growth(bent)["growth_ratio"] == pytest.approx(1 / 20)


def test_the_seconds_of_a_load_are_those_of_its_steps(parts):
    steps = [
        {"step": "begin", "seconds": 1},
        {"step": "load lineitem", "seconds": 2},
        {"step": "compare", "seconds": 4},
    ]
    assert parts["sides"].load_seconds({"parts": [{"steps": steps}, {"steps": []}]}) == 2


def test_a_route_runs_through_ours_and_the_limits(lineitem, parts):
    sizes = parts["loads"].Sizes(ROWS, ROWS, (), 1)
    route = parts["loads"].GROWING
    found = parts["loads"].Found()
    with parts["loads"].server() as (running, folder):
        world = parts["loads"].World(sizes.rows, running, folder)
        runs = parts["loads"].medians(world, route, found, 1)
    assert found.missing == {}
    assert set(runs) == {"datareeve", "limit: copy_out", "limit: scanner same", "limit: scanner defaults"}
    assert runs["datareeve"].told["steps"]["load lineitem"] > 0
