"""Database URLs: taking the password out, naming a place, spelling out what a driver would otherwise fill in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from datareeve.core.errors import BadInput
from datareeve.core.secrets import Secret

if TYPE_CHECKING:
    from pathlib import Path

SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
FILES = {"sqlite", "duckdb"}


def split_url(text: str) -> tuple[str, Secret | None]:
    """A database URL without its password, and the password.

    Errors: `BadInput` `url.invalid`, `url.kind`; the text is not repeated, as it may hold a password.
    """
    try:
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _invalid() from None
    if "://" not in text or not text.isprintable() or " " in text:
        raise _invalid()
    if parts.scheme not in SCHEMES:
        known = "It knows postgresql://, mysql:// and mariadb://user@host/database, sqlite:///file and duckdb:///file."
        raise BadInput("url.kind", f"This version does not know {parts.scheme}:// systems.", known)
    user, _, host = parts.netloc.rpartition("@")
    name, _, secret = user.partition(":")
    password = query.pop("password", "") or unquote(secret)
    without = _join(name, host, parts.path, urlencode(query, safe="/"), SCHEMES[parts.scheme])
    return without, Secret(password) if password else None


def file_of(text: str, project: Path) -> tuple[str, str] | None:
    """The kind (sqlite, duckdb) and path that `sqlite:///shop.db`, `duckdb:////srv/a.duckdb` or the path of such a file mean; None for other URLs.

    A file is known by its first bytes, not by its name. Errors: `BadInput` `url.file`.
    """
    scheme, separator, rest = text.partition("://")
    path = unquote(rest.partition("?")[0].removeprefix("/")) if separator else text
    if separator and scheme not in FILES:
        return None
    if not separator and not (project / path).is_file():
        return None
    if not path:
        raise BadInput(
            "url.invalid",
            "That URL names no file.",
            f"Write it as {scheme}:///shop.db, or {scheme}:////srv/shop.db.",
        )
    kind = kind_of(project / path) if path and (project / path).is_file() else None
    if separator and kind in {None, scheme}:
        return scheme, path  # opening it says what is wrong with it
    if kind is None or separator:
        what = f"holds a {kind} database" if kind else "is neither an SQLite nor a DuckDB database"
        raise BadInput("url.file", f"{path} {what}.", f"Give {kind or 'sqlite'}:///{path}, or another file.")
    return kind, path


def folder_of(text: str, project: Path) -> str | None:
    """The folder of data files that a path means; None for URLs, and for what is no folder."""
    if not text or "://" in text or not text.isprintable() or not (project / text).is_dir():
        return None
    return text.rstrip("/") or "/"


def kind_of(path: Path) -> str | None:
    """Which engine wrote a file, by its first bytes; None where it is neither's."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return None
    if head == b"SQLite format 3\0":
        return "sqlite"
    return "duckdb" if head[8:12] == b"DUCK" else None


def place(url: str) -> str:
    """Host, port and database of a URL: equal for one place, and how an error names a system that has no name yet."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
    port = 3306 if SCHEMES.get(parts.scheme) == "mysql" else 5432
    return f"{host if ':' in host else f'{host}:{port}'}{unquote(parts.path)}"


def spelt_out(url: str, user: str, database: str) -> str:
    """The URL with its user and database: a driver's defaults differ by who runs Datareeve, a declared system does not."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return _join(quote(user, safe=""), host, f"/{quote(database, safe='')}", parts.query)


def _join(user: str, host: str, path: str, query: str, scheme: str = "postgresql") -> str:
    return f"{scheme}://{f'{user}@' if user else ''}{host}{path}{f'?{query}' if query else ''}"


def _invalid() -> BadInput:
    return BadInput(
        "url.invalid",
        "That is not a database URL, and no file or folder that is there.",
        "Write it as postgresql://user@host:5432/database, or give the path of an SQLite or DuckDB file, or of a folder of Parquet, CSV and JSON files.",
    )
