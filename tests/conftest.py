"""Fixtures: real servers, shared by the session, and one database a test."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ai_rig
import servers
import spark_rig

# How fast a machine that others use makes examples says nothing of the tests.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_configure(config):
    """Of several processes each has a temporary folder of its own: some tests look for what was left behind there."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.own_temporary = Path(tempfile.mkdtemp(prefix="datareeve-tests-"))
        config.own_temporary.chmod(0o1777)  # servers of other users work below it
        os.environ["TMPDIR"] = tempfile.tempdir = str(config.own_temporary)


def pytest_unconfigure(config):
    """The folder goes."""
    if hasattr(config, "own_temporary"):
        shutil.rmtree(config.own_temporary, ignore_errors=True)


def pytest_make_parametrize_id(val, argname):
    """Bytes are named by their number: what is packed holds the time, and of several processes each would call a test by another name."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def pg18():
    """The embedded PostgreSQL 18 of this session."""
    with servers.server() as server:
        yield server


@pytest.fixture
def database(pg18):
    """The URL of an empty database of this test."""
    with pg18.database() as url:
        yield url


@pytest.fixture
def systems(tmp_path, database):
    """The systems of an estate whose `app` is that database."""
    registry = servers.registry(tmp_path, database)
    yield registry
    registry.close()


@pytest.fixture(scope="session")
def mariadb():
    """The MariaDB of this session, from Debian."""
    if not servers.MARIADB.exists():
        pytest.skip("needs Debian's mariadb-server")
    with servers.mariadb() as server:
        yield server


@pytest.fixture
def double():
    """A provider of AI that does what this test tells it to."""
    with ai_rig.FaultDouble() as provider:
        yield provider


@pytest.fixture(scope="session")
def real_model(tmp_path_factory):
    """A real small language model behind a real server, over both protocols."""
    with ai_rig.real_model(tmp_path_factory.mktemp("model")) as model:
        yield model


@pytest.fixture(scope="session")
def spark_cluster():
    """A Spark master with two workers; a process has one Spark, so all tests share it."""
    pytest.importorskip("py4j")
    with spark_rig.cluster() as cluster:
        yield cluster
