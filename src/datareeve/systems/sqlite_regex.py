"""REGEXP for SQLite, by Python's `re`, within a time limit.

`re` goes back and forth for as long as it likes, and nothing in its process can stop it. What cannot take long is matched here; a pattern with
a repeat inside a repeat, or a long text and several repeats, is matched by a process of its own, which is ended when the time is over.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined]  # the parser of the language's own `re`
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 10_000_000  # that a match may take here: about a tenth of a second
REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT)
MATCHER = """
import json, re, sys
for line in sys.stdin:
    pattern, text = json.loads(line)
    sys.stdout.write("1" if re.search(pattern, text) else "0")
    sys.stdout.flush()
"""


class Matching:
    """The matches of one check. `left` tells how many seconds its statement still has."""

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left
        self._apart: subprocess.Popen[bytes] | None = None

    def search(self, pattern: str, text: str) -> bool:
        """Whether a pattern is found in a text. Errors: `re.error`, `TimeoutError`."""
        compiled, nested, repeats = _read(pattern)
        if not nested and len(text) ** min(repeats, 6) <= STEPS:
            return compiled.search(text) is not None
        return self._search_apart(pattern, text)

    def _search_apart(self, pattern: str, text: str) -> bool:
        if self._apart is None:
            self._apart = subprocess.Popen([sys.executable, "-I", "-S", "-c", MATCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ours # fmt: skip
        asked, told = self._apart.stdin, self._apart.stdout
        assert asked is not None  # noqa: S101 - pipes; for the type checker
        assert told is not None  # noqa: S101
        asked.write(json.dumps([pattern, text]).encode() + b"\n")
        asked.flush()
        left = min(max(self._left(), 0.0), 86_400.0)
        if not select.select([told], [], [], left)[0]:
            self.close()
            raise TimeoutError
        return told.read(1) == b"1"

    def close(self) -> None:
        """End the process, where there is one."""
        if self._apart is not None:
            self._apart.kill()
            self._apart.communicate()
            self._apart = None


@lru_cache(maxsize=256)
def _read(pattern: str) -> tuple[re.Pattern[str], bool, int]:
    """The pattern; whether a repeat stands inside a repeat; and how many repeats there are of no fixed number."""
    compiled = re.compile(pattern)
    found = _repeats(_parser.parse(pattern), within=False)
    return compiled, any(found), len(found)


def _repeats(tree: Any, *, within: bool) -> list[bool]:
    """For each repeat of no fixed number (and each back reference, which costs as much), whether it stands inside another."""
    found: list[bool] = []
    for op, argument in tree:
        if op in REPEATS:
            least, most, inner = argument
            varies = least != most
            found += [within] if varies else []
            found += _repeats(inner, within=within or varies or most > 1)
        elif op is c.BRANCH:
            found += [within] + [one for branch in argument[1] for one in _repeats(branch, within=within)]
        elif op is c.GROUPREF:
            found.append(True)
        else:
            found += _below(argument, within=within)
    return found


def _below(argument: Any, *, within: bool) -> list[bool]:
    if isinstance(argument, _parser.SubPattern):
        return _repeats(argument, within=within)
    if isinstance(argument, tuple):
        return [one for part in argument for one in _below(part, within=within)]
    return []
