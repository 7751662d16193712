"""One HTTP API, asked politely: one connection kept open, its rate limits kept, what passes tried again, what does not told.

Credentials go to the host that they are for and nowhere else: a redirect to another host is followed without them.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import ssl
import time
import zlib
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from datareeve.core.errors import BadInput, Failed, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.secrets import Secret

MOST_BYTES = 256 * 2**20  # of one answer
MOST_REDIRECTS = 5
LONGEST_WAIT = 300.0  # seconds that an API may ask us to wait at a time
AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers (names in lower case), the body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


@dataclass
class Client:
    """Asks one API. `auth`: the JSON of `spec.HttpAuth`; `secret` reads a reference; `clock`, `sleep`, `chance` stand in for time in tests."""

    auth: dict[str, Any] | None
    secret: Callable[[str], Secret]
    timeout: float = 60.0
    retries: int = 5
    per_second: float | None = None
    most_bytes: int = MOST_BYTES
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    asked: int = 0
    _token: str = ""
    _last: float = 0.0
    _open: dict[tuple[str, str], http.client.HTTPConnection] = field(default_factory=dict)

    def ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """The answer, of status 2xx. Errors: `Refused` `pipelines.http-auth`, `BadInput` `pipelines.http-status`, `Unreachable` `pipelines.http-unreachable`, `-busy`."""
        renewed = False
        for tried in range(self.retries + 1):
            try:
                answer = self._once(method, url, headers, body)
                if answer.status == 401 and self._renewable and not renewed:  # noqa: PLR2004 - HTTP's own number
                    self._token, renewed = "", True  # it no longer holds: asked for anew, once
                    answer = self._once(method, url, headers, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                self._wait_or(tried, None, _unreachable(url, error))
                continue
            if answer.status not in AGAIN:
                return self._good(answer, url)
            self._wait_or(tried, answer, _busy(url, answer.status))
        raise _busy(url, 0)

    def _good(self, answer: Answer, url: str) -> Answer:
        if answer.status in (401, 403):
            raise Refused("pipelines.http-auth", f"{bare(url)} does not let us in ({answer.status}).", "Look at the source's `auth`: the kind, the secret it refers to, and its rights.")  # fmt: skip
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
            raise BadInput("pipelines.http-status", f"{bare(url)} answered with status {answer.status}.", "Look at the URL and its parameters.")  # fmt: skip
        return answer

    def _wait_or(self, tried: int, answer: Answer | None, error: Unreachable) -> None:
        """Wait before the next try; where there is none, the error."""
        if tried >= self.retries:
            raise error
        asked = self._retry_after(answer) if answer else None
        if asked is not None and asked > LONGEST_WAIT:
            raise Unreachable("pipelines.http-wait", f"The API asks us to wait for {asked:,.0f} seconds.", "Run again after that; what was fetched is kept.")  # fmt: skip
        self.sleep(asked if asked is not None else min(60.0, 2**tried) * (0.5 + self.chance() / 2))

    def _retry_after(self, answer: Answer) -> float | None:
        said = answer.headers.get("retry-after", "").strip()
        if not said:
            return None
        if said.isdigit():
            return float(said)
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - self.clock())
        except (TypeError, ValueError):
            return None

    # -- one request ---------------------------------------------------------------------------------------------------------------

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        self._keep_the_rate()
        home = _origin(url)
        for _ in range(MOST_REDIRECTS + 1):
            ours = _origin(url) == home
            sent = {
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "datareeve",
            }
            sent |= (
                headers
                if ours
                else {
                    name: value
                    for name, value in headers.items()
                    if name.lower() not in ("authorization", "cookie")
                }
            )
            target = self._shown(url, sent) if ours and self.auth else url
            answer = self._send(method, target, sent, body)
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            url = urljoin(url, answer.headers["location"])
            if urlsplit(url).scheme not in ("http", "https"):
                break
            if not ours or _origin(url) != home:  # what is of the first host stays with it
                headers, body = {}, None if answer.status == 303 else body  # noqa: PLR2004
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):  # noqa: PLR2004
                method, body = "GET", None
        raise BadInput("pipelines.http-redirects", f"{bare(url)} is redirected again and again, or to no web address.", "Give the address that it leads to.")  # fmt: skip

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.netloc)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self.asked += 1
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()  # it was kept open, and the server had closed it meanwhile: once more, on a new one
            connection.request(method, path, body, headers)
            response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        raw = response.read(self.most_bytes + 1)
        if len(raw) > self.most_bytes:
            self.close()
            raise _too_large(url, self.most_bytes)
        if response.length:  # fewer bytes than were announced
            raise http.client.IncompleteRead(b"")
        return Answer(
            response.status, names, self._unpacked(raw, names.get("content-encoding", ""), url), url
        )

    def _unpacked(self, raw: bytes, encoding: str, url: str) -> bytes:
        if encoding not in ("gzip", "deflate"):
            return raw
        packed = zlib.decompressobj(wbits=47 if encoding == "gzip" else 15)
        try:
            found = packed.decompress(raw, self.most_bytes + 1)
        except zlib.error:
            raise http.client.HTTPException from None
        if len(found) > self.most_bytes:
            raise _too_large(url, self.most_bytes)
        if not packed.eof:
            raise http.client.IncompleteRead(b"")
        return found

    def _connection(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if (scheme, host) not in self._open:
            made: http.client.HTTPConnection = (
                http.client.HTTPSConnection(host, timeout=self.timeout, context=ssl.create_default_context())
                if scheme == "https"
                else http.client.HTTPConnection(host, timeout=self.timeout)
            )
            self._open[scheme, host] = made
        return self._open[scheme, host]

    def _keep_the_rate(self) -> None:
        if self.per_second:
            wait = self._last + 1 / self.per_second - self.clock()
            if wait > 0:
                self.sleep(wait)
            self._last = self.clock()

    # -- who asks ------------------------------------------------------------------------------------------------------------------

    @property
    def _renewable(self) -> bool:
        return bool(self.auth) and (self.auth or {}).get("kind") == "oauth2-client-credentials"

    def _shown(self, url: str, headers: dict[str, str]) -> str:
        """The URL with who asks, or the headers with it."""
        auth = self.auth or {}
        kind = auth["kind"]
        if kind == "query":
            return with_query(url, {auth["name"]: self._secret()})
        if kind == "basic":
            headers["Authorization"] = (
                "Basic " + base64.b64encode(f"{auth.get('user', '')}:{self._secret()}".encode()).decode()
            )
        elif kind == "header":
            headers[auth["name"]] = self._secret()
        elif kind == "bearer":
            headers["Authorization"] = f"Bearer {self._secret()}"
        else:
            headers["Authorization"] = f"Bearer {self._asked_token()}"
        return url

    def _secret(self) -> str:
        return self.secret((self.auth or {})["secret"]).reveal()

    def _asked_token(self) -> str:
        """A token of OAuth 2 client credentials (RFC 6749, 4.4), asked for once until it no longer holds."""
        if self._token:
            return self._token
        auth = self.auth or {}
        form = {"grant_type": "client_credentials", "client_id": auth.get("user", ""), "client_secret": self._secret(), **({"scope": auth["scope"]} if auth.get("scope") else {})}  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = self._send("POST", auth["token_url"], headers, urlencode(form).encode())
        try:
            token = json.loads(answer.body)["access_token"] if answer.status == 200 else None  # noqa: PLR2004
        except (ValueError, KeyError, TypeError):
            token = None
        if not isinstance(token, str) or not token:
            raise Refused("pipelines.http-auth", f"{bare(auth['token_url'])} gave no token ({answer.status}).", "Look at auth: token_url, user, secret, scope.")  # fmt: skip
        self._token = token
        return token

    def close(self) -> None:
        """Close the connections."""
        for one in self._open.values():
            one.close()
        self._open.clear()


def with_query(url: str, more: dict[str, str]) -> str:
    """The URL with these parameters in place of those of their names."""
    parts = urlsplit(url)
    kept = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in more
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *more.items()])))


def bare(url: str) -> str:
    """The URL without its query, which may hold a secret or a value, and without who asks."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _unreachable(url: str, error: Exception) -> Unreachable:
    how = (
        "did not answer in time"
        if isinstance(error, TimeoutError)
        else "cannot be reached, or ended in the middle of its answer"
    )
    return Unreachable("pipelines.http-unreachable", f"{bare(url)} {how}.", "Run again when it is there; what was fetched is kept.")  # fmt: skip


def _busy(url: str, status: int) -> Unreachable:
    return Unreachable("pipelines.http-busy", f"{bare(url)} answers with status {status}, again and again.", "Run again later, or set requests_per_second; what was fetched is kept.")  # fmt: skip


def _too_large(url: str, most: int) -> Failed:
    return Failed("pipelines.http-too-large", f"One answer of {bare(url)} is larger than {most:,} bytes.", "Ask for smaller pages: paging.size.")  # fmt: skip
