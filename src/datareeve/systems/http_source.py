"""An HTTP API as a source: its pages fetched to the spool, then read as files with types over all of them.

`reading` fetches what is new since the position; `columns` before it looks at the first page only. A fetching that broke off goes on after its
last whole page, where the paging says where that is.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.file_json import Records
from datareeve.systems.http_client import Client, bare, with_query
from datareeve.systems.spooled import Spooled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.secrets import Secret
    from datareeve.systems.http_client import Answer
    from datareeve.systems.spool import Spool

LONGEST_RECORD = 64 * 2**20
NEXT = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)


class Pages:
    """How one API is asked, page after page, from where it was left."""

    def __init__(self, spec: dict[str, Any], client: Client, cursor: str) -> None:
        self.spec, self.client, self.cursor = spec, client, cursor
        self.paging = {
            "by": "none",
            "size": 100,
            "first": 1,
            "most_pages": 100_000,
            **(spec.get("paging") or {}),
        }
        self.warnings: list[str] = []
        self._seen: set[str] = set()
        self._total: int | None = None

    def fetch(self, spool: Spool, most: int | None = None) -> None:
        """Everything that is not in the spool yet. Errors: `Failed` `pipelines.http-loop`, `-not-json`, and those of `Client.ask`."""
        place = spool.next if spool.pages else self._first()
        if spool.pages and place is None:  # it broke off where the paging does not say where that is
            spool.begin_anew()
            place = self._first()
        fetched = 0
        while most is None or fetched < most:
            records, next_ = self._page(place, len(spool.pages))
            if records or not spool.pages:
                spool.add(records, next_)
            if next_ is None:
                spool.end(at=time.time())
                return
            self._must_be_new(f"next {json.dumps(next_)}", len(spool.pages))
            place, fetched = next_, fetched + 1

    def _first(self) -> Any:
        by = self.paging["by"]
        return {"page": self.paging["first"], "offset": 0}.get(by, "")

    def _page(self, place: Any, number: int) -> tuple[list[bytes], Any]:
        answer = self._ask(place, number)
        if answer is None:
            return [], None
        told = _json(answer)
        path = [step for step in (self.spec.get("records") or "").split(".") if step]
        records = [
            one.replace(b"\r", b" ").replace(b"\n", b" ")
            for one in Records(path, LONGEST_RECORD, bare(self.spec["url"])).of(iter([answer.body]))
        ]
        if records:
            self._must_be_new(hashlib.blake2b(b"\n".join(records)).hexdigest(), number)
        self._watch_total(told)
        return records, self._next(place, answer, told, len(records))

    def _ask(self, place: Any, number: int) -> Answer | None:
        try:
            return self.client.ask(*self._request(place))
        except BadInput as error:
            if number and self.paging["by"] in ("page", "offset") and error.what.endswith("status 404."):
                return None  # some APIs say so that there are no more pages
            raise

    def _request(self, place: Any) -> tuple[str, str, dict[str, str], bytes | None]:
        by, paging, spec = self.paging["by"], self.paging, self.spec
        more = {name: self._filled(text) for name, text in (spec.get("parameters") or {}).items()}
        if paging.get("size_parameter"):
            more[paging["size_parameter"]] = str(paging["size"])
        if by in ("page", "offset") or (by == "cursor" and place):
            more[paging.get("parameter") or by] = str(place)
        headers = dict(spec.get("headers") or {})
        if by == "link" and place:
            return spec.get("method") or "GET", self._of_the_same_host(place), headers, self._body({})
        if spec.get("body") is not None:
            return (
                spec.get("method") or "POST",
                spec["url"],
                {"Content-Type": "application/json", **headers},
                self._body(more),
            )
        return (
            spec.get("method") or "GET",
            with_query(spec["url"], more) if more else spec["url"],
            headers,
            None,
        )

    def _body(self, more: dict[str, str]) -> bytes | None:
        body = self.spec.get("body")
        if body is None:
            return None
        filled = {
            name: self._filled(value) if isinstance(value, str) else value for name, value in body.items()
        }
        return json.dumps({**filled, **more}).encode()

    def _filled(self, text: str) -> str:
        return text.replace("{cursor}", self.cursor)

    def _of_the_same_host(self, url: str) -> str:
        """Where a page says the next one is: credentials are not carried to another host."""
        if bare(url).split("/")[:3] != bare(self.spec["url"]).split("/")[:3]:
            raise Failed("pipelines.http-elsewhere", f"{bare(self.spec['url'])} says that its next page is on another host.", "Give that host's address as the url, if it is right.")  # fmt: skip
        return url

    def _next(self, place: Any, answer: Answer, told: Any, count: int) -> Any:
        by = self.paging["by"]
        if by == "link":
            found = NEXT.search(answer.headers.get("link", ""))
            return urljoin(answer.url, found[1]) if found else None
        if by == "cursor":
            found_at = _at(told, self.paging.get("next") or "next")
            return None if found_at in (None, "", False) else found_at
        if (
            by in ("page", "offset") and count
        ):  # until a page is empty: the API may give fewer rows than were asked for
            return place + (1 if by == "page" else count)
        return None

    def _must_be_new(self, mark: str, number: int) -> None:
        if mark in self._seen:
            raise Failed("pipelines.http-loop", f"{bare(self.spec['url'])} gives the same page again: page {number + 1}.", "Look at paging: its kind and its parameter.")  # fmt: skip
        self._seen.add(mark)
        if number >= self.paging["most_pages"]:
            raise Failed("pipelines.http-pages", f"{bare(self.spec['url'])} has more than {self.paging['most_pages']:,} pages.", "Raise paging.most_pages, or ask for larger pages.")  # fmt: skip

    def _watch_total(self, told: Any) -> None:
        total = next(
            (
                told[name]
                for name in ("total", "total_count", "count")
                if isinstance(told, dict) and isinstance(told.get(name), int)
            ),
            None,
        )
        if (
            self._total is not None
            and total is not None
            and total < self._total
            and self.paging["by"] in ("page", "offset")
        ):
            self.warnings.append(
                "the API's total shrank while its pages were read: rows may have moved past; read by cursor, or load again"
            )
        self._total = total if total is not None else self._total


class HttpSource(Spooled):
    """A `RowSource` of an HTTP API."""

    def __init__(self, spec: dict[str, Any], *, secret: Callable[[str], Secret], spool: Path, cursor: dict[str, Any] | None = None, client: Client | None = None) -> None:  # fmt: skip
        super().__init__(spool, cursor)
        self._spec = spec
        self._client = client or Client(spec.get("auth"), secret, timeout=spec.get("timeout_seconds") or 60.0, retries=5 if spec.get("retries") is None else spec["retries"], per_second=spec.get("requests_per_second"))  # fmt: skip

    def _key(self, cursor: str) -> str:
        return json.dumps([self._spec, cursor], sort_keys=True, default=str)

    def _fetch(self, spool: Spool, cursor: str, *, first_only: bool) -> list[str]:
        pages = Pages(self._spec, self._client, cursor)
        pages.fetch(spool, most=1 if first_only else None)
        return pages.warnings

    def close(self) -> None:
        """See `RowSource`."""
        self._client.close()
        super().close()


def open_http(spec: dict[str, Any], *, secret: Callable[[str], Secret], spool: Path, cursor: dict[str, Any] | None = None, client: Client | None = None) -> HttpSource:  # fmt: skip
    """`spec`: the JSON of `spec.HttpSource`; `cursor`: {column, start} of the load; `spool`: a folder that outlives this process."""
    return HttpSource(spec, secret=secret, spool=spool, cursor=cursor, client=client)


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        what = "a web page" if answer.body.lstrip()[:1] == b"<" else "what is not whole JSON"
        raise Failed("pipelines.http-not-json", f"{bare(answer.url)} answered with {what} in place of JSON.", "Look at the URL: a login page, an error page, a proxy?") from None  # fmt: skip


def _at(told: Any, path: str) -> Any:
    for step in path.split("."):
        told = told.get(step) if isinstance(told, dict) else None
    return told
