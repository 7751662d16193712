"""What a gateway process writes to standard error: lines with their time, and a trouble once when it begins and once when it is over."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from datareeve.core import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ")


def say(text: str) -> None:
    """One line, or several that begin with the time together."""
    now = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sys.stderr.write(f"{now} {text.rstrip()}\n")
    sys.stderr.flush()


def without_time(line: str) -> str:
    """A line as it was given to `say`."""
    return TIME.sub("", line)


class Troubles:
    """What is wrong now, by kind and subject: told when it begins or becomes another, and when it is over."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self._tell = tell
        self._standing: dict[str, dict[str, str]] = {}

    def are(self, kind: str, now: Mapping[str, str], over: str) -> bool:
        """All that is wrong of one kind now: what to say, by subject. `over` is said of each that was and is no longer. Gives whether any changed."""
        before = self._standing.get(kind, {})
        for subject, text in now.items():
            if before.get(subject) != text:
                self._tell(text)
        for subject in before.keys() - now.keys():
            self._tell(over.format(subject))
        self._standing[kind] = dict(now)
        return before != self._standing[kind]
