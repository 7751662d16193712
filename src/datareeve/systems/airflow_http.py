"""HTTP to Airflow's API: logged in, bounded in time and size, tried again where that can help, and every refusal told in our words.

Nothing is redirected: a token goes to the address that the estate names, and nowhere else. What a server says in its error is not passed on;
of an answer 422 the names of the fields are, not what was in them.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from datareeve.core.errors import BadInput, DatareeveError, Failed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.estate_orchestration import AirflowSystem
    from datareeve.core.secrets import Secret

MOST_BYTES = 16 * 2**20
TRIES = 5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
AGAIN = frozenset((429, 500, 502, 503, 504))


class Answer(NamedTuple):
    """What was answered: `body` is None where it is no JSON."""

    status: int
    body: Any
    wait: float | None = None  # Retry-After


class AirflowHttp:
    """One Airflow's API, as one user."""

    def __init__(
        self,
        entry: AirflowSystem,
        secret: Callable[[str], Secret],
        certificates: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._entry, self._secret, self._pause = entry, secret, pause
        self._certificates = certificates
        self._parts = urlsplit(entry.url)
        self._token: str | None = None

    @property
    def where(self) -> str:
        """Its address, for messages."""
        return self._entry.url

    def get(self, path: str, **query: Any) -> Answer:
        """The answer to a read. `path` is below /api/v2. Errors: as `ask`."""
        return self.ask("GET", path, query=query)

    def ask(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Answer:
        """An answer of 2xx, 404 or 409; all else is an error.

        Errors: `Unreachable` `airflow.unreachable`, `airflow.login`, `airflow.forbidden`; `BadInput` `airflow.input`; `Failed` `airflow.answer`.
        """
        target = f"/api/v2/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        answer = self._patiently(method, target, body, self._bearer())
        if answer.status in (401, 403) and self._entry.user:  # a token that expired is told as either
            self._token = None
            answer = self._patiently(method, target, body, self._bearer())
        if answer.status in (404, 409) or answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
            if answer.body is None and answer.status != 204:  # noqa: PLR2004 - as above
                raise self._not_airflow()
            return answer
        raise self._refusal(answer)

    # -- logging in ----------------------------------------------------------------------------------------------------------------

    def _bearer(self) -> str:
        if self._token is None:
            self._token = self._given_token() if self._entry.token else self._logged_in()
        return self._token

    def _given_token(self) -> str:
        return self._secret(str(self._entry.token)).reveal()

    def _logged_in(self) -> str:
        password = self._secret(str(self._entry.password)).reveal()
        answer = self._patiently(
            "POST", "/auth/token", {"username": self._entry.user, "password": password}, None
        )
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if answer.status in (200, 201) and isinstance(token, str):
            return token
        if answer.status in (401, 403):
            raise Unreachable(
                "airflow.login",
                f"Airflow at {self.where} does not let {self._entry.user} in.",
                "Look whether user and password are right.",
            )
        raise Unreachable(
            "airflow.login",
            f"What answers at {self.where} gives no token for a user and password (HTTP {answer.status} at /auth/token).",
            "Look whether it is an Airflow 3; where another service logs people in, give `token`.",
        )

    # -- asking --------------------------------------------------------------------------------------------------------------------

    def _patiently(self, method: str, target: str, body: Any, token: str | None) -> Answer:
        """Again after a server's fault or a lost connection. A POST may be given again: what it makes has an id of ours."""
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                answer = self._once(method, target, body, token)
            except (OSError, http.client.HTTPException) as error:
                if not left or isinstance(error, ssl.SSLCertVerificationError):
                    raise self._unreachable(error) from None
                wait = None
            else:
                if answer.status not in AGAIN or not left:
                    return answer
                wait = answer.wait
            self._pause(min(wait if wait is not None else pause, LONGEST_PAUSE))
            pause *= 2
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def _once(self, method: str, target: str, body: Any, token: str | None) -> Answer:
        connection = self._connection()
        headers = {"Accept": "application/json", "User-Agent": "datareeve"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            connection.request(method, self._parts.path.rstrip("/") + target, data, headers)
            response = connection.getresponse()
            said = response.read(MOST_BYTES + 1)
        finally:
            connection.close()
        if len(said) > MOST_BYTES:
            raise Failed(
                "airflow.answer",
                f"Airflow answers more than {MOST_BYTES >> 20} MB to one question.",
                "Look there.",
            )
        return Answer(response.status, _json(said), _seconds(response.getheader("Retry-After")))

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._entry.timeout_seconds)
        context = ssl.create_default_context()
        if self._certificates:
            try:
                context.load_verify_locations(self._certificates)
            except OSError:
                raise BadInput("airflow.certificates", "The file of `certificates` cannot be read as PEM.", "Name another.") from None  # fmt: skip
        return http.client.HTTPSConnection(host, port, timeout=self._entry.timeout_seconds, context=context)

    # -- refusals ------------------------------------------------------------------------------------------------------------------

    def _unreachable(self, error: Exception) -> Unreachable:
        why = (
            "it took too long"
            if isinstance(error, TimeoutError)
            else "its certificate is not trusted here"
            if isinstance(error, ssl.SSLCertVerificationError)
            else type(error).__name__
        )
        return Unreachable(
            "airflow.unreachable",
            f"Airflow at {self.where} cannot be reached: {why}.",
            "Look whether its API server runs, and whether this machine may reach it.",
        )

    def _refusal(self, answer: Answer) -> DatareeveError:
        if answer.status == 401:  # noqa: PLR2004 - HTTP's own numbers
            return Unreachable("airflow.login", f"Airflow at {self.where} does not accept the token.", "Give a valid one.")  # fmt: skip
        if answer.status == 403:  # noqa: PLR2004 - as above
            who = self._entry.user or "the token"
            return Unreachable("airflow.forbidden", f"Airflow at {self.where} does not let {who} do this.", "Give that user the right, or name another.")  # fmt: skip
        if answer.status in (400, 422):
            return BadInput("airflow.input", f"Airflow does not take this: {_fields(answer.body)}.", "Mend what was given.")  # fmt: skip
        if answer.status in AGAIN:
            return Unreachable("airflow.unreachable", f"Airflow at {self.where} answers HTTP {answer.status}, {TRIES} times in a row.", "Look at its API server's log.")  # fmt: skip
        if 300 <= answer.status < 400:  # noqa: PLR2004 - as above
            return BadInput("airflow.redirect", f"{self.where} redirects elsewhere, which is not followed.", "Give `url` the address that it redirects to.")  # fmt: skip
        return self._not_airflow(answer.status)

    def _not_airflow(self, status: int = 200) -> Failed:
        return Failed(
            "airflow.answer",
            f"What answers at {self.where} (HTTP {status}) is not the API of an Airflow 3.",
            "Look at `url`: it is the API server's address, without /api/v2.",
        )


def _json(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None


def _seconds(said: str | None) -> float | None:
    return float(said) if said and said.isdigit() else None


def _fields(body: Any) -> str:
    """The fields that were not taken: their names, never what was in them."""
    detail = body.get("detail") if isinstance(body, dict) else None
    places = [one.get("loc") for one in detail if isinstance(one, dict)] if isinstance(detail, list) else []
    named = [".".join(str(part) for part in place[1:]) for place in places if isinstance(place, list)]
    return ", ".join(dict.fromkeys(name for name in named if name)) or "it says no field"
