"""Headers: what of a client's request goes on to a provider, and what of a provider's answer goes back.

Everything that is not ours to touch passes (`anthropic-version`, `anthropic-beta`, `openai-beta`, trace headers). What never passes: the client's
key, cookies, hop-by-hop headers (RFC 9110, 7.6.1), what names the client's network, what names the provider's account, what would make another
request of it, and what the estate itself sets for the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.config import Provider, ProviderKey
    from datareeve.systems.http1 import Headers
    from datareeve.systems.upstream import Origin

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"content-length")
)  # fmt: skip
STAYS = HOP_BY_HOP | frozenset(
    (b"host", b"authorization", b"x-api-key", b"api-key", b"cookie", b"expect", b"accept-encoding", b"forwarded",
     b"via", b"x-real-ip", b"range", b"if-range", b"openai-organization", b"openai-project", b"origin", b"referer",
     b"content-encoding", b"x-goog-api-key", b"x-http-method-override")
)  # fmt: skip
STAYS_OF_JSON = STAYS | {b"content-type"}
JSON = b"content-type: application/json\r\n"
STAYS_BEGINNING = (b"x-forwarded-", b"x-datareeve-", b"cf-", b"sec-")
KEPT_BACK = HOP_BY_HOP | frozenset(
    (b"set-cookie", b"server", b"alt-svc", b"strict-transport-security", b"openai-organization", b"openai-project",
     b"anthropic-organization-id", b"content-encoding", b"date", b"via", b"nel", b"report-to", b"x-request-id", b"request-id")
)  # fmt: skip
PLAIN = b"accept-encoding: identity\r\n"  # what is not packed can be counted as it passes


def passed_on(headers: Headers, *, is_json: bool) -> bytes:
    """The lines of a client's headers that go on to the provider. What we read as JSON goes on as JSON, whatever the client calls it."""
    stays = STAYS_OF_JSON if is_json else STAYS
    for name, value in headers:
        if name == b"connection":  # what it names is meant for us alone (RFC 9110, 7.6.1)
            stays = stays.union(word.strip().lower() for word in value.split(b","))
    lines = [
        b"%b: %b\r\n" % pair
        for pair in headers
        if pair[0] not in stays and not pair[0].startswith(STAYS_BEGINNING)
    ]
    if is_json:
        lines.append(JSON)
    return b"".join(lines)


def passed_back(headers: Headers) -> Headers:
    """A provider's headers that go back to the client."""
    return [pair for pair in headers if pair[0] not in KEPT_BACK]


class Known(NamedTuple):
    """The lines that identify us to a provider, with those that the estate adds; and the names of the latter, which no client's goes beside."""

    lines: bytes
    names: frozenset[bytes]  # in lower case


def credentials(provider: Provider, key: ProviderKey | None) -> Known:
    """What identifies us to a provider."""
    lines = [f"{name}: {value}\r\n" for name, value in provider.headers.items()]
    if key is not None and provider.auth != "none":
        name, start = {
            "bearer": ("authorization", "Bearer "),
            "api-key": ("api-key", ""),
            "x-api-key": ("x-api-key", ""),
        }[provider.auth]
        lines.append(f"{name}: {start}{key.secret.reveal()}\r\n")
    names = frozenset(name.lower().encode("latin-1") for name in provider.headers)
    return Known("".join(lines).encode("latin-1"), names)


def request(  # noqa: PLR0913 - the parts of a request
    origin: Origin, *, method: bytes, path: bytes, query: bytes, known: Known, passed: bytes, body: bytes
) -> bytes:
    """The bytes of a request. `path` begins after the base URL's own path; `known` are our credentials."""
    if known.names:
        passed = _lines_without(passed, known.names)
    if query and origin.query:
        query = _query_without(query, origin.query_names)
    asked = b"%b&%b" % (query, origin.query) if query and origin.query else query or origin.query
    return b"%b %b%b%b%b HTTP/1.1\r\nhost: %b\r\n%b%b%bcontent-length: %d\r\n\r\n%b" % (
        method, origin.path, path, b"?" if asked else b"", asked, origin.host_header, PLAIN, known.lines, passed, len(body), body,
    )  # fmt: skip


def _lines_without(lines: bytes, names: frozenset[bytes]) -> bytes:
    return b"".join(line for line in lines.splitlines(keepends=True) if line.partition(b":")[0] not in names)


def _query_without(query: bytes, names: frozenset[str]) -> bytes:
    """A query without parameters of these names, however they are written: some servers ignore case, and some part them by semicolons."""
    return b"&".join(
        part for part in query.split(b"&") if names.isdisjoint(_name_of(word) for word in part.split(b";"))
    )


def _name_of(parameter: bytes) -> str:
    return unquote_plus(parameter.partition(b"=")[0].decode("latin-1")).strip().lower()
