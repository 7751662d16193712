"""The project's key, and what is made with it: digests of persons, and the signature under a proof.

A person's key or address never stands in a plan, the ledger or a log; its keyed digest does (HMAC-SHA-256, RFC 2104). Without the key nobody
can try addresses against the digests, which of a plain hash anybody could. Whoever has the key can: such a digest is still a pseudonym in the
sense of GDPR article 4(5), and deleting the key makes all of them meaningless.

Text is compared by *atoms*, its runs of letters and digits in one case: `Ann.Lee@example.com`, `ann.lee%40example.com` and "ann lee example
com" are found by one digest. Telephone numbers are compared by their last nine digits.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from datareeve.core.errors import Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.subject_shapes import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEY_FILE = "compliance.key"
KEY_BYTES = 32
HEX = 32  # digits of a digest that are kept: 128 bits
ATOM = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\+?\d[\d ()./-]{5,24}\d")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
APART = 4  # characters between two atoms of one value, at most
MOST_ATOMS = 12
PHONE_DIGITS, FEWEST_DIGITS = 9, 7
SHORTEST = 5  # letters and digits of a value that is sought in text
WEAK_DIGITS = 9  # a number with fewer digits is found everywhere: it counts only beside its name


Wanted = dict[int, set[str]]  # digests by how many words they are made of; 0: numbers


def wanted_of(traces: Iterable[Trace]) -> Wanted:
    """The traces that tell a person by themselves."""
    found: Wanted = {}
    for trace in traces:
        if not trace.weak:
            found.setdefault(trace.atoms, set()).add(trace.digest)
    return found


class Span(NamedTuple):
    """Where a trace stands in a text."""

    start: int
    end: int


class Keyed:
    """Digests and signatures with the key of one project."""

    def __init__(self, project: Path) -> None:
        self._file = project / STATE_FOLDER / KEY_FILE
        self._key: bytes | None = None

    def digest(self, *parts: str) -> str:
        """The keyed digest of some texts, in hexadecimal."""
        said = "\x1f".join(parts).encode()
        return hmac.digest(self._secret(), said, "sha256").hex()[:HEX]

    def subject(self, subject: str, key: Any) -> str:
        """The digest that stands for one person."""
        return self.digest("subject", subject, written(key))

    def signature(self, text: str) -> str:
        """The signature of a document."""
        return hmac.digest(self._secret(), b"document\x1f" + text.encode(), "sha256").hex()

    def is_signed(self, text: str, signature: str) -> bool:
        """Whether that is our signature of it."""
        return hmac.compare_digest(self.signature(text), signature)

    def trace(self, value: Any, category: str) -> Trace | None:
        """What a value is found by; None where it is too short to tell a person."""
        text = written(value)
        if category == "phone":
            digits = "".join(re.findall(r"\d", text))
            if len(digits) < FEWEST_DIGITS:
                return None
            return Trace(digest=self._number(digits), atoms=0, category=category)
        atoms = atoms_of(text)
        if not 0 < len(atoms) <= MOST_ATOMS or len("".join(atoms)) < SHORTEST or _common(atoms, category):
            return None
        return Trace(digest=self._atoms(atoms), atoms=len(atoms), category=category)

    def key_trace(self, key: str) -> Trace:
        """What the key itself is found by in text."""
        atoms = atoms_of(key)
        short = len("".join(atoms)) < WEAK_DIGITS
        return Trace(digest=self._atoms(atoms), atoms=len(atoms), category="key", weak=short)

    def tells(self, value: Any, wanted: Wanted) -> bool:
        """Whether a whole value is one of those that are sought. What has another number of words is not digested at all."""
        text = written(value)
        if numbers := wanted.get(0):
            digits = "".join(re.findall(r"\d", text))
            if len(digits) >= FEWEST_DIGITS and self._number(digits) in numbers:
                return True
        atoms = ATOM.findall(text)
        sought = wanted.get(len(atoms)) if atoms else None
        return bool(sought) and self._atoms(map(_folded, atoms)) in (sought or ())

    def _atoms(self, atoms: Iterable[str]) -> str:
        return self.digest("atoms", *atoms)

    def _number(self, digits: str) -> str:
        return self.digest("number", digits[-PHONE_DIGITS:])

    def _secret(self) -> bytes:
        if self._key is None:
            _make(self._file)
            self._key = bytes.fromhex(self._file.read_text(encoding="ascii").strip())
            if len(self._key) != KEY_BYTES:
                raise Failed(
                    "compliance.key",
                    f"{STATE_FOLDER}/{KEY_FILE} is damaged.",
                    "Put the key back from a backup: digests of holds and signatures of proofs rest on it.",
                )
        return self._key


class Finder:
    """Finds traces in text."""

    def __init__(self, keyed: Keyed, traces: Iterable[Trace], names: Iterable[str] = ()) -> None:
        self._keyed = keyed
        self._wanted: dict[int, set[str]] = {}
        self._weak: set[str] = set()
        for trace in traces:
            self._wanted.setdefault(trace.atoms, set()).add(trace.digest)
            if trace.weak:
                self._weak.add(trace.digest)
        self._names = {"".join(atoms_of(name)) for name in names}

    def spans(self, text: str) -> list[Span]:
        """Where traces stand in a text."""
        return [*self._in_atoms(text), *self._in_numbers(text)]

    def is_in(self, text: str) -> bool:
        """Whether a trace stands in it, as it is or behind escapes of JSON and of URLs."""
        return bool(self.spans(text)) or ((plain := unescaped(text)) != text and bool(self.spans(plain)))

    def redacted(self, text: str, mark: str) -> str:
        """The text with a mark in place of each trace; what stood behind escapes comes out without them."""
        spans = self.spans(text)
        if not spans and (plain := unescaped(text)) != text:
            text, spans = plain, self.spans(plain)
        for span in _merged(spans):
            text = f"{text[: span.start]}{mark}{text[span.end :]}"
        return self.redacted(text, mark) if spans and self.is_in(text) else text

    def _in_atoms(self, text: str) -> Iterator[Span]:
        lengths = sorted(length for length in self._wanted if length)
        if not lengths:
            return
        found = [(m.start(), m.end(), _folded(m[0])) for m in ATOM.finditer(text)]
        for i, (start, _, _) in enumerate(found):
            for length in lengths:
                some = found[i : i + length]
                if len(some) < length or _far_apart(some):
                    break
                digest = self._keyed.digest("atoms", *(atom for _, _, atom in some))
                if digest in self._wanted[length] and (digest not in self._weak or self._named(found[:i])):
                    yield Span(start, some[-1][1])

    def _named(self, before: list[tuple[int, int, str]]) -> bool:
        last = [atom for _, _, atom in before[-3:]]
        return any("".join(last[n:]) in self._names for n in range(len(last)))

    def _in_numbers(self, text: str) -> Iterator[Span]:
        wanted = self._wanted.get(0)
        for match in NUMBER.finditer(text) if wanted else ():
            digits = "".join(re.findall(r"\d", match[0]))
            if len(digits) >= FEWEST_DIGITS and self._keyed._number(digits) in (wanted or ()):  # noqa: SLF001 - of its own module
                yield Span(match.start(), match.end())


def atoms_of(text: str) -> list[str]:
    """The runs of letters and digits of a text, in one case."""
    return [_folded(atom) for atom in ATOM.findall(text)]


def written(value: Any) -> str:
    """A value as text: a whole number without a fraction, whatever the engine keeps it as."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def unescaped(text: str) -> str:
    """A text with the escapes of JSON and of URLs resolved."""
    return unquote(ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))


def _folded(atom: str) -> str:
    return atom.lower() if atom.isascii() else unicodedata.normalize("NFKC", atom).casefold()


def _far_apart(some: list[tuple[int, int, str]]) -> bool:
    return any(later[0] - earlier[1] > APART for earlier, later in pairwise(some))


def _common(atoms: list[str], category: str) -> bool:
    """Whether a value tells nobody apart: a single given name, a street's name."""
    return category in ("name", "address") and len(atoms) < 2  # noqa: PLR2004 - a given and a family name


def _merged(spans: list[Span]) -> list[Span]:
    """Spans without overlap, the last first."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged[::-1]


def _make(path: Path) -> None:
    """Write a new key that only its owner reads; one that is there stays. It is there whole or not at all."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    except FileExistsError:
        pass  # another worker made it in the meantime: that one counts
    finally:
        partial.unlink(missing_ok=True)
