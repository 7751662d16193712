# ruff: noqa: PLR2004 - shares and scores are thresholds; each stands where it is used
"""What a column is taken for: its name, its values and its table weighed together, one table at a time.

Each answer rests on a case ('certain/fits/person': a certain name, values that fit, a table about persons); how often that case was right on the
half of the corpus that is tuned by is the confidence. Nothing here has seen a value: they were looked at where they are
(`core.personal_data.values`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.capabilities.quality.classify import lexicon, tables
from datareeve.capabilities.quality.classify.calibration import CALIBRATION
from datareeve.capabilities.quality.classify.column import Classified, ColumnEvidence, ColumnSample
from datareeve.capabilities.quality.classify.fitting import fits
from datareeve.capabilities.quality.classify.saying import Guess, evidence, looks_like
from datareeve.capabilities.quality.classify.tables import CERTAIN, LIKELY, WITHIN, TableView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.core.personal_data.values import Looks

THRESHOLD = 0.5
OFTEN, MOSTLY = 0.6, 0.8
# What things have too: in a table about things it is theirs.
OF_THINGS_TOO = frozenset((
    "address", "city", "postcode", "location", "phone", "email", "photo", "social-profile", "name", "free-text", "device-id", "bank-account", "employment",
    "health", "education", "online-id", "income", "username", "nationality", "bank-code",
))  # fmt: skip
THEIRS_ALL_THE_SAME = frozenset(("name", "email", "bank-account", "online-id", "social-profile", "employment", "username"))  # fmt: skip
BY_CONTEXT = frozenset(
    ("city", "postcode", "location", "address")
)  # a table about persons makes them certain
BY_CONTEXT_AND_VALUES = frozenset(("employment", "education", "income", "gender"))
VALUES_DECIDE = frozenset((
    "name", "free-text", "national-id", "bank-account", "vehicle-id", "username", "secret", "card-expiry", "ip-address", "device-id", "online-id",
    "social-profile", "card-number", "phone", "email", "date-of-birth", "user-agent", "photo",
))  # fmt: skip
# What a word behind it makes something else: `email_sent_at`, `address_id`.
LOSES_TO_META = frozenset((
    "name", "email", "phone", "address", "city", "postcode", "photo", "free-text", "location", "password", "health", "social-profile", "ip-address", "income",
))  # fmt: skip
OF_THINGS_ALONE = frozenset(
    ("address", "city", "postcode", "location", "phone", "tax-id", "nationality", "device-id", "ip-address")
)
A_CONTACT = re.compile(
    r"\b(?:ceo|cfo|cto|coo|chairman|chairwoman|chairperson|president|founder|gerente|gerant|prezes|contact|manager|owner|operator|head|responsible|supervisor|captain|coach|inhaber|leiter|chef)\b"
)
RESPONSIBLE = re.compile(r"owner|operator|alias|actor|player|handle|author")
A_TITLE = re.compile(
    r"\b(?:title|titel|titre|titulo|titolo|tytul|headline|song|book|movie|film|brand|model|theme|slug)$"
)
OF_VISITORS = re.compile(
    r"\b(?:client|user|visitor|remote|customer|login|signup|sign|member|player|guest|viewer|reviewer|author|sender|caller|person|last)\b"
)
OPAQUE = re.compile(
    r"(?:(?:col(?:umna?|onne|unm)?|f|field|c|v|var|val|value|x|attr|attribute|data|spalte|campo|feld|pole|kolom|text|str|string|char|unnamed|udf|custom|extra|info|misc|item value)? ?\d*|[a-z])(?: value)?"
)
# A number that is counted up, with leading zeros or ten digits, is shaped as a telephone number is.
A_NUMBER = re.compile(r"(?:^| )(?:no|nr|num|number|nummer|numero|nbr|id|key|code|ref|seq|iva|vat)$|nr$")
OF_PHONES = re.compile(
    r"tel|phone|fon|fax|mob|handy|ruf|gsm|cell|contact|durchwahl|whats|msisdn|hotline|home|work|office|emerg|private|direct|dial|caller"
)
VALUES_ALONE: tuple[tuple[str, tuple[str, ...], float, float], ...] = (
    # category, signs, least share of the values, how sure
    ("email", ("email",), 0.7, 0.97), ("bank-account", ("iban",), 0.7, 0.97), ("card-number", ("card",), 0.6, 0.95), ("national-id", ("ssn",), 0.8, 0.93),
    ("password", ("password",), 0.7, 0.95), ("secret", ("key",), 0.6, 0.9), ("user-agent", ("agent",), 0.6, 0.93), ("phone", ("phone-abroad",), 0.7, 0.85),
    ("address", ("street",), 0.55, 0.85), ("online-id", ("cookie",), 0.7, 0.9), ("social-profile", ("social",), 0.8, 0.8), ("vehicle-id", ("vin",), 0.9, 0.75),
    ("device-id", ("mac",), 0.8, 0.55), ("name", ("full-name",), 0.5, 0.8), ("photo", ("person-picture",), 0.8, 0.75), ("gender", ("honorific",), 0.95, 0.8),
    ("health", ("drug", "illness"), 0.6, 0.7),
)  # fmt: skip
UNNAMED = (("ip-address", ("ip-wide",), 0.4, 0.7),)  # only where there is no name at all
# Where the name says nothing: `col3`, or a word that is not known, beside persons.
NAMELESS: tuple[tuple[str, tuple[str, ...], float, float], ...] = (
    ("phone", ("phone",), 0.45, 0.8), ("name", ("given", "surname"), 0.4, 0.75), ("location", ("latlon",), 0.8, 0.7),
    ("city", ("city",), 0.4, 0.7), ("address", ("street", "street-like"), 0.5, 0.8), ("health", ("icd",), 0.9, 0.6), ("religion", ("religion",), 0.8, 0.75),
    ("marital-status", ("marital",), 0.8, 0.8), ("ethnicity", ("ethnicity",), 0.8, 0.7),
)  # fmt: skip
# Schemes whose letters, or whose date of birth, no other number has; of the others one value of ten fits by chance.
TELLING_SCHEMES = frozenset(
    "it.codicefiscale mx.curp fi.hetu es.dni es.nie gb.nino in_.pan ie.pps fr.nir ch.ssn pl.pesel se.personnummer tr.tckimlik br.cpf".split()
)


def classify(columns: Sequence[ColumnSample]) -> list[Classified]:
    """What the columns of one table are taken for, in their order: each with its category or None, confidence and evidence.

    The columns of one table belong into one call: what stands beside a column says what it is.
    """
    return decide([column.evidence() for column in columns])


def decide(columns: Sequence[ColumnEvidence]) -> list[Classified]:
    """As `classify`, of columns whose values were looked at elsewhere."""
    names = tables.told(columns)
    table = tables.view(columns, names)
    return [
        _said(column, _best(column, own, table), table) for column, own in zip(columns, names, strict=True)
    ]


def _best(column: ColumnEvidence, names: tuple[str, ...], table: TableView) -> Guess | None:
    """The best guess; None where nothing speaks for any."""
    guesses = [*_by_name(column, names, table), *_by_values(column, names, table)]
    return max(guesses, key=lambda guess: guess.score, default=None)


# -- by name -----------------------------------------------------------------------------------------------------------------------


def _by_name(column: ColumnEvidence, names: tuple[str, ...], table: TableView) -> list[Guess]:
    words = names[0]
    meta, thing = lexicon.META.search(words) is not None, lexicon.THING_NAME.search(words) is not None
    found = []
    for category, strength in tables.says(names).items():
        fit = fits(category, column.looks)
        if not tables.holds(category, column) or _is_machine(category, words):
            continue
        if (
            category == "phone"
            and strength == LIKELY
            and " " in words
            and _is_counted_up(words, column.looks)
        ):
            continue
        if lexicon.HASHED.search(words) and strength == CERTAIN and category != "secret":
            found.append(Guess(category, 0.9, "certain/hashed/any", strength))
        elif not _speaks_of_else(category, strength, fit, meta=meta, thing=thing):
            found.append(_weighed(category, strength, fit, column, table))
    return found


def _is_counted_up(words: str, looks: Looks) -> bool:
    """A name for numbers that are given out one after the other: `customer_no`, `KUNNR`. None of these has a country's prefix."""
    named = A_NUMBER.search(words) is not None and OF_PHONES.search(words) is None
    return named and looks.share("phone-abroad") < 0.1


def _is_machine(category: str, words: str) -> bool:
    return category in ("ip-address", "device-id") and lexicon.MACHINE_NAME.search(words) is not None


def _speaks_of_else(category: str, strength: float, fit: int, *, meta: bool, thing: bool) -> bool:
    """Whether the name's other words take it away: a count, a state, a moment, a thing's name."""
    if strength == CERTAIN:
        return meta and category in LOSES_TO_META and fit < 1
    if category in ("health", "employment", "card-expiry"):
        return False
    return (meta or thing) and not (fit > 0 and category in ("email", "bank-account", "national-id"))


def _weighed(category: str, strength: float, fit: int, column: ColumnEvidence, table: TableView) -> Guess:
    """How much speaks for a category, and in which case that is."""
    for holds, score, case in _special(category, strength, fit, column, table):
        if holds:
            return Guess(category, score, case, strength)
    seen = "fits" if fit > 0 else "against" if fit < 0 else "open" if column.looks.looked_at else "unseen"
    person = table.person or (table.addressed and category in BY_CONTEXT)
    where = "thing" if table.thing else "person" if person else "unknown"
    kind = {CERTAIN: "certain", WITHIN: "within", LIKELY: "likely"}[strength]
    score = 0.05 if seen == "against" else _score(category, kind, seen, where)
    return Guess(category, score, f"{kind}/{seen}/{where}", strength)


def _special(
    category: str, strength: float, fit: int, column: ColumnEvidence, table: TableView
) -> Iterator[tuple[object, float, str]]:
    """What is so of one category only, as (whether, how sure, the case)."""
    likely, unseen = strength == LIKELY, not column.looks.looked_at
    words = lexicon.told(column.name[:120])
    if category == "name":  # the contact of a supplier is somebody, whatever the table is about
        yield table.thing and fit > 0 and A_CONTACT.search(words), 0.7, "contact/fits/thing"
    if category in ("gender", "photo", "social-profile"):
        yield table.named and unseen and likely, 0.55, "likely/unseen/named"
    if category == "free-text":
        yield unseen and likely and lexicon.TEXT_TABLE.search(table.words), 0.6, "likely/unseen/texts"
    if category == "health":
        yield likely and fit >= 0 and lexicon.MEDICAL_TABLE.search(table.words), 0.65, "likely/any/medical"
        measured = lexicon.MEASURED.search(words) and not lexicon.MEDICAL_TABLE.search(table.words)
        yield measured and not table.named and fit <= 0, 0.3, "certain/open/measured"
    yield from _of_things(category, strength, fit, words, table)
    if category == "ip-address":
        yield table.thing and not OF_VISITORS.search(words), 0.1, "certain/any/machines"
    if category == "biometric":  # `fingerprint` may be that of a certificate or of a payment card
        short = not unseen and column.looks.length <= 64 and column.family != "binary"
        yield fit <= 0 and (short or not table.person), 0.3, "certain/open/biometric"


def _of_things(
    category: str, strength: float, fit: int, words: str, table: TableView
) -> Iterator[tuple[object, float, str]]:
    """What a name's other words make a thing's, as `_special` says it."""
    if category in OF_THINGS_ALONE:
        yield lexicon.OF_A_THING.search(words), 0.2, "certain/any/of a thing"
    if category == "secret":
        nothing = lexicon.OF_ANYTHING.search(words) and not lexicon.OPENS.search(words)
        yield nothing and strength != CERTAIN and " " in words, 0.2, "likely/any/of a thing"
    if category == "username":  # `owner: team-a`
        yield (
            strength == LIKELY and not table.person and RESPONSIBLE.fullmatch(words),
            0.4,
            "likely/any/responsible",
        )
    if category == "vehicle-id":
        yield "serial" in words and fit <= 0, 0.2, "likely/any/of a thing"


def _score(category: str, kind: str, seen: str, where: str) -> float:
    private = (
        category == "ip-address" and seen == "open" and where != "person"
    )  # addresses of a network of one's own
    if private or (where == "thing" and (category in OF_THINGS_TOO or kind != "certain")):
        strong = category in THEIRS_ALL_THE_SAME and kind == "certain"
        return (0.8 if seen == "fits" else 0.6) if strong else 0.1
    if kind == "certain":
        return _of_certain(category, seen, where)
    if kind == "within":
        return ({"fits": 0.8, "open": 0.55, "unseen": 0.6} if where == "person" else {"fits": 0.7, "open": 0.3, "unseen": 0.4})[seen]  # fmt: skip
    return _of_likely(category, seen, where)


def _of_certain(category: str, seen: str, where: str) -> float:
    if category == "free-text":
        return {"fits": 0.95, "open": 0.2, "unseen": 0.75 if where == "person" else 0.55}[seen]
    if category in ("health", "education", "employment", "income") and where == "unknown":
        return {"fits": 0.9, "open": 0.7, "unseen": 0.7}[seen]
    return {"fits": 0.98, "open": 0.88, "unseen": 0.9}[seen]


def _of_likely(category: str, seen: str, where: str) -> float:
    if where == "person" and category in BY_CONTEXT:
        return {"fits": 0.85, "open": 0.6, "unseen": 0.6}[seen]
    if where == "person" and category in BY_CONTEXT_AND_VALUES:
        return {"fits": 0.7, "open": 0.35, "unseen": 0.35}[seen]
    if seen == "fits" and category in VALUES_DECIDE:
        return 0.8 if where == "person" else 0.7
    if where == "person" and (seen == "fits" or (category == "name" and seen == "unseen")):
        return 0.6
    return 0.2


# -- by values ---------------------------------------------------------------------------------------------------------------------


def _by_values(column: ColumnEvidence, names: tuple[str, ...], table: TableView) -> list[Guess]:
    looks, words = column.looks, names[0]
    if looks.looked_at < 2:
        return []
    opaque = any(OPAQUE.fullmatch(one) for one in names)
    meta, thing = lexicon.META.search(words) is not None, _names_a_thing(words)
    nameless = opaque or (
        table.person and not table.thing and not max(tables.says(names).values(), default=0) >= WITHIN
    )
    found = [
        Guess(
            category,
            _doubted(category, score, looks, table, words),
            f"values/{category}",
        )
        for category, signs, least, score in (
            *VALUES_ALONE,
            *(NAMELESS if nameless and not meta else ()),
            *(UNNAMED if opaque else ()),
        )
        if looks.share(*signs) >= least
        and tables.holds(category, column)
        and not (category == "phone" and _is_counted_up(words, looks))
        and not (category in ("phone", "card-number") and _is_a_number(category, names))
        and not (category == "name" and A_TITLE.search(words))
    ]
    if (
        looks.scheme
        and looks.share("ean", "epoch", "luhn15") < MOSTLY
        and (
            looks.scheme in TELLING_SCHEMES
            or not (thing or meta or lexicon.THING_NUMBER.search(words) or _says_else(names, looks))
        )
    ):
        found.append(
            Guess("national-id", 0.9 if looks.scheme in TELLING_SCHEMES or opaque else 0.6, "values/scheme")
        )
    if nameless and table.person and _are_births(looks, 1990 if opaque else 1980):
        found.append(Guess("date-of-birth", 0.7, "values/years"))
    return found + _by_text(looks)


def _names_a_thing(words: str) -> bool:
    return lexicon.THING_NAME.search(words) is not None or lexicon.OF_A_THING.search(words) is not None


def _is_a_number(category: str, names: tuple[str, ...]) -> bool:
    """Whether a name speaks of numbers of another kind: of orders, of taxes."""
    if lexicon.THING_NUMBER.search(names[0]) and OF_PHONES.search(names[0]) is None:
        return True
    return category == "phone" and any(kind.endswith(("-id", "-account")) for kind in tables.says(names))


def _says_else(names: tuple[str, ...], looks: Looks) -> bool:
    """Whether a name says for certain what it is, and the values are that: a telephone number may pass for a national one."""
    return any(
        strength == CERTAIN and not category.endswith("-id") and fits(category, looks) > 0
        for category, strength in tables.says(names).items()
    )


def _are_births(looks: Looks, latest: int) -> bool:
    """Dates over decades, most of them long ago, and none with an hour: what else do tables about persons have such dates of."""
    if not looks.decades or looks.share("timed"):
        return False
    first, middle, last = looks.decades
    return middle <= latest and last - first >= 20


def _by_text(looks: Looks) -> list[Guess]:
    """Sentences with somebody in them; addresses and names are no sentences."""
    persons = looks.counts.get("personal-within", 0) + looks.counts.get("person-within", 0)
    if looks.share("text") < 0.3 or looks.length <= 24 or persons < max(2, 0.12 * looks.looked_at):
        return []
    other = looks.share("street", "full-name", "company", "url", "agent", "phone") >= 0.4
    return [Guess("free-text", 0.3 if other else 0.75, "values/text")]


def _doubted(category: str, score: float, looks: Looks, table: TableView, words: str) -> float:
    """How sure values alone make, where the name or the table speaks of things."""
    if category == "name" and looks.share("company") >= 0.1:
        return 0.2
    thing = _names_a_thing(words)
    if not (table.thing and category in OF_THINGS_TOO - {"email", "bank-account"}) and not (
        thing and category in OF_THINGS_TOO - {"email", "bank-account", "health"}
    ):
        return score
    person = (
        category == "name"
        and (not table.thing or A_CONTACT.search(words))
        and looks.share("full-name") >= OFTEN
        and not looks.share("company")
    )
    return 0.55 if person else 0.2


# -- saying it ---------------------------------------------------------------------------------------------------------------------


def _said(column: ColumnEvidence, guess: Guess | None, table: TableView) -> Classified:
    paths = _paths(column, table)
    if paths and (guess is None or guess.score < THRESHOLD):
        guess = Guess("document", 0.9, "values/paths")
    taken = guess is not None and guess.score >= THRESHOLD
    return Classified(
        column=column.name,
        category=guess.category if guess and taken else None,
        confidence=confidence(guess),
        evidence=evidence(column, guess, table, taken=taken) if guess else looks_like(column.looks),
        looked_at=column.looks.looked_at,
        paths=paths,
        case=guess.case if guess else "nothing",
    )


def _paths(column: ColumnEvidence, table: TableView) -> dict[str, str]:
    """What is personal within JSON: each path is a column of a table of its own, whose neighbours are the other paths."""
    inner = []
    for path, looks in column.looks.paths.items():
        named = [part for part in path.replace("[]", "").split(".") if part != "$"]
        inner.append(ColumnEvidence(name=named[-1] if named else "value", looks=looks, table=named[-2] if len(named) > 1 else table.words))  # fmt: skip
    return (
        {
            path: one.category
            for path, one in zip(column.looks.paths, decide(inner), strict=True)
            if one.category
        }
        if inner
        else {}
    )


def confidence(guess: Guess | None) -> float:
    """How often an answer of this case was right on the tuning half of the corpus, where it was seen often enough; else its score."""
    if guess is None:
        return CALIBRATION.get("no nothing", 0.97)
    taken = guess.score >= THRESHOLD
    known = CALIBRATION.get(guess.case if taken else f"no {guess.case}")
    return known if known is not None else round(guess.score if taken else 1 - guess.score, 2)
