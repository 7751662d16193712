"""Which database a task means, where the estate has several of several kinds."""

from __future__ import annotations

import fakes
import pytest

from datareeve.agent import inputs
from datareeve.agent import task as tasks
from datareeve.agent.planner import Planner
from datareeve.app import catalogue
from datareeve.core.errors import BadInput

SYSTEMS = {"postgresql": ("app",), "mysql": ("web",), "sqlite": ("shop",)}


@pytest.fixture(scope="module")
def planner():
    """A planner of the real catalogue, for an estate with one database of each of three kinds."""
    return Planner(catalogue(), fakes.preview, lambda kind: SYSTEMS.get(kind, ()))


def system_for(planner, operation, words):
    (want,) = planner.wants(tasks.parse(words), "1", words, words, operation)
    return want.inputs["system"]


@pytest.mark.parametrize(
    ("words", "system"),
    [
        ("check the health of web", "web"),
        ("check database health of shop", "shop"),
        ("check database health of PostgreSQL", "app"),
        ("check database health of our MariaDB", "web"),
        ("check database health of the SQLite file", "shop"),
    ],
)
def test_a_system_is_meant_by_its_name_or_by_its_product(planner, words, system):
    assert system_for(planner, "databases.check-health", words) == system


def test_the_only_one_of_a_kind_need_not_be_named(planner):
    assert system_for(planner, "databases.back-up", "back up the database") == "app"


def test_no_other_system_is_taken_for_one_of_a_kind_that_cannot(planner):
    """`back up shop` must not back up app: the operation itself then says what it works on."""
    assert system_for(planner, "databases.back-up", "back up shop") == "shop"


def test_where_none_is_named_it_is_asked_for(planner):
    with pytest.raises(BadInput, match="app, web, shop"):
        system_for(planner, "databases.check-health", "check database health")


def test_products_are_known_by_their_names():
    assert inputs.kinds_named("move from MySQL to PostgreSQL") == {"mysql", "postgresql"}
    assert inputs.kinds_named("our mysqlite thing") == frozenset()
