# ruff: noqa: PLR2004 - shares and counts are thresholds; each stands where it is used
"""What names say, and what a whole table says of its columns: `name` beside `birth_date` is a person's, beside `sku` it is not."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from datareeve.capabilities.quality.classify import lexicon, vocabulary
from datareeve.capabilities.quality.classify.column import ColumnEvidence
from datareeve.capabilities.quality.classify.fitting import NUMBER_FAMILIES, TIME_FAMILIES, fits
from datareeve.core.personal_data.iso_codes import ALPHA_2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CERTAIN, WITHIN, LIKELY = (
    1.0,
    0.7,
    0.5,
)  # of a name: the whole of it, a part of it, its words may mean other things too
OFTEN = 0.6
PROVES_PERSONS = frozenset((
    "name", "email", "date-of-birth", "national-id", "gender", "passport", "marital-status", "patient-id", "username", "password", "driving-licence", "religion",
    "ethnicity", "card-number", "health-insurance-id",
))  # fmt: skip
A_CONTACT = re.compile(
    r"contact|author|director|artist|manager|head|owner|composer|byline|editor|translator|publisher|operator|responsible|supervisor|architect|designer|captain|coach"
)
A_RECIPIENT = re.compile(
    r"consignee|recipient|receiver|customer|buyer|guest|first|last|sur|fore|vorname|nachname|prenom|apellido|cognome|achternaam|nazwisko|efternamn|soyad|birth|occupant|tenant"
)
QUALIFIERS = re.compile(
    r"^(?:billing|shipping|ship|bill|delivery|deliver|home|work|private|business|primary|secondary|main|alt|alternate|alternative|other|old|new|current|previous|prev|original|mailing|permanent|temporary|residential|residence|legal|emergency|contact|customer|cust|client|"
    r"user|usr|member|employee|emp|patient|pat|pt|student|person|owner|guest|buyer|seller|spouse|partner|parent|guardian|applicant|author|comment|account|acct|holder|insured|driver|recipient|sender|reviewer|personal|my|your|the|ihre|is|tbl|fld|registered|registration|sign up|signup|last|lead|candidate|admin|staff|"
    r"kunden?|cliente?|klant|musteri|primary contact|requester|actor|addr|remote|source|unconfirmed|payee|payer|drop|drop off|dropoff|pickup|pick up|dependent|debtor|creditor|borrower|co applicant|stu|wrk|worker|party|claimant|subscriber) "
)
OF_A_COUNTRY = frozenset(("national-id", "tax-id", "passport", "driving-licence", "health-insurance-id"))
SHORT_FOR_NUMBERS = frozenset(("sin", "rrn", "nid", "nin", "id no", "id nr", "id number"))
NUMERIC = frozenset((
    "phone", "age", "income", "location", "date-of-birth", "national-id", "tax-id", "gender", "card-number", "card-security-code", "card-expiry", "bank-account", "postcode", "patient-id",
    "health", "education", "employment", "criminal-record", "device-id", "marital-status", "health-insurance-id", "username", "passport", "driving-licence", "ethnicity", "religion", "nationality",
    "union-membership", "address", "secret",
))  # fmt: skip
BOOLEANS = frozenset(("health", "union-membership", "criminal-record", "marital-status", "sexual-orientation", "religion", "ethnicity"))  # fmt: skip
TIMES = frozenset(("date-of-birth", "date-of-death", "card-expiry", "health", "criminal-record"))
BINARIES = frozenset(("biometric", "photo", "signature", "password", "secret", "document", "free-text"))
UUIDS = frozenset(("device-id", "online-id", "secret", "patient-id"))
JSONS = frozenset(("document", "location", "biometric", "health", "free-text"))


class TableView(NamedTuple):
    """What the whole table tells of one column."""

    words: str  # the table's name
    person: bool  # it is about persons, or has columns that only persons have
    thing: bool  # its name says that it is about things, and no column speaks against it
    beside: tuple[str, ...]  # the columns that prove persons
    named: bool = False  # its name says that it is about persons
    addressed: bool = False  # it has streets or postcodes, and is not about things


def told(columns: Sequence[ColumnEvidence]) -> list[tuple[str, ...]]:
    """The columns' names as words: without a prefix that most of them share, and as they are written."""
    words = [lexicon.told(column.name[:120]) for column in columns]
    heads = Counter(name.split(" ", 1)[0] for name in words if " " in name)
    head, often = heads.most_common(1)[0] if heads else ("", 0)
    shared = often >= 3 and often >= OFTEN * len(words)
    return [tuple(dict.fromkeys((name.removeprefix(f"{head} ") if shared else name, name))) for name in words]


@lru_cache(maxsize=4096)
def says(names: tuple[str, ...]) -> dict[str, float]:
    """Which categories a name speaks of, and how certainly: CERTAIN, WITHIN (a part of it does) or LIKELY."""
    found: dict[str, float] = {}
    for words in names:
        for variant in _variants(words):
            for category, strength in lexicon.says(variant).items():
                found[category] = max(found.get(category, 0), strength)
            if CERTAIN in found.values():
                return found
    for category, strength in (said for words in names for said in _in_words(words)):
        found[category] = max(found.get(category, 0), strength)
    if CERTAIN in found.values():
        return found
    for part in _parts(names[0]):
        for category, strength in lexicon.says(part).items():
            if strength == CERTAIN:
                found[category] = max(found.get(category, 0), WITHIN)
    return found


def _in_words(words: str) -> Iterator[tuple[str, float]]:
    """What the words of a name say one by one; and a number of one country without the country: `ca sin`, `zehut il`."""
    yield from vocabulary.says(words).items()
    head, _, rest = words.partition(" ")
    for country, bare in ((head, rest), (words.rpartition(" ")[2], words.rpartition(" ")[0])):
        if bare and country.upper() in ALPHA_2:
            for category, strength in (*lexicon.says(bare).items(), *vocabulary.says(bare).items()):
                if category in OF_A_COUNTRY and strength == CERTAIN:
                    yield category, strength
            if bare in SHORT_FOR_NUMBERS:
                yield "national-id", CERTAIN


def _variants(words: str) -> tuple[str, ...]:
    """A name without the words that only say whose it is or of which type, and with what is shortened written out."""
    found = [words]
    bare = lexicon.HASHED.sub("", words)
    long = " ".join(lexicon.SHORT.get(word, word) for word in bare.split())
    for start in dict.fromkeys((bare, long)):
        rest = start
        for _ in range(4):
            found += [rest, re.sub(r" ?\d+$", "", rest) or rest]
            shorter = QUALIFIERS.sub("", rest, count=1)
            shorter = lexicon.TYPE_WORDS.sub("", rest, count=1) if shorter == rest else shorter
            if shorter in (rest, ""):
                break
            rest = shorter
    return tuple(dict.fromkeys(found))


def _parts(words: str) -> list[str]:
    """One, two or three words that follow each other, the longest first."""
    every = words.split()[:8]
    return [
        " ".join(every[at : at + size])
        for size in (3, 2, 1)
        for at in range(len(every) - size + 1)
        if size < len(every) and (size > 1 or len(every[at]) > 2)
    ]


def view(columns: Sequence[ColumnEvidence], names: Sequence[tuple[str, ...]]) -> TableView:
    """What the table tells."""
    name = lexicon.told(next((column.table for column in columns if column.table), "").rpartition(".")[2])
    about_persons = bool(lexicon.PERSON_TABLE.search(name)) or not vocabulary.persons_words().isdisjoint(
        name.split()
    )
    thing = bool(lexicon.THING_TABLE.search(name)) and not about_persons
    beside = [
        column.name for column, own in zip(columns, names, strict=True) if _proves(column, own, thing=thing)
    ]
    others = next((column.others for column in columns if column.others), ())
    beside += [
        other
        for other in others
        if _proves(ColumnEvidence(name=other), (lexicon.told(other[:120]),), thing=thing)
    ]
    streets = any(
        not {"address", "postcode"}.isdisjoint(c for c, s in says(own).items() if s == CERTAIN)
        and not lexicon.META.search(own[0])
        for own in names
    )
    is_thing = thing and not beside
    person = about_persons or bool(beside)
    return TableView(
        name, person, is_thing, tuple(dict.fromkeys(beside)), about_persons, streets and not is_thing
    )


def _proves(column: ColumnEvidence, names: tuple[str, ...], *, thing: bool) -> bool:
    """Whether only tables about persons have such a column. In a table about things a contact is not enough."""
    words = names[0]
    if lexicon.THING_NAME.search(words) or (thing and A_CONTACT.search(words)):
        return False
    proof = PROVES_PERSONS - {"email", "name"} if thing and not A_RECIPIENT.search(words) else PROVES_PERSONS
    certain = [
        category for category, strength in says(names).items() if strength == CERTAIN and category in proof
    ]
    if (
        certain
        and not lexicon.META.search(words)
        and holds(certain[0], column)
        and fits(certain[0], column.looks) >= 0
    ):
        return True
    return (
        column.looks.share("ssn") >= OFTEN
        if thing
        else column.looks.share("email", "full-name", "ssn") >= OFTEN
    )


def holds(category: str, column: ColumnEvidence) -> bool:
    """Whether a type can hold a category at all."""
    kind = _kind_of(column)
    allowed = {"boolean": BOOLEANS, "number": NUMERIC, "time": TIMES, "uuid": UUIDS, "binary": BINARIES, "json": JSONS}.get(kind)  # fmt: skip
    return allowed is None or category in allowed


def _kind_of(column: ColumnEvidence) -> str:
    family, type_ = column.family, column.type.lower()
    if family == "boolean" or type_ in ("bool", "boolean", "bit"):
        return "boolean"
    if family in NUMBER_FAMILIES or (not family and _NUMBERS.match(type_)):
        return "number"
    if family in TIME_FAMILIES or (not family and re.match(r"date|timestamp", type_)):
        return "time"
    return family


_NUMBERS = re.compile(r"(?:tiny|small|medium|big)?int|numeric|decimal|float|double|real|money|number")
