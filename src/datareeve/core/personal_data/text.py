"""What of a text is personal, and where: found by shape and, wherever the number has one, by its check digits.

What merely looks alike stays: dates, versions, coordinates, order numbers, ISBNs, UUIDs. Text without any of the few signs that personal data
cannot do without (an @, a run of digits, the beginnings of keys) is done after one look. Names and addresses have no shape: they are found only
where the estate names their columns.
"""

from __future__ import annotations

import ipaddress
import re
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final, NamedTuple

from datareeve.core.personal_data import checksums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Found(NamedTuple):
    """A piece of personal data in a text."""

    start: int
    end: int
    kind: str  # EMAIL, PHONE, IBAN, CARD, ID, IP, SECRET


class _Number(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], object]
    least: int  # digits
    label: re.Pattern[str] | None = None  # must stand before it


_BEFORE: Final = r"(?<![\w.+/#\-])"
_AFTER: Final = r"(?![\w]|[.\-/]\d)"
_PLAIN_RUN: Final = re.compile(
    r"(?:\d{1,3}\.\d+|\d{6,7}|(?:19|20)\d\d ?- ?(?:19|20)\d\d)[ .\-/(]*"
)  # a decimal, a short number, years
_LONG_RUN: Final = 48  # characters; what is longer is a table
_WORD: Final = re.compile(r"\S{7,}")
_SEPARATORS: Final = str.maketrans("", "", " .-/()\u00a0")
_NOT_PERSONAL: Final = re.compile(
    r"(?:order|invoice|ticket|tracking|case|isbn(?:-1[03])?|issn|ean|sku|part|serial|batch|version|ver|build|release|commit|rfc|doi|"
    r"item|article|product|transaction|shipment|parcel|bestell\w*|rechnung\w*|vorgang\w*|\bv|§|section|chapter|timestamp|epoch|coordinates|lat|lon|lng)"
    r"[\s_\-]{0,2}(?:id|no|nr|nbr|num|number|nummer|code|key|ref|reference)?[\s\"'.:=#()]{0,4}\Z",
    re.IGNORECASE,
)
_PHONE_LABEL: Final = re.compile(
    r"(?:phone|mobile|cell|tel|fax|whatsapp|call|dial|text|sms|telefon\w*|handy|mobil|ruf\w*|tél\w*|teléfono|m[óo]vil|celular|cellulare|hotline|landline)"
    r"[\s_\-]{0,2}(?:no|nr|number|nummer|me|us|him|her|at|on|under|unter|an)?(?:\s(?:at|on|is|me|us|him|her|under|unter))?[\s\"'.:=()]{0,4}\Z",
    re.IGNORECASE,
)
LABEL_CHARS: Final = 32


def _named(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{words})[\w \"'.:=#()\-]{{0,16}}\Z", re.IGNORECASE)


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(_BEFORE + f"(?:{pattern})" + _AFTER)


_NUMBERS: Final = (
    _Number("CARD", _shape(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|3[47]\d\d([ -]?)\d{6}\2\d{5}|3[0689]\d\d([ -]?)\d{6}\3\d{4}"),
            checksums.card, 14),
    _Number("ID", _shape(r"[12][ .]?\d\d[ .]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .]?(?:\d\d|2[AB])[ .]?\d{3}[ .]?\d{3}[ .\-]?\d\d"),
            checksums.french_nir, 14),
    _Number("ID", _shape(r"756\.\d{4}\.\d{4}\.\d\d"), checksums.swiss_ahv, 13),
    _Number("ID", _shape(r"[2-9]\d{3} \d{4} \d{4}"), checksums.aadhaar, 12),
    _Number("ID", _shape(r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}"), checksums.german_tax, 11),
    _Number("ID", _shape(r"\d{11}"), checksums.polish_pesel, 11),
    _Number("ID", _shape(r"\d{3}\.\d{3}\.\d{3}-\d\d"), checksums.brazilian_cpf, 11),
    _Number("ID", _shape(r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d"), checksums.belgian_number, 11),
    _Number("ID", _shape(r"(?:19|20)?\d{6}[-+]\d{4}"), checksums.swedish_number, 10),
    _Number("ID", _shape(r"\d{3}-\d\d-\d{4}"), checksums.us_ssn, 9),
    _Number("ID", _shape(r"\d{3} ?\d\d ?\d{4}"), checksums.us_ssn, 9, _named(r"\bssn|social security")),
    _Number("ID", _shape(r"\d{9}|\d{4}\.\d\d\.\d{3}"), checksums.dutch_bsn, 9, _named(r"\bbsn|burgerservice\w*|sofi")),
    _Number("ID", _shape(r"\d{3}[ -]?\d{3}[ -]?\d{3}"), checksums.canadian_sin, 9, _named(r"\bsin|social insurance")),
    _Number("ID", _shape(r"\d{8}-?[A-HJ-NP-TV-Z]|[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]"), checksums.spanish_id, 7),
    _Number("ID", _shape(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"), checksums.uk_nino, 6),
)  # fmt: skip
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ \-]?[A-Za-z0-9]{4}){2,7}(?:[ \-]?[A-Za-z0-9]{1,3})?"
)
_FISCAL: Final = re.compile(r"(?<!\w)[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)")
_V4: Final = re.compile(
    r"(?<![\w.\-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w\-]|\.\d)"
)
_NO_ADDRESS: Final = ("0.", "127.", "255.")
# A text's signs by their class: this costs a nanosecond each, and says at once whether there is anything to look at.
_CLASSES: Final = bytes(
    ord("0")
    if chr(n) in "0123456789"
    else ord("A")
    if chr(n) in ascii_uppercase
    else n
    if n in b".@: ()/-"
    else ord("x")
    for n in range(256)
)
_RUN: Final = re.compile(rb"0[0 .()/\-]{5,}")  # what every number below has in it, by its signs' classes
_DATES: Final = (b"0000-00-00", b"00/00/0000", b"00.00.0000")
_NO_DATE: Final = b"x" * 10
_CARDS: Final = (b"0" * 14, b"0000 0000 0000", b"0000-0000-0000", b"0000 000000 0000", b"0000-000000-0000")
_FISCAL_SHAPE: Final = b"AAAAAA00A00A000A"
_DOTTED: Final = (b".0.0", b".00.0", b".000.0")
_ODD_SIGNS: Final = (("\u00a0", " "), ("\u202f", " "), ("\u2010", "-"), ("\u2011", "-"), ("\u2013", "-"))
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_V6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::|(?:[0-9A-Fa-f]{1,4}|:[0-9A-Fa-f]{1,4})(?::[0-9A-Fa-f]{1,4}){0,6})(?![\w:])"
)

# https://www.itu.int/pub/T-SP-E.164D: assigned country codes
_COUNTRY: Final = (
    r"(?:1|7|2[07]|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1234569]\d|35\d|37\d|38\d|42\d|50\d|59\d|67\d|68\d|80\d|85\d|87\d|"
    r"88\d|96\d|97\d|99\d)"
)
_ABROAD: Final = re.compile(
    rf"(?<![\w+])\+{_COUNTRY}[ .\-/]?(?:\(0?\d{{0,4}}\)[ .\-/]?)?\d(?:[ .\-/]?(?:\(\d{{1,4}}\)[ ]?)?\d){{5,13}}(?!\d|[\-/.]\d)"
)
_HOME: Final = (  # shapes that say by themselves that they are telephone numbers
    _shape(
        r"(?:1[ .\-])?\([2-9]\d\d\) ?[2-9]\d\d[ .\-]\d{4}|(?:1([ .\-]))?[2-9]\d\d([.\-])[2-9]\d\d\2\d{4}"
    ),  # North America
    _shape(r"0[1-9](?:([ .\-])\d\d)(?:\1\d\d){3}"),  # France
    _shape(
        r"(?<!\d )0[1-9]\d{1,3}[ /\-]\d{3,4}[ \-]?\d{3,5}|\(0\d{1,4}\) ?\d{3,4}[ \-]?\d{3,5}"
    ),  # a trunk 0 and an area
    _shape(rf"(?<!\d )00 ?{_COUNTRY}[ \-/]\d(?:[ \-/]?\d){{6,12}}"),
)
_ANY_PHONE: Final = re.compile(r"(?<![\w.+])\(?\d(?:[ .\-/()]{0,2}\d){6,14}(?!\w|[.\-/]\d)")

_LOCAL: Final = re.compile(r"(?<![\w.!#%&'*+=?^`{|}~\-])[\w.!#%&'*+=?^`{|}~\-]++\Z")
_DOMAIN: Final = re.compile(
    r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.)+([^\W\d_]{2,24}|xn--[a-z0-9\-]{2,60})(?![\w\-])"
)
_FILE_ENDINGS: Final = frozenset(
    "png jpg jpeg gif svg webp js ts css html htm py md json yaml yml xml txt".split()
)

_ALONE: Final = r"(?<![\w\-])"
_NO_MORE: Final = r"(?![\w\-])"
_JWT: Final = _ALONE + r"eyJ[\w\-]{8,}\.eyJ[\w\-]{8,}\.[\w\-]*" + _NO_MORE
_PRIVATE: Final = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_BEARER: Final = r"[Bb]earer +((?=[\w.~+/\-]*\d)[\w.~+/\-]{20,}=*)"
_AWS: Final = r"secret_access_key[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])"
_KEYS: Final = tuple(  # by a sign that is rare: how a key begins that holds it, and what it then is
    (sign, tuple((start, re.compile(pattern)) for start, pattern in keys))
    for sign, keys in (
        ("_", (
            *((f"{kind}_{mode}_", rf"{_ALONE}{kind}_{mode}_\w{{16,}}") for kind in ("sk", "rk") for mode in ("live", "test")),
            *((f"gh{kind}_", rf"{_ALONE}gh{kind}_[A-Za-z0-9]{{36,}}{_NO_MORE}") for kind in "pousr"),
            ("github_pat_", rf"{_ALONE}github_pat_\w{{22,}}"),
            ("hf_", rf"{_ALONE}hf_[A-Za-z0-9]{{30,}}{_NO_MORE}"),
            ("npm_", rf"{_ALONE}npm_[A-Za-z0-9]{{36}}{_NO_MORE}"),
            ("secret_access_key", _AWS),
        )),
        ("-", (
            ("sk-", rf"{_ALONE}sk-(?=[\w\-]*\d)[\w\-]{{20,}}"),
            ("glpat-", rf"{_ALONE}glpat-[\w\-]{{20,}}"),
            ("xox", rf"{_ALONE}xox[abeoprs]-[\w\-]{{10,}}"),
            ("dr-", rf"{_ALONE}dr-[A-Za-z0-9]{{12}}-[A-Za-z0-9]{{43}}{_NO_MORE}"),
            ("pypi-", rf"{_ALONE}pypi-[\w\-]{{50,}}"),
            ("-----BEGIN ", _PRIVATE),
        )),
        ("A", (
            ("AKIA", rf"{_ALONE}AKIA[A-Z0-9]{{16}}{_NO_MORE}"),
            ("ASIA", rf"{_ALONE}ASIA[A-Z0-9]{{16}}{_NO_MORE}"),
            ("AIza", rf"{_ALONE}AIza[\w\-]{{35}}{_NO_MORE}"),
        )),
        (".", (
            ("SG.", rf"{_ALONE}SG\.[\w\-]{{22}}\.[\w\-]{{43}}{_NO_MORE}"),
            ("ya29.", rf"{_ALONE}ya29\.[\w\-]{{20,}}"),
            ("eyJ", _JWT),
        )),
        ("earer ", (("Bearer ", _BEARER), ("bearer ", _BEARER))),
        ("://", (("://", r"://[^\s:/@\"'<>]{0,64}:((?![\[{*%]|\$[\w{(])[^\s/@\"'<>]{1,256})@"),)),
    )
)  # fmt: skip


def find(text: str) -> list[Found]:
    """Everything personal in a text, in order; nothing overlaps."""
    if not text.isascii():
        text = _plainer(text)
    raw = text.encode("latin-1", "replace")  # a byte a sign, so that places are the same
    found: list[Found] = []
    for sign, keys in _KEYS:
        if sign in text:
            _secrets(text, keys, found)
    classes = raw.translate(_CLASSES)
    if b"@" in classes:
        _emails(text, found)
    _numbers(text, classes, found)
    if b".0" in classes and any(dots in classes for dots in _DOTTED):
        _v4(text, found)
    if b"::" in classes or _may_be_v6(text):
        _v6(text, found)
    if _FISCAL_SHAPE in classes:
        _fiscal(text, found)
    found.sort()
    return found


def _plainer(text: str) -> str:
    """With plain spaces and dashes for typographic ones: each sign stays where it is."""
    for odd, plain in _ODD_SIGNS:
        if odd in text:
            text = text.replace(odd, plain)
    return text


def _add(found: list[Found], start: int, end: int, kind: str) -> bool:
    """What was found first counts where two overlap."""
    if any(start < other.end and other.start < end for other in found[-64:]):
        return False
    found.append(Found(start, end, kind))
    return True


def _secrets(text: str, keys: tuple[tuple[str, re.Pattern[str]], ...], found: list[Found]) -> None:
    for start, pattern in keys:
        at = text.find(start)
        while at >= 0:
            match = pattern.match(text, at)
            if match is not None:
                group = match.lastindex or 0
                _add(found, match.start(group), match.end(group), "SECRET")
            at = text.find(start, match.end() if match is not None else at + 1)


def _emails(text: str, found: list[Found]) -> None:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None and domain[1].lower() not in _FILE_ENDINGS:
            local = _LOCAL.search(text[max(0, at - 64) : at])
            name = local[0].lstrip(".'*`{|=&") if local else ""
            remote = name == "git" and text[domain.end() : domain.end() + 1] in (":", "/")
            if any(map(str.isalnum, name)) and not remote:
                _add(found, at - len(name), domain.end(), "EMAIL")
        at = text.find("@", at + 1)


def _v4(text: str, found: list[Found]) -> None:
    for match in _V4.finditer(text):
        if not match[0].startswith(_NO_ADDRESS) and not _about_else(text, match.start()):
            _add(found, match.start(), match.end(), "IP")


def _may_be_v6(text: str) -> bool:
    """Whether six groups of hexadecimal digits stand between colons in a row."""
    if text.count(":") < 7:  # noqa: PLR2004 - as many as an address has that is written in full
        return False
    row = 0
    for part in text.split(":"):
        row = row + 1 if 0 < len(part) < 5 and _HEX.issuperset(part) else 0  # noqa: PLR2004
        if row == 6:  # noqa: PLR2004
            return True
    return False


def _v6(text: str, found: list[Found]) -> None:
    for match in _V6.finditer(text):
        if _is_v6(match[0]):
            _add(found, match.start(), match.end(), "IP")


def _fiscal(text: str, found: list[Found]) -> None:
    for match in _FISCAL.finditer(text):
        if checksums.italian_fiscal(match[0]):
            _add(found, match.start(), match.end(), "ID")


def _is_v6(text: str) -> bool:
    """An address beyond this machine; not a time (12:30:45), a MAC address, a cast (5::int) or a scope (fe::ed)."""
    groups = [group for group in text.split(":") if group]
    if len(groups) < 2 or (len(groups) == 2 and len(groups[0]) < 4) or not any(map(str.isdigit, text)):  # noqa: PLR2004
        return False
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not address.is_loopback and not address.is_unspecified


def _numbers(text: str, classes: bytes, found: list[Found]) -> None:
    """Each run of at least six digits with little between them, but for dates."""
    for date in _DATES:
        classes = classes.replace(date, _NO_DATE)
    for run in _RUN.finditer(classes):
        start, end = run.span()
        if end - start > _LONG_RUN:
            _table(text, classes, start, end, found)
        elif classes.count(b"0", start, end) >= 6 and not _is_plain(text, start, end):  # noqa: PLR2004
            _looked(text, start, end, found)


def _is_plain(text: str, start: int, end: int) -> bool:
    """Whether a run is a decimal or another number that says nothing of anybody."""
    if _PLAIN_RUN.fullmatch(text, start, end) is None or (start and text[start - 1] in "+("):
        return False
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def _table(text: str, classes: bytes, start: int, end: int, found: list[Found]) -> None:
    """A long run is many numbers: those that are long by themselves, and cards."""
    row = classes[start:end]
    if any(shape in row for shape in _CARDS):
        _number(text, _NUMBERS[0], start, end, found)
    for word in _WORD.finditer(text, start, end):
        if not _is_plain(text, *word.span()):
            _looked(text, word.start(), word.end(), found)


def _looked(text: str, start: int, end: int, found: list[Found]) -> None:
    """Look at one run."""
    digits = sum(map(str.isdigit, text[start:end]))
    low, high = max(0, start - 12), min(len(text), end + 12)
    for match in _within(_IBAN, text, low, high + 24):
        _iban(match, found)
    for number in _NUMBERS:
        if digits >= number.least:
            _number(text, number, low, high, found)
    if digits >= 7:  # noqa: PLR2004 - no telephone number has fewer with us
        _phones(text, start, low, high, found)


def _within(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """What matches within a stretch; not what its end may have cut off."""
    for match in pattern.finditer(text, start, end):
        if match.end() < end or end >= len(text):
            yield match


def _iban(match: re.Match[str], found: list[Found]) -> None:
    written = match[0]
    most = checksums.iban(written.translate(_SEPARATORS).upper())
    if not most:
        return
    end = left = 0
    for end, sign in enumerate(written, 1):  # noqa: B007 - where it stops
        left += sign not in " -"
        if left == most:
            break
    _add(found, match.start(), match.start() + end, "IBAN")


def _number(text: str, number: _Number, start: int, end: int, found: list[Found]) -> None:
    for match in _within(number.pattern, text, start, end):
        if number.check(match[0].translate(_SEPARATORS).replace("+", "")) and _labelled(
            text, match.start(), number.label
        ):
            _add(found, match.start(), match.end(), number.kind)


def _labelled(text: str, at: int, label: re.Pattern[str] | None) -> bool:
    if label is None:
        return not _about_else(text, at)
    return label.search(text[max(0, at - LABEL_CHARS) : at]) is not None


def _about_else(text: str, at: int) -> bool:
    """Whether the words before a number say that it is something else: an order, a version, a book."""
    return _NOT_PERSONAL.search(text[max(0, at - LABEL_CHARS) : at]) is not None


def _phones(text: str, start: int, low: int, high: int, found: list[Found]) -> None:
    for match in _within(_ABROAD, text, low, high):
        if _dialled(match[0]):
            _add(found, match.start(), match.end(), "PHONE")
    for shape in _HOME:
        for match in _within(shape, text, low, high):
            if not _about_else(text, match.start()) and 9 <= len(match[0].translate(_SEPARATORS)) <= 16:  # noqa: PLR2004
                _add(found, match.start(), match.end(), "PHONE")
    begun = start - (start > 0 and text[start - 1] == "(")
    called = _PHONE_LABEL.search(text[max(0, begun - LABEL_CHARS) : begun])
    if called and (written := _ANY_PHONE.match(text, begun)):
        _add(found, begun, written.end(), "PHONE")


def _dialled(text: str) -> bool:
    """Whether it can be dialled: E.164 has at most 15 digits; North America's have ten, of which neither part begins with 0 or 1."""
    digits = text.translate(_SEPARATORS)[1:]
    if digits.startswith("1"):
        return len(digits) == 11 and digits[1] > "1" and digits[4] > "1"  # noqa: PLR2004
    return 8 <= len(digits) <= 15  # noqa: PLR2004
