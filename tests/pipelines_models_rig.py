"""Queries in which engines are known to differ, by dialect, and tables to ask them of. `refused` is the code that names why one is not run elsewhere."""

from __future__ import annotations

import collections
import dataclasses
import datetime  # noqa: ICN001
import math
import random
from decimal import Decimal

from datareeve.capabilities.pipelines.models import graph, portable, writing

COLUMNS = {
    "facts": {"id": "INTEGER", "a": "INTEGER", "b": "INTEGER", "big": "BIGINT", "small": "SMALLINT", "d": "DECIMAL(12,2)", "e": "DECIMAL(18,4)", "x": "DOUBLE", "t": "VARCHAR", "u": "VARCHAR", "day": "DATE", "seen": "TIMESTAMP", "moment": "TIMESTAMP WITH TIME ZONE", "ok": "BOOLEAN", "grp": "INTEGER"},
    "dims": {"k": "INTEGER", "name": "VARCHAR", "rate": "DECIMAL(5,2)", "since": "DATE"},
}  # fmt: skip
KEYS = {"facts": [["id"]], "dims": [["k"]]}
TEXTS = ("", " ", "a", "A", "b", "B", "ab", "Ab", "a b", " pad ", "ä", "Ä", "ß", "é", "e\u0301", "日本", "😀", "z", "Z", "_", "%", "a%b", "a_b", "a\\b", "a!b", "it's", "10", "9", "-", "a-b-c", "x\u00a0", "tab\t", "line\nbreak", "ÿ", "\U0001f600a", "a.b", "2024-01-01")  # fmt: skip
DAYS = tuple(datetime.date.fromisoformat(one) for one in ("2024-01-31", "2024-02-29", "2023-12-31", "2024-01-01", "2021-01-03", "2020-12-28", "1999-12-31", "1970-01-01", "1969-12-31", "2024-03-31", "1582-10-20", "0987-06-05"))  # fmt: skip
TIMES = tuple(datetime.datetime.fromisoformat(one) for one in ("2024-03-31 01:30:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00.123456", "2024-01-31 23:59:59.999999", "1969-12-31 23:59:59.5", "2020-02-29 12:00:00", "2021-01-03 00:00:00", "1600-01-01 00:00:01"))  # fmt: skip
DOUBLES = (0.0, 0.5, 1.5, 2.5, -0.5, -2.5, 0.005, 1.005, 2.675, 1e-9, 1e15, -1e15, 0.1, 0.3, 77.445, 1 / 3, 123456.785, float("nan"), float("inf"), float("-inf"))  # fmt: skip


def rows(seed: int, count: int = 120) -> tuple[list[tuple], list[tuple]]:
    """Rows of facts and of dims: NULL, ties, the edges of types, texts of many scripts."""
    dice = random.Random(seed)  # noqa: S311 - rows of a test

    def maybe(value, share=0.15):
        return None if dice.random() < share else value

    facts = [
        (
            n,
            maybe(dice.choice((0, 1, -1, 2, 7, -7, 10, dice.randint(-1000, 1000)))),
            maybe(dice.choice((0, 0, 1, 2, 3, -3, dice.randint(-20, 20)))),
            maybe(dice.choice((0, 2**53 + 1, -(2**53) - 1, 2**62, dice.randint(-(10**12), 10**12)))),
            maybe(dice.choice((0, 32767, -32768, dice.randint(-100, 100)))),
            maybe(Decimal(dice.choice((0, 5, -5, 125, -125, 50, 150, 99999, dice.randint(-(10**8), 10**8)))).scaleb(-2)),
            maybe(Decimal(dice.choice((0, 1, -1, 25000, 15000, -25000, 12345, 99999999, dice.randint(-(10**8), 10**8)))).scaleb(-4)),
            maybe(dice.choice((*DOUBLES, dice.uniform(-1000, 1000), dice.randint(-10000, 10000) / 8))),
            maybe(dice.choice(TEXTS)),
            maybe(dice.choice(TEXTS)),
            maybe(dice.choice((*DAYS, datetime.date(2024, 1, 1) + datetime.timedelta(dice.randint(0, 400))))),
            maybe(dice.choice((*TIMES, datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=dice.randint(0, 10**8))))),  # noqa: DTZ001 - it has no zone
            maybe(dice.choice((*TIMES, datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=dice.randint(0, 10**8)))).replace(tzinfo=datetime.UTC)),  # noqa: DTZ001
            maybe(dice.random() < 0.5),
            dice.randint(1, 6),
        )
        for n in range(count)
    ]  # fmt: skip
    dims = [
        (
            k,
            maybe(dice.choice(TEXTS)),
            maybe(Decimal(dice.randint(0, 9999)).scaleb(-2)),
            maybe(dice.choice(DAYS)),
        )
        for k in range(1, 6)
    ]
    return facts, dims


DUCKDB: tuple[tuple[str, str], ...] = (  # (query, the code it is refused by; '' it is the same everywhere)
    # division, by zero too
    ("SELECT id, a / b AS r FROM facts", ""),
    ("SELECT id, a // b AS r, a % b AS m FROM facts", ""),
    ("SELECT id, d / a AS r, e / 3 AS s, x / b AS q FROM facts", ""),
    ("SELECT id, a / NULLIF(b, 0) AS r FROM facts", ""),
    ("SELECT id, round(a / b, 2) AS r, round(d / 7, 3) AS s FROM facts", ""),
    ("SELECT id, big / 3 AS r, big // 7 AS q, big % 10 AS m FROM facts", ""),
    ("SELECT sum(a) / count(*) AS mean, sum(d) / sum(a) AS w FROM facts", ""),
    ("SELECT id, x / 0 AS r, a / 0.0 AS s FROM facts", ""),
    ("SELECT id, d % 0.7 AS m FROM facts", ""),
    ("SELECT id, x % 2 AS m FROM facts", "modulo"),
    ("SELECT grp, sum(a) // 2 AS h FROM facts GROUP BY grp", "integer-division"),
    # decimals, rounding, casts
    ("SELECT id, d * e AS p, d + e AS s, d - a AS m, -e AS n FROM facts", ""),
    ("SELECT id, round(d, 1) AS r, round(e, 2) AS s, round(d) AS t, floor(d) AS f, ceil(e) AS c, abs(d) AS z FROM facts", ""),
    ("SELECT id, round(x, 2) AS r, round(x) AS s, floor(x) AS f, ceil(x) AS c FROM facts", ""),
    ("SELECT id, CAST(d AS INTEGER) AS i, CAST(e AS DECIMAL(18,1)) AS j, CAST(a AS DECIMAL(12,3)) AS k, CAST(e AS BIGINT) AS l FROM facts", ""),
    ("SELECT id, CAST(x AS INTEGER) AS i FROM facts WHERE x BETWEEN -100000 AND 100000", ""),
    ("SELECT id, CAST(x AS DECIMAL(12,2)) AS i, CAST(x AS DECIMAL(18,3)) AS j FROM facts WHERE abs(x) < 1000000", ""),
    ("SELECT id, CAST(d AS DOUBLE) AS f, CAST(e AS DOUBLE) * 2 AS g, CAST(big AS DOUBLE) AS h FROM facts", ""),
    ("SELECT id, CAST(ok AS INTEGER) AS i, CAST(a AS BOOLEAN) AS j FROM facts", ""),
    ("SELECT id, CAST(x AS VARCHAR) AS s FROM facts", "cast"),
    ("SELECT id, CAST(t AS INTEGER) AS s FROM facts WHERE t = '10'", "cast"),
    ("SELECT id, TRY_CAST(t AS INTEGER) AS s FROM facts", "cast"),
    ("SELECT id, CAST(a AS VARCHAR) AS s, CAST(d AS VARCHAR) AS r, CAST(day AS VARCHAR) AS q, CAST(seen AS VARCHAR) AS p, CAST(ok AS VARCHAR) AS o FROM facts", ""),
    ("SELECT id, CAST(moment AS VARCHAR) AS s FROM facts", "time-zone"),
    ("SELECT id, small + small AS s, small * a AS p, a + big AS q FROM facts WHERE small BETWEEN -1000 AND 1000 AND big BETWEEN -1000000000000000 AND 1000000000000000", ""),
    ("SELECT id, sqrt(abs(a)) AS r FROM facts", ""),
    ("SELECT id, power(a, 2) AS r, ln(2) AS l FROM facts", "not-shared"),
    ("SELECT id, d > 0.005 AS p, d = a AS q, x > d AS r, e <> 0 AS s, x = x AS nan FROM facts", ""),
    # sums and other aggregates
    ("SELECT grp, sum(a) AS s, sum(big) AS b, sum(d) AS d, sum(small) AS z, count(*) AS n, count(t) AS c FROM facts GROUP BY grp", ""),
    ("SELECT grp, avg(a) AS m, avg(d) AS n, avg(e) AS o, avg(small) AS p FROM facts GROUP BY grp", ""),
    ("SELECT sum(big) AS s, avg(big) AS m, sum(e * e) AS q FROM facts", ""),
    ("SELECT grp, sum(x) AS s FROM facts GROUP BY grp", "double-sum"),
    ("SELECT grp, avg(x) AS s FROM facts GROUP BY grp", "double-sum"),
    ("SELECT grp, sum(CAST(x AS DECIMAL(18,4))) AS s FROM facts WHERE abs(x) < 1000000 GROUP BY grp", ""),
    ("SELECT grp, min(t) AS lo, max(t) AS hi, min(x) AS xl, max(x) AS xh, max(day) AS dh, min(moment) AS ml FROM facts GROUP BY grp", ""),
    ("SELECT count(DISTINCT t) AS n, count(DISTINCT grp) AS g, sum(DISTINCT a) AS s, avg(DISTINCT a) AS m FROM facts", ""),
    ("SELECT grp, count(*) FILTER (WHERE a > 0) AS p, count_if(ok) AS q, sum(d) FILTER (WHERE ok) AS r, bool_and(ok) AS s, bool_or(a > 5) AS o FROM facts GROUP BY grp", ""),
    ("SELECT day, count_if(ok) AS n, count_if(a > 0) AS p, bool_and(ok) AS b, 100.0 * count_if(ok) / count(*) AS pct FROM facts GROUP BY day", ""),
    ("SELECT sum(a) AS s, count(*) AS n, max(t) AS m, avg(a) AS v FROM facts WHERE false", ""),
    ("SELECT grp, string_agg(t, ',' ORDER BY t) AS s, string_agg(DISTINCT t, '|' ORDER BY t DESC) AS r FROM facts GROUP BY grp", ""),
    ("SELECT grp, string_agg(t, ',') AS s FROM facts GROUP BY grp", "string-agg"),
    ("SELECT grp, string_agg(t, ',' ORDER BY a) AS s FROM facts GROUP BY grp", "ties"),
    ("SELECT median(a) AS m FROM facts", "not-shared"),
    ("SELECT approx_count_distinct(a) AS m FROM facts", "not-shared"),
    ("SELECT stddev(a) AS m FROM facts", "not-shared"),
    ("SELECT grp, any_value(t) AS m FROM facts GROUP BY grp", "not-shared"),
    ("SELECT grp, list(t) AS m FROM facts GROUP BY grp", "not-shared"),
    ("SELECT grp, arg_max(t, a) AS m FROM facts GROUP BY grp", "not-shared"),
    # order, ties, windows
    ("SELECT id, t FROM facts ORDER BY t, id LIMIT 20", ""),
    ("SELECT id, t FROM facts ORDER BY t DESC, id LIMIT 20", ""),
    ("SELECT id, a FROM facts ORDER BY a DESC NULLS FIRST, id LIMIT 30 OFFSET 5", ""),
    ("SELECT id, a FROM facts ORDER BY a LIMIT 20", "ties"),
    ("SELECT id, a FROM facts LIMIT 20", "ties"),
    ("SELECT DISTINCT t, u FROM facts ORDER BY u, t LIMIT 25", ""),
    ("SELECT t, count(*) AS n FROM facts GROUP BY t ORDER BY n DESC, t LIMIT 7", ""),
    ("SELECT t, count(*) AS n FROM facts GROUP BY t ORDER BY n DESC LIMIT 7", "ties"),
    ("SELECT id, row_number() OVER (PARTITION BY grp ORDER BY t, id) AS n FROM facts", ""),
    ("SELECT id, row_number() OVER (PARTITION BY grp ORDER BY t) AS n FROM facts", "ties"),
    ("SELECT id, rank() OVER (ORDER BY t) AS r, dense_rank() OVER (PARTITION BY grp ORDER BY a DESC) AS s FROM facts", ""),
    ("SELECT id, lag(a) OVER (ORDER BY day, id) AS l, lead(t, 2, 'none') OVER (PARTITION BY grp ORDER BY id) AS n FROM facts", ""),
    ("SELECT id, lag(a) OVER (ORDER BY day) AS l FROM facts", "ties"),
    ("SELECT id, sum(d) OVER (PARTITION BY grp ORDER BY id) AS running, sum(a) OVER (ORDER BY day) AS peers, count(*) OVER (PARTITION BY ok) AS n FROM facts", ""),
    ("SELECT id, sum(a) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, avg(d) OVER (PARTITION BY grp) AS m FROM facts", ""),
    ("SELECT id, first_value(t) OVER (PARTITION BY grp ORDER BY seen, id) AS f FROM facts", ""),
    ("SELECT id, t FROM facts QUALIFY row_number() OVER (PARTITION BY t ORDER BY id DESC) = 1", ""),
    ("SELECT grp, sum(a) AS s, rank() OVER (ORDER BY sum(a) DESC) AS r FROM facts GROUP BY grp", ""),
    ("SELECT grp, row_number() OVER (ORDER BY grp) AS r, count(*) AS n FROM facts GROUP BY grp", ""),
    ("SELECT DISTINCT ON (grp) grp, t FROM facts", "ties"),
    # text
    ("SELECT id, t < u AS lt, t >= 'a' AS ge, t BETWEEN 'A' AND 'b' AS be, greatest(t, u) AS g, least(t, u, 'm') AS l FROM facts", ""),
    ("SELECT id, t || u AS c, concat(t, '-', u) AS d, concat_ws('/', t, u, a) AS e, t || a AS f FROM facts", ""),
    ("SELECT id, length(t) AS n, substring(t, 1, 2) AS s, substr(t, 2) AS r, left(t, 1) AS l, right(t, 2) AS q FROM facts", ""),
    ("SELECT id, substring(t, 0, 2) AS s FROM facts", "substring"),
    ("SELECT id, substring(t, -2) AS s FROM facts", "substring"),
    ("SELECT id, trim(t) AS a, ltrim(t) AS b, rtrim(t) AS c, trim(t, 'a ') AS d, '[' || trim(u) || ']' AS e FROM facts", ""),
    ("SELECT id, upper(t) AS s FROM facts", "not-shared"),
    ("SELECT id, translate(t, 'ABCÄ', 'abcä') AS s, replace(t, 'a', 'é''s') AS r, strpos(t, 'b') AS p, contains(t, '-') AS c FROM facts", ""),
    ("SELECT id, replace(t, '', 'x') AS r FROM facts", "replace"),
    ("SELECT id, split_part(t, '-', 2) AS s, lpad(t, 5, '*') AS l, rpad(t, 2, '*') AS r, md5(t) AS h FROM facts", ""),
    ("SELECT id, starts_with(t, 'a') AS s, t LIKE 'a%' AS l, t LIKE '%a\\%' AS m, t LIKE 'a!_b' ESCAPE '!' AS e, t NOT LIKE '_' AS n FROM facts", ""),
    ("SELECT id, t ILIKE 'A%' AS l FROM facts", "not-shared"),
    ("SELECT id, regexp_matches(t, '^[a-z]+-?[a-z]*$') AS r, regexp_matches(t, '\\d{1,4}') AS s, regexp_matches(u, 'a.b') AS q, regexp_matches(t, '(a|b)\\s?b$') AS p FROM facts", ""),
    ("SELECT id, regexp_matches(t, '\\bword') AS r FROM facts", "regex"),
    ("SELECT id, t ~ 'a' AS r FROM facts", "regex"),
    ("SELECT id, regexp_replace(t, 'a', 'b') AS r FROM facts", "not-shared"),
    ("SELECT id, hash(t) AS h FROM facts", "not-shared"),
    ("SELECT id, reverse(t) AS h FROM facts", "not-shared"),
    ("SELECT id, CASE WHEN t = '' THEN NULL ELSE t END AS s, nullif(t, '') AS n, coalesce(t, u, 'none') AS c, t IS NULL AS i FROM facts", ""),
    ("SELECT id, t = 'a ' AS s, t = u AS r, t IS DISTINCT FROM u AS q, t IN ('a', '', u) AS p, t NOT IN ('a', NULL) AS o FROM facts", ""),
    # days, moments
    ("SELECT id, day + 1 AS n, day - a AS m, day - DATE '2020-01-01' AS k, day + INTERVAL 1 MONTH AS o, seen - INTERVAL '3' HOUR AS p FROM facts", ""),
    ("SELECT id, year(day) AS y, month(seen) AS m, extract(dow FROM day) AS w, extract(isodow FROM day) AS i, extract(week FROM day) AS k, extract(doy FROM day) AS j, quarter(day) AS q, extract(isoyear FROM day) AS z FROM facts", ""),
    ("SELECT id, hour(seen) AS h, minute(seen) AS m, extract(second FROM seen) AS s, dayofweek(day) AS d, date_part('day', seen) AS e FROM facts", ""),
    ("SELECT id, date_trunc('month', day) AS m, date_trunc('week', seen) AS w, date_trunc('hour', seen) AS h, date_trunc('quarter', day) AS q FROM facts", ""),
    ("SELECT id, date_diff('day', day, seen) AS d, date_diff('month', day, DATE '2024-06-15') AS m, date_diff('year', seen, day) AS y FROM facts", ""),
    ("SELECT id, date_diff('hour', seen, moment) AS d FROM facts", "time-zone"),
    ("SELECT id, strftime(seen, '%Y-%m-%d %H:%M:%S') AS s, strftime(day, '%Y/%m') AS m FROM facts", ""),
    ("SELECT id, strftime(seen, '%A') AS s FROM facts", "date-format"),
    ("SELECT id, CAST(seen AS DATE) AS d, CAST(day AS TIMESTAMP) AS t, seen > day AS g, day >= '2024-01-01' AS l, seen < '2024-03-01 12:00:00' AS s FROM facts", ""),
    ("SELECT id, moment AT TIME ZONE 'Europe/Berlin' AS b, CAST(moment AT TIME ZONE 'UTC' AS DATE) AS d, moment >= '2024-01-01 00:00:00+01' AS l FROM facts WHERE moment > '1990-01-01 00:00:00Z'", ""),
    ("SELECT id, seen AT TIME ZONE 'UTC' AS m FROM facts", ""),
    ("SELECT id, seen AT TIME ZONE 'Europe/Berlin' AS m FROM facts", "time-zone"),
    ("SELECT id, CAST(moment AS DATE) AS d FROM facts", "time-zone"),
    ("SELECT id, moment > seen AS d FROM facts", "time-zone"),
    ("SELECT id, date_trunc('day', moment) AS d FROM facts", "time-zone"),
    ("SELECT id, moment + INTERVAL '90' MINUTE AS d FROM facts", ""),
    ("SELECT id, seen - moment AS d FROM facts", "interval"),
    ("SELECT id, now() AS n FROM facts", "now"),
    ("SELECT id, current_date - day AS n FROM facts", "now"),
    ("SELECT id, random() AS n FROM facts", "not-shared"),
    ("SELECT id, uuid() AS n FROM facts", "not-shared"),
    ("SELECT id, extract(epoch FROM seen) AS n FROM facts", "date-part"),
    # joins, subqueries, sets
    ("SELECT f.id, d.name, d.rate * f.d AS v FROM facts f LEFT JOIN dims d ON f.grp = d.k", ""),
    ("SELECT id, k, name FROM facts FULL JOIN dims ON grp = k AND t = name", ""),
    ("WITH dims AS (SELECT k AS grp, name FROM dims WHERE k > 1) SELECT * FROM facts JOIN dims USING (grp)", ""),
    ("SELECT * EXCLUDE (x, moment) FROM facts WHERE grp IN (SELECT k FROM dims WHERE rate > 10) AND EXISTS (SELECT 1 FROM dims WHERE k = facts.grp)", ""),
    ("SELECT id FROM facts WHERE a NOT IN (SELECT b FROM facts)", ""),
    ("SELECT id, (SELECT max(name) FROM dims WHERE k = grp) AS n FROM facts", ""),
    ("SELECT a FROM facts UNION SELECT b FROM facts", ""),
    ("SELECT t FROM facts INTERSECT SELECT u FROM facts", ""),
    ("SELECT t FROM facts EXCEPT ALL SELECT u FROM facts", ""),
    ("SELECT a AS v, 'a' AS w FROM facts UNION ALL SELECT d, t FROM facts", ""),
    ("SELECT day AS v FROM facts UNION ALL SELECT seen FROM facts", ""),
    ("SELECT t AS v FROM facts UNION ALL SELECT a FROM facts", "type"),
    ("SELECT v.n, v.s, f.id FROM (VALUES (1, 'a'), (2, NULL), (3, 'é')) v(n, s) JOIN facts f ON f.grp = v.n", ""),
    ("SELECT grp % 2 AS odd, count(*) AS n FROM facts GROUP BY odd HAVING count(*) > 1", ""),
    ("SELECT grp, ok, max(a) AS m FROM facts GROUP BY ALL", ""),
    ("SELECT a + 1 AS p, p * 2 AS q FROM facts", ""),
    ("SELECT grp, count(*) AS n FROM facts GROUP BY ROLLUP (grp)", "grouping"),
    ("SELECT facts.id FROM facts SEMI JOIN dims ON grp = k", "join"),
    ("SELECT CASE grp WHEN 1 THEN 1 WHEN 2 THEN 2.55 ELSE d END AS v, if(ok, 'yes', t) AS w, coalesce(a, 1.5) AS z FROM facts", ""),
    ("SELECT id, greatest(a, b, 3) AS g, least(d, a) AS l FROM facts", ""),
    ("SELECT id, ok AND a > 1 AS p, NOT ok OR b IS NULL AS q, ok IS TRUE AS r, ok IS NOT TRUE AS s FROM facts", ""),
    ("SELECT NULL AS n, id FROM facts", "type"),
    ("SELECT a + b FROM facts", "unnamed"),
    ("SELECT id, {'a': 1} AS s, [1, 2] AS l FROM facts", "not-shared"),
    ("SELECT x AS v, count(*) AS n FROM facts GROUP BY x", ""),
    ('SELECT id, t AS "Mixed Näme", a AS "quo""te" FROM facts', ""),
)  # fmt: skip
POSTGRES: tuple[tuple[str, str], ...] = (
    ("SELECT id, a / NULLIF(b, 0) AS r, a % NULLIF(b, 0) AS m, big / 7 AS s FROM facts", ""),
    ("SELECT id, a::double precision / NULLIF(b, 0) AS r FROM facts", ""),
    ("SELECT id, d / 3 AS r FROM facts", "decimal-division"),
    ("SELECT grp, avg(a) AS r FROM facts GROUP BY grp", "decimal-division"),
    ("SELECT grp, sum(a) AS s, sum(big) AS b, sum(d) AS d FROM facts GROUP BY grp", ""),
    ("SELECT id, round(d, 1) AS r, round(x) AS s, floor(x) AS f, d::int AS i, x::int AS j FROM facts WHERE x BETWEEN -1000 AND 1000", ""),
    ("SELECT id, a FROM facts ORDER BY a DESC, id LIMIT 30", ""),
    ("SELECT id, concat(t, u) AS c, t || u AS d, btrim(t) AS e, t LIKE 'a\\%b' AS f, t LIKE 'a\\\\b' AS g FROM facts", ""),
    ("SELECT id, t ~ '^a' AS c FROM facts", ""),
    ("SELECT id, extract(year FROM day)::int AS y, day - DATE '2020-01-01' AS n, day + 3 AS m, day + INTERVAL '1 month' AS o, date_trunc('month', seen) AS p FROM facts", ""),
    ("SELECT id, date_trunc('month', day) AS p FROM facts", "time-zone"),
    ("SELECT id, to_char(seen, 'YYYY-MM-DD') AS p FROM facts", ""),
    ("SELECT id, d::numeric AS p FROM facts", "cast"),
    ('SELECT "id", T AS "T" FROM FACTS WHERE ok IS NOT FALSE', ""),
)  # fmt: skip
SPARK: tuple[tuple[str, str], ...] = (
    ("SELECT id, a / nullif(b, 0) AS r, a div nullif(b, 0) AS q FROM facts", ""),
    ("SELECT id, a FROM facts ORDER BY a, id LIMIT 30", ""),
    ("SELECT id, concat(t, u) AS c, trim(t) AS d, t RLIKE 'a.b' AS e, CAST(d AS INT) AS f FROM facts", ""),
    ("SELECT id, datediff(day, DATE '2020-01-01') AS n, date_add(day, 3) AS m, dayofweek(day) AS w, day + INTERVAL 1 MONTH AS k FROM facts", ""),
    ("SELECT grp, avg(a) AS m, sum(a) AS s, sum(d) AS t FROM facts GROUP BY grp", ""),
    ("SELECT id, d / 3 AS r FROM facts", "decimal-division"),
)  # fmt: skip


# -- asking the engines ------------------------------------------------------------------------------------------------------------------


def literal(value, engine: str) -> str:  # noqa: PLR0911 - one for each way that it is refused or written
    """A value as the engine's SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE PRECISION)"
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return f"TIMESTAMPTZ '{value.isoformat(' ')}'"
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.isoformat(' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def statements(engine: str, seed: int) -> list[str]:
    """What makes the tables."""
    made = []
    for table, given in zip(COLUMNS, rows(seed), strict=True):
        types = {
            name: told.replace("DOUBLE", "DOUBLE PRECISION") if engine == "postgres" else told
            for name, told in COLUMNS[table].items()
        }
        made.append(f"CREATE TABLE {table} ({', '.join(f'{name} {told}' for name, told in types.items())})")
        made.append(
            f"INSERT INTO {table} VALUES "
            + ", ".join("(" + ", ".join(literal(value, engine) for value in row) + ")" for row in given)
        )
    return made


def plain(value, digits: int | None = None):
    """A value as it compares whatever engine it comes from."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, Decimal)):
        return ("number", Decimal(value).normalize() + 0)
    if isinstance(value, float):
        if digits and math.isfinite(value):
            value = float(f"{value:.{digits}g}")
        return ("double", repr(value + 0.0))
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC) if value.tzinfo else value
    return value


def multiset(names, found, digits: int | None = None):
    """Rows as a multiset of what they hold by column."""
    order = sorted(range(len(names)), key=lambda n: names[n].casefold())
    return collections.Counter(tuple(plain(row[n], digits) for n in order) for row in found)


def compiled(dialect: str, query: str, engine: str, columns=COLUMNS, keys=KEYS):
    """(SELECT, codes): the SELECT, or why it is refused."""
    parsed = graph.parse("q", query, dialect)
    mark = "`" if engine == "spark" else '"'
    lower = {name.casefold(): name for name in columns}
    names = {table: f"{mark}{lower[table.casefold()]}{mark}" for table in parsed.reads}
    given = {table: columns[lower[table.casefold()]] for table in parsed.reads}
    keyed = {table: keys.get(lower[table.casefold()], []) for table in parsed.reads}
    made, why = portable.written(parsed, given, engine, names.__getitem__, keyed)
    told = portable.refusals(parsed, given, engine, keyed)
    assert told == ([] if engine == dialect else why)
    if why:
        return "", sorted({one.code for one in why})
    assert made.sql == writing.select_for(parsed, engine, names, given, keyed)
    return made.sql, []


class Duck:
    """DuckDB with the tables."""

    def __init__(self, seed: int) -> None:
        import duckdb  # noqa: PLC0415

        self.connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        for statement in (*writing_session("duckdb"), *(statements("duckdb", seed) if seed else ())):
            self.connection.execute(statement)

    def ask(self, sql: str):
        table = self.connection.execute(sql).to_arrow_table()
        return table.column_names, [tuple(row.values()) for row in table.to_pylist()] if len(
            set(table.column_names)
        ) == len(table.column_names) else []


class Post:
    """PostgreSQL with the tables."""

    def __init__(self, url: str, seed: int) -> None:
        import psycopg  # noqa: PLC0415

        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        for statement in (*writing_session("postgres"), *(statements("postgres", seed) if seed else ())):
            self.connection.execute(statement)

    def ask(self, sql: str):
        self.connection.execute("DROP TABLE IF EXISTS made")
        self.connection.execute(
            "CREATE TEMP TABLE made AS " + sql
        )  # as a build does: a column without a type would be seen
        found = self.connection.execute("SELECT * FROM made")
        return [one.name for one in found.description], found.fetchall()


def writing_session(engine: str):
    from datareeve.capabilities.pipelines.models.words import SESSION  # noqa: PLC0415

    return SESSION[engine]


# -- TPC-H -------------------------------------------------------------------------------------------------------------------------------

TPCH_KEYS = {"customer": [["c_custkey"]], "orders": [["o_orderkey"]], "lineitem": [["l_orderkey", "l_linenumber"]], "part": [["p_partkey"]], "supplier": [["s_suppkey"]], "nation": [["n_nationkey"]], "region": [["r_regionkey"]], "partsupp": [["ps_partkey", "ps_suppkey"]]}  # fmt: skip
TPCH_MENDS = {  # what the refusals say to write: (their codes, what stands there and what to write)
    2: (["ties"], {"p_partkey\nLIMIT": "p_partkey, p_mfgr, s_address, s_phone, s_comment\nLIMIT"}),
    3: (["ties"], {"o_orderdate\nLIMIT": "o_orderdate, l_orderkey, o_shippriority\nLIMIT"}),
    10: (
        ["ties"],
        {
            "revenue DESC\nLIMIT": "revenue DESC, c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment\nLIMIT"
        },
    ),
    18: (
        ["ties", "unnamed"],
        {
            "sum(l_quantity)\nFROM": "sum(l_quantity) AS quantity\nFROM",
            "o_orderdate\nLIMIT": "o_orderdate, c_name, c_custkey, o_orderkey\nLIMIT",
        },
    ),
}


def mend(number: int, query: str) -> str:
    for old, new in TPCH_MENDS.get(number, ([], {}))[1].items():
        assert old in query
        query = query.replace(old, new)
    return query


@dataclasses.dataclass
class Tpch:
    """TPC-H's tables and queries; `mended` are the queries as refusals say to write them."""

    columns: dict[str, dict[str, str]]
    queries: dict[int, str]
    mended: dict[int, str]


def tpch(mover) -> Tpch:
    mover.load("tpch")
    mover.execute("CALL dbgen(sf = 0.01)")
    queries = dict(mover.execute("SELECT query_nr, query FROM tpch_queries()").fetchall())
    columns: dict[str, dict[str, str]] = {}
    for table, name, told in mover.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY ordinal_position"
    ).fetchall():
        columns.setdefault(table, {})[name] = told
    mended = {number: mend(number, query) for number, query in queries.items()}
    return Tpch(columns, queries, mended)


def fetched(cursor):
    table = cursor.to_arrow_table()
    return table.column_names, [tuple(row.values()) for row in table.to_pylist()]
