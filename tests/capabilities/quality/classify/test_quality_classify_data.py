"""A scan on every engine: the personal columns are found, written and taken back; canary values are in no byte of what is left behind."""

import json
import sqlite3

import duckdb
import psycopg
import pytest

from datareeve.app import App
from datareeve.capabilities.quality.operations.classify_data import ClassifyData
from datareeve.core.catalogue import Catalogue
from datareeve.core.errors import BadInput

CANARIES = ("zyxcanary", "Quauhtemoc", "5550188", "Tlaloc Str", "4929381332664295")
PERSONAL = {
    "customers": {"full_name": "name", "mail": "email", "tel": "phone", "street": "address", "card_no": "card-number", "born": "date-of-birth", "notes": "free-text", "payload": "document"},
}  # fmt: skip
NOT = {
    "customers": {"id", "order_ref", "created_at", "amount"},
    "products": {"id", "name", "ean", "price", "version"},
}
TYPES = "id int, full_name varchar(80), mail varchar(120), tel varchar(40), street varchar(120), card_no varchar(20), born date, notes varchar(300), payload varchar(300), order_ref varchar(20), created_at timestamp, amount numeric(10,2)"
GIVEN, FAMILY = (
    ("Anna", "Peter", "Maria", "Jonas", "Sofia", "Lukas"),
    ("Schmidt", "Garcia", "Rossi", "Nowak", "Jansen", "Martin"),
)
CARDS = (
    "4111111111111111",
    "5500005555555559",
    "4929381332664295",
    "4012888888881881",
    "5105105105105100",
    "4222222222222220",
)


def customers(count=300):
    for n in range(1, count + 1):
        canary = n % 7 == 0
        name = "Ana Quauhtemoc" if canary else f"{GIVEN[n % 6]} {FAMILY[n // 6 % 6]}"
        mail = f"zyxcanary{n}@example.org" if canary else f"p{n}@example.com"
        yield (
            n, name, mail, f"+49 171 5550188{n % 10}", f"Tlaloc Str. {n}", CARDS[n % 6], f"{1940 + n % 60}-0{1 + n % 9}-1{n % 10}",
            f"Frau {name} called, write to {mail} please." if n % 3 else "Nothing to say about this one at all.",
            json.dumps({"contact": {"email": mail, "zyxcanary_user" if n == 5 else "name": name}, "n": n}), f"ORD-2024-{n:06}", f"2024-05-{1 + n % 28:02} 10:{n % 60:02}:00", f"{n}.50",
        )  # fmt: skip


def products():
    for n in range(1, 60):
        digits = f"40063813339{n % 10}"[:12]
        check = (10 - sum(int(d) * (1 if i % 2 == 0 else 3) for i, d in enumerate(digits)) % 10) % 10
        yield n, f"Oak chair {n}", f"{digits}{check}", f"{n}.99", f"1.{n}.0.{n % 9}"


PRODUCT_TYPES = "id int, name varchar(80), ean varchar(13), price numeric(10,2), version varchar(20)"


def fill(execute, mark):
    execute(f"CREATE TABLE customers ({TYPES})")
    execute(f"CREATE TABLE products ({PRODUCT_TYPES})")
    execute("CREATE TABLE empty_one (email varchar(50), n int)")
    for row in customers():
        execute(f"INSERT INTO customers VALUES ({', '.join([mark] * 12)})", row)
    for row in products():
        execute(f"INSERT INTO products VALUES ({', '.join([mark] * 5)})", row)


@pytest.fixture(params=["postgresql", "mysql", "sqlite", "duckdb", "folder"])
def entry(request, tmp_path):
    """The estate's entry of a filled system of each kind."""
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection.execute, "%s")
        yield {"kind": "postgresql", "url": url}
    elif request.param == "mysql":
        server = request.getfixturevalue("mariadb")
        with server.database() as url:
            connection = server.connect(url.rpartition("/")[2])
            cursor = connection.cursor()
            fill(cursor.execute, "%s")
            connection.commit()
            yield {"kind": "mysql", "url": url}
    elif request.param == "sqlite":
        connection = sqlite3.connect(tmp_path / "shop.db")
        fill(connection.execute, "?")
        connection.commit()
        connection.close()
        yield {"kind": "sqlite", "path": "shop.db"}
    else:
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
            fill(connection.execute, "?")
            if request.param == "folder":
                (tmp_path / "lake").mkdir()
                for table in ("customers", "products"):
                    connection.execute(f"COPY {table} TO '{tmp_path}/lake/{table}.parquet'")
        yield (
            {"kind": "duckdb", "path": "shop.duckdb"}
            if request.param == "duckdb"
            else {"kind": "folder", "path": "lake"}
        )


def open_app(folder, entry, **more):
    estate = {
        "version": 1,
        "systems": {"app": entry},
        "authority": {"rules": [{"decision": "allow"}]},
        **more,
    }
    (folder / "estate.yaml").write_text(json.dumps(estate))
    app = App.open(folder)
    app.catalogue = Catalogue([ClassifyData])
    return app


def found(plan):
    """table.column -> category, of the findings."""
    return {f.subject: f.why.partition(",")[0] for f in plan.findings if f.rule == "personal-data"}


def test_a_system_is_scanned_written_down_and_taken_back(tmp_path, entry):
    app = open_app(tmp_path, entry)
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
        told = {
            subject.rpartition(" ")[0].rpartition(".")[2] + "." + subject.rpartition("(")[2][:-1]: kind
            for subject, kind in found(plan).items()
        }
        for table, columns in PERSONAL.items():
            assert {column: told.get(f"{table}.{column}") for column in columns} == columns
        assert [one for one in told if one.partition(".")[2] in NOT.get(one.partition(".")[0], ())] == []
        assert all(step.needs_person and step.undo for step in plan.steps)
        before = (tmp_path / "estate.yaml").read_text()
        outcome = app.apply(plan, by="dba", approved=True)
        assert outcome.status == "done"
        datasets = json.loads(json.dumps(app.systems["estate"].read("get", where=["datasets"])))
        customers_ = next(one for name, one in datasets.items() if "customers" in name)
        assert customers_["personal"]["mail"] == "email"
        assert app.preview(app.catalogue.make("quality.classify-data", {"system": "app"})).steps == ()
        app.undo(outcome.run, by="dba")
        assert app.systems["estate"].read("get", where=["datasets"]) is None
        assert json.loads(before)["systems"] == app.systems["estate"].read("get", where=["systems"])
        told_bytes = json.dumps([plan.model_dump(mode="json"), outcome.model_dump(mode="json")]).encode()
    finally:
        app.close()
    kept = b"".join(p.read_bytes() for p in (tmp_path / ".datareeve").rglob("*") if p.is_file())
    for canary in CANARIES:
        assert canary.encode() not in told_bytes + kept + (tmp_path / "estate.yaml").read_bytes()


def test_facts_hold_no_value_either(tmp_path, entry):
    app = open_app(tmp_path, entry)
    try:
        facts = ClassifyData(system="app").observe(app.systems)
    finally:
        app.close()
    told = facts.model_dump_json()
    assert not [canary for canary in CANARIES if canary in told]
    assert not [name for name in (*GIVEN, *FAMILY, "example.org") if name in told]


@pytest.fixture
def shop(tmp_path):
    connection = sqlite3.connect(tmp_path / "shop.db")
    fill(connection.execute, "?")
    connection.commit()
    yield connection
    connection.close()


SHOP = {"kind": "sqlite", "path": "shop.db"}


def test_what_a_person_decided_stays(tmp_path, shop):
    personal = {"full_name": "no", "mail": "email", "tel": "username"}
    app = open_app(
        tmp_path,
        SHOP,
        datasets={"clients": {"system": "app", "table": "customers", "owner": "crm", "personal": personal}},
    )
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
        assert not [s for s in found(plan) if "full_name" in s]
        app.apply(plan, by="dba", approved=True)
        after = app.systems["estate"].read("get", where=["datasets", "clients"])
    finally:
        app.close()
    assert {key: after["personal"][key] for key in personal} == personal
    assert after["owner"] == "crm"
    assert after["personal"]["street"] == "address"


def test_what_is_less_sure_is_told_and_not_written(tmp_path, shop):
    app = open_app(tmp_path, SHOP)
    try:
        plan = app.preview(
            app.catalogue.make("quality.classify-data", {"system": "app", "least_confidence": 1.0})
        )
    finally:
        app.close()
    assert len(found(plan)) > 5
    assert plan.steps == () or sum(len(s.call.arguments["value"]["personal"]) for s in plan.steps) < len(
        found(plan)
    )


def test_without_values_names_alone_are_judged(tmp_path, shop):
    app = open_app(tmp_path, SHOP)
    try:
        plan = app.preview(
            app.catalogue.make("quality.classify-data", {"system": "app", "values": False, "write": False})
        )
    finally:
        app.close()
    assert plan.steps == ()
    assert plan.figures["rows_looked_at"] == 0
    assert {"customers (mail)", "customers (tel)", "customers (street)"} <= {
        s.removeprefix("main.") for s in found(plan)
    }


def test_a_table_that_is_not_there_and_hostile_names(tmp_path, shop):
    shop.execute('CREATE TABLE "odd "" table; drop" ("e-mail; --" text, "ünïcode ☃" text)')
    shop.executemany(
        'INSERT INTO "odd "" table; drop" VALUES (?, ?)', [(f"p{n}@example.com", None) for n in range(30)]
    )
    shop.execute(f"CREATE TABLE wide ({', '.join(f'c{n} text' for n in range(1000))})")
    shop.commit()
    app = open_app(tmp_path, SHOP)
    try:
        with pytest.raises(BadInput, match=r"no table"):
            app.preview(
                app.catalogue.make("quality.classify-data", {"system": "app", "tables": ["nothing_here"]})
            )
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
        again = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
        assert plan.fingerprint == again.fingerprint
        assert any("e-mail; --" in subject for subject in found(plan))
        assert app.apply(plan, by="dba", approved=True).status == "done"
    finally:
        app.close()


def test_without_rights_on_a_column_it_is_judged_by_its_name(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id int, email text, iban text)")
        connection.execute(
            "INSERT INTO people SELECT n, 'p' || n || '@example.com', 'x' FROM generate_series(1, 30) n"
        )
        connection.execute("DROP ROLE IF EXISTS classify_reader")
        connection.execute("CREATE ROLE classify_reader LOGIN")
        connection.execute(
            "GRANT USAGE ON SCHEMA public TO classify_reader; GRANT SELECT (id, email) ON people TO classify_reader"
        )
        base = connection.info
        url = f"postgresql://classify_reader@/{base.dbname}?host={base.host}&port={base.port}"
    app = open_app(tmp_path, {"kind": "postgresql", "url": url})
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app", "write": False}))
    finally:
        app.close()
    assert found(plan) == {"public.people (email)": "email", "public.people (iban)": "bank-account"}
    assert any(f.rule == "not-looked-at" and "iban" in f.what for f in plan.findings)


def test_large_tables_views_partitions_and_odd_names_are_sampled_on_postgresql(tmp_path, database):
    mails = "'p' || n || '@example.com'"
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in (
            f"CREATE TABLE large AS SELECT n, CASE WHEN n > 30000 THEN {mails} ELSE 'none' END AS a1 FROM generate_series(1, 60000) n",
            "CREATE VIEW seen AS SELECT n, a1 AS a2 FROM large WHERE n > 30000",
            "CREATE TABLE parted (n int, a3 text) PARTITION BY RANGE (n)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100000)",
            f"INSERT INTO parted SELECT n, {mails} FROM generate_series(1, 30000) n",
            'CREATE SCHEMA "Odd ""s"; CREATE TABLE "Odd ""s"."Tä.ble" (a4 text)',
            f'INSERT INTO "Odd ""s"."Tä.ble" SELECT {mails} FROM generate_series(1, 50) n',
            "ANALYZE",
        ):
            connection.execute(statement)
    app = open_app(tmp_path, {"kind": "postgresql", "url": database})
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
        columns = {subject.rpartition("(")[2][:-1] for subject in found(plan)}
        assert {"a2", "a3", "a4"} <= columns
        assert plan.figures["rows_looked_at"] <= 5 * 400
        assert app.apply(plan, by="dba", approved=True).status == "done"
        assert app.preview(app.catalogue.make("quality.classify-data", {"system": "app"})).steps == ()
    finally:
        app.close()


def test_tables_without_a_rowid_gaps_and_views_are_sampled_on_sqlite(tmp_path, shop):
    shop.execute("CREATE TABLE keyed (k text PRIMARY KEY, a1 text) WITHOUT ROWID")
    shop.execute("CREATE TABLE gaps (k integer PRIMARY KEY, a2 text)")
    shop.executemany("INSERT INTO keyed VALUES (?, ?)", [(f"k{n}", f"p{n}@example.com") for n in range(500)])
    shop.executemany("INSERT INTO gaps VALUES (?, ?)", [(n**3, f"p{n}@example.com") for n in range(500)])
    shop.execute("CREATE VIEW seen AS SELECT a2 AS a3 FROM gaps")
    shop.commit()
    app = open_app(tmp_path, SHOP)
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app", "write": False}))
    finally:
        app.close()
    assert {"a1", "a2", "a3"} <= {subject.rpartition("(")[2][:-1] for subject in found(plan)}
    assert not [one for one in plan.findings if one.rule == "not-looked-at"]


def test_a_system_that_is_down_is_a_blocker_and_no_error(tmp_path):
    app = open_app(tmp_path, {"kind": "sqlite", "path": "nothing.db"})
    try:
        plan = app.preview(app.catalogue.make("quality.classify-data", {"system": "app"}))
    finally:
        app.close()
    assert plan.blockers
    assert plan.steps == ()
