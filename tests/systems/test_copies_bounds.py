import contextlib
import os
import time

import psycopg
import pytest

import servers
import shop_data
from datareeve.app import App
from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.core.errors import Failed
from datareeve.core.estate import CopySettings, Estate, PostgresqlSystem
from datareeve.systems import pg_disposable, pg_server
from datareeve.systems.pg_copy import copy_of
from datareeve.systems.pg_twin import twin_of


@contextlib.contextmanager
def database(pg18, tmp_path, *statements, user="postgres", **entry):
    with pg18.database(*statements) as url:
        registry = servers.registry(tmp_path, url.replace("postgres@", f"{user}@"), **entry)
        try:
            yield registry["app"]
        finally:
            registry.close()


SMALL = (*shop_data.SCHEMA, *shop_data.rows(1_000))


def test_a_copy_that_fits_has_all_rows_and_the_originals_settings(pg18, tmp_path):
    with database(pg18, tmp_path, *SMALL) as app:
        name = app.query("SELECT current_database()", shape="scalar")
        with pg18.connect() as admin:
            admin.execute(
                f"ALTER DATABASE {name} SET hash_mem_multiplier = 3.5; ALTER DATABASE {name} SET enable_hashjoin = off"
            )
            admin.execute(
                f"ALTER DATABASE {name} SET join_collapse_limit = 5; ALTER DATABASE {name} SET plan_cache_mode = force_generic_plan"
            )
        app.close()
        with copy_of(app, tmp_path) as copy:
            assert (copy.read("copy_kind"), copy.differs) == ("clone", "")
            assert [
                copy.query(f"SHOW {n}", shape="scalar")
                for n in ("hash_mem_multiplier", "enable_hashjoin", "join_collapse_limit", "plan_cache_mode")
            ] == ["3.5", "off", "5", "force_generic_plan"]
            assert copy.query("SELECT count(*) FROM line", shape="scalar") == 4003


def test_what_is_too_large_or_takes_too_long_is_a_twin_that_says_why(pg18, tmp_path):
    with database(pg18, tmp_path, *SMALL) as app, copy_of(app, tmp_path, max_seconds=0.25) as copy:
        assert copy.read("copy_kind") == "twin"
        assert copy.differs.startswith("It holds no rows: ")


def test_nothing_is_made_where_nothing_fits(pg18, tmp_path, monkeypatch):
    with database(pg18, tmp_path, *SMALL) as app:
        for bounds, free, code in (
            ({"max_bytes": 10**6}, 10**12, "copy.too-large"),
            ({}, 10**6, "copy.no-space"),
        ):
            monkeypatch.setattr(pg_disposable, "free_bytes", lambda _folder, free=free: free)
            with pytest.raises(Failed) as refused, copy_of(app, tmp_path / "copies", **bounds):
                pass
            assert refused.value.code == code
            assert refused.value.remedy
    assert not (tmp_path / "copies").exists()


def test_a_lock_is_not_waited_for_and_nothing_is_left(pg18, tmp_path, monkeypatch):
    monkeypatch.setattr("datareeve.systems.pg_dumping.POLITE", ("--lock-wait-timeout=300",))
    monkeypatch.setattr("datareeve.systems.pg_source.LOCK_MS", 300)
    with database(pg18, tmp_path, *SMALL) as app, app.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE line IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(Failed) as refused, copy_of(app, tmp_path):
            pass
        assert refused.value.code in {"copy.locked", "postgres.lock-timeout"}
        assert time.monotonic() - began < 20
    assert not list(tmp_path.glob("copy-*"))


def test_the_original_never_has_two_of_our_connections(pg18, tmp_path):
    seen = set()
    with database(pg18, tmp_path, *SMALL) as app:
        name = app.query("SELECT current_database()", shape="scalar")
        with pg18.connect() as watcher:

            def count(_text):
                row = watcher.execute(
                    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                    (name,),
                ).fetchone()
                seen.add(row["n"])

            with copy_of(app, tmp_path, progress=count):
                pass
    assert max(seen) <= 1


def test_a_role_without_all_rights_copies_what_it_may_and_names_the_rest(pg18, tmp_path):
    role = f"copier_{os.getpid()}"
    statements = (
        "CREATE TABLE seen (id serial PRIMARY KEY); INSERT INTO seen DEFAULT VALUES",
        "CREATE TABLE closed (a int)",
        "CREATE TABLE guarded (a int); INSERT INTO guarded VALUES (1); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON seen, guarded TO {role}",
    )
    try:
        with database(pg18, tmp_path, *statements, user=role) as app, copy_of(app, tmp_path) as copy:
            assert copy.differs == (
                "The copy differs: row security keeps the rows of public.guarded from this role; 1 tables could not be brought over:"
                " public.closed."
            )
            assert copy.query("SELECT count(*) FROM seen", shape="scalar") == 1
    finally:
        with pg18.connect() as admin:
            admin.execute(f"DROP ROLE IF EXISTS {role}")


@contextlib.contextmanager
def standby_of(primary, folder):
    """A hot standby of a server; gives the URL of a database on it."""
    local = primary.local
    port = pg_server.free_port()
    data = pg_server.server_folder(folder / "standby")
    pg_server.make_folder(data.parent, None)
    pg_server.make_folder(data, local.os_user)
    data.chmod(0o700)
    pg_server.run_as(
        local.os_user,
        [str(local.bin / "pg_basebackup"), "-D", str(data), "-R", "-c", "fast", "-d", primary.url],
    )
    standby = pg_server.LocalServer(
        data=data, bin=local.bin, os_user=local.os_user, log=data / "server.log", options=(f"-p {port}",)
    )
    standby.start()
    try:
        yield primary.url.replace(f":{psycopg.conninfo.conninfo_to_dict(primary.url)['port']}/", f":{port}/")
    finally:
        pg_server.destroy(standby)


def test_a_hot_standby_is_copied_and_has_a_twin(tmp_path):
    with servers.server() as primary:
        with primary.connect() as connection:
            for statement in (*SMALL, "CREATE UNLOGGED TABLE scratch (a int)"):
                connection.execute(statement)
        with standby_of(primary, tmp_path) as url:
            registry = servers.registry(tmp_path, url)
            assert registry["app"].read("server")["in_recovery"]
            with copy_of(registry["app"], tmp_path) as copy:
                assert (copy.read("copy_kind"), copy.differs) == ("clone", "")
                assert copy.query("SELECT count(*) FROM line", shape="scalar") == 4003
            with twin_of(registry["app"], tmp_path) as twin:
                assert twin.differs == ""
            registry.close()


def test_the_estate_says_how_much_a_copy_may_take(tmp_path):
    entry = {
        "kind": "postgresql",
        "url": "postgresql://a@b/c",
        "copies": {"max_gb": 5, "max_seconds": 60, "folder": "/big/copies"},
    }
    system = Estate.model_validate({"systems": {"app": entry}}).systems["app"]
    assert system.copies == CopySettings(max_gb=5, max_seconds=60, folder="/big/copies")
    assert PostgresqlSystem(kind="postgresql", url="postgresql://a@b/c").copies.max_gb == 20


def rehearsed(tmp_path, url, copies):
    """A plan for an index, rehearsed in a project whose estate bounds its copies."""
    (tmp_path / "estate.yaml").write_text(
        f"version: 1\nsystems:\n  app:\n    kind: postgresql\n    url: {url}\n    copies: {copies}\n"
    )
    app = App.open(tmp_path)
    try:
        return app.rehearse(app.preview(CreateIndex(system="app", table="line", columns=("price",))))
    finally:
        app.close()


def test_a_rehearsal_on_all_rows_foretells_a_time(pg18, tmp_path):
    with pg18.database(*SMALL) as url:
        plan = rehearsed(tmp_path, url, "{max_gb: 1}")
    assert plan.findings == ()
    assert plan.steps[0].predicted.seconds > 0
    assert plan.steps[0].predicted.basis == "rehearsed on a copy"


def test_a_rehearsal_without_rows_says_so_and_foretells_no_time(pg18, tmp_path):
    with pg18.database(*SMALL) as url:
        plan = rehearsed(tmp_path, url, "{max_seconds: 0.25}")
    assert [f.rule for f in plan.findings] == ["not-rehearsed"]
    assert "It holds no rows" in plan.findings[0].what
    assert plan.steps[0].predicted.seconds is None


def test_a_rehearsal_on_a_part_of_the_rows_says_so_and_foretells_no_time(pg18, tmp_path):
    with pg18.database(*shop_data.SCHEMA, *shop_data.rows(4_000), *shop_data.BULK) as url:
        plan = rehearsed(tmp_path, url, "{max_gb: 0.064}")
    assert [f.rule for f in plan.findings] == ["rehearsed-in-part"]
    assert "public.bulk " in plan.findings[0].what
    assert plan.steps[0].predicted.seconds is None
    assert plan.steps[0].predicted.basis.endswith("tried on a part of the rows")
