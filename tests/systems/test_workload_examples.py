import pytest

import tpch_world
from datareeve.systems.workload_examples import invent, numbered
from datareeve.systems.workload_source import shape_of

SCHEMA = (
    "CREATE TYPE mood AS ENUM ('glad', 'sad')",
    (
        "CREATE TABLE p (id bigint PRIMARY KEY, name varchar(40), born date, seen timestamptz, height numeric, tags text[], doc jsonb, m mood,"
        " u uuid, small smallint, yes boolean, at time, spent interval, net inet)"
    ),
    (
        "INSERT INTO p SELECT n, CASE WHEN n % 10 < 7 THEN 'Common' ELSE 'Name ' || n END, date '1980-01-01' + n % 9000, now() - n * interval '1 hour',"
        " n / 7.0, ARRAY['a', 'b' || n % 9], jsonb_build_object('color', 'c' || n % 5, 'size', n % 7), (ARRAY['glad','sad'])[1 + n % 2]::mood,"
        " md5(n::text)::uuid, n % 300, n % 2 = 0, time '08:00' + n % 600 * interval '1 minute', n % 50 * interval '1 hour', '10.0.0.1'"
        " FROM generate_series(1, 4000) n"
    ),
    "CREATE TABLE c (id int PRIMARY KEY, p_id bigint REFERENCES p, qty int, price numeric)",
    "INSERT INTO c SELECT n, 1 + n % 4000, n % 20, n / 3.0 FROM generate_series(1, 4000) n",
    "CREATE VIEW v AS SELECT id, name AS name, born FROM p",
    "CREATE TABLE ev (id int, day date) PARTITION BY RANGE (day)",
    "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "INSERT INTO ev SELECT n, date '2020-01-01' + n % 360 FROM generate_series(1, 2000) n",
    "CREATE TABLE never (id int, x text)",
    "ANALYZE p, c, ev_1",
)
STATEMENTS = [
    "SELECT * FROM p WHERE id = $1",
    "SELECT * FROM p WHERE born BETWEEN $1 AND $2",
    "SELECT * FROM p WHERE born >= date $1 AND born < date $2 + interval $3 year",
    "SELECT * FROM p WHERE height BETWEEN $1 - $2 AND $3 + $4 AND height < $5 + $6",
    "SELECT * FROM p WHERE name LIKE $1 LIMIT $2 OFFSET $3",
    "SELECT * FROM p WHERE name NOT ILIKE $1",
    "SELECT * FROM p WHERE name ~ $1",
    "SELECT * FROM p WHERE id = ANY($1)",
    "SELECT * FROM p WHERE id IN ($1,$2,$3) AND small IN ($4, $5)",
    "SELECT * FROM p WHERE id IN ($1 /*, ... */) AND name = $2",
    "SELECT * FROM p WHERE born = $1::date AND seen > $2::timestamptz - $3::interval",
    "SELECT * FROM p WHERE lower(name) = $1 AND upper(name) <> $2",
    "SELECT * FROM p WHERE seen > now() - interval $1 ORDER BY 1 LIMIT $2",
    "SELECT $1, count(*) * $2, $3 AS label FROM p GROUP BY 1",
    "SELECT sum(CASE WHEN name = $1 THEN $2 ELSE $3 END) FROM p",
    "SELECT sum(CASE WHEN $1 > height THEN $2 ELSE $3 END) / $4 FROM p",
    "SELECT * FROM p WHERE doc ->> $1 = $2",
    "SELECT * FROM p WHERE doc @> $1",
    "SELECT * FROM p WHERE doc -> $1 ->> $2 = $3",
    "SELECT * FROM p WHERE tags @> $1 AND tags && $2 AND $3 = ANY(tags)",
    "SELECT * FROM p WHERE m = $1 AND u = $2 AND yes = $3 AND at > $4 AND spent < $5 AND net = $6",
    "SELECT extract($1 FROM born), substring(name FROM $2 FOR $3) FROM p WHERE substring(name FROM $4 FOR $5) IN ($6, $7)",
    "SELECT x.n FROM (SELECT p.name AS n FROM p JOIN c ON c.p_id = p.id WHERE c.qty > $1) x WHERE x.n = $2",
    "SELECT p.name, c.qty FROM p, c WHERE p.id = c.p_id AND qty = $1 AND c.price > $2 AND coalesce(p.name, $3) = $4",
    "WITH t AS (SELECT p_id, sum(qty) AS s FROM c GROUP BY p_id HAVING sum(qty) > $1) SELECT * FROM t WHERE s < $2",
    "SELECT * FROM v WHERE name = $1 AND born > $2",
    "SELECT * FROM ev WHERE day >= $1 AND day <= $2",
    "SELECT * FROM never WHERE x = $1 AND id = $2",
    "SELECT * FROM p WHERE ($1 IS NULL OR name = $1) AND id > $2",
    "SELECT date_trunc($1, seen), count(*) FROM p WHERE seen > $2 GROUP BY 1",
    "SELECT CASE WHEN $1 THEN name END, COALESCE(height, $2), name || $3 FROM p WHERE id % $4 = $5",
    "SELECT * FROM p WHERE (born, id) > ($1, $2) ORDER BY born, id LIMIT $3",
    "INSERT INTO c (id, p_id, qty, price) VALUES ($1, $2, $3, $4) RETURNING id",
    "INSERT INTO c VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET qty = c.qty + $5",
    "INSERT INTO c (id, p_id) SELECT $1, id FROM p WHERE id = $2",
    "UPDATE p SET name = $1, seen = now() - $2 * interval $3, doc = jsonb_set(doc, $4, $5) WHERE id = $6",
    "DELETE FROM c WHERE price < $1 AND qty = $2",
    "SELECT * FROM p WHERE id = $1 FOR UPDATE",
    "SELECT seen AT TIME ZONE $1, date_part($2, seen), to_char(born, $3) FROM p WHERE id = $4",
    "SELECT count(*) FROM p",
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(pg18, tmp_path_factory):
    import servers  # noqa: PLC0415 - as conftest

    with pg18.database(*SCHEMA) as url:
        registry = servers.registry(tmp_path_factory.mktemp("examples"), url)
        yield registry["app"]
        registry.close()


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_normalised_statement_runs_again_with_values_from_statistics(filled, text):
    cases = invent(filled, shape_of(text), 4, text)
    assert cases
    with filled.connect() as connection:
        for sql, values in cases:
            with connection.transaction(force_rollback=True):
                connection.execute(sql, values)


def values(system, text, limit=4):
    return [list(given.values()) for _, given in invent(system, shape_of(text), limit, text)]


def test_common_values_are_drawn_as_often_as_they_occur(filled):
    drawn = [one for (one,) in values(filled, "SELECT * FROM p WHERE name = $1", 50)]
    assert drawn.count("Common") == 1  # equal executions are one
    cases = invent(filled, shape_of("x"), 1, "SELECT * FROM p WHERE name = $1")
    assert list(cases[0][1].values()) == ["Common"]  # 70 % of the rows


def test_a_range_has_a_plausible_width(filled):
    for low, high in values(filled, "SELECT * FROM p WHERE born BETWEEN $1 AND $2"):
        assert "1980" <= low < high < "2006"
        found = filled.query(
            "SELECT count(*) FROM p WHERE born BETWEEN %(a)s AND %(b)s", {"a": low, "b": high}, "scalar"
        )
        assert 100 < found < 1200  # about a tenth of 4,000


def test_a_range_that_a_width_is_added_to_begins_and_ends_at_one_value(filled):
    found = values(filled, "SELECT * FROM p WHERE born >= date $1 AND born < date $2 + interval $3 year")
    assert all(low == high and width == "1 year" for low, high, width in found)


def test_a_pattern_is_the_beginning_of_a_value_and_finds_rows(filled):
    ((pattern,), *_) = values(filled, "SELECT * FROM p WHERE name LIKE $1")
    assert pattern == "Com%"
    assert values(filled, "SELECT * FROM p WHERE lower(name) = $1")[0] == ["common"]


def test_lists_keep_their_length_and_a_squashed_one_gets_some(filled):
    assert len(values(filled, "SELECT * FROM p WHERE id IN ($1,$2,$3)")[0]) == 3
    assert len(values(filled, "SELECT * FROM p WHERE id IN ($1 /*, ... */)")[0]) == 5
    (array,) = values(filled, "SELECT * FROM p WHERE id = ANY($1)")[0]
    assert array.count(",") == 4


def test_a_new_row_gets_a_key_that_is_not_there_and_a_reference_that_is(filled):
    key, reference, *_ = values(filled, "INSERT INTO c (id, p_id, qty, price) VALUES ($1, $2, $3, $4)")[0]
    assert int(key) > 4000
    assert 1 <= int(reference) <= 4000


def test_a_limit_is_a_page_and_a_key_of_json_is_one_of_the_column(filled):
    assert values(filled, "SELECT * FROM p WHERE id > $1 LIMIT $2 OFFSET $3")[0][1:] == ["20", "0"]
    assert values(filled, "SELECT * FROM p WHERE doc ->> $1 = $2")[0][0] in {"color", "size"}


def test_views_and_partitions_answer_with_the_statistics_of_their_tables(filled):
    assert values(filled, "SELECT * FROM v WHERE name = $1")[0] == ["Common"]
    assert values(filled, "SELECT * FROM ev WHERE day = $1")[0][0].startswith("2020")


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("SELECT date $1 - interval $2 day", "SELECT $1 ::date - $2 ::interval day"),
        ("SELECT a FROM t WHERE b = $2 AND c = $1", "SELECT a FROM t WHERE b = $1  AND c = $2"),
        ("SELECT '$1', \"$2\" FROM t WHERE a = $1 -- $9", "SELECT '$1', \"$2\" FROM t WHERE a = $1"),
    ],
)
def test_a_text_of_the_statistics_is_written_as_the_parser_takes_it(text, again):
    assert numbered(text) == again


def test_what_cannot_be_parsed_or_is_gone_gives_no_executions(filled):
    assert invent(filled, shape_of("SELECT FROM WHERE $1"), 3, "SELECT FROM WHERE $1") == []
    assert (
        invent(filled, shape_of("SELECT a FROM gone WHERE a = $1"), 3, "SELECT a FROM gone WHERE a = $1")
        == []
    )


def test_every_plain_text_of_tpch_has_a_shape_with_its_tables():
    shapes = [shape_of(text) for text in tpch_world.queries()]
    assert [shape.parsed for shape in shapes] == [True] * 22
    assert [shape.kind for shape in shapes] == ["read"] * 22
    assert all(
        set(shape.tables)
        <= {"customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"}
        for shape in shapes
    )
    # Base tables of each query, counted by hand in the specification; Q15's CTE is none.
    counted = [1, 5, 3, 2, 6, 1, 5, 7, 6, 4, 3, 2, 2, 2, 2, 3, 2, 3, 2, 5, 4, 2]
    assert [len(shape.tables) for shape in shapes] == counted
