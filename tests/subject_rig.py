"""A shop with a customer's data everywhere: PostgreSQL, DuckDB, Parquet, CSV, JSON lines, a log. Canaries stand in every personal column."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gzip
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg

from datareeve import capabilities
from datareeve.app import App
from datareeve.core.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator


def compliance_operations():
    """The operations of compliance, without loading those of any other."""
    return {name: load for name, load in capabilities.operations().items() if name.startswith("compliance.")}


SUBJECT, OTHER = 4711, 4712  # whose data goes, and who stays
CANARIES = ("quetzalcoatl", "+49 171 5550199", "01715550199", "5550199", "Xochipilli", "4711")
# 4711 stands elsewhere too (ports, sizes): it is sought as a key only.
SECRET_CANARIES = ("quetzalcoatl", "5550199", "Xochipilli")
EMAIL, PHONE, NAME = "ana.quetzalcoatl@example.org", "+49 171 5550199", "Ana Xochipilli"
SCHEMA = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text, email text UNIQUE, phone text, country text)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, total numeric, note text)",
    "CREATE TABLE order_items (order_id int REFERENCES orders, line int, gift_message text)",
    "CREATE TABLE invoices (id int PRIMARY KEY, customer_id int, billing_name text, amount numeric)",
    "CREATE TABLE newsletter (address text PRIMARY KEY, since date)",
    "CREATE TABLE sessions (token text, customer_id int REFERENCES customers ON DELETE CASCADE)",
    f"INSERT INTO customers SELECT n, 'Person ' || n || ' Somebody', 'p' || n || '@example.com', '+49 30 1' || lpad(n::text, 6, '0'), 'DE' FROM generate_series(4000, 4999) n WHERE n <> {SUBJECT}",
    f"INSERT INTO customers VALUES ({SUBJECT}, '{NAME}', '{EMAIL}', '{PHONE}', 'MX')",
    f"INSERT INTO orders SELECT n, CASE WHEN n % 100 = 0 THEN {SUBJECT} ELSE 4000 + n % 700 END, n, 'for Xochipilli ' || n FROM generate_series(1, 1000) n",
    "INSERT INTO order_items SELECT o.id, l, 'to Xochipilli' FROM orders o, generate_series(1, 3) l",
    f"INSERT INTO invoices VALUES (1, {SUBJECT}, '{NAME}', 10), (2, {OTHER}, 'Person Other', 20), (3, {SUBJECT}, '{NAME}', 30)",
    "INSERT INTO newsletter SELECT 'p' || n || '@example.com', '2024-01-01' FROM generate_series(1, 50) n",
    f"INSERT INTO newsletter VALUES ('{EMAIL.upper()}', '2024-02-02')",
    f"INSERT INTO sessions SELECT 't' || n, CASE WHEN n < 4 THEN {SUBJECT} ELSE {OTHER} END FROM generate_series(1, 9) n",
    "ANALYZE",
)
ESTATE = {
    "version": 1,
    "datasets": {
        "customers": {"system": "app", "table": "public.customers", "subject": "customer", "subject_key": "id", "owner": "crm", "retention_days": 3650, "retention_column": "since", "location": "EU", "encrypted": "at rest",
                      "personal": {"name": "name", "email": "email", "phone": "phone", "country": "no"}},
        "orders": {"system": "app", "table": "orders", "subject": "customer", "subject_key": "customer_id", "personal": {"note": "free-text"}},
        "order-items": {"system": "app", "table": "order_items", "personal": {"gift_message": "free-text"}},
        "invoices": {"system": "app", "table": "invoices", "subject": "customer", "subject_key": "customer_id", "erasure": "anonymise", "personal": {"billing_name": "name"}},
        "newsletter": {"system": "app", "table": "newsletter", "subject": "customer", "personal": {"address": "email"}},
        "warehouse-customers": {"system": "warehouse", "table": "dim_customer", "derived_from": ["customers"], "personal": {"email": "email"}},
        "warehouse-orders": {"system": "warehouse", "table": "fct_orders", "subject": "customer", "subject_key": "customer_id"},
        "events": {"system": "lake", "table": "events/*.parquet", "subject": "customer", "subject_key": "customer_id", "personal": {"email": "email"}},
        "clicks": {"system": "lake", "table": "clicks.jsonl", "subject": "customer", "subject_key": "customer_id", "personal": {"email": "email"}},
        "contacts": {"system": "lake", "table": "contacts.csv", "subject": "customer", "subject_key": "customer_id", "personal": {"mail": "email"}},
        "log": {"system": "logs", "table": "*.log*", "subject": "customer", "personal": {}},
    },
    "processing": {"sales": {"purpose": "to sell and deliver", "basis": "contract", "datasets": ["customers", "orders", "order-items"], "recipients": ["the parcel service"], "controller": "Shop Ltd", "locations": ["EU"]}},
    "authority": {"rules": [{"decision": "allow"}]},
}  # fmt: skip


class Shop:
    """The project, opened."""

    def __init__(self, folder: Path, url: str, estate=None) -> None:
        self.folder, self.url = folder, url
        (folder / "key.txt").write_text(f"{SUBJECT}\n")
        self.estate = {**(estate or ESTATE), "systems": systems(url)}
        self.save()
        self.app = open_app(folder)

    def save(self, **changes) -> None:
        self.estate |= changes
        (self.folder / "estate.yaml").write_text(json.dumps(self.estate))

    def reopen(self) -> None:
        self.app.close()
        self.app = open_app(self.folder)

    def plan(self, name: str, **inputs):
        return self.app.preview(self.app.catalogue.make(name, inputs))

    def erasure(self, **inputs):
        return self.plan("compliance.erase-subject", subject="customer", key="file:key.txt", **inputs)

    def apply(self, plan, by="dba"):
        return self.app.apply(plan, by=by, approved=True)

    def query(self, sql: str):
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql).fetchall()

    def change(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def told(self) -> bytes:
        """Every byte below the state folder, and of the proofs."""
        files = [p for place in (".datareeve", "data/proofs") for p in (self.folder / place).rglob("*")]
        return b"\n".join(p.name.encode() + b"\n" + p.read_bytes() for p in files if p.is_file())

    def data_bytes(self) -> bytes:
        """Every byte of the data files, hidden ones too."""
        files = [
            self.folder / "warehouse.duckdb",
            *(self.folder / "lake").rglob("*"),
            *(self.folder / "logs").rglob("*"),
        ]
        hidden = list(self.folder.glob(".*datareeve-*"))
        return b"\n".join(unpacked(p) for p in [*files, *hidden] if p.is_file())


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if ".gz" in path.suffixes else path.read_bytes()


def systems(url: str):
    return {
        "app": {"kind": "postgresql", "url": url},
        "warehouse": {"kind": "duckdb", "path": "warehouse.duckdb"},
        "lake": {"kind": "folder", "path": "lake"},
        "logs": {"kind": "folder", "path": "logs"},
    }


def open_app(folder: Path, boundary=None) -> App:
    app = App.open(folder, boundary=boundary)
    app.catalogue = Catalogue(compliance_operations())
    return app


def write_files(folder: Path) -> None:
    for name in ("lake/events", "logs"):
        (folder / name).mkdir(parents=True)
    with contextlib.closing(duckdb.connect(str(folder / "warehouse.duckdb"))) as connection:
        connection.execute("CREATE TABLE dim_customer (id INT PRIMARY KEY, email VARCHAR, country VARCHAR)")
        connection.execute(
            "CREATE TABLE fct_orders (id INT, customer_id INT REFERENCES dim_customer (id), total INT)"
        )
        connection.execute("CREATE VIEW v AS SELECT count(*) FROM fct_orders")
        connection.execute(
            f"INSERT INTO dim_customer SELECT n, 'p' || n || '@example.com', 'DE' FROM range(4000, 5000) t(n) WHERE n <> {SUBJECT}"
        )
        connection.execute(f"INSERT INTO dim_customer VALUES ({SUBJECT}, '{EMAIL}', 'MX')")
        connection.execute(
            f"INSERT INTO fct_orders SELECT n, CASE WHEN n % 100 = 0 THEN {SUBJECT} ELSE {OTHER} END, n FROM range(1, 1001) t(n)"
        )
        for part in (1, 2):
            rows = f"SELECT n AS id, CASE WHEN n % 250 = 7 AND {part} = 1 THEN {SUBJECT} ELSE 4000 + n % 700 END AS customer_id, CASE WHEN customer_id = {SUBJECT} THEN '{EMAIL}' ELSE 'p' || n || '@example.com' END AS email FROM range(5000) t(n)"
            connection.execute(
                f"COPY ({rows}) TO '{folder}/lake/events/part-{part}.parquet' (FORMAT parquet, CODEC zstd)"
            )
    mails = {SUBJECT: EMAIL, OTHER: "other@example.com"}
    (folder / "lake/clicks.jsonl").write_text(
        "".join(
            json.dumps({"customer_id": who, "email": mails[who], "n": n}) + "\n"
            for n in range(40)
            for who in mails
        )
    )
    (folder / "lake/contacts.csv").write_text(
        "customer_id;mail;remark\n"
        + "".join(f'{who};{mail};"a ""quoted""\nremark"\n' for who, mail in mails.items())
    )
    lines = [
        "2026-01-01T10:00:00 INFO started on port 4711",
        f"2026-01-01T10:00:01 INFO login email={EMAIL} ok",
        f"2026-01-01T10:00:02 INFO GET /account?mail={EMAIL.replace('@', '%40')}&x=1 200",
        "2026-01-01T10:00:03 INFO login email=other@example.com ok",
        f'2026-01-01T10:00:04 WARN {{"customerId": {SUBJECT}, "phone": "0171/5550199"}} retried',
        f"2026-01-01T10:00:05 INFO customer_id={SUBJECT} shipped to ana xochipilli",
        f"2026-01-01T10:00:06 INFO took 4711 ms for customer_id={OTHER}",
    ]
    (folder / "logs/app.log").write_text("\n".join(lines) + "\n")
    with gzip.open(folder / "logs/app.log.1.gz", "wt") as file:
        file.write("\n".join(lines[:4]) + "\n")


TEMPLATE = "subject_shop"


def template(server) -> str:
    """A database with the rows in it, made once a server; tests clone it."""
    with server.connect() as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone():
            return TEMPLATE
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    with server.connect(TEMPLATE) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
    return TEMPLATE


@functools.cache
def template_files() -> Path:
    """A folder with the files in it, made once a session."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-subjects-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_files(folder)
    return folder


@contextlib.contextmanager
def shop(folder: Path, server, estate=None) -> Iterator[Shop]:
    folder.mkdir(exist_ok=True)
    shutil.copytree(template_files(), folder, dirs_exist_ok=True)
    with server.database(template=template(server)) as url:
        made = Shop(folder, url, estate)
        try:
            yield made
        finally:
            made.app.close()
