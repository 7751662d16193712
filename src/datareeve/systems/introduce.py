"""Writing databases into the estate: each is looked at first; then the file is changed, with a person's own text kept."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from datareeve.core import clock
from datareeve.core import estate as estates
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER, MysqlSystem, PostgresqlSystem
from datareeve.core.value import Value
from datareeve.systems import estate_text, look_elsewhere, pg_look, urls
from datareeve.systems.look_elsewhere import Sighting
from datareeve.systems.pg_look import Introduction  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from datareeve.core.estate import Estate, SystemEntry
    from datareeve.core.secrets import Secret

SECRETS = f"{STATE_FOLDER}/secrets"


class Joined(Value):
    """A database, and the name it has in the estate now."""

    name: str
    known: bool  # it was there before: nothing was changed
    password: str | None  # by reference
    stored: bool  # the password stood in the URL, and was put where the reference says
    found: Introduction | Sighting


def introduce(given_urls: Iterable[str], project: Path, *, password: str | None = None) -> tuple[Joined, ...]:
    """Look at databases and write them into the project's estate.yaml, which is made where there is none and otherwise kept as it is.

    All are looked at before anything is written. A password in a URL is stored in a file below `.datareeve/` that only we can read;
    `password` is a reference used for URLs without one.
    Errors: as `look`; `BadInput` `estate.*` where the file that is there is not in order.
    """
    path = (project / ESTATE_FILE).resolve()
    before = _read(path) if path.exists() else ""
    text = before or estate_text.first_text(project.resolve().name or "estate")
    looked = [_look(url, project, estates.parse(text), password) for url in given_urls]
    _prepare_state(project)
    joined = []
    for found, secret, reference in looked:
        systems = estates.parse(text).systems
        known = _known(found, systems)
        name = known or estate_text.system_name(found.database, tuple(systems))
        stored = secret is not None and known is None
        if secret and stored:
            reference = f"file:{SECRETS}/{name}.password"  # noqa: PLW2901 - the name is known only now
            _replace(project / SECRETS / f"{name}.password", secret.reveal() + "\n", 0o600)
        if known is None:
            text = estate_text.add_system(text, name, _entry(found, reference), tuple(_comments(found)))
        joined.append(
            Joined(name=name, known=known is not None, password=reference, stored=stored, found=found)
        )
    if text != before:
        _replace(path, text, path.stat().st_mode & 0o777 if before else 0o644)
    return tuple(joined)


def _look(
    given: str, project: Path, estate: Estate, password: str | None
) -> tuple[Introduction | Sighting, Secret | None, str | None]:
    """What is found at a URL, the password that stood in it, or else the reference to the one used."""
    if file := urls.file_of(given, project):
        return look_elsewhere.look_at_file(*file, project), None, None
    if folder := urls.folder_of(given, project):
        return look_elsewhere.look_at_folder(folder, project), None, None
    url, secret = urls.split_url(given)
    known = _known_at(url, estate.systems)
    reference = (
        None
        if secret
        else password or (_password(estate.systems[known]) if known else _from_environment(url))
    )
    if url.startswith("mysql:"):
        return look_elsewhere.look_at_mysql(url, project, secret, reference), secret, reference
    return pg_look.look(url, project, password=secret, reference=reference), secret, reference


def _read(path: Path) -> str:
    estates.load(path)  # its errors name the file, the line and the key
    return path.read_text(encoding="utf-8")


def _from_environment(url: str) -> str | None:
    """APP_PASSWORD for a database `app`; else PGPASSWORD, which the driver takes by itself and a declared system says so."""
    database = unquote(urlsplit(url).path.lstrip("/"))
    usual = "MYSQL_PWD" if url.startswith("mysql:") else "PGPASSWORD"
    names = (re.sub(r"\W+", "_", database).upper() + "_PASSWORD", usual)
    return next((f"env:{name}" for name in names if os.environ.get(name)), None)


def _password(entry: SystemEntry) -> str | None:
    return entry.password if isinstance(entry, (PostgresqlSystem, MysqlSystem)) else None


def _known(found: Introduction | Sighting, systems: Mapping[str, SystemEntry]) -> str | None:
    """The system of the estate that this is, if there is one."""
    if isinstance(found, Sighting) and found.path:
        at = (name for name, entry in systems.items() if getattr(entry, "path", None) == found.path)
        return next(at, None)
    return _known_at(found.url, systems)


def _known_at(url: str, systems: Mapping[str, SystemEntry]) -> str | None:
    """The system of the estate at the same place, if there is one."""
    place = urls.place(url)
    return next(
        (
            name
            for name, entry in systems.items()
            if isinstance(entry, (PostgresqlSystem, MysqlSystem)) and urls.place(entry.url) == place
        ),
        None,
    )


def _entry(found: Introduction | Sighting, password: str | None) -> dict[str, Any]:
    if isinstance(found, Sighting):
        return look_elsewhere.entry(found, password)
    workload = {"kind": "pg_stat_statements"} if found.pg_stat_statements else None
    server = found.server.model_dump(exclude_none=True) if found.server else None
    entry = {
        "kind": "postgresql",
        "url": found.url,
        "password": password,
        "read_role": found.read_role,
        "server": server,
        "workload": workload,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _comments(found: Introduction | Sighting) -> Iterable[str]:
    if isinstance(found, Sighting):
        yield from look_elsewhere.comments(found)
        return
    tables = sum(found.schemas.values())
    yield f"PostgreSQL {found.version}, {found.size_bytes / 1e6:,.0f} MB, {tables} tables in {', '.join(found.schemas) or 'no schema'}; looked at on {clock.now():%Y-%m-%d}."
    yield from found.notes
    if not found.pg_stat_statements:
        yield "Advice is measured on real statements. Say where they are:  workload: {kind: log, path: /var/log/postgresql/postgresql.csv}"
    yield "To back it up:  backups: {directory: /somewhere/not/on/its/own/disk, keep: 7}"


def _prepare_state(project: Path) -> None:
    """The state folder, which nobody else reads and no version control takes."""
    (project / SECRETS).mkdir(parents=True, exist_ok=True)
    (project / SECRETS).chmod(0o700)
    ignore = project / STATE_FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _replace(path: Path, text: str, mode: int) -> None:
    partial = path.with_name(f".{path.name}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
