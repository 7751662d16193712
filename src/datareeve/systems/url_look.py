"""One look at an HTTP address: what it answers, where the rows are in it, and how it says that there is more. No value is told."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from datareeve.core.errors import BadInput, Failed, Unreachable

SECONDS = 20.0
MOST_BYTES = 4 * 2**20
MOST_ROWS = 1000
DEEPEST = 3
SECRET = re.compile(r"(?i)key|token|secret|password|signature|credential|^sig$|^auth")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
MORE = re.compile(r"(?i)^(next|next_?page(_?token)?|next_?cursor|next_?url|cursor|continuation(_?token)?)$")


def look(url: str) -> dict[str, Any]:
    """{format, records, rows, columns: [{name, type, not_null}], unique: [name], link, more: [path]} of one page.

    Errors: `BadInput` `pipelines.url`, `pipelines.secret-in-url`; `Unreachable` `pipelines.url-unreachable`; `Failed` `pipelines.url-answer`.
    """
    _plain(url)
    request = urllib.request.Request(  # noqa: S310 - http or https, as checked
        url, headers={"Accept": "application/json, */*;q=0.5", "User-Agent": "datareeve"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as above
            body, headers = answer.read(MOST_BYTES + 1), answer.headers
    except urllib.error.HTTPError as error:
        error.close()
        raise Failed("pipelines.url-answer", f"{_shown(url)} answers with status {error.code}.", _remedy(error.code)) from None  # fmt: skip
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise Unreachable("pipelines.url-unreachable", f"{_shown(url)} does not answer: {str(why)[:100]}.", "Look at the address, and at the way there.") from None  # fmt: skip
    told: dict[str, Any] = {"records": "", "rows": None, "columns": [], "unique": [], "more": [], "link": 'rel="next"' in headers.get("Link", "")}  # fmt: skip
    if len(body) > MOST_BYTES:
        return {**told, "format": "", "why_not": f"the answer is longer than {MOST_BYTES // 2**20} MB"}
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {**told, "format": headers.get_content_type(), "why_not": "the answer is not JSON"}
    return {**told, **_of_json(data)}


def _plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise BadInput("pipelines.url", "The address must begin with http:// or https:// and name a host.", "Give one: --url https://api.example.org/issues.")  # fmt: skip
    named = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if SECRET.search(name)]
    if parts.username or parts.password or named:
        raise BadInput("pipelines.secret-in-url", f"The address seems to hold a secret ({named[0] if named else 'a password'}).", "Leave it out, and write `auth:` with `secret: env:NAME` into the file (docs/how-to/pipelines.md).")  # fmt: skip


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:200]


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "It asks who you are: write the pipeline by hand, with `auth` (docs/how-to/pipelines.md)."
    return "Look at the address."


def _of_json(data: Any) -> dict[str, Any]:
    path, rows = _rows(data)
    if rows is None:
        return {"format": "json", "why_not": "no list of rows is found in the answer"}
    some = rows[:MOST_ROWS]
    names = list(dict.fromkeys(name for row in some for name in row))
    values = {name: [row.get(name) for row in some] for name in names}
    return {
        "format": "json",
        "why_not": "",
        "records": path,
        "rows": len(rows),
        "columns": [{"name": name, "type": _type(found), "not_null": None not in found} for name, found in values.items()],
        "unique": [name for name, found in values.items() if _differ(found)],
        "more": list(_more(data)) if isinstance(data, dict) else [],
    }  # fmt: skip


def _rows(data: Any, path: str = "", depth: int = 0) -> tuple[str, list[dict[str, Any]] | None]:
    """The nearest list of objects."""
    if isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
        return path, data
    if isinstance(data, dict) and depth < DEEPEST:
        for key, value in sorted(data.items(), key=lambda one: not isinstance(one[1], list)):
            found = _rows(value, f"{path}.{key}".lstrip("."), depth + 1)
            if found[1] is not None:
                return found
    return "", None


def _type(values: list[Any]) -> str:
    """What all of them are, in SQL's words."""
    there = [one for one in values if one is not None]
    if there and all(isinstance(one, str) for one in there):
        return "timestamp" if all(MOMENT.match(one) for one in there) else "text"
    for kind, name in ((bool, "boolean"), (int, "bigint"), ((int, float), "double")):
        if there and all(
            isinstance(one, kind) and (kind is bool or not isinstance(one, bool)) for one in there
        ):
            return name
    return "json" if there else "text"


def _differ(values: list[Any]) -> bool:
    plain = all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in values)
    return plain and len(values) > 1 and len(set(values)) == len(values)


def _more(data: dict[str, Any], path: str = "", depth: int = 0) -> Any:
    """Where the answer seems to say what the next page is."""
    for key, value in data.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and depth < DEEPEST:
            yield from _more(value, here, depth + 1)
        elif MORE.match(key) and isinstance(value, (str, int)) and not isinstance(value, bool):
            yield here
