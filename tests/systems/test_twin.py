import contextlib
import os
import stat
from pathlib import Path

import psycopg
import pytest

import servers
import shop_data
from datareeve.core.errors import BadInput, Failed, Refused
from datareeve.core.estate import WorkloadSource
from datareeve.systems import pg_server, pg_twin, workload_replay
from datareeve.systems.pg_twin import Hypothetical, twin_of
from datareeve.systems.plan_shape import plan_shape

FIFTEEN = Path("/usr/lib/postgresql/15/bin")
CANDIDATES = (
    Hypothetical("by_day", "CREATE INDEX by_day ON public.line USING btree (shipped) INCLUDE (price)"),
    Hypothetical(
        "by_customer", "CREATE INDEX CONCURRENTLY by_customer ON public.orders USING btree (customer)"
    ),
    Hypothetical("early", "CREATE INDEX early ON public.orders (day) WHERE day < '1993-01-01'"),
)


@contextlib.contextmanager
def registry(folder, url, statements=shop_data.WORKLOAD, **entry):
    (folder / "statements.sql").write_text(statements)
    made = servers.registry(folder, url, workload=WorkloadSource(kind="sql", path="statements.sql"), **entry)
    try:
        yield made["app"]
    finally:
        made.close()


@pytest.fixture(scope="module")
def shop(pg18, tmp_path_factory):
    with (
        pg18.database(*shop_data.SCHEMA, *shop_data.rows(4_000)) as url,
        registry(tmp_path_factory.mktemp("shop"), url) as app,
    ):
        yield app


@pytest.fixture(scope="module")
def twin(shop, tmp_path_factory):
    with twin_of(shop, tmp_path_factory.mktemp("twins"), indexes=CANDIDATES) as made:
        yield made


def plans_of(system, original):
    """The plan of each family, by its text."""
    found = {}
    with system.connect() as connection:
        for family in workload_replay.wanted(workload_replay.recording(original), None):
            (case, *_) = workload_replay.cases(original, family, 1)
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {case[0]}", case[1]).fetchone()
            found[family.shape.text] = row["QUERY PLAN"][0]["Plan"]
    return found


def test_it_plans_like_the_original_to_the_last_cost(shop, tmp_path):
    with twin_of(shop, tmp_path) as made:
        theirs, ours = plans_of(shop, shop), plans_of(made, shop)
        assert made.differs == ""
    assert {text: (p["Total Cost"], plan_shape(p)) for text, p in ours.items()} == {
        text: (p["Total Cost"], plan_shape(p)) for text, p in theirs.items()
    }
    assert len(ours) == 8


def test_its_candidates_change_plans_as_the_real_indexes_would(pg18, tmp_path):
    real = {c.name: c.ddl.replace("CONCURRENTLY ", "") for c in CANDIDATES}
    with (
        pg18.database(*shop_data.SCHEMA, *shop_data.rows(4_000)) as url,
        registry(tmp_path, url) as app,
        twin_of(app, tmp_path, indexes=CANDIDATES) as made,
        app.connect() as connection,
    ):
        foretold = plans_of(made, app)
        for ddl in real.values():
            connection.execute(ddl)
        built = plans_of(app, app)
        sizes = {
            n: app.query("SELECT pg_relation_size(%(n)s::regclass)", {"n": n}, shape="scalar") for n in real
        }
        told = made.read("hypothetical_indexes")
    for text, plan in built.items():
        assert plan_shape(plan) == plan_shape(foretold[text]), text
        assert foretold[text]["Total Cost"] == pytest.approx(plan["Total Cost"], rel=0.03), text
    for name, size in sizes.items():
        assert size / 1.2 <= told[name]["bytes"] <= size * 1.2
        assert (told[name]["why_not"], told[name]["error"]) == ("", 1.2)


def test_costs_are_told_for_each_set_of_visible_candidates(twin):
    nothing, day, every = twin.read("costs", visible=[[], ["by_day"], ["by_day", "by_customer", "early"]])
    assert len(nothing) == 8
    assert not {name for plan in nothing.values() for name in plan["indexes"]} & {
        "by_day",
        "by_customer",
        "early",
    }
    better = [f for f in nothing if day[f]["cost"] < nothing[f]["cost"] / 2]
    assert [day[f]["indexes"] for f in better] == [["by_day"]]
    assert all(every[f]["cost"] <= nothing[f]["cost"] for f in nothing)
    assert all(len(plan["shape"]) == 12 for plan in every.values())
    assert twin.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid", shape="scalar") == 0


def test_only_what_a_candidate_can_reach_is_planned_again(twin, monkeypatch):
    twin.read("costs", visible=[[]])
    planned = []
    plan = pg_twin._planned
    monkeypatch.setattr(pg_twin, "_planned", lambda *args: planned.append(1) or plan(*args))
    twin.read("costs", visible=[[], []])
    assert planned == []
    twin.read("costs", visible=[["early"]])
    assert len(planned) == 4  # the families of `orders`


def test_a_family_without_parameters_is_planned_generically_and_given_statements_for_themselves(twin):
    (told,) = twin.read(
        "costs",
        visible=[["by_day"]],
        fingerprints=["mine", "open"],
        statements={
            "mine": [["SELECT sum(price) FROM line WHERE shipped = %s::date", ["1995-01-01"]]],
            "open": [["SELECT * FROM orders WHERE id = 3", None], ["SELECT nothing FROM nowhere", None]],
        },
    )
    assert told["mine"]["indexes"] == ["by_day"]
    assert told["open"]["indexes"] == ["orders_pkey"]


def test_a_workload_without_parameters_is_planned_generically(shop, pg18, tmp_path):
    statements = "SELECT o.total / $1 FROM orders o WHERE abs(o.customer) + $2 = $3;\n"
    with registry(tmp_path, shop.entry.url, statements) as app, twin_of(app, tmp_path) as made:
        (told,) = made.read("costs", visible=[[]])
    assert [plan["cost"] > 0 for plan in told.values()] == [True]


def test_one_statement_alone_is_asked_of_it(twin):
    (told,) = twin.read("costs", visible=[[]], statements={"two": [["SELECT 1; DROP TABLE line", None]]})
    assert told == {}


def test_what_the_plans_ask_of_tables_needs_no_rows(shop, tmp_path):
    with twin_of(shop, tmp_path) as made:
        theirs, ours = (
            {plan["fingerprint"]: plan["indexes"] for plan in one.read("needs")} for one in (shop, made)
        )
    assert ours == theirs
    assert len(ours) == 8


def test_what_needs_rows_is_refused(twin):
    for ask in (
        lambda: twin.perform("execute", sql="CREATE INDEX ON line (price)"),
        lambda: twin.read("evaluate", hidden=[]),
        lambda: twin.read("replay"),
    ):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.code == "twin.no-rows"
    assert twin.read("copy_kind") == "twin"


@pytest.mark.parametrize(
    ("ddl", "code"),
    [("DROP TABLE line", "twin.not-an-index"), ("SELECT 1", "twin.not-an-index")],
)
def test_only_indexes_are_candidates(shop, tmp_path, ddl, code):
    with pytest.raises(BadInput) as refused, twin_of(shop, tmp_path, indexes=[Hypothetical("x", ddl)]):
        pass
    assert refused.value.code == code


def test_a_candidate_that_cannot_be_made_says_why_and_is_never_used(shop, tmp_path):
    bad = (
        Hypothetical("trigrams", "CREATE INDEX trigrams ON orders USING gin (comment gin_trgm_ops)"),
        Hypothetical("two", "CREATE INDEX two ON orders (day); DROP TABLE orders"),
    )
    with twin_of(shop, tmp_path, indexes=bad) as made:
        told = made.read("hypothetical_indexes")
        assert told["trigrams"]["why_not"] == "It cannot be made on the twin (42704)."
        assert told["two"]["why_not"] == "It cannot be made on the twin (postgres.several-statements)."
        one, other = made.read("costs", visible=[[], ["trigrams", "two"]])
        assert one == other
        with pytest.raises(BadInput) as unknown:
            made.read("costs", visible=[["absent"]])
    assert unknown.value.code == "twin.unknown-index"


def test_nobody_else_can_read_it_and_nothing_of_it_is_left(shop, tmp_path):
    with twin_of(shop, tmp_path) as made:
        data = made.local_server.data
        socket = Path(made.query("SHOW unix_socket_directories", shape="scalar"))
        assert made.query("SHOW listen_addresses", shape="scalar") == ""
        assert [stat.S_IMODE(p.stat().st_mode) for p in (data, socket)] == [0o700, 0o700]
        assert sum(f.stat().st_blocks * 512 for f in data.rglob("*") if f.is_file()) < 80e6
        assert made.query("SELECT pg_relation_size('line')", shape="scalar") > 0
    assert not data.exists()
    assert not socket.exists()


def test_the_next_one_removes_what_a_killed_process_left(shop, tmp_path):
    local, _ = pg_server.initialise(tmp_path / f"twin-{2**22 + 1}-abandoned")  # above any process id
    with twin_of(shop, tmp_path) as made:
        assert not local.data.exists()
        assert not local.running()
        with twin_of(shop, tmp_path):
            assert made.local_server.data.exists()  # its process lives


def test_tables_without_statistics_or_out_of_reach_are_named(pg18, tmp_path):
    role = f"reader_{os.getpid()}"
    statements = (
        "CREATE TABLE seen (a int); INSERT INTO seen SELECT generate_series(1, 500); ANALYZE seen",
        "CREATE TABLE bare (a int); INSERT INTO bare SELECT generate_series(1, 500)",
        "CREATE TABLE closed (a int)",
        "CREATE TABLE guarded (a int); INSERT INTO guarded SELECT generate_series(1, 500); ANALYZE guarded",
        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
        "CREATE MATERIALIZED VIEW kept AS SELECT a FROM seen; CREATE VIEW shown AS SELECT a FROM seen",
        "CREATE TEMP TABLE gone (a int)",
        "CREATE STATISTICS both_of (ndistinct) ON a, (a + 1) FROM seen",
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON seen, bare, guarded, kept, shown TO {role}",
    )
    try:
        with (
            pg18.database(*statements) as url,
            registry(
                tmp_path, url.replace("postgres@", f"{role}@"), "SELECT * FROM shown WHERE a = 3;\n"
            ) as app,
            twin_of(app, tmp_path) as made,
        ):
            assert made.differs == (
                "The twin differs: 1 tables could not be brought over: public.closed; no statistics were gathered or may be read of"
                " public.bare, public.guarded, public.kept; row security is not applied; the contents of 1 extended statistics cannot be"
                " brought over."
            )
            assert made.read("costs", visible=[[]])[0]
    finally:
        with pg18.connect() as admin:
            admin.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.parametrize(("encoding", "row"), [("LATIN1", b"\xfcber"), ("SQL_ASCII", b"\xff\xfe")])
def test_other_encodings_keep_their_statistics(pg18, tmp_path, encoding, row):
    name = f"t_{encoding.lower()}"
    with pg18.connect() as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    try:
        with psycopg.connect(
            pg18.url_of(name), autocommit=True, client_encoding=encoding.lower()
        ) as connection:
            connection.execute("CREATE TABLE t (a text)")
            with connection.cursor().copy("COPY t FROM STDIN") as copy:
                for n in range(300):
                    copy.write((row if n % 2 else b"x%d" % n) + b"\n")
            connection.execute("ANALYZE t")
        with (
            registry(tmp_path, pg18.url_of(name), "SELECT * FROM t WHERE a = 'x2';\n") as app,
            twin_of(app, tmp_path) as made,
        ):
            assert made.differs == ""
            assert made.query(
                "SELECT n_distinct FROM pg_stats WHERE tablename = 't'", shape="scalar"
            ) == app.query("SELECT n_distinct FROM pg_stats WHERE tablename = 't'", shape="scalar")
            assert len(made.read("costs", visible=[[]])[0]) == 1
    finally:
        with pg18.connect() as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_of_too_many_relations_only_those_that_the_workload_reaches_are_there(pg18, tmp_path, monkeypatch):
    monkeypatch.setattr(pg_twin, "MOST_RELATIONS", 12)
    statements = (
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TABLE event (day date, mood mood, PRIMARY KEY (day, mood)) PARTITION BY RANGE (day)",
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
        "CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
        "CREATE VIEW recent AS SELECT * FROM event WHERE day > '2024-02-10'",
        *(f"CREATE TABLE other_{n} (id int PRIMARY KEY)" for n in range(9)),
    )
    with pg18.database(*statements) as url:
        candidate = Hypothetical("by_mood", "CREATE INDEX by_mood ON event (mood)")
        with registry(tmp_path, url, "SELECT * FROM recent WHERE mood = 'good';\n") as app:
            with twin_of(app, tmp_path, indexes=[candidate]) as made:
                tables = made.query(
                    "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
                    shape="scalar",
                )
                assert tables == 3
                assert "7 of 25 tables and indexes are there, those that the workload reaches" in made.differs
                assert len(made.candidates["by_mood"].oids) == 3
                assert len(made.read("costs", visible=[[], ["by_mood"]])[1]) == 1
            monkeypatch.setattr(pg_twin, "MOST_RELATIONS", 5)
            with pytest.raises(Failed) as refused, twin_of(app, tmp_path):
                pass
    assert refused.value.code == "twin.too-many-relations"


def test_it_is_made_and_answers_within_three_seconds(shop, tmp_path):
    with twin_of(shop, tmp_path):
        pass  # the empty server's files are kept from now on
    began = spent()
    with twin_of(shop, tmp_path, indexes=CANDIDATES) as made:
        made.read("costs", visible=[[c.name] for c in CANDIDATES])
        assert spent() - began < 3


def spent() -> float:
    """CPU seconds of this process and of the programs that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def test_a_deadline_is_kept(shop, tmp_path):
    with pytest.raises(Failed) as late, twin_of(shop, tmp_path, max_seconds=0.05):
        pass
    assert late.value.code in {"twin.too-slow", "postgres.timeout"}
    assert not list(tmp_path.glob("twin-*"))


@pytest.mark.system
def test_a_debian_15_with_contrib_and_settings_is_planned_like_itself(tmp_path):
    statements = (
        *shop_data.SCHEMA,
        *shop_data.rows(2_000),
        "CREATE EXTENSION pg_trgm",
        "CREATE EXTENSION citext",
        "CREATE TABLE soft (name citext)",
        "CREATE INDEX ON orders USING gin (comment gin_trgm_ops)",
    )
    with (
        servers.server(
            binaries=FIFTEEN, random_page_cost="1.1", work_mem="9MB", enable_memoize="off"
        ) as server,
        server.database(*statements) as url,
        registry(tmp_path, url) as app,
        twin_of(app, tmp_path) as made,
    ):
        assert made.differs == (
            "The twin differs: it is PostgreSQL 18, the original 15; 1 tables could not be brought over: public.soft;"
            " 1 indexes could not be brought over: public.orders_comment_idx."
        )
        settings = made.query(
            "SELECT name, setting FROM pg_settings WHERE name IN ('random_page_cost', 'work_mem', 'enable_memoize', 'enable_distinct_reordering')"
            " ORDER BY name"
        )
        assert [s["setting"] for s in settings] == ["off", "off", "1.1", "9216"]
        theirs, ours = plans_of(app, app), plans_of(made, app)
    alike = [text for text in ours if plan_shape(ours[text]) == plan_shape(theirs[text])]
    assert len(alike) >= 7
    assert all(ours[t]["Total Cost"] == pytest.approx(theirs[t]["Total Cost"], rel=0.05) for t in alike)
