"""What cannot hold a person's traces, told without comparing it word by word: almost every line of a log.

A trace says, beside its digest, short keyed digests of its first and its longest word (of a number: of its last digits). Where a text has no
words of those digests, the trace is not in it. Each word is digested once, however often it stands in a file, and many lines are looked at
together. The short digests are salted with the person, so that two persons of one given name have nothing in common in a plan or the ledger.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datareeve.systems.subject_shapes import Trace

LAST_DIGITS = 7  # of a telephone number: none that is sought has fewer
MOST_KEPT = 400_000  # words that are known to be in no trace
SALT_HEX = 8
ASCII_NUMBER = re.compile(rb"\+?\d[\d ()./-]{5,24}\d")
BETWEEN_DIGITS = b" ()./-+"
# Letters in one case, and a space in place of all that is neither letter nor digit: the words of a text in ASCII at once.
WORDS = bytes(ord(chr(n).lower()) if n < 128 and chr(n).isalnum() else ord(" ") for n in range(256))  # noqa: PLR2004 - ASCII


class Sieve:
    """Lets through whatever may hold one of some traces."""

    def __init__(self, short: Callable[[str, bytes], str], traces: Iterable[Trace]) -> None:
        """`short` gives the short digest of a word, for a salt."""
        every = list(traces)
        self._is_open = any(not trace.short for trace in every)  # made before there were such digests
        self._words = _Known(short, [trace.short for trace in every if trace.atoms])
        self._digits = _Known(short, [trace.short for trace in every if not trace.atoms])

    def begins(self, folded: str) -> bool:
        """Whether a trace may begin with a word."""
        return self._is_open or self._words.begins(folded.encode(errors="surrogatepass"))

    def number(self, digits: str) -> bool:
        """Whether a telephone number of these digits may be a trace."""
        return self._is_open or self._digits.begins(last_digits(digits))

    def words(self, folded: set[str]) -> bool:
        """Whether a text of these words may hold a trace that is no number."""
        return self._is_open or self._words.are_in({word.encode(errors="surrogatepass") for word in folded})

    def ascii(self, text: bytes) -> bool:
        """Whether a text in ASCII, of any number of lines, may hold a trace."""
        if self._is_open or (self._words.sought and self._words.are_in(set(text.translate(WORDS).split()))):
            return True
        return bool(self._digits.sought) and self._digits.are_in(
            {found.translate(None, BETWEEN_DIGITS)[-LAST_DIGITS:] for found in ASCII_NUMBER.findall(text)}
        )


class _Known:
    """Which words are of traces: each is digested once."""

    def __init__(self, short: Callable[[str, bytes], str], sought: list[tuple[str, ...]]) -> None:
        self.sought = {frozenset(one) for one in sought}
        self._short = short
        self._first = {one[0] for one in sought if one}
        self._every = frozenset().union(*self.sought)
        self._salts = sorted({short.partition(":")[0] for short in self._every})
        self._strange: set[bytes] = set()  # of no trace
        self._known: dict[bytes, set[str]] = {}

    def begins(self, word: bytes) -> bool:
        if word in self._strange:
            return False
        return not self._first.isdisjoint(self._shorts({word}))

    def are_in(self, words: set[bytes]) -> bool:
        there = self._shorts(words)
        return bool(there) and any(one <= there for one in self.sought)

    def _shorts(self, words: set[bytes]) -> set[str]:
        """The short digests of those words that are of traces."""
        there: set[str] = set()
        for word in words - self._strange:
            if (shorts := self._known.get(word)) is None:
                shorts = {self._short(salt, word) for salt in self._salts} & self._every
                self._keep(word, shorts)
            there |= shorts
        return there

    def _keep(self, word: bytes, shorts: set[str]) -> None:
        if shorts:
            self._known[word] = shorts
            return
        if len(self._strange) >= MOST_KEPT:
            self._strange.clear()
        self._strange.add(word)


def last_digits(digits: str) -> bytes:
    """The digits that a telephone number ends with, whatever is dialled before them."""
    return digits[-LAST_DIGITS:].encode()
