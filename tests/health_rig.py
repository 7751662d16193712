"""What the health tests share: a server whose settings are safe, its database, a ledger, and how findings are asked for."""

from __future__ import annotations

import contextlib
import time

import psycopg
import pytest

import servers
from datareeve.capabilities.databases.operations.check_health import CheckHealth
from datareeve.core import clock
from datareeve.core.ledger import Sample, open_ledger
from datareeve.systems.ledger_system import LedgerSystem

SAFE = {"fsync": "on", "full_page_writes": "on", "max_prepared_transactions": "5", "wal_level": "logical"}


@pytest.fixture(scope="session")
def safe_server():
    """A server that has nothing to be told of: the tests' usual one runs without fsync."""
    with servers.server(**SAFE) as server:
        yield server


@pytest.fixture
def database(safe_server):
    """The URL of an empty database of this test."""
    with safe_server.database() as url:
        yield url


@pytest.fixture
def systems(tmp_path, database):
    """The systems of an estate whose `app` is that database."""
    registry = servers.registry(tmp_path, database)
    yield registry
    registry.close()


@pytest.fixture
def ledger(systems, tmp_path):
    """The real ledger, given to the systems; samples are put into it with `remember`."""
    with contextlib.closing(attach(systems, tmp_path)) as opened:
        yield opened


def attach(registry, folder):
    ledger = open_ledger(f"sqlite:///{folder}/ledger.db")
    registry.add(LedgerSystem(ledger, preview=None))
    return ledger


@contextlib.contextmanager
def looking(folder, url, local=None, **entry):
    """The systems of a database, with a ledger; closed at the end."""
    registry = servers.registry(folder, url, local, **entry)
    with contextlib.closing(registry), contextlib.closing(attach(registry, folder)):
        yield registry


def remember(ledger, at, **figures):
    ledger.add_samples(
        [
            Sample(at=clock.stamp(at), system="app", name=name, value=float(value))
            for name, value in figures.items()
        ]
    )


ACTIVITY = "pg_stat_activity WHERE datname = current_database()"


def wait_until(url, question):
    """Ask the server until it says yes."""
    deadline = time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as watcher:
        while not watcher.execute(question).fetchone()[0]:
            assert time.monotonic() < deadline, question


def check(systems, **inputs):
    operation = CheckHealth(system="app", **inputs)
    return operation.plan(operation.observe(systems))


def rules(plan):
    return sorted(finding.rule for finding in plan.findings)


def found(plan, rule):
    return next(finding for finding in plan.findings if finding.rule == rule)
