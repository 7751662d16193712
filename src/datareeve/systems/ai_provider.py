"""AI providers as systems: OpenAI's and Anthropic's protocols, asked one small question at a time from the control plane.

Requests of applications do not come this way: that is the gateway's data plane. Here a key is tried (`probe`) and models are listed, with the
standard library, within a deadline that holds for the whole exchange. An answer is judged by its status and its error's name; the error's text
is never told, because providers quote the key in it.

Sources: https://platform.openai.com/docs/api-reference/models/list, https://docs.anthropic.com/en/api/models-list and
https://docs.anthropic.com/en/api/errors.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from datareeve import __version__
from datareeve.core.errors import Unreachable
from datareeve.systems.adapter import Adapter, reads
from datareeve.systems.key_text import VISIBLE, checked_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.core.estate_gateway import AnthropicSystem, OpenaiSystem
    from datareeve.core.secrets import Secret

LONGEST_ANSWER = 4_000_000  # bytes; the longest real list of models is a tenth of it
DEADLINE_SECONDS = 20.0
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d")
LIMIT_HEADERS = ("x-ratelimit-", "anthropic-ratelimit-", "retry-after")
UNREACHABLE, NOT_WELL = "unreachable", "not well"  # verdicts on the provider, not on the key
NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}


class AiProvider(Adapter):
    """What both protocols share. `secret_of` gives the secret of a key id, or of the first usable key for None."""

    deadline_seconds: ClassVar[float] = DEADLINE_SECONDS  # of one exchange, from the first byte to the last

    def __init__(
        self,
        name: str,
        entry: OpenaiSystem | AnthropicSystem,
        secret_of: Callable[[str | None], Secret | None],
    ) -> None:
        super().__init__(name)
        self.entry = entry
        self._secret_of = secret_of

    def identity(self) -> str:
        """Its address: two names of one address are one provider."""
        return f"{self.kind}:{self.entry.base_url}"

    @reads
    def probe(self, key: str | None = None, model: str | None = None) -> dict[str, Any]:
        """Whether the provider takes a key: see `probed`."""
        return self.probed(self._secret_of(key), model)

    @reads
    def models(self, key: str | None = None) -> list[str]:
        """The models that a key may use. Errors: `Unreachable` `provider.no-models`."""
        answer = self.probe(key)
        if not answer["ok"]:
            what = f"{self.name} does not list its models ({answer['verdict']}, status {answer['status']})."
            raise Unreachable(
                "provider.no-models", what, "`datareeve run ai.check-keys` says whether its keys are taken."
            )
        return list(answer["models"])

    def probed(self, secret: Secret | None, model: str | None = None) -> dict[str, Any]:
        """Try a key: list models, which is free, or ask `model` for 16 tokens, which also shows that there is credit.

        Gives {ok, verdict, status, latency_ms, models, ends, limits, problem}. `ok` is None where the answer says nothing about the key: the
        provider is not well, or does not list models. `limits` are the rate-limit headers as they came.
        """
        method, path, body = ("POST", *self.question(model)) if model else ("GET", self.models_path(), None)
        began = time.monotonic()
        try:
            status, headers, data = self._exchange(method, path, body, secret)
        except (OSError, http.client.HTTPException, _TooLong) as error:
            return _answer(None, UNREACHABLE, began, problem=type(error).__name__)
        verdict, ok = judged(status, data)
        return _answer(
            ok,
            verdict,
            began,
            status=status,
            models=_model_names(data) if ok and not model else [],
            ends=_model_ends(data) if ok and not model else {},
            limits={n: v[:100] for n, v in headers.items() if n.startswith(LIMIT_HEADERS)},
            problem="" if ok else error_name(data),
        )

    # -- what the protocols say differently ----------------------------------------------------------------------------------------

    def models_path(self) -> str:
        """Where models are listed, below the base URL."""
        raise NotImplementedError

    def question(self, model: str) -> tuple[str, bytes]:
        """The path and body of a request for a few tokens."""
        raise NotImplementedError

    def credentials(self, secret: Secret | None) -> dict[str, str]:
        """The headers that show a key."""
        raise NotImplementedError

    # -- one exchange --------------------------------------------------------------------------------------------------------------

    def _exchange(
        self, method: str, path: str, body: bytes | None, secret: Secret | None
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "User-Agent": f"datareeve/{__version__}",
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body else {}),
            **self.entry.headers,
            **self.credentials(secret and checked_key(secret)),
        }
        parts = urlsplit(self.entry.base_url)
        with self._connected(parts.scheme, parts.hostname or "", parts.port) as connection:
            connection.request(method, f"{parts.path}{path}", body, headers)
            answer = connection.getresponse()
            data = answer.read(LONGEST_ANSWER + 1)
            if len(data) > LONGEST_ANSWER:
                raise _TooLong
            if answer.length:  # `read` with a size gives what came before a cut as if it were all
                raise http.client.IncompleteRead(b"")
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, data

    @contextmanager
    def _connected(self, scheme: str, host: str, port: int | None) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut when the deadline comes, however slowly the other side drips."""
        secure = scheme == "https"
        timeout = min(self.entry.connect_seconds, self.deadline_seconds)
        connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
            if secure
            else http.client.HTTPConnection(host, port, timeout=timeout)
        )
        cutter = threading.Timer(self.deadline_seconds, _cut, (connection,))
        cutter.daemon = True
        cutter.start()
        try:
            connection.connect()
            connection.sock.settimeout(min(self.entry.first_byte_seconds, self.deadline_seconds))
            yield connection
        finally:
            cutter.cancel()
            connection.close()


class OpenaiProvider(AiProvider):
    """OpenAI, or anything that speaks its protocol."""

    kind = "openai"
    entry: OpenaiSystem

    def models_path(self) -> str:
        """GET /models."""
        return self._with_query("/models")

    def question(self, model: str) -> tuple[str, bytes]:
        """POST /chat/completions."""
        asked = {
            "model": model,
            "messages": [{"role": "user", "content": "Say ok."}],
            "max_completion_tokens": 16,
        }
        return self._with_query("/chat/completions"), json.dumps(asked).encode()

    def credentials(self, secret: Secret | None) -> dict[str, str]:
        """A bearer token; Azure's own header; nothing where the server asks for none."""
        if secret is None or self.entry.auth == "none":
            return {}
        if self.entry.auth == "api-key":
            return {"api-key": secret.reveal()}
        return {"Authorization": f"Bearer {secret.reveal()}"}

    def _with_query(self, path: str) -> str:
        return f"{path}?{urlencode(self.entry.query, quote_via=quote)}" if self.entry.query else path


class AnthropicProvider(AiProvider):
    """Anthropic, or anything that speaks its protocol."""

    kind = "anthropic"
    entry: AnthropicSystem

    def models_path(self) -> str:
        """GET /v1/models."""
        return "/v1/models?limit=1000"

    def question(self, model: str) -> tuple[str, bytes]:
        """POST /v1/messages."""
        asked = {"model": model, "messages": [{"role": "user", "content": "Say ok."}], "max_tokens": 16}
        return "/v1/messages", json.dumps(asked).encode()

    def credentials(self, secret: Secret | None) -> dict[str, str]:
        """x-api-key, and the version that every request names."""
        version = {"anthropic-version": "2023-06-01"}
        return version if secret is None else {"x-api-key": secret.reveal(), **version}


def provider_of(
    name: str, entry: OpenaiSystem | AnthropicSystem, secret_of: Callable[[str | None], Secret | None]
) -> AiProvider:
    """The adapter of a provider's protocol."""
    adapter = OpenaiProvider if entry.kind == "openai" else AnthropicProvider
    return adapter(name, entry, secret_of)


def judged(status: int, data: bytes) -> tuple[str, bool | None]:
    """What an answer says of the key that was shown: a word, and whether it is good; None: nothing either way."""
    if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
        return "works", True
    if status == 402 or NO_CREDIT.intersection(_error_names(data)):  # noqa: PLR2004 - RFC 9110, 15.5.3: payment required
        return "no credit", False
    if status == 403 and b"issing scopes" in data:  # noqa: PLR2004 - OpenAI's restricted keys: known, may not list models
        return "restricted", True
    words: dict[int, tuple[str, bool | None]] = {
        401: ("refused", False),
        403: ("forbidden", None),
        404: ("lists no models", None),
        405: ("lists no models", None),
        429: ("throttled", None),
    }
    return words.get(status, (NOT_WELL if status >= 500 else "unclear", None))  # noqa: PLR2004 - RFC 9110, 15.6


def error_name(data: bytes) -> str:
    """The stable name of an error in either protocol ('invalid_api_key'), '' where there is none. Never its message."""
    return next(iter(_error_names(data)), "")


def _error_names(data: bytes) -> list[str]:
    document = _json(data)
    error = document.get("error") if isinstance(document, dict) else None
    found = [error.get(part) for part in ("code", "type")] if isinstance(error, dict) else []
    return [name for name in found if isinstance(name, str) and NAME.fullmatch(name)]


class _TooLong(Exception):
    """An answer longer than any list of models."""


def _answer(ok: bool | None, verdict: str, began: float, **more: Any) -> dict[str, Any]:  # noqa: FBT001 - of a result
    plain: dict[str, Any] = {"status": None, "models": [], "ends": {}, "limits": {}, "problem": ""}
    latency_ms = round((time.monotonic() - began) * 1000, 1)
    return {"ok": ok, "verdict": verdict, "latency_ms": latency_ms, **plain, **more}


def _model_names(data: bytes) -> list[str]:
    document = _json(data)
    entries = document.get("data") if isinstance(document, dict) else None
    names = (
        entry.get("id") for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict)
    )
    return sorted({name for name in names if isinstance(name, str) and VISIBLE.fullmatch(name)})


def _model_ends(data: bytes) -> dict[str, str]:
    """The day on which each listed model ends, where its provider says so: `shutdown_date`, https://developers.openai.com/api/docs/deprecations."""
    document = _json(data)
    entries = document.get("data") if isinstance(document, dict) else None
    return {
        entry["id"]: entry["shutdown_date"]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
        and all(isinstance(entry.get(part), str) for part in ("id", "shutdown_date"))
        and VISIBLE.fullmatch(entry["id"])
        and DAY.fullmatch(entry["shutdown_date"])
    }


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _cut(connection: http.client.HTTPConnection) -> None:
    if (sock := connection.sock) is not None:
        with suppress(OSError):  # it has ended by itself
            sock.shutdown(socket.SHUT_RDWR)
