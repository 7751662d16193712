"""The project's key, and what is made with it: digests of persons, and the signature under a proof.

A person's key or address never stands in a plan, the ledger or a log; its keyed digest does (HMAC-SHA-256, RFC 2104). Without the key nobody
can try addresses against the digests, which of a plain hash anybody could. Whoever has the key can: such a digest is still a pseudonym in the
sense of GDPR article 4(5), and deleting the key makes all of them meaningless.

Text is compared by *atoms*, its runs of letters and digits in one case: `Ann.Lee@example.com`, `ann.lee%40example.com` and "ann lee example
com" are found by one digest. Telephone numbers are compared by their national number, and by country where both name one.
"""

from __future__ import annotations

import hashlib
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
from datareeve.systems.keyed_sieve import SALT_HEX, Sieve, last_digits
from datareeve.systems.subject_shapes import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEY_FILE = "compliance.key"
KEY_BYTES = 32
HEX = 32  # digits of a digest that are kept: 128 bits
ATOM = re.compile(r"[^\W_]+")
DIGITS = re.compile(r"\d+")
NUMBER = re.compile(r"\+?\d[\d ()./-]{5,24}\d")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\([nrtbf/\"\\])")
ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\[nrtbf/\"\\]|%[0-9a-fA-F]{2})+")
APART = 4  # characters between two atoms of one value, at most
MOST_ATOMS = 12
FEWEST_DIGITS, FEWEST_DIFFERENT = 7, 3  # 000 000 and 121 212 are nobody's
SHORTEST = 5  # letters and digits of a value that is sought in text
WEAK_DIGITS = 9  # a number with fewer digits is found everywhere: it counts only beside its name
SHORT, SHORT_BYTES = b"datareeve start", 4
MARK_HEX = 8  # the last digits of a person's digest say which key made it
MOST_ROUNDS = 8  # of redacting one text
LOGINS = frozenset(("email", "username", "social-profile", "online-id"))  # one value may be any of these
# What stands in a column where nothing is known: it tells nobody.
PLACEHOLDERS = frozenset(
    ("unknown", "none", "null", "nil", "na", "notavailable", "notapplicable", "nomail", "noemail", "noreply", "donotreply", "nobody",
     "anonymous", "anon", "erased", "deleted", "redacted", "removed", "hidden", "private", "withheld", "undefined", "missing", "default",
     "dummy", "test", "tester", "guest", "user", "customer", "xxx", "xxxx", "xxxxx", "tbd", "empty", "invalid", "unbekannt", "inconnu")
)  # fmt: skip
PLACEHOLDER_NUMBERS = ("123456789", "987654321")
# Signs that join a value to more of the same: jo-ann.lee@example.com is not ann.lee@example.com.
JOINING = {"email": "._+-", "name": "-'\u2019"}
WHOLE = re.compile(r"([+-]?\d+)\.0+")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


Wanted = dict[int, set[str]]  # digests by how many words they are made of; 0: numbers


def wanted_of(traces: Iterable[Trace], category: str = "") -> Wanted:
    """The traces that tell a person by themselves; with a category, those that may stand in a column of it."""
    found: Wanted = {}
    for trace in traces:
        if not trace.weak and _comparable(trace.category, category):
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
        self._salted: dict[str, hashlib.blake2b] = {}

    def digest(self, *parts: str) -> str:
        """The keyed digest of some texts, in hexadecimal."""
        said = "\x1f".join(parts).encode()
        return hmac.digest(self._secret(), said, "sha256").hex()[:HEX]

    def short(self, salt: str, text: bytes) -> str:
        """A short keyed digest (BLAKE2b), behind its salt: for `Sieve`, which asks it of every word of a file."""
        if (salted := self._salted.get(salt)) is None:
            salted = hashlib.blake2b(
                key=self._secret(), salt=salt.encode(), person=SHORT, digest_size=SHORT_BYTES
            )
            self._salted[salt] = salted
        made = salted.copy()
        made.update(text)
        return f"{salt}:{made.hexdigest()}"

    def subject(self, subject: str, key: Any) -> str:
        """The digest that stands for one person; its last digits say which project's key made it."""
        return self.digest("subject", subject, written(key))[:-MARK_HEX] + self._mark()

    def refuse_foreign(self, *digests: str) -> None:
        """Errors: `Failed` `compliance.key-changed` where another key made one: it would match nobody, and "none is left" would be said of all."""
        if any(not digest.endswith(self._mark()) for digest in digests):
            raise Failed(
                "compliance.key-changed",
                f"A person's digest was made with another key than {STATE_FOLDER}/{KEY_FILE}: nobody can be recognised by it.",
                f"Put the former {KEY_FILE} back from a backup; where it is lost, place the holds anew (compliance.hold-subject).",
            )

    def _mark(self) -> str:
        return self.digest("key")[:MARK_HEX]

    def signature(self, text: str) -> str:
        """The signature of a document."""
        return hmac.digest(self._secret(), b"document\x1f" + text.encode(), "sha256").hex()

    def is_signed(self, text: str, signature: str) -> bool:
        """Whether that is our signature of it."""
        return hmac.compare_digest(self.signature(text), signature)

    def traces(self, value: Any, category: str, of: str = "") -> list[Trace]:
        """What a value is found by, `of` a person's digest; nothing where it is too short to tell a person, or says that nothing is known."""
        text = written(value)
        if category == "phone":
            short = (self.short(of[:SALT_HEX], last_digits(_digits(text))),)
            return [
                Trace(digest=one, atoms=0, category=category, short=short)
                for one in self._sought_numbers(text)
            ]
        atoms = atoms_of(text)
        if not 0 < len(atoms) <= MOST_ATOMS or len("".join(atoms)) < SHORTEST or _common(atoms, category):
            return []
        if _is_placeholder(text):
            return []
        return [
            Trace(
                digest=self._atoms(atoms), atoms=len(atoms), category=category, short=self._shorts(atoms, of)
            )
        ]

    def key_trace(self, key: str, of: str = "") -> Trace:
        """What the key itself is found by in text, `of` a person's digest."""
        atoms = atoms_of(key)
        weak = len("".join(atoms)) < WEAK_DIGITS
        return Trace(
            digest=self._atoms(atoms),
            atoms=len(atoms),
            category="key",
            weak=weak,
            short=self._shorts(atoms, of),
        )

    def _shorts(self, atoms: list[str], of: str) -> tuple[str, ...]:
        telling = dict.fromkeys((atoms[0], max(atoms, key=len))) if atoms else ()
        return tuple(self.short(of[:SALT_HEX], atom.encode(errors="surrogatepass")) for atom in telling)

    def tells(self, value: Any, wanted: Wanted) -> bool:
        """Whether a whole value is one of those that are sought. What has another number of words is not digested at all."""
        text = written(value)
        if (numbers := wanted.get(0)) and not numbers.isdisjoint(self.numbers(text)):
            return True
        atoms = ATOM.findall(text)
        sought = wanted.get(len(atoms)) if atoms else None
        return bool(sought) and self._atoms(map(_folded, atoms)) in (sought or ())

    def _atoms(self, atoms: Iterable[str]) -> str:
        return self.digest("atoms", *atoms)

    def numbers(self, text: str) -> set[str]:
        """The digests that a telephone number is compared by."""
        country, national = _parted(text)
        if len(national) < FEWEST_DIGITS:
            return set()
        if country:
            written_on = {self.digest("number without country", country + national)}
            return written_on | {self.digest("number of country", country, national), self.digest("number without country", national)}  # fmt: skip
        return {self.digest("number", national), self.digest("number without country", national)}

    def _sought_numbers(self, text: str) -> list[str]:
        """The digests that a number is found by: numbers of two countries differ, one without a country may be of either."""
        country, national = _parted(text)
        made_up = len(set(national)) < FEWEST_DIFFERENT or national.startswith(PLACEHOLDER_NUMBERS)
        if len(national) < FEWEST_DIGITS or made_up:
            return []
        if not country:
            return [self.digest("number without country", national)]
        return [
            self.digest("number of country", country, national),
            self.digest("number", national),
            self.digest("number", country + national),
        ]

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
        self._joining: dict[str, str] = {}
        every = list(traces)
        for trace in every:
            self._wanted.setdefault(trace.atoms, set()).add(trace.digest)
            self._joining[trace.digest] = JOINING.get(trace.category, "")
            if trace.weak:
                self._weak.add(trace.digest)
        self._names = {"".join(atoms_of(name)) for name in names}
        self._sieve = Sieve(keyed.short, every)

    def may_be_in(self, lines: list[bytes]) -> bool:
        """Whether a trace may stand in one of some lines, as `is_in` would find it in UTF-8 or Latin-1. False is sure."""
        data = b"".join(lines)
        return any(self._may_be_in(text) for text in _decoded(data))

    def _may_be_in(self, text: str) -> bool:
        if self._lets_through(text):
            return True
        escaped = "\n".join(filter(_has_escapes, text.splitlines())) if _has_escapes(text) else ""
        return bool(escaped) and self._lets_through(unescaped(escaped))

    def _lets_through(self, text: str) -> bool:
        if text.isascii():
            return self._sieve.ascii(text.encode())
        return self._sieve.words(set(map(_folded, ATOM.findall(text)))) or any(
            self._sieve.number(_digits(found)) for found in NUMBER.findall(text)
        )

    def spans(self, text: str) -> list[Span]:
        """Where traces stand in a text."""
        return [*self._in_atoms(text), *self._in_numbers(text)]

    def is_in(self, text: str) -> bool:
        """Whether a trace stands in it, as it is or behind escapes of JSON and of URLs."""
        if self.spans(text):
            return True
        return _has_escapes(text) and (plain := unescaped(text)) != text and bool(self.spans(plain))

    def redacted(self, text: str, mark: str) -> str:
        """The text with a mark in place of each trace; other escapes stay as they are."""
        for _ in range(MOST_ROUNDS):
            spans = self.spans(text) or self._behind_escapes(text)
            if not spans and self.is_in(text):  # behind escapes of escapes
                text = unescaped(text)
                continue
            if not spans:
                return text
            for span in _merged(spans):
                text = f"{text[: span.start]}{mark}{text[span.end :]}"
        return mark if self.is_in(text) else text

    def _behind_escapes(self, text: str) -> list[Span]:
        """Where traces stand in a text that are seen only when its escapes are resolved."""
        plain, places = _resolved(text)
        return [Span(places[one.start].start, places[one.end - 1].end) for one in self.spans(plain)] if plain != text else []  # fmt: skip

    def _in_atoms(self, text: str) -> Iterator[Span]:
        lengths = sorted(length for length in self._wanted if length)
        if not lengths:
            return
        found = [(m.start(), m.end(), _folded(m[0])) for m in ATOM.finditer(text)]
        for i, (start, _, first) in enumerate(found):
            for length in lengths if self._sieve.begins(first) else ():
                some = found[i : i + length]
                if len(some) < length or _far_apart(some):
                    break
                digest = self._keyed.digest("atoms", *(atom for _, _, atom in some))
                if digest not in self._wanted[length] or (digest in self._weak and not self._named(found[:i])):  # fmt: skip
                    continue
                if not _is_part(text, Span(start, some[-1][1]), self._joining[digest]):
                    yield Span(start, some[-1][1])

    def _named(self, before: list[tuple[int, int, str]]) -> bool:
        last = [atom for _, _, atom in before[-3:]]
        return any("".join(last[n:]) in self._names for n in range(len(last)))

    def _in_numbers(self, text: str) -> Iterator[Span]:
        wanted = self._wanted.get(0)
        for match in NUMBER.finditer(text) if wanted else ():
            if (
                wanted
                and self._sieve.number(_digits(match[0]))
                and not wanted.isdisjoint(self._keyed.numbers(match[0]))
            ):
                yield Span(match.start(), match.end())


def atoms_of(text: str) -> list[str]:
    """The runs of letters and digits of a text, in one case."""
    return [_folded(atom) for atom in ATOM.findall(text)]


def written(value: Any) -> str:
    """A value as text: a whole number without a fraction, a UUID in lower case, whatever the engine keeps it as."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    if whole := WHOLE.fullmatch(text):
        return whole[1]
    return text.lower() if UUID.fullmatch(text) else text


def spellings(key: str) -> list[str]:
    """How a column of another type may write a key: a pandas column with gaps has 4711.0, a decimal 4711.00, a UUID either case."""
    if UUID.fullmatch(key):
        return [key.lower(), key.upper()]
    if key.isascii() and key.isdigit():
        return [key, *(f"{key}.{'0' * zeros}" for zeros in range(1, 11))]
    return [key]


def unescaped(text: str) -> str:
    """A text with the escapes of JSON and of URLs resolved."""
    return unquote(ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _sign(found[2]), text))


def _has_escapes(text: str) -> bool:
    return "%" in text or "\\" in text


def _sign(letter: str) -> str:
    return " " if letter.isalpha() else letter


def _resolved(text: str) -> tuple[str, list[Span]]:
    """A text with its escapes resolved, and where each of its signs stood: a run of escapes is one place."""
    plain, places, at = "", [], 0
    for run in [*ESCAPES.finditer(text), None]:
        start = run.start() if run else len(text)
        said = unescaped(run[0]) if run else ""
        plain += text[at:start] + said
        places += [Span(i, i + 1) for i in range(at, start)]
        places += [Span(start, run.end())] * len(said) if run else []
        at = run.end() if run else start
    return plain, places


def _folded(atom: str) -> str:
    return atom.lower() if atom.isascii() else unicodedata.normalize("NFKC", atom).casefold()


def _far_apart(some: list[tuple[int, int, str]]) -> bool:
    return any(later[0] - earlier[1] > APART for earlier, later in pairwise(some))


def _comparable(of_trace: str, of_column: str) -> bool:
    if not of_column or of_trace in ("", of_column):
        return True
    return of_column != "phone" and (of_trace == "key" or {of_trace, of_column} <= LOGINS)


def _is_placeholder(text: str) -> bool:
    """Whether a value says that there is none: unknown, n/a@n.com; or is what an erasure put there."""
    local = "".join(atoms_of(text.split("@", 1)[0]))
    return local in PLACEHOLDERS or text.startswith("erased-")


def _digits(text: str) -> str:
    return "".join(DIGITS.findall(text))


def _decoded(data: bytes) -> list[str]:
    """The texts that a piece of a file is searched as: what is no UTF-8 may be Latin-1."""
    try:
        return [data.decode()]
    except UnicodeDecodeError:
        return [data.decode(errors="surrogateescape"), data.decode("latin-1")]


def _parted(text: str) -> tuple[str, str]:
    """The country and the national number of a telephone number, both without what one dials before them."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE  # noqa: PLC0415 - its tables take a moment

    digits = _digits(text)
    if text.lstrip(" (").startswith("+") or digits.startswith("00"):
        abroad = digits.lstrip("0")
        country = next((abroad[:n] for n in (1, 2, 3) if abroad[:n].isdigit() and int(abroad[:n]) in COUNTRY_CODE_TO_REGION_CODE), "")  # fmt: skip
        return country, abroad[len(country) :].lstrip("0")
    national = digits.lstrip("0")
    return "", national[1:] if len(national) == 11 and national[0] == "1" else national  # noqa: PLR2004 - 1 (212) 555 0123


def _is_part(text: str, span: Span, joining: str) -> bool:
    """Whether more of the same value stands before or after it."""
    before = span.start > 1 and text[span.start - 1] in joining and text[span.start - 2].isalnum()
    after = span.end + 1 < len(text) and text[span.end] in joining and text[span.end + 1].isalnum()
    return before or after


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
