# ruff: noqa: PLR2004 - shapes are lengths and shares; each stands where it is used
"""What values look like, as counts: how many of a sample are e-mail addresses, names, dates of birth. No value is in what is given.

`look` reads a bounded sample of one column, wherever the values are (in an adapter, beside the database); what it gives holds numbers only and
may leave. Which category a column is of is decided elsewhere, from this and from names, types and neighbours.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from datareeve.core.personal_data import checksums, text, words
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MOST: Final = 40  # values of a column that are looked at
MOST_TEXTS: Final = 200  # of a column of sentences
LONGEST: Final = 4000  # characters of a value that are looked at
DEEPEST: Final = 6  # levels of JSON
MOST_PATHS: Final = 120  # of one JSON column


class Looks(Value):
    """How many values of a sample look like what. Holds no value."""

    looked_at: int = 0  # distinct values that are not NULL or blank
    counts: dict[str, int] = Field(default_factory=dict)  # sign -> how many values have it
    scheme: str = ""  # of identification numbers whose check digits fit all of them: 'es.dni'
    decades: tuple[int, int, int] | None = None  # of dates: of the tenth, middle and ninetieth percentile
    length: float = 0  # of texts: the middle one, in characters
    paths: dict[str, Looks] = Field(default_factory=dict)  # JSON: '$.contact.mail' -> what is there

    def share(self, *signs: str) -> float:
        """Which share of the values has one of these signs: the most frequent one."""
        return (
            max((self.counts.get(sign, 0) for sign in signs), default=0) / self.looked_at
            if self.looked_at
            else 0.0
        )


def look(values: Iterable[Any]) -> Looks:
    """What a sample of one column looks like: its first 40 distinct values, 200 where they are sentences."""
    every = _taken(values)
    taken, counts = every[:MOST], Counter[str]()
    for value in taken:
        counts.update(signs(value))
    if counts["text"] * 3 > len(taken):  # somebody in one of a hundred sentences is somebody
        for value in every[MOST:]:
            counts.update(signs(value))
        taken = every
    paths = _paths(taken) if counts["json"] * 2 > len(taken) else {}
    return Looks(
        looked_at=len(taken),
        counts=dict(sorted(counts.items())),
        scheme=_scheme(taken, articles=counts["ean"] * 10 >= len(taken) * 9),
        decades=_decades(taken) if counts["date"] * 10 >= len(taken) * 9 else None,
        length=sorted(map(len, taken))[len(taken) // 2] if taken else 0,
        paths=paths,
    )


def _taken(values: Iterable[Any]) -> list[str]:
    found: dict[str, None] = {}
    for value in values:
        if value is not None and (told := str(value)[:LONGEST].strip()):
            found[told] = None
        if len(found) == MOST_TEXTS:
            break
    return list(found)


# -- one value ---------------------------------------------------------------------------------------------------------------------

_EMAIL: Final = re.compile(
    r"(?:mailto:)?[^\s@<>\"(),:;]{1,64}@(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}"
)
_NAMED_EMAIL: Final = re.compile(r"[^<>@]{1,80}<[^\s@<>]{1,64}@[\w.\-]{3,120}>")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_DATE: Final = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?|(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?: .*)?|(19\d\d|20\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])"
)
_TIMED: Final = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ](?!00:00(?::00)?)\d.*")
_MAC: Final = re.compile(
    r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}"
)
_VIN: Final = re.compile(r"(?=[A-HJ-NPR-Z0-9]*\d)(?=[A-HJ-NPR-Z0-9]*[A-Z])[A-HJ-NPR-Z0-9]{17}")
_AGENT: Final = re.compile(
    r"(?:Mozilla/\d|Opera/\d|curl/|okhttp/|Dalvik/|python-requests/|PostmanRuntime/|Wget/)"
)
_URL: Final = re.compile(r"(?:https?|ftp|s3|gs)://\S+", re.IGNORECASE)
_SOCIAL: Final = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)?(?:facebook|fb|twitter|x|linkedin|instagram|tiktok|github|gitlab|xing|vk|t|youtube|snapchat|pinterest|mastodon)\.(?:com|me|social|ru)/(?:in/|@|u/|profile/|user/)?[\w.\-@]{2,}/?"
)
_HANDLE: Final = re.compile(r"@[A-Za-z0-9_.]{2,40}(?:@[\w.\-]+)?")
_PICTURE: Final = re.compile(r"\S+\.(?:jpe?g|png|gif|webp|svg|bmp|heic)(?:\?\S*)?", re.IGNORECASE)
_PERSON_PATH: Final = re.compile(
    r"avatar|/u/|user|profile|people|person|member|staff|employee|portrait|face|selfie|headshot|gravatar",
    re.IGNORECASE,
)
_HASH: Final = re.compile(
    r"\$(?:2[abxy]|argon2\w*|5|6|1|P|S|scrypt|pbkdf2[\w-]*)\$|(?:pbkdf2|bcrypt|argon2|scrypt|sha\d*|md5)[\w-]*\$|\{(?:SSHA|SHA|bcrypt|CRYPT)"
)
_KEY: Final = re.compile(
    r"(?:sk|pk|rk|api|key|tok|token|secret|pat|whsec|rt|at)[_-](?:live_|test_|prod_)?[A-Za-z0-9_\-]{16,}|ya29\.|gh[pousr]_\w{20,}|xox[abprs]-|AKIA[A-Z0-9]{16}|AIza[\w-]{30,}"
)
_HEX: Final = re.compile(r"(?:0x|\\x)?[0-9a-fA-F]{24,}")
_BASE64: Final = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/_\-]{28,}={0,2}")
_COOKIE: Final = re.compile(r"(?:GA|fb)\d?\.\d\.\d{6,}\.\d{6,}")
_LATLON: Final = re.compile(
    r"\(?-?\d{1,2}\.\d{3,}\s*[,; ]\s*-?\d{1,3}\.\d{3,}\)?|POINT ?\(-?\d{1,3}\.\d+ -?\d{1,2}\.\d+\)"
)
_ICD: Final = re.compile(r"[A-TV-Z]\d[0-9AB](?:\.[0-9A-Z]{1,4})?")
_EXPIRY: Final = re.compile(r"(?:0[1-9]|1[0-2])\s?[/-]\s?(?:20)?[2-4]\d")
_BIC: Final = re.compile(r"[A-Z]{4}(?!\d)([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
_CODED: Final = re.compile(r"[A-Z]{1,5}[-_/ ]?\d[\dA-Z\-]*|\d{4}-\d{4,}")
_PLATE: Final = re.compile(r"[A-Z0-9ÄÖÜ]{1,4}[-  ·]?[A-Z0-9]{1,4}[-  ]?[A-Z0-9]{1,4}")
_PASSPORT: Final = re.compile(r"[A-Z]{0,2}[A-Z0-9]?\d{6,9}[A-Z]?")
_GENE: Final = re.compile(
    r"\brs\d{3,}|\b[A-Z0-9]{3,8} c\.[\d_+\-*]+|\b(?:BRCA[12]|APOE|CFTR|HLA-[A-Z]+|MTHFR)\b|^[ACGT]{12,}$"
)
_ISBN_EAN: Final = re.compile(r"97[89][\d -]{10,14}|\d{13}|\d{8}|\d{12}")
_USER: Final = re.compile(r"(?=.*[a-z])[A-Za-z][\w.\-]{2,38}")
_TITLED: Final = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Frau|Herrn?|M|Mme|Mlle|Monsieur|Madame|Sra?|Señora?|Don|Doña|[Mm]evrouw|[Mm]eneer|Dhr|Signora?|Pana?|Pani|Bay|Bayan|Fru|Herr)\.? [A-ZÀ-ÞŁŚŻİÇŞĞ]\w+"
)
_CAPITALS: Final = re.compile(r"\b[^\W\d_a-z][^\W\d_]+ [^\W\d_a-z][^\W\d_]+")
_POSTCODES: Final = re.compile(
    r"\d{5}(?:-\d{4})?|\d{4} ?[A-Z]{2}|\d{2}-\d{3}|\d{5}-\d{3}|\d{3} \d{2}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4}|\d{6}|\d{3}-\d{4}|〒?\d{3}-?\d{4}"
)
_HOUSE: Final = re.compile(r"(?:^|[ ,])\d{1,5}[a-zA-Z]?(?:$|[ ,/.-])|\bn[°º.]|№")
_PHONE: Final = re.compile(r"\+?\(?\d[\d .\-/()x]{5,24}(?:ext\.? ?\d+|x\d+)?")
_ADDRESSED: Final = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(word)}(?!\w)" if len(word) < 4 else re.escape(word) for word in words.STREET
    )
)
_CJK: Final = re.compile(
    r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2,6}(?:[ \u3000][\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{1,4})?"
)
_NAME_PARTS: Final = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")  # noqa: RUF001
_PARTICLES: Final = frozenset("de da do dos das di del della van von der den ter ten la le du el al bin ibn of y e i zu zum af av jr sr ii iii dr prof mr mrs ms ing dipl dott univ mag rer nat b.sc m.sc bsc msc phd md dds dvm".split())  # fmt: skip
# How surnames end that no list has all of: Polish, Czech, Serbian, Turkish, Georgian, Armenian, Ukrainian, Greek, Romanian, Scandinavian.
_SURNAMED: Final = re.compile(
    r"\w{2,}(?:[sc]k[ia]|sky|wicz|czyk|czak|\wova|ovic|evic|oglu|shvili|[nrlt]yan|enko|opoulo[su]|akis|escu|eanu|ss[oe]n|sdott[ie]r|nen|quist|strom)"
)
_NAME_LENGTH: Final = 60


def signs(value: str) -> Iterator[str]:  # noqa: C901 - one line a sign
    """What one value looks like; several may be true."""
    digits = sum(map(str.isdigit, value))
    size = len(value)
    if value[0] in "{[" and _parsed(value) is not None:
        yield "json"
        return
    if _NUMBER.fullmatch(value):
        yield from _sized(value)
    if "@" in value:
        if _EMAIL.fullmatch(value) or _NAMED_EMAIL.fullmatch(value):
            yield "email"
        elif _HANDLE.fullmatch(value):
            yield "handle"
    if _DATE.fullmatch(value) and _is_date(value):
        yield "date"
        if _TIMED.fullmatch(value):
            yield "timed"
    if digits >= 4:
        yield from _numbered(value, digits)
    yield from _technical(value, size)
    folded = words.fold(value)
    for sign, known in words.CODED.items():
        if folded in known:
            yield sign
    if digits < size / 2 and size < 160:
        yield from _worded(value, folded, digits)
    if size > 12 and value.count(" ") >= 2:
        yield from _within(value)


def _sized(value: str) -> Iterator[str]:
    """A number, by what it is large enough for: how large it is does not leave."""
    yield "number"
    size = float(value)
    if "." not in value and "e" not in value.lower():
        yield "integer"
        if 1e9 <= size <= 2e9 or 1e12 <= size <= 2e12:
            yield "epoch"
        if len(value) == 4 and 1900 <= size <= 2030:
            yield "year"
        if 1 <= size <= 20_080_000:
            yield "day-number"
    elif len(value.partition(".")[2]) >= 4:
        yield "precise"
    for sign, least, most in _SIZES:
        if least <= size <= most:
            yield sign


_SIZES: Final = (
    ("one-digit", 0, 9), ("age-sized", 0, 120), ("of-age", 5, 100), ("house-sized", 0, 5_000), ("degrees", -180, 180), ("pay-sized", 5_000, 1e9),
)  # fmt: skip


def _numbered(value: str, digits: int) -> Iterator[str]:
    plain = value.translate(_SEPARATORS)
    letters = plain.isascii() and plain.isalnum() and plain[:2].isalpha()
    if letters and 15 <= len(plain) <= 34 and checksums.iban(plain.upper()) == len(plain):
        yield "iban"
    if plain.isdigit():
        yield from _checked(value, plain)
    if value.count(".") == 3 or ":" in value:
        yield from _address_of(value)
    if 7 <= digits <= 17 and not plain.startswith(_BOOKS):
        yield from _dialled(value, plain)
    if _SSN.fullmatch(value) and checksums.us_ssn(plain):
        yield "ssn"
    if _POSTCODES.fullmatch(value.upper()):
        yield "postcode"


def _checked(value: str, plain: str) -> Iterator[str]:
    if 14 <= len(plain) <= 19 and checksums.card(plain):
        yield "card"
    if len(plain) == 15 and checksums.luhn(plain):
        yield "luhn15"
    if _ISBN_EAN.fullmatch(value) and _ean(plain):
        yield "ean"


def _dialled(value: str, plain: str) -> Iterator[str]:
    if not _PHONE.fullmatch(value) or _DATE.fullmatch(value):
        return
    yield "phone-like"
    if value.startswith("+") or (value.startswith("00") and len(value) > 10):
        yield "phone-abroad"
        yield "phone"
    elif (not plain.isdigit() or value[0] in "0(" or "-" in value) and not _SSN.fullmatch(value):
        yield "phone-written"
        yield "phone"


_BOOKS: Final = ("978", "979")  # ISBN-13
_SSN: Final = re.compile(r"\d{3}-\d{2}-\d{4}")
_SEPARATORS: Final = str.maketrans("", "", " .-/()\u00a0+")


_WITH_PORT: Final = re.compile(r"^(\d+\.\d+\.\d+\.\d+):\d{1,5}$")


def _address_of(value: str) -> Iterator[str]:
    try:
        address = ipaddress.ip_address(_WITH_PORT.sub(r"\1", value).partition("/")[0])
    except ValueError:
        return
    yield "ip"
    if address.version == 6 or max(address.packed) >= 100:  # a version has small numbers
        yield "ip-wide"
    if address.is_private or address.is_loopback or address.is_link_local:
        yield "ip-private"


def _technical(value: str, size: int) -> Iterator[str]:  # noqa: C901, PLR0912 - as above
    if size == 36 and _UUID.fullmatch(value):
        yield "uuid"
    if _MAC.fullmatch(value):
        yield "mac"
    if size == 17 and _VIN.fullmatch(value):
        yield "vin"
    if _AGENT.match(value):
        yield "agent"
    if _SOCIAL.fullmatch(value):
        yield "social"
    elif _URL.match(value):
        yield "url"
    if "." in value and _PICTURE.fullmatch(value):
        yield "picture"
        if _PERSON_PATH.search(value):
            yield "person-picture"
    if _HASH.match(value):
        yield "password"
    if _KEY.match(value) or value.startswith("eyJ") and value.count(".") >= 2:  # noqa: RUF021
        yield "key"
    if size >= 24:
        if _HEX.fullmatch(value):
            yield "hex"
        elif _BASE64.fullmatch(value):
            yield "opaque"
    if _COOKIE.match(value):
        yield "cookie"
    if _LATLON.fullmatch(value):
        yield "latlon"
    if size <= 40:
        yield from _short(value, size)


def _short(value: str, size: int) -> Iterator[str]:
    if size <= 8 and _ICD.fullmatch(value):
        yield "icd"
    if size <= 9 and _EXPIRY.fullmatch(value):
        yield "expiry"
    if size in (8, 11) and (code := _BIC.fullmatch(value)) and code[1] in _COUNTRIES:
        yield "bic"
    if _CODED.fullmatch(value):
        yield "coded"
    if 5 <= size <= 12 and _PLATE.fullmatch(value) and not value.isdigit() and not value.isalpha():
        yield "plate"
    if 6 <= size <= 12 and _PASSPORT.fullmatch(value):
        yield "document-number"
    if _USER.fullmatch(value):
        yield "user-like"
    if _GENE.search(value):
        yield "gene"


_COUNTRIES: Final = frozenset(checksums.IBAN_LENGTHS) | frozenset("US CA AU JP CN IN KR SG HK NZ ZA MX AR CL CO TH ID MY PH VN NG KE".split())  # fmt: skip


_STEMS: Final = tuple(
    (sign, re.compile("|".join(map(re.escape, stems))))
    for sign, stems in (("illness", words.ILLNESS), ("drug", words.DRUGS), ("crime", words.CRIMES))
)


def _worded(value: str, folded: str, digits: int) -> Iterator[str]:
    if folded in words.cities():
        yield "city"
    parts = folded.replace(",", " ").split()
    if words.is_company(parts):
        yield "company"
    if _ADDRESSED.search(folded) and (digits or len(parts) > 1):
        yield "street-word"
        if _HOUSE.search(value):
            yield "street"
    elif (
        digits
        and _HOUSE.search(value)
        and len(parts) > 1
        and any(part.isalpha() and len(part) > 4 for part in parts)
    ):
        yield "street-like"
    for sign, stems in _STEMS:
        if stems.search(folded):
            yield sign
    if not digits and len(value) <= _NAME_LENGTH:
        yield from _named(value, folded)


def _named(value: str, folded: str) -> Iterator[str]:
    """Given names, surnames, and both together."""
    if _CJK.fullmatch(value):
        yield from _east_asian(folded)
        return
    parts = [part for part in _NAME_PARTS.findall(folded) if part not in _PARTICLES and len(part) > 1]
    if not parts or len(parts) > 5:
        return
    given = [_known(part, words.given_names()) for part in parts]
    family = [_known(part, words.surnames()) or _SURNAMED.fullmatch(part) is not None for part in parts]
    if len(parts) <= 3:
        if all(given):
            yield "given"
        if family[-1] or folded in words.surnames():
            yield "surname"
    if len(parts) >= 2:
        both = any(given) and any(family) and sum(map(max, given, family)) > 1
        if both or any(given) or any(family):
            yield "full-name" if both else "half-name"
    written = _NAME_PARTS.findall(value)
    if value[0].isupper() and all(part[0].isupper() or words.fold(part) in _PARTICLES for part in written):
        yield "person-shaped"


def _east_asian(folded: str) -> Iterator[str]:
    """A name in Chinese, Japanese or Korean: the surname first, mostly without a space."""
    yield "person-shaped"
    whole = re.sub(r"\s", "", folded)
    if folded in words.given_names():
        yield "given"
    if folded in words.surnames():
        yield "surname"
    if any(whole[:n] in words.surnames() for n in (1, 2, 3)):
        yield "full-name" if len(whole) > 2 else "cjk-name"


def _known(part: str, known: frozenset[str]) -> bool:
    return part in known or _halves(part, known)


def _halves(part: str, known: frozenset[str]) -> bool:
    return "-" in part and all(half in known for half in part.split("-"))


def _within(value: str) -> Iterator[str]:
    """What a text has in it."""
    yield "text"
    found = {one.kind for one in text.find(value)}
    if found:
        yield "personal-within"
    if _TITLED.search(value):
        yield "person-within"
    else:
        given, family = words.given_names(), words.surnames()
        for pair in _CAPITALS.findall(value):
            first, last = words.fold(pair).split(" ", 1)
            if first in given and last in family:
                yield "person-within"
                break


# -- many values -------------------------------------------------------------------------------------------------------------------


def _is_date(value: str) -> bool:
    found = _DATE.fullmatch(value)
    if found is None:
        return False
    a, b, c, d, e, f, g, h, i = found.groups()
    if d:
        return checksums.a_day(int(f), int(e), int(d)) or checksums.a_day(int(f), int(d), int(e))
    return checksums.a_day(int(a or g), int(b or h), int(c or i))


def _decades(values: Sequence[str]) -> tuple[int, int, int] | None:
    """Decades, not years: the year of the youngest is a value."""
    matches = filter(None, map(_DATE.fullmatch, values))
    found = sorted(int(match[1] or match[6] or match[7]) // 10 * 10 for match in matches)
    return (found[len(found) // 10], found[len(found) // 2], found[len(found) * 9 // 10]) if found else None


def _ean(digits: str) -> bool:
    if len(digits) not in (8, 12, 13):
        return False
    total = sum(int(digit) * (3 if n % 2 == 0 else 1) for n, digit in enumerate(reversed(digits[:-1])))
    return (10 - total % 10) % 10 == int(digits[-1])


# Identification numbers by their shape without separators; the module of python-stdnum that knows their check digits.
_SCHEMES: Final = tuple(
    (name, re.compile(shape))
    for name, shape in (
        ("it.codicefiscale", r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"),
        ("mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d"), ("cn.ric", r"\d{17}[\dX]"), ("fi.hetu", r"\d{6}[+\-A-FU-Y]\d{3}[0-9A-Z]|\d{6}[A-FU-Y]?\d{3}[A-Z]"),
        ("es.dni", r"\d{8}[A-Z]"), ("es.nie", r"[XYZ]\d{7}[A-Z]"), ("gb.nino", r"[A-Z]{2}\d{6}[A-D]"), ("fr.nir", r"[12]\d{4}(?:\d\d|2[AB])\d{8}"),
        ("de.svnr", r"\d{8}[A-Z]\d{3}"), ("in_.pan", r"[A-Z]{3}P[A-Z]\d{4}[A-Z]"), ("ie.pps", r"\d{7}[A-W][A-IW]?"), ("ch.ssn", r"756\d{10}"),
        ("za.idnr", r"\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{4}[01]\d\d"), ("ro.cnp", r"[1-8]\d{2}(?:0[1-9]|1[0-2])\d{8}"),
        ("si.emso", r"(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{9}"), ("kr.rrn", r"\d{2}(?:0[1-9]|1[0-2])\d{9}"), ("th.pin", r"[1-8]\d{12}"), ("pk.cnic", r"\d{13}"),
        ("in_.aadhaar", r"[2-9]\d{11}"), ("se.personnummer", r"(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]|[6-8]\d|9[01])\d{4}"),
        ("pl.pesel", r"\d{11}"), ("br.cpf", r"\d{11}"), ("no.fodselsnummer", r"\d{11}"), ("be.nn", r"\d{11}"), ("tr.tckimlik", r"[1-9]\d{10}"),
        ("gr.amka", r"\d{11}"), ("ee.ik", r"\d{11}"), ("hr.oib", r"\d{11}"), ("de.idnr", r"[1-9]\d{10}"), ("bg.egn", r"\d{10}"), ("at.vnr", r"[1-9]\d{9}"),
        ("cz.rc", r"\d{2}(?:[0156][0-9]|[278][0-9])[0-3]\d\d{3,4}"), ("dk.cpr", r"(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{6}"),
        ("is_.kennitala", r"(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{6}"), ("nl.bsn", r"\d{9}"), ("cl.rut", r"\d{7,8}[\dK]"),
    )
)  # fmt: skip
_LEAST_NUMBERS: Final = 6  # below it, digits that fit say nothing: one of ten does by chance


def _scheme(values: Sequence[str], *, articles: bool = False) -> str:
    """The identification number whose shape and check digits nine of ten values fit; '' where there is none, or too few values.

    Numbers that are all those of `articles` have their check digits for that, but for those of a country that counts its people the same way.
    """
    if len(values) < _LEAST_NUMBERS or not 8 <= len(values[0]) <= 24:
        return ""
    plain = [
        value.translate(_SEPARATORS if value[6:7] not in "+-" or len(value) != 11 else {}).upper()
        for value in values
    ]
    least = len(plain) * 0.9
    for name, shape in _SCHEMES:
        if shape.fullmatch(plain[0]) is None and shape.fullmatch(plain[1]) is None:
            continue
        check = None if articles and name != "ch.ssn" else _check(name)
        if check and sum(shape.fullmatch(one) is not None and bool(check(one)) for one in plain) >= least:
            return name
    return ""


@cache
def _check(name: str) -> Callable[[str], object] | None:
    own = {
        "gb.nino": checksums.uk_nino,
        "it.codicefiscale": checksums.italian_fiscal,
        "de.svnr": lambda _: True,
    }
    if name in own:
        return own[name]
    try:
        module = import_module(f"stdnum.{name}")
    except ImportError:  # the extra `quality` is not there: names and shapes still tell
        return None
    return module.is_valid  # type: ignore[no-any-return]


def _parsed(value: str) -> Any:
    if value[-1] not in "}]":
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (dict, list)) else None


def _paths(values: Sequence[str]) -> dict[str, Looks]:
    """What stands at each path of JSON documents. A key that few documents have may be a value itself, and is told as `*`."""
    documents = [_parsed(value) for value in values]
    keys: Counter[str] = Counter()
    for document in documents:
        keys.update(set(_keys(document, 0)))
    least = max(2, len(documents) // 5) if len(documents) > 1 else 1
    named = frozenset(key for key, count in keys.items() if count >= least and _is_a_name(key))
    by: dict[str, list[str]] = {}
    for document in documents:
        _flatten(document, "$", by, named)
    return {path: look(found) for path, found in by.items() if found}


_KEY_NAME: Final = re.compile(r"[A-Za-z_@$][\w$:\- ]{0,48}")


def _is_a_name(key: str) -> bool:
    """Whether a key is what a schema calls something: not somebody's name, address or number."""
    folded = words.fold(key)
    return (
        _KEY_NAME.fullmatch(key) is not None
        and folded not in words.given_names()
        and (folded not in words.surnames() or folded in _KEYS_ALL_THE_SAME)
        and sum(map(str.isdigit, key)) < 4
    )


_KEYS_ALL_THE_SAME: Final = frozenset(
    "name mail phone address id user contact city street zip email data value type age".split()
)


def _keys(node: Any, depth: int) -> Iterator[str]:
    below = node.values() if isinstance(node, dict) else node[:8] if isinstance(node, list) else ()
    if depth < DEEPEST:
        if isinstance(node, dict):
            yield from list(node)[:MOST_PATHS]
        for one in list(below)[:MOST_PATHS]:
            yield from _keys(one, depth + 1)


def _flatten(node: Any, path: str, by: dict[str, list[str]], named: frozenset[str]) -> None:
    if path.count(".") > DEEPEST or node is None:
        return
    if isinstance(node, dict):
        for key, below in list(node.items())[:MOST_PATHS]:
            _flatten(below, f"{path}.{key if key in named else '*'}", by, named)
    elif isinstance(node, list):
        for below in node[:8]:
            _flatten(below, f"{path}[]", by, named)
    elif path in by or len(by) < MOST_PATHS:
        by.setdefault(path, []).append(str(node))
