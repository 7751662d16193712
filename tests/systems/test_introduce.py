"""Looking at a database and writing it into the estate."""

from __future__ import annotations

import pkgutil
from pathlib import Path

import psycopg
import pytest

import servers
from datareeve.capabilities.databases.rules import settings
from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, Unreachable
from datareeve.systems import estate_text, pg_look, pg_server, urls
from datareeve.systems.introduce import introduce


@pytest.mark.parametrize(
    ("given", "url", "password"),
    [
        ("postgresql://u@h:5433/d", "postgresql://u@h:5433/d", None),
        ("postgres://u:p%40ss@h/d", "postgresql://u@h/d", "p@ss"),
        ("postgresql:///d?host=/var/run/postgresql", "postgresql:///d?host=/var/run/postgresql", None),
        ("postgresql://u@h/d?password=p%2525&sslmode=require", "postgresql://u@h/d?sslmode=require", "p%25"),
        ("postgresql://h", "postgresql://h", None),
    ],
)
def test_a_password_is_taken_out_of_a_url(given, url, password):
    without, secret = urls.split_url(given)
    assert (without, secret.reveal() if secret else None) == (url, password)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("flights", "url.invalid"),
        ("", "url.invalid"),
        ("postgresql://u:p@h/d\n", "url.invalid"),
        ("postgresql://u:p@[h/d", "url.invalid"),
        ("oracle://u:hidden@h/d", "url.kind"),
    ],
)
def test_what_is_not_a_url_is_refused_without_being_repeated(given, code):
    with pytest.raises(BadInput) as error:
        urls.split_url(given)
    assert error.value.code == code
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("database", "taken", "name"),
    [
        ("flights", (), "flights"),
        ("My Shop!", (), "my-shop"),
        ("flights", ("flights", "flights-2"), "flights-3"),
        ("ledger", (), "ledger-2"),
        ("日本", (), "database"),
    ],
)
def test_a_system_is_named_after_its_database(database, taken, name):
    assert estate_text.system_name(database, taken) == name


ENTRY = {"kind": "postgresql", "url": "postgresql://u@h/n"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "version: 1",
            "version: 1\n\nsystems:\n  n:\n    # seen\n    kind: postgresql\n    url: postgresql://u@h/n\n",
        ),
        (
            "systems: {}   # mine\nname: x\n",
            "systems:   # mine\n  n:\n    # seen\n    kind: postgresql\n    url: postgresql://u@h/n\nname: x\n",
        ),
        (
            "systems:\n# none yet\nname: x\n",
            "systems:\n  n:\n    # seen\n    kind: postgresql\n    url: postgresql://u@h/n\n# none yet\nname: x\n",
        ),
        (
            "systems:\n    a:   # first\n        kind: postgresql\n        url: postgresql://h/a\n\n# what it may do\nauthority: {}\n",
            "systems:\n    a:   # first\n        kind: postgresql\n        url: postgresql://h/a\n    n:\n      # seen\n      kind: postgresql\n      url: postgresql://u@h/n\n\n# what it may do\nauthority: {}\n",
        ),
        (
            "systems:\n  a:\n    kind: postgresql\n    url: postgresql://h/a\n    schemas:\n    - x # the last\n",
            "systems:\n  a:\n    kind: postgresql\n    url: postgresql://h/a\n    schemas:\n    - x # the last\n  n:\n    # seen\n    kind: postgresql\n    url: postgresql://u@h/n\n",
        ),
    ],
)
def test_a_system_is_put_after_the_others_and_every_other_byte_is_kept(before, after):
    assert estate_text.add_system(before, "n", ENTRY, ["seen"]) == after


def test_systems_in_braces_are_refused_rather_than_rewritten():
    with pytest.raises(BadInput, match="braces"):
        estate_text.add_system("systems: {a: {kind: postgresql, url: 'postgresql://h/a'}}\n", "n", ENTRY, [])


def test_init_writes_an_estate_that_can_be_loaded_and_controls_the_server_that_is_here(
    tmp_path, pg18, database
):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE trips (id int PRIMARY KEY)")
    (joined,) = introduce([database], tmp_path)
    entry = estates.load(tmp_path / "estate.yaml").systems[joined.name]
    assert entry.url == database
    assert Path(entry.server.data) == pg18.local.data
    assert entry.server.os_user == (pg18.local.os_user or Path(pg18.local.data).owner())
    assert (Path(entry.server.bin) / "pg_ctl").exists()
    assert joined.found.schemas == {"public": 1}
    assert joined.found.superuser
    assert [missing.without for missing in joined.found.missing] == [
        "Statements are not counted: advice needs pg_stat_statements, a log or a file of statements."
    ]
    assert (tmp_path / ".datareeve" / ".gitignore").read_text() == "*\n"


def test_a_second_init_of_the_same_database_changes_nothing(tmp_path, database):
    introduce([database], tmp_path)
    before = (tmp_path / "estate.yaml").read_bytes()
    (joined,) = introduce([database], tmp_path)
    assert joined.known
    assert (tmp_path / "estate.yaml").read_bytes() == before


def test_a_persons_estate_keeps_its_comments_and_mode_when_a_system_joins(tmp_path, pg18, database):
    introduce([database], tmp_path)
    file = tmp_path / "estate.yaml"
    file.write_text(file.read_text().replace("version: 1", "version: 1   # do not touch"))
    file.chmod(0o640)
    with pg18.database() as second:
        (joined,) = introduce([second], tmp_path)
        assert not joined.known
    assert "version: 1   # do not touch" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    assert len(estates.load(file).systems) == 2


def test_a_password_in_the_url_goes_into_a_file_of_its_own(tmp_path, database):
    (joined,) = introduce([database.replace("postgres@", "postgres:s3cret@")], tmp_path)
    secret = tmp_path / ".datareeve" / "secrets" / f"{joined.name}.password"
    assert joined.password == f"file:.datareeve/secrets/{joined.name}.password"
    assert joined.stored
    assert secret.read_text() == "s3cret\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    assert "s3cret" not in (tmp_path / "estate.yaml").read_text()


def test_the_variable_named_after_the_database_is_taken_before_the_driver_s_own(
    tmp_path, database, monkeypatch
):
    name = database.rpartition("/")[2].partition("?")[0].upper() + "_PASSWORD"
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    (joined,) = introduce([database], tmp_path / "driver")
    assert joined.password == "env:PGPASSWORD"  # noqa: S105 - a reference
    monkeypatch.setenv(name, "s3cret")
    (joined,) = introduce([database], tmp_path / "named")
    assert joined.password == f"env:{name}"


def test_a_password_by_reference_stays_a_reference(tmp_path, database, monkeypatch):
    monkeypatch.setenv("APP_PASSWORD", "s3cret")
    (joined,) = introduce([database], tmp_path, password="env:APP_PASSWORD")  # noqa: S106 - a reference
    assert estates.load(tmp_path / "estate.yaml").systems[joined.name].password == "env:APP_PASSWORD"  # noqa: S105 - a reference
    assert not joined.stored


@pytest.fixture
def poor_role(pg18, database):
    """A role that may log in and nothing else, and a table of somebody else's."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE ROLE "po\'or" LOGIN')
        connection.execute("CREATE SCHEMA shop CREATE TABLE orders (id int)")
        yield database.replace("postgres@", "po%27or@")
        connection.execute('REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM "po\'or"')
        connection.execute('DROP OWNED BY "po\'or"')
        connection.execute('DROP ROLE "po\'or"')


def test_missing_rights_are_told_with_statements_that_grant_them(tmp_path, poor_role, database):
    (first,) = introduce([poor_role], tmp_path)
    statements = [statement for missing in first.found.missing for statement in missing.statements]
    assert statements[:4] == [
        'GRANT pg_monitor TO "po\'or";',
        'GRANT USAGE ON SCHEMA "shop" TO "po\'or";',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "shop" TO "po\'or";',
        'GRANT "postgres" TO "po\'or";',
    ]
    assert first.found.server is None
    assert "hidden" in first.found.notes[-1]
    with psycopg.connect(database, autocommit=True) as owner:
        for missing in first.found.missing[:-1]:
            for statement in missing.statements:
                owner.execute(statement)
    (second,) = introduce([poor_role], tmp_path)
    assert [missing.without[:10] for missing in second.found.missing] == ["Statements"]


def test_the_read_role_that_init_proposes_can_be_made_and_is_found(tmp_path, poor_role, database):
    (first,) = introduce([poor_role], tmp_path)
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in first.found.least_privilege:
            owner.execute(statement)
        try:
            (second,) = introduce([poor_role], tmp_path / "other")
            assert second.found.read_role == "datareeve_read"
            assert (
                estates.load(tmp_path / "other" / "estate.yaml").systems[second.name].read_role
                == "datareeve_read"
            )
            assert second.found.least_privilege == ()
        finally:
            owner.execute("DROP OWNED BY datareeve_read")
            owner.execute("DROP ROLE datareeve_read")


def test_every_setting_that_tuning_changes_is_among_those_asked_to_be_granted():
    tuned = {module.name for module in pkgutil.iter_modules(settings.__path__)}
    assert tuned - set(pg_look.SETTINGS) == set()


@pytest.mark.system
def test_a_server_that_counts_statements_is_taken_as_the_workload_s_source(tmp_path):
    debian = Path("/usr/lib/postgresql/15/bin")
    with servers.server(binaries=debian, shared_preload_libraries="pg_stat_statements") as server:
        with server.database("CREATE EXTENSION pg_stat_statements") as url:
            (joined,) = introduce([url], tmp_path)
        assert joined.found.version.startswith("15.")
        assert joined.found.missing == ()
    assert estates.load(tmp_path / "estate.yaml").systems[joined.name].workload.kind == "pg_stat_statements"


def test_nothing_is_written_when_one_of_several_cannot_be_reached(tmp_path, database):
    closed = f"postgresql://u:p@127.0.0.1:{pg_server.free_port()}/d"
    with pytest.raises(Unreachable) as error:
        introduce([database, closed], tmp_path)
    assert error.value.code == "postgres.unreachable"
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there_is_told_as_such(tmp_path, pg18):
    with pytest.raises(Unreachable) as error:
        introduce([pg18.url_of("nowhere")], tmp_path)
    assert error.value.code == "postgres.database"


def test_a_wrong_password_is_told_without_the_password(tmp_path, pg18):
    hba = pg18.local.data / "pg_hba.conf"
    before = hba.read_text()
    with pg18.connect() as admin:
        admin.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        hba.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
        admin.execute("SELECT pg_reload_conf()")
        try:
            with pytest.raises(Unreachable) as error:
                introduce([pg18.url.replace("postgres@", "guarded:wr0ng@")], tmp_path)
            assert error.value.code == "postgres.login"
            assert "wr0ng" not in str(error.value)
        finally:
            hba.write_text(before)
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("DROP ROLE guarded")


def test_an_estate_that_is_not_in_order_is_told_before_anything_is_looked_at(tmp_path):
    (tmp_path / "estate.yaml").write_text("sytems: {}\n")
    with pytest.raises(BadInput, match="did you mean 'systems'"):
        introduce(["postgresql://u@127.0.0.1:1/d"], tmp_path)


def test_a_standby_is_welcome_and_told_to_be_one(tmp_path):
    with servers.server() as primary:
        copy = primary.local.data.parent / "standby"
        pg_server.make_folder(copy, primary.local.os_user)
        copy.chmod(0o700)
        port = pg_server.free_port()
        pg_server.run_as(
            primary.local.os_user,
            [
                str(primary.local.bin / "pg_basebackup"),
                "-D",
                str(copy),
                "-d",
                primary.url,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
            ],
        )
        standby = pg_server.LocalServer(
            data=copy, bin=primary.local.bin, os_user=primary.local.os_user, options=("-p", str(port))
        )
        try:
            standby.start()
            (joined,) = introduce([f"postgresql://postgres@127.0.0.1:{port}/postgres"], tmp_path)
        finally:
            pg_server.destroy(standby)
    assert joined.found.in_recovery
    assert (
        "It is a standby: reading works; whatever changes the database needs the primary's URL."
        in (tmp_path / "estate.yaml").read_text()
    )
