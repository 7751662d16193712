"""Telling people: a message as JSON, to a file, a program or a web address.

file:data/alerts.jsonl         a line is appended; below the folders that the authority allows
exec:/usr/local/bin/page me    the program gets the message on its standard input; no shell
webhook:https://…              the message is POSTed; `webhook:env:NAME` where the address is itself a secret
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from datareeve.core import secrets
from datareeve.core.errors import BadInput, Failed
from datareeve.systems.files import allowed_path

if TYPE_CHECKING:
    from pathlib import Path


def _all_checked(targets: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(checked(target) for target in targets)
    except BadInput as error:
        raise ValueError(error.what) from None


Told = Annotated[  # an operation's input
    tuple[str, ...],
    Field(description="who is told: file:path, exec:program, webhook:https://… or webhook:env:NAME"),
    AfterValidator(_all_checked),
]
SECONDS = 10
ENVIRONMENT = ("PATH", "HOME", "LANG", "TZ")  # what a program gets of ours; secrets are often in the rest


class Notifier:
    """Delivers messages for one project."""

    def __init__(self, root: Path, allowed: tuple[str, ...]) -> None:
        self._root = root.resolve()
        self._allowed = allowed

    def __call__(self, target: str, message: dict[str, Any]) -> None:
        """Deliver, or raise within about ten seconds.

        Errors: `BadInput` `notify.target`, `secret.*`; `Refused` `files.*`; `Failed` `notify.failed`, never with the address.
        """
        scheme, _, place = checked(target).partition(":")
        text = json.dumps(message, ensure_ascii=False)
        if scheme == "file":
            self._append(place, text)
        elif scheme == "exec":
            self._run(place, text)
        else:
            self._post(place, text)

    def _append(self, place: str, text: str) -> None:
        path = self._root / allowed_path(self._root, place, self._allowed)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            raise _failed(f"{place} cannot be written: {error.strerror}") from None

    def _run(self, place: str, text: str) -> None:
        command = shlex.split(place)
        env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603 - the owner's own program, as the estate names it
                command,
                input=text.encode(),
                env=env,
                cwd=self._root,
                timeout=SECONDS,
                check=False,
                capture_output=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(f"{command[0]} did not run: {type(error).__name__}") from None
        if done.returncode != 0:
            raise _failed(f"{command[0]} ended with status {done.returncode}")

    def _post(self, place: str, text: str) -> None:
        if "://" not in place:
            place = checked(f"webhook:{secrets.resolve(place, base=self._root).reveal()}").removeprefix(
                "webhook:"
            )
        request = urllib.request.Request(place, text.encode(), {"Content-Type": "application/json"})  # noqa: S310 - checked
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise _failed(f"the web address answered {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _failed(f"the web address did not answer: {type(error).__name__}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message goes where the estate says, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def checked(target: str) -> str:
    """The target, when it can be one. Errors: `BadInput` `notify.target`."""
    scheme, _, place = target.partition(":")
    reference = place.partition(":")[0] in secrets.SCHEMES
    web = urlsplit(place) if scheme == "webhook" and not reference else None
    if scheme not in ("file", "exec", "webhook") or not place.strip():
        raise _bad("A notification goes to file:path, exec:program or webhook:address.")
    if web and (web.scheme not in ("http", "https") or not web.hostname):
        raise _bad("A webhook's address starts with https:// or http://, or is a reference to a secret.")
    if web and web.password:
        raise _bad("The webhook's address holds a password.")
    return target


def _bad(what: str) -> BadInput:
    return BadInput(
        "notify.target", what, "Write file:data/alerts.jsonl, exec:/path/program or webhook:env:NAME."
    )


def _failed(what: str) -> Failed:
    return Failed(
        "notify.failed", f"A notification was not delivered: {what}.", "It is tried again at the next look."
    )
