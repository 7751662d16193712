"""One regex for all engines: each answers as Python does, also where a pattern became string operations; what may take for ever is not given."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datareeve.capabilities.quality import regexes
from datareeve.capabilities.quality.engines import dialect_of
from datareeve.core.errors import BadInput
from datareeve.systems.sqlite_measure import add_functions
from datareeve.systems.sqlite_regex import Matching

SIGNS = [*("aAbBzZ059_ -.+*/\\'\"%$^|()[]{}\n\té€Ã"), "\U0001f600"]
TEXTS = [
    "", "a", "A", "ab", "aB", "ba", "abc", "0", "05", "059", "5a", "a5", "a\n", "\na", "a\nb", "a ", " a", "a.b", "a-b", "_", "é", "É", "aé",
    "€", "\U0001f600", "a\U0001f600", "'", "''", '"', "%", "a%b", "\\", "a\\b", "$", "^a", "zz", "ZZ", "AAA", "aaaa", "N123", "N12AB", "b" * 20,
    "\u0660", "ss", "ß", "ﬁ", "K", "\u0131", "\t", "a\tb", "[a]", "{2}", "x|y", "null",
]  # fmt: skip


def ours(pattern: str) -> re.Pattern[str]:
    r"""The pattern as Python's `re` with our semantics: ASCII classes, and `$` is the very end."""
    return re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\$", r"\1\\Z", pattern), re.ASCII)


def _escaped(sign: str) -> str:
    return re.escape(sign) if sign not in "\n\té€Ã\U0001f600" else sign


LITERAL = st.sampled_from(SIGNS).filter(lambda sign: sign != "$").map(_escaped)
CLASS = st.one_of(
    st.sampled_from([r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[0-9]", "[A-Z]", "[a-z]", "[A-Za-z0-9_]", "[^a-z]", r"[^\d]", r"[\w.-]", "[é-ü]", "[^\\n]", "."]),
    st.lists(st.sampled_from("aAbz059_.%'"), min_size=1, max_size=3).map(lambda some: f"[{''.join(map(re.escape, some))}]"),
)  # fmt: skip
ATOM = LITERAL | CLASS
TIMES = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])
PIECE = st.tuples(ATOM, TIMES).map("".join)
SEQUENCE = st.lists(PIECE, min_size=0, max_size=4).map("".join)
GROUP = st.tuples(st.lists(SEQUENCE, min_size=1, max_size=3).map(lambda some: f"(?:{'|'.join(some)})"), st.sampled_from(["", "", "?", "{2}"])).map("".join)  # fmt: skip
BODY = st.lists(PIECE | GROUP, min_size=0, max_size=4).map("".join)
PATTERN = st.tuples(st.sampled_from(["", "^", "^"]), BODY, st.sampled_from(["", "$", "$"])).map("".join)
# Those that are likely to become string operations.
SIMPLE = st.one_of(
    st.tuples(st.sampled_from(["", "^"]), st.lists(LITERAL, max_size=3).map("".join), st.sampled_from(["", "$"])).map("".join),
    st.tuples(CLASS, st.sampled_from(["*", "+", "{2}", "{1,3}", "{2,}", "{0,4}"])).map(lambda two: f"^{two[0]}{two[1]}$"),
    st.lists(st.lists(LITERAL, max_size=2).map("".join), min_size=1, max_size=4).map(lambda some: f"^(?:{'|'.join(some)})$"),
    st.lists(st.tuples(st.sampled_from(["N", "-", "[0-9]", "[A-Z]", "[0-9]{2}", "[a-z]{1}"])).map("".join), min_size=1, max_size=5).map(lambda some: f"^{''.join(some)}$"),
)  # fmt: skip


class Engines:
    """Every engine with the same texts in a table, asked about many patterns in one statement."""

    def __init__(self, postgres, maria):
        self.ask = {"postgresql": self._postgres(postgres), "mysql": self._maria(maria)}
        self.lite, self.duck = sqlite3.connect(":memory:"), duckdb.connect()
        for db in (self.lite, self.duck):
            db.execute("CREATE TABLE t (n int, x text)")
            db.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(TEXTS)))
        self.matching = Matching(lambda: 60.0)
        add_functions(self.lite, self.matching, [])
        self.ask |= {
            "sqlite": lambda sql: self.lite.execute(sql).fetchall(),
            "duckdb": lambda sql: self.duck.execute(sql).fetchall(),
        }

    def close(self):
        """Let go of what is held beside the servers."""
        self.matching.close()
        self.lite.close()
        self.duck.close()

    @staticmethod
    def _postgres(db):
        db.execute("CREATE TABLE t (n int, x text)")
        db.cursor().executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(TEXTS)))
        return lambda sql: [tuple(row.values()) for row in db.execute(sql.replace("%", "%%"), ()).fetchall()]

    @staticmethod
    def _maria(db):
        cursor = db.cursor()
        # A collation that folds case, accents and spaces at the end: what a pattern means must not hang on it.
        cursor.execute(
            "CREATE TEMPORARY TABLE t (n int, x varchar(60)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        )
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(TEXTS)))

        def ask(sql):
            cursor.execute(sql)
            return cursor.fetchall()

        return ask

    def differences(self, pattern: str) -> dict[str, list[str]]:
        """By engine, the texts of which it does not say what Python says."""
        wanted = [bool(ours(pattern).search(text)) for text in TEXTS]
        found = {}
        for kind, ask in self.ask.items():
            d = dialect_of(kind)
            try:
                condition = regexes.condition(d, d.name("x"), pattern, d.syntax)
            except BadInput:
                continue  # said at plan time
            rows = ask(f"SELECT n, CASE WHEN {condition} THEN 1 ELSE 0 END AS found FROM t ORDER BY n")
            wrong = [TEXTS[n] for (n, said), want in zip(rows, wanted, strict=True) if bool(said) != want]
            if wrong:
                found[kind] = wrong
        return found


@pytest.fixture(scope="module")
def engines(pg18, mariadb):
    with (
        pg18.database() as url,
        pg18.connect(url.rsplit("/", 1)[1]) as db,
        contextlib.closing(mariadb.connect("mysql")) as maria,
    ):
        with maria.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS regexes")
            cursor.execute("USE regexes")
            cursor.execute("SET sql_mode = 'STRICT_TRANS_TABLES', NAMES utf8mb4")
        made = Engines(db, maria)
        yield made
        made.close()


@given(pattern=PATTERN)
@settings(max_examples=200, deadline=None)
def test_every_engine_answers_as_python_does(engines, pattern):
    assert engines.differences(pattern) == {}, pattern


@given(pattern=SIMPLE)
@example(pattern="^[é-ü]*$")
@example(pattern="^[^é]{1,3}$")
@settings(max_examples=200, deadline=None)
def test_string_operations_answer_as_the_pattern_does(engines, pattern):
    assert engines.differences(pattern) == {}, pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "", "^", "$", "^$", "a$", "^a", r"\.", r"^\\$", "^'$", '"', "%", "a%b", "^(a|A)$", "^(?:|a)$", "^é$", "É", "^ss$", "ß", "^K$", "^i$", r"^\w$",
        r"^\W+$", r"^\d+$", r"\s$", "^N[0-9]{3}$", "^N[0-9]{2}[A-Z]{2}$", "[^a]", "^[^a]*$", "^.$", "^.*$", "a.b", "(?:a|b){2}", "^[^\\n]+$", "[\\]]",
        "[a\\-z]", "^b{20}$", "^\U0001f600$", "[\U0001f600]", "^a?$", "^[A-Z]{3}$", "(a)(b)", "x|y", "^[a-f0-9]{2,3}$", "\\t", "[.]b",
    ],
)  # fmt: skip
def test_patterns_that_went_wrong_elsewhere(engines, pattern):
    assert engines.differences(pattern) == {}, pattern


BAD = [
    "(a+)+$", "(a*)*b", "(a|a)+$", "(a|aa)+$", "([a-zA-Z]+)*$", r"^(\w+\s?)*$", r"(\d+)+x", "(.*)*x", "(.*a){20}", "((a+)b?)+$", "(a?){30}a{30}",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y", r"^(\d+|\w+)+$", "([^,]*,?)*$",
]  # fmt: skip
GOOD = [
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^\d{4}-\d{2}-\d{2}$", r"^\d+(,\d+)*$", "^[0-9a-f]{32}$", "^[A-Z][a-z]+( [A-Z][a-z]+)*$", r"^\+?[0-9 ]{6,20}$",
    r"^(\d{3}-)?\d{4}$", r"^N[1-9][0-9]{0,4}$", r"^https?://[^\s/]+(/[^\s/]*)*$", r"^(a+b)+$", r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$", "^(foo|bar|baz)+$",
    r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", "^[^,]*(,[^,]*)*$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", BAD)
def test_what_may_take_exponential_time_is_known(pattern):
    assert regexes.read(pattern).exponential


@pytest.mark.parametrize("pattern", GOOD)
def test_what_takes_no_such_time_is_not_refused(pattern):
    assert not regexes.read(pattern).exponential


@pytest.mark.parametrize("kind", ["mysql", "sqlite", "spark"])
def test_an_exponential_pattern_is_not_given_to_an_engine_that_backtracks(kind):
    d = dialect_of(kind)
    with pytest.raises(BadInput) as refused:
        regexes.condition(d, "x", "(a+)+$", d.syntax)
    assert refused.value.code == "rule.regex"
    assert "(a+)+" not in refused.value.what  # a pattern may hold a value


@pytest.mark.parametrize("kind", ["postgresql", "duckdb"])
def test_an_engine_that_does_not_backtrack_takes_it(kind, engines):
    assert engines.differences("(a+)+$") == {}


@pytest.mark.parametrize(
    "pattern",
    ["(", "[a", "a{2,1}", "*a", "(?P<x", r"\bword\b", "(?i:a)b", "a" * 3000, "a{5000}", "\0", r"(a)\1", "(?=a", "(" * 400],
)  # fmt: skip
def test_what_no_engine_can_do_is_said_without_the_pattern(pattern):
    for kind in ("postgresql", "mysql", "sqlite", "duckdb", "spark"):
        d = dialect_of(kind)
        with pytest.raises(BadInput) as refused:
            regexes.condition(d, "x", pattern, d.syntax)
        assert refused.value.code in ("rule.regex", "rule.value")
        assert len(refused.value.what) < 200


@pytest.mark.parametrize("source", ["(?i)^abc$", "(?s)a.b", "(?m)^a$", "(?i:a)b"])
def test_a_pattern_that_sets_flags_is_refused_and_not_read_without_them(source):
    with pytest.raises(BadInput) as caught:
        regexes.condition(dialect_of("duckdb"), "c", source, dialect_of("duckdb").syntax)
    assert caught.value.code == "rule.regex"


@pytest.mark.parametrize(
    "source",
    [".*", "a*", "^", "(?:)", "^[a-z]+$", "^[a-z0-9]{1,3}$", "^[a-z]$", "^x", "x$", "x", "^x$", "^(x|y)$"],
)
def test_null_has_a_pattern_as_little_as_it_lacks_it(source):
    dialect = dialect_of("sqlite")
    with sqlite3.connect(":memory:") as connection:
        connection.create_function(
            "regexp", 2, lambda pattern, text: None if text is None else re.search(pattern, text) is not None
        )
        asked = regexes.condition(dialect, "c", source, dialect.syntax)
        rows = connection.execute(
            f"SELECT count(*) FROM (SELECT NULL AS c UNION ALL SELECT 'x') WHERE NOT ({asked})"
        ).fetchone()
    assert rows == (0,)
