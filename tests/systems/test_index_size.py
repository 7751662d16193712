from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flights_data
import servers
import shop_data
from datareeve.systems.btree_file import FileWanted, set_length
from datareeve.systems.index_size import Column, IndexFacts, index_size
from datareeve.systems.index_size_facts import index_facts

SHOP = (
    "line (shipped)", "line (product)", "line (orders)", "line (product, place)", "line (mode)", "line (price)", "line (mode, shipped)", "line (note)",
    "line (shipped, quantity)", "line (orders, number)", "line (shipped) INCLUDE (price, quantity)", "orders (customer)", "orders (day)",
    "orders (day, customer)", "orders (priority)", "orders (comment)", "orders (total)", "orders (customer) INCLUDE (day, total)",
    "product (kind)", "product (brand, kind)", "customer (name)", "customer (phone)", "customer (segment)", "customer (boss)",
    "line (price) WITH (fillfactor = 70)", "stock (held)",
)  # fmt: skip
FLIGHTS = (
    "flights (tailnum)", "flights (origin, dest)", "flights (carrier)", "flights (time_hour)", "flights (year, month, day)", "flights (dep_delay)",
    "flights (dest)", "flights (flight, carrier)", "flights (air_time)", "flights (time_hour, origin) INCLUDE (dep_delay)", "planes (tailnum)",
    "weather (temp)", "weather (time_hour)", "weather (origin, time_hour)", "weather (wind_gust)",
)  # fmt: skip
OTHERS = ("hash (orders)", "hash (product)", "hash (mode)", "brin (shipped)", "brin (price)")
# Where an estimate may be further off than 20 %, and why.
KNOWN = {
    "flights (flight, carrier)": 2.2
}  # a flight number belongs to few carriers: columns that depend on each other


def measured(url: str, targets: tuple[str, ...], method: str = "") -> dict[str, float]:
    """The estimate as a share of the real size, by index."""
    ratios = {}
    with servers.psycopg.connect(url, autocommit=True, row_factory=servers.dict_row) as connection:
        for target in targets:
            table, _, rest = target.partition(" ")
            name = f"{table} USING {method} {rest}" if method else target
            connection.execute(f"CREATE INDEX tried ON {name}")
            row = connection.execute(
                "SELECT 'tried'::regclass::oid::bigint AS oid, pg_relation_size('tried') AS bytes"
            ).fetchone()
            (found,) = index_facts(connection, [row["oid"]])
            ratios[target] = round(index_size(found.facts).bytes / row["bytes"], 2)
            connection.execute("DROP INDEX tried")
    return ratios


def table_of(ratios: dict[str, float]) -> str:
    """The error table, for the test's report."""
    return "\n".join(
        f"{name:60} {ratio:5.2f}" for name, ratio in sorted(ratios.items(), key=lambda one: one[1])
    )


def off(ratios: dict[str, float]) -> dict[str, float]:
    """Those that are further from the real size than is allowed."""
    return {
        name: ratio
        for name, ratio in ratios.items()
        if not 1 / KNOWN.get(name, 1.2) <= ratio <= KNOWN.get(name, 1.2)
    }


@pytest.fixture(scope="module")
def shop(pg18):
    with pg18.database(*shop_data.SCHEMA, *shop_data.rows(15_000)) as url:
        yield url


def test_b_trees_are_foretold_within_20_percent(shop):
    ratios = measured(shop, SHOP)
    assert off(ratios) == {}, table_of(ratios)


def test_b_trees_of_real_data_are_foretold_within_20_percent(pg18):
    with pg18.database(template=flights_data.template(pg18)) as url:
        ratios = measured(url, FLIGHTS)
    assert off(ratios) == {}, table_of(ratios)


def test_other_methods_are_foretold_within_their_stated_error(shop):
    for name in OTHERS:
        method, _, columns = name.partition(" ")
        (ratio,) = measured(shop, (f"line {columns}",), method).values()
        error = index_size(IndexFacts(method=method, rows=1, keys=(Column(width=4),))).error
        assert 1 / error <= ratio <= error, (name, ratio)


def test_an_array_in_gin_is_foretold_within_its_stated_error(shop):
    (ratio,) = measured(shop, ("product (tags)",), "gin").values()
    assert 1 / 2.5 <= ratio <= 2.5


@pytest.mark.system
def test_it_is_nearer_than_hypopg_on_debians_15():
    """Not on each index, but on the worst of them and on all together."""
    ours, theirs = {}, {}
    with (
        servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server,
        server.database(*shop_data.SCHEMA, *shop_data.rows(8_000), "CREATE EXTENSION hypopg") as url,
        servers.psycopg.connect(url, autocommit=True) as connection,
    ):
        ours = measured(url, SHOP)
        for target in SHOP:
            (foretold,) = connection.execute(
                "SELECT hypopg_relation_size(indexrelid) FROM hypopg_create_index(%s)",
                (f"CREATE INDEX ON {target}",),
            ).fetchone()
            connection.execute("SELECT hypopg_reset()")
            connection.execute(f"CREATE INDEX tried ON {target}")
            (real,) = connection.execute("SELECT pg_relation_size('tried')").fetchone()
            connection.execute("DROP INDEX tried")
            theirs[target] = foretold / real
    assert off(ours) == {}, table_of(ours)
    assert max(theirs.values()) > 2 > max(ours.values())
    assert error_of(ours) < error_of(theirs) / 3


def error_of(ratios: dict[str, float]) -> float:
    return sum(abs(ratio - 1) for ratio in ratios.values()) / len(ratios)


columns = st.builds(
    Column,
    width=st.floats(1, 3000),
    length=st.sampled_from([-1, 1, 2, 4, 8, 16]),
    align=st.sampled_from([1, 2, 4, 8]),
    null_share=st.floats(0, 1),
    distinct=st.one_of(st.floats(-1, -0.0001), st.floats(1, 1e9)),
    merges=st.booleans(),
)


@given(
    st.sampled_from(["btree", "hash", "brin", "gin", "gist"]),
    st.floats(0, 1e9),
    st.lists(columns, min_size=1, max_size=4).map(tuple),
)
def test_whatever_the_statistics_say_there_is_an_estimate(method, rows, keys):
    size = index_size(
        IndexFacts(method=method, rows=rows, keys=keys, table_rows=rows, table_pages=int(rows / 50))
    )
    assert size.pages >= 1
    assert 0 <= size.height < 64


def test_an_empty_table_gives_an_index_of_its_metapage(database):
    with servers.psycopg.connect(database, autocommit=True, row_factory=servers.dict_row) as connection:
        connection.execute("CREATE TABLE t (a int); CREATE INDEX i ON t (a); ANALYZE t")
        (found,) = index_facts(connection)
        assert index_size(found.facts).bytes == 8192


def test_a_file_of_many_gigabytes_takes_no_disk(tmp_path):
    path = tmp_path / "16384"
    path.write_bytes(b"")
    set_length(path, FileWanted(2 * 2**30 + 8192), None)
    files = sorted(tmp_path.iterdir())
    assert [(f.name, f.stat().st_size) for f in files] == [
        ("16384", 2**30),
        ("16384.1", 2**30),
        ("16384.2", 8192),
    ]
    assert sum(f.stat().st_blocks for f in files) < 64
