"""Servers that live for one question: made quickly from a kept empty one, on loopback alone, removed at the end or by the next that comes.

A server's folder is named `copy-PID-label` or `twin-PID-label`; where no process of that number is left, whoever comes next removes it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from datareeve.core.errors import Failed
from datareeve.systems import pg_planner, pg_server
from datareeve.systems.pg_server import LocalServer
from datareeve.systems.postgres import new_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.pg_source import Source

PORT = 5432  # names the socket; no TCP port is taken
LEFT = re.compile(r"(?:^|%2F)(?:copy|twin)-(?P<pid>\d+)-(?P<label>\w+)$")
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # statistics must not change between two measurements
    "max_wal_size": "1GB",
    "max_connections": "20",
    "logging_collector": "off",
    "event_triggers": "off",  # those of the original have nothing to do here
    "log_min_error_statement": "panic",  # statements and what they quote stay out of the log
    "log_min_messages": "fatal",
}


@contextmanager
def server(
    folder: Path, kind: str, *, binaries: Path, settings: dict[str, str]
) -> Iterator[tuple[LocalServer, str]]:
    """A running empty server below `folder`, with its URL; destroyed at the end. What killed processes left there goes first.

    It listens on a socket in a folder that only its own OS user can enter: nobody else on this machine can read what it holds.
    """
    remove_abandoned(folder)
    label = new_label()
    place = folder / f"{kind}-{os.getpid()}-{label}"
    template = _empty(folder) / f"empty-{pg_server.version_of(binaries)}"
    socket = _socket_folder(label)
    try:
        pg_server.make_folder(socket, pg_server.service_user())
        socket.chmod(0o700)
        known = pg_planner.known(binaries)
        chosen = {name: value for name, value in {**SETTINGS, **settings}.items() if name in known}
        wanted = {**chosen, "listen_addresses": "", "unix_socket_directories": str(socket)}
        local, _ = pg_server.initialise(
            place, binaries=binaries, port=PORT, settings=wanted, template=template
        )
        yield local, url_of(local, "postgres")
    finally:
        _destroy(pg_server.server_folder(place), label, binaries)


def url_of(local: LocalServer, database: str) -> str:
    """The URL of a database on a disposable server."""
    found = LEFT.search(local.data.name)
    socket = _socket_folder(found["label"] if found else "")
    return f"postgresql://postgres@/{quote(database)}?host={quote(str(socket), safe='')}&port={PORT}"


def database(local: LocalServer, source: Source) -> tuple[str, str]:
    """A database of the original's encoding and collation; gives its URL, and in what it differs ('' where in nothing).

    Errors: `Failed` `copy.encoding`.
    """
    url = url_of(local, "postgres")
    if (source.encoding, source.collation.lower()) in {("UTF8", "c.utf-8"), ("UTF8", "c.utf8")}:
        return url, ""
    plain = ("C.UTF-8", "C.UTF-8") if source.encoding == "UTF8" else ("C", "C")
    with psycopg.connect(url, autocommit=True) as connection:
        for collation, ctype in ((source.collation, source.ctype), plain):
            statement = sql.SQL(
                "CREATE DATABASE original TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}"
            ).format(source.encoding, collation, ctype)
            try:
                connection.execute(statement)
            except psycopg.Error:
                continue  # the locale is not installed here
            same = (collation, ctype) == (source.collation, source.ctype) and source.provider != "i"
            differs = "" if same else f"text is ordered as {collation}, in the original as {source.collation}"
            return url_of(local, "original"), differs
    raise Failed(
        "copy.encoding",
        f"A database in {source.encoding} cannot be made here.",
        "Rehearse on a machine with that encoding's locale.",
    )


def remove_abandoned(folder: Path) -> None:
    """Remove servers whose process was killed before it could."""
    parent = pg_server.server_folder(folder / "copy").parent
    prefix = pg_server.server_folder(folder / "x").name.removesuffix(
        "x"
    )  # many projects may share that place
    tools = pg_server.embedded_binaries() or pg_server.find_binaries()
    for data in parent.glob("*-*-*") if parent.is_dir() and tools else ():
        left = LEFT.search(data.name)
        if left and data.name.startswith(prefix) and not psutil.pid_exists(int(left["pid"])) and tools:
            _destroy(data, left["label"], tools)


def _destroy(data: Path, label: str, binaries: Path) -> None:
    pg_server.destroy(
        LocalServer(data=data, bin=pg_server.reachable_binaries(binaries), os_user=pg_server.service_user())
    )
    shutil.rmtree(_socket_folder(label), ignore_errors=True)


def _empty(folder: Path) -> Path:
    """Where the files of an empty server are kept: with the project, or where servers live that cannot live there."""
    here = folder / "empty"
    return folder if pg_server.server_folder(here) == here else pg_server.ROOT_STATE


def _socket_folder(label: str) -> Path:
    # A socket's path may have about 100 bytes, so it cannot be below the project.
    return Path(tempfile.gettempdir()) / f"datareeve-{label}"


def free_bytes(folder: Path) -> int:
    """What is free on the disk where a server of this folder would live."""
    wanted = pg_server.server_folder(folder / "x").absolute()
    nearest = next(place for place in wanted.parents if place.exists())
    return shutil.disk_usage(nearest).free
