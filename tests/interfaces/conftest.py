"""A project with one real database, and the command line called as a shell would."""

from __future__ import annotations

import json
from dataclasses import dataclass

import psycopg
import pytest

from datareeve.interfaces import cli
from datareeve.systems.introduce import introduce

TABLE = "CREATE TABLE trips (id int PRIMARY KEY, plane text)"


@dataclass
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def project(tmp_path, database):
    """A folder with an estate of one database, `app`, that holds one table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE)
    introduce([database], tmp_path)
    estate = tmp_path / "estate.yaml"
    estate.write_text(estate.read_text().replace(f"  {database.rsplit('/', 1)[1]}:\n", "  app:\n"))
    return tmp_path


@pytest.fixture
def datareeve(capfd, project):
    """The command line on that project."""

    def call(*words):
        status = cli.main([*words, "--project", str(project)])
        return Answer(status, *capfd.readouterr())

    return call
