"""Database URLs: taking the password out, naming a place, spelling out what a driver would otherwise fill in."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from datareeve.core.errors import BadInput
from datareeve.core.secrets import Secret


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
    if parts.scheme not in {"postgresql", "postgres"}:
        known = "It knows postgresql://user@host:5432/database."
        raise BadInput("url.kind", f"This version does not know {parts.scheme}:// systems.", known)
    user, _, host = parts.netloc.rpartition("@")
    name, _, secret = user.partition(":")
    password = query.pop("password", "") or unquote(secret)
    return _join(name, host, parts.path, urlencode(query, safe="/")), Secret(password) if password else None


def place(url: str) -> str:
    """Host, port and database of a URL: equal for one place, and how an error names a system that has no name yet."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
    return f"{host if ':' in host else f'{host}:5432'}{unquote(parts.path)}"


def spelt_out(url: str, user: str, database: str) -> str:
    """The URL with its user and database: a driver's defaults differ by who runs Datareeve, a declared system does not."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return _join(quote(user, safe=""), host, f"/{quote(database, safe='')}", parts.query)


def _join(user: str, host: str, path: str, query: str) -> str:
    return f"postgresql://{f'{user}@' if user else ''}{host}{path}{f'?{query}' if query else ''}"


def _invalid() -> BadInput:
    return BadInput(
        "url.invalid", "That is not a database URL.", "Write it as postgresql://user@host:5432/database."
    )
