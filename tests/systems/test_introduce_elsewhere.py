"""`datareeve init` with a MariaDB, an SQLite and a DuckDB database."""

from __future__ import annotations

import contextlib
import sqlite3

import duckdb
import pytest

from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, Unreachable
from datareeve.interfaces import cli
from datareeve.systems import urls
from datareeve.systems.introduce import introduce
from datareeve.systems.registry import Registry


@pytest.fixture
def files(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.u (id INTEGER)")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "kind", "product"),
    [
        ("sqlite:///shop.db", "sqlite", "SQLite"),
        ("shop.db", "sqlite", "SQLite"),
        ("duckdb:///lake.duckdb", "duckdb", "DuckDB"),
        ("lake.duckdb", "duckdb", "DuckDB"),
    ],
)
def test_a_file_joins_the_estate_by_url_or_by_path(files, given, kind, product):
    (joined,) = introduce([given], files)
    assert (joined.found.product, joined.name) == (product, given.rpartition("/")[2].partition(".")[0])
    entry = estates.load(files / "estate.yaml").systems[joined.name]
    assert (entry.kind, entry.path) == (kind, given.rpartition("/")[2])


def test_what_a_file_holds_is_counted(files):
    (joined,) = introduce(["lake.duckdb"], files)
    assert joined.found.schemas == {"main": 1, "raw": 1}
    assert joined.found.size_bytes > 0


def test_an_absolute_path_is_kept(files, tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    (joined,) = introduce([f"sqlite:///{files / 'shop.db'}"], project)
    systems = Registry(estates.load(project / "estate.yaml"), project)
    assert systems[joined.name].read("server")["engine"] == "SQLite"


def test_a_second_init_of_the_same_file_changes_nothing(files):
    introduce(["shop.db", "lake.duckdb"], files)
    before = (files / "estate.yaml").read_bytes()
    assert [joined.known for joined in introduce(["sqlite:///shop.db", "duckdb:///lake.duckdb"], files)] == [
        True,
        True,
    ]
    assert (files / "estate.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        ("sqlite:///nowhere.db", Unreachable, "sqlite.missing"),
        ("duckdb:///nowhere.duckdb", Unreachable, "duckdb.missing"),
        ("nowhere.db", BadInput, "url.invalid"),
        ("sqlite:///lake.duckdb", BadInput, "url.file"),
        ("duckdb:///shop.db", BadInput, "url.file"),
        ("notes.txt", BadInput, "url.file"),
        ("sqlite:///notes.txt", Unreachable, "sqlite.not-a-database"),
        ("sqlite:///", BadInput, "url.invalid"),
        ("oracle://u:hidden@h/d", BadInput, "url.kind"),
    ],
)
def test_what_cannot_join_is_said_and_nothing_is_written(files, given, error, code):
    (files / "notes.txt").write_text("just notes, and long enough not to be empty\n" * 50)
    with pytest.raises(error) as raised:
        introduce([given], files)
    assert raised.value.code == code
    assert "hidden" not in str(raised.value)
    assert not (files / "estate.yaml").exists()


@pytest.mark.system
def test_a_mariadb_joins_and_what_its_account_should_not_be_able_to_is_said(tmp_path, mariadb):
    with mariadb.database("CREATE TABLE t (id INT PRIMARY KEY)") as url:
        (careful,) = introduce([url], tmp_path)
        as_root = url.replace("looker", "root").replace("mysql:", "mariadb:")
        (mighty,) = introduce([as_root], _folder(tmp_path, "other"))
    assert (careful.found.product, careful.found.missing) == ("MariaDB", ())
    assert careful.found.schemas == {url.rsplit("/", 1)[1]: 1}
    (missing,) = mighty.found.missing
    assert "may write" in missing.without
    assert any(statement.startswith("GRANT SELECT") for statement in missing.statements)
    entry = estates.load(tmp_path / "other" / "estate.yaml").systems[mighty.name]
    assert (entry.kind, entry.url.partition(":")[0]) == ("mysql", "mysql")


def _folder(parent, name):
    (parent / name).mkdir()
    return parent / name


@pytest.mark.system
def test_a_password_in_the_url_of_a_mariadb_goes_into_a_file_of_its_own(tmp_path, mariadb):
    with mariadb.database() as url, contextlib.closing(mariadb.connect()) as admin:
        admin.cursor().execute("GRANT SELECT ON *.* TO locked@'%'")
        (joined,) = introduce([url.replace("looker@", "locked:s3cret@")], tmp_path)
    assert joined.stored
    assert (tmp_path / ".datareeve" / "secrets" / f"{joined.name}.password").read_text() == "s3cret\n"
    assert "s3cret" not in (tmp_path / "estate.yaml").read_text()
    systems = Registry(estates.load(tmp_path / "estate.yaml"), tmp_path)
    assert systems[joined.name].password.reveal() == "s3cret"


@pytest.mark.system
def test_a_wrong_password_of_a_mariadb_is_said(tmp_path, mariadb):
    with mariadb.database() as url, pytest.raises(Unreachable) as error:
        introduce([url.replace("looker@", "locked:wr0ng@")], tmp_path)
    assert error.value.code == "mysql.login"
    assert "wr0ng" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "url", "password"),
    [
        ("mysql://u:p%40ss@h/d", "mysql://u@h/d", "p@ss"),
        ("mariadb://u@h:3307/d", "mysql://u@h:3307/d", None),
        (
            "mysql://u@h/d?unix_socket=/run/mysqld/mysqld.sock",
            "mysql://u@h/d?unix_socket=/run/mysqld/mysqld.sock",
            None,
        ),
    ],
)
def test_a_password_is_taken_out_of_a_url_of_mariadb(given, url, password):
    without, secret = urls.split_url(given)
    assert (without, secret.reveal() if secret else None) == (url, password)
    assert urls.place("mysql://u@h/d") == "h:3306/d"


def test_init_shows_what_it_found(files, capsys):
    assert cli.main(["init", "lake.duckdb", "--project", str(files)]) == 0
    assert "DuckDB" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["lake", "lake/", "{}/lake"])
def test_a_folder_of_files_joins_the_estate_by_its_path(files, given, capsys):
    (files / "lake" / "events").mkdir(parents=True)
    (files / "lake" / "clicks.csv").write_text("id,at\n1,2025-01-01\n")
    for day in (1, 2):
        (files / "lake" / "events" / f"{day}.jsonl").write_text('{"id": 1}\n')
    (files / "lake" / "z\nversion: 9.csv").write_text("id\n1\n")
    given = given.format(files)
    assert cli.main(["init", given, "shop.db", "--project", str(files)]) == 0
    assert "3 tables" in capsys.readouterr().out
    text = (files / "estate.yaml").read_text()
    assert "clicks (clicks.csv), events (events/*.jsonl), z?version: 9 (z?version: 9.csv)" in text
    assert "Slow queries" not in text.partition("shop:")[0]
    systems = Registry(estates.load(files / "estate.yaml"), files)
    try:
        assert systems["lake"].kind == "folder"
        assert systems["lake"].read("tables") == ["clicks", "events", "z\nversion: 9"]
    finally:
        systems.close()
    (again,) = introduce([given], files)
    assert again.known


def test_a_folder_without_data_and_a_path_that_is_not_there_are_told(files):
    (files / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no Parquet, CSV or JSON"):
        introduce(["empty"], files)
    with pytest.raises(BadInput, match="folder of Parquet, CSV and JSON files") as error:
        introduce(["nowhere:secret@there"], files)
    assert "secret" not in str(error.value)
    assert not (files / "estate.yaml").exists()
