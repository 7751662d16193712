"""Named formats of values: an e-mail address, an IBAN, a VAT number, a date. Each is a test that says yes or no, and never repeats a value.

`valid(name, value, **arguments)` is asked by checks, within an adapter, and by whoever classifies columns. Numbers may be written with the
spaces and hyphens that people put into them; a blank around a value is not part of any format. Every test takes time linear in the value's
length, and a value longer than any format can be is not read. Standards stand beside each test.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import json
import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from datareeve.core.errors import BadInput
from datareeve.core.personal_data import checksums, iso_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST: Final = 8192  # characters; no format has longer values
TAKEN: Final[Mapping[str, tuple[type, ...]]] = {
    "schemes": (list, tuple), "version": (int,), "region": (str,), "alpha": (int,), "country": (str,), "offset": (bool,),
}  # fmt: skip  # arguments, and what they are


@dataclass(frozen=True)
class Format:
    """A format: what it is in a sentence, its test, the arguments it takes, and the library that it needs."""

    words: str
    test: Callable[..., bool]
    arguments: tuple[str, ...] = ()
    needs: str = ""  # a module of the extra `quality`
    required: tuple[str, ...] = ()  # of `arguments`


def valid(name: str, value: Any, **arguments: Any) -> bool:
    """Whether a value is of a format. NULL (None) is of none.

    Errors: `BadInput` `format.unknown`, `format.arguments`, `format.needs-extra`; never for a value, whatever it is.
    """
    return tester(name, arguments)(value)


def tester(name: str, arguments: Mapping[str, Any]) -> Callable[[Any], bool]:
    """`valid` for many values: name and arguments are looked at once. Errors: as for `valid`."""
    made = prepared(name, arguments)
    test = partial(made.test, **arguments) if arguments else made.test

    def check(value: Any) -> bool:
        text = value if isinstance(value, str) else _text(value)
        return bool(text) and len(text) <= LONGEST and text.isprintable() and test(text)

    return check


def prepared(name: str, arguments: Mapping[str, Any]) -> Format:
    """The format of a name, where it takes these arguments and its library is there. Errors: as for `valid`."""
    made = FORMATS.get(name)
    if made is None:
        near = difflib.get_close_matches(str(name), FORMATS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadInput(
            "format.unknown", f"There is no format {name!r}.{hint}", f"Formats: {', '.join(FORMATS)}."
        )
    if made.arguments or arguments:
        _fits(name, made, arguments)
    if made.needs:
        _library(name, made.needs)
    return made


def _fits(name: str, made: Format, arguments: Mapping[str, Any]) -> None:
    if unknown := sorted(set(arguments) - set(made.arguments)):
        raise BadInput(
            "format.arguments",
            f"The format {name!r} takes no {', '.join(unknown)}.",
            f"It takes {', '.join(made.arguments) or 'nothing'}.",
        )
    if wrong := next((key for key, value in arguments.items() if not isinstance(value, TAKEN[key])), None):
        raise BadInput("format.arguments", f"{wrong} of the format {name!r} is of another type.", "")
    if missing := [one for one in made.required if not arguments.get(one)]:
        raise BadInput("format.arguments", f"The format {name!r} needs {', '.join(missing)}.", "")
    if "country" in made.required and arguments["country"] not in POSTCODES:
        raise BadInput(
            "format.arguments",
            f"The postcodes of {arguments['country']!r} are not known.",
            f"Countries: {', '.join(sorted(POSTCODES))}.",
        )


@cache
def _library(name: str, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise BadInput(
            "format.needs-extra",
            f"The format {name!r} needs a library that is not installed.",
            "pip install 'datareeve[quality]'",
        ) from None


def _text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    return "" if value is None else str(value)


def _plain(text: str) -> str:
    """A number without what people put between its parts."""
    return text.replace(" ", "").replace("-", "") if text == text.strip() else ""


# -- the network -------------------------------------------------------------------------------------------------------------------

_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\]\\.]+(?:\.[^\s@\"(),:;<>\[\]\\.]+)*")
_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)", re.UNICODE)


def email(text: str) -> bool:
    """RFC 5321 as mailboxes are given out: no quoted local parts, a domain with a dot; international ones (RFC 6531) too."""
    local, at, domain = text.rpartition("@")
    return bool(
        at
        and len(local.encode()) <= 64  # noqa: PLR2004 - RFC 5321, 4.5.3.1.1
        and _LOCAL.fullmatch(local)
        and "." in domain
        and hostname(domain)
    )


def hostname(text: str) -> bool:
    """RFC 1123, or its international form (RFC 5890); the last label is no number, else it would be an address."""
    labels = text.removesuffix(".").split(".")
    good = len(text) <= 253 and all(_LABEL.fullmatch(one) and "_" not in one for one in labels)  # noqa: PLR2004 - RFC 1035, 2.3.4
    return good and not labels[-1].isdigit()


def url(text: str, schemes: list[str] | tuple[str, ...] = ("http", "https")) -> bool:
    """RFC 3986 with a host: a name or an address."""
    if any(sign in text for sign in ' "<>\\^`{|}'):
        return False
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(host) and (hostname(host) or ip(host))


def ipv4(text: str) -> bool:
    """Four numbers with dots, without leading zeros."""
    return _address(ipaddress.IPv4Address, text)


def ipv6(text: str) -> bool:
    """RFC 4291, without a zone."""
    return "%" not in text and _address(ipaddress.IPv6Address, text)


def ip(text: str) -> bool:
    """An address of either kind."""
    return ipv4(text) or ipv6(text)


def _address(kind: type, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


# -- numbers with check digits -----------------------------------------------------------------------------------------------------


def _digits(length: int | tuple[int, ...], test: Callable[[str], bool]) -> Callable[[str], bool]:
    """A test of so many digits, given as people write them."""
    lengths = (length,) if isinstance(length, int) else length

    def check(text: str) -> bool:
        number = _plain(text).replace(".", "").replace("/", "")
        return len(number) in lengths and number.isascii() and number.isdigit() and test(number)

    return check


def _letters(shape: str, test: Callable[[str], bool]) -> Callable[[str], bool]:
    """A test of letters and digits of a shape; small letters count as capitals."""
    pattern = re.compile(shape, re.ASCII)

    def check(text: str) -> bool:
        number = _plain(text).upper()
        return bool(pattern.fullmatch(number)) and test(number)

    return check


def _stdnum(module: str) -> Callable[[str], bool]:
    """A test of python-stdnum, asked of the value as people write it."""

    def check(text: str) -> bool:
        return text == text.strip() and bool(_library(module, f"stdnum.{module}").is_valid(text))

    return check


def vat(text: str, country: str = "") -> bool:
    """A VAT number with its country's letters (EU, and GB, CH, NO, XI and others by their own rules); `country`: that one's, without the letters too."""
    number = _plain(text).replace(".", "").upper()
    code = country.upper() or number[:2]
    module = _vat_module({"EL": "gr", "XI": "gb"}.get(code, code.lower()))
    if module is None or text != text.strip():
        return False
    bare = number[2:] if code in (number[:2], {"GR": "EL"}.get(number[:2])) else number if country else ""
    return bool(module.is_valid(text if code in ("CH", "NO", "RU") else bare))


@cache
def _vat_module(code: str) -> Any:
    from stdnum.util import get_cc_module  # noqa: PLC0415 - of the extra; `prepared` has looked

    return get_cc_module(code, "vat") if len(code) == 2 and code.isalpha() else None  # noqa: PLR2004 - ISO 3166


_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES: Final = {sign: int(value) for sign, value in zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", "012345678912345678123457923456789", strict=True)}  # fmt: skip


def vin(text: str) -> bool:
    """ISO 3779: 17 signs without I, O, Q; the check digit where the maker's region demands it (North America: 49 CFR 565; China: GB 16735)."""
    number = _plain(text).upper()
    if not re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", number, re.ASCII):
        return False
    rest = sum(w * _VIN_VALUES[sign] for w, sign in zip(_VIN_WEIGHTS, number, strict=True)) % 11
    return number[0] not in "12345L" or number[8] == "0123456789X"[rest]


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and the remainder by 97."""
    number = _plain(text).upper()
    shape = re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", number, re.ASCII)
    return shape is not None and checksums.iban(number) == len(number)


def phone(text: str, region: str | None = None) -> bool:
    """A telephone number that can be given out; without `region` only with its country's prefix (+44 ...)."""
    library = _library("phone", "phonenumbers")
    try:
        return bool(library.is_valid_number(library.parse(text, region.upper() if region else None)))
    except library.NumberParseException:
        return False


# -- codes and texts ---------------------------------------------------------------------------------------------------------------


def _shape(pattern: str, flags: re.RegexFlag = re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


def uuid(text: str, version: int | None = None) -> bool:
    """RFC 9562, with its hyphens."""
    found = _UUID.fullmatch(text)
    return found is not None and (version is None or found[1].lower() == f"{version:x}")


def country(text: str, alpha: int | None = None) -> bool:
    """ISO 3166-1 in capitals: of two letters, of three, or (default) either."""
    codes = {2: iso_codes.ALPHA_2, 3: iso_codes.ALPHA_3}
    return len(text) in (2, 3) and alpha in (None, len(text)) and text in codes[len(text)]


POSTCODES: Final[Mapping[str, str]] = {
    "AR": r"[A-HJ-NP-Z]?\d{4}([A-Z]{3})?", "AT": r"[1-9]\d{3}", "AU": r"\d{4}", "BE": r"[1-9]\d{3}", "BR": r"\d{5}-?\d{3}",
    "CA": r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d", "CH": r"[1-9]\d{3}", "CN": r"\d{6}", "CZ": r"\d{3} ?\d{2}",
    "DE": r"(?!00)\d{5}", "DK": r"\d{4}", "ES": r"(?:0[1-9]|[1-4]\d|5[0-2])\d{3}", "FI": r"\d{5}", "FR": r"(?:0[1-9]|[1-8]\d|9[0-8])\d{3}",
    "GB": r"(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPSTUW]|[A-HK-Y]\d[ABEHMNPRVWXY]) ?\d[ABD-HJLNP-UW-Z]{2})",
    "GR": r"\d{3} ?\d{2}", "HU": r"[1-9]\d{3}", "ID": r"[1-9]\d{4}", "IE": r"(?:[AC-FHKNPRTV-Y]\d{2}|D6W) ?[0-9AC-FHKNPRTV-Y]{4}",
    "IL": r"\d{5}(?:\d{2})?", "IN": r"[1-9]\d{2} ?\d{3}", "IT": r"\d{5}", "JP": r"\d{3}-?\d{4}", "KR": r"\d{5}", "MX": r"\d{5}",
    "NL": r"[1-9]\d{3} ?(?!SA|SD|SS)[A-Z]{2}", "NO": r"\d{4}", "NZ": r"\d{4}", "PL": r"\d{2}-\d{3}", "PT": r"[1-9]\d{3}-\d{3}",
    "RO": r"\d{6}", "RU": r"[1-6]\d{5}", "SE": r"[1-9]\d{2} ?\d{2}", "SG": r"\d{6}", "TR": r"(?:0[1-9]|[1-7]\d|8[01])\d{3}",
    "UA": r"\d{5}", "US": r"\d{5}(?:-\d{4})?", "ZA": r"\d{4}",
}  # fmt: skip


@cache
def _postcode_of(code: str) -> re.Pattern[str]:
    return re.compile(POSTCODES[code], re.ASCII | re.IGNORECASE)


def postcode(text: str, country: str) -> bool:
    """A postcode by its country's shape (Universal Postal Union); not whether it is given out."""
    return _postcode_of(country).fullmatch(text) is not None


# BCP 47 (RFC 5646, 2.1): language, script, region, variants, extensions, private use.
_LANGUAGE = (
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+"
)
_SEMVER = (
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_DURATION = re.compile(
    r"[+-]?P(?=[\dT])(?:(?:\d+(?:[.,]\d+)?Y)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?D)?(?:T(?=\d)(?:\d+(?:[.,]\d+)?H)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?S)?)?|\d+W)",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?)(?:[.,]\d{1,9})?(Z|[+-]\d{2}(?::?\d{2})?)?", re.ASCII
)
_TYPES = "application|audio|example|font|haptics|image|message|model|multipart|text|video"


def date_iso(text: str) -> bool:
    """ISO 8601 and RFC 3339: YYYY-MM-DD, a day that the calendar has."""
    return bool(_DATE.fullmatch(text)) and _parses(date.fromisoformat, text)


def datetime_iso(text: str, *, offset: bool | None = None) -> bool:
    """ISO 8601 and RFC 3339: a day and a time, with or without an offset; `offset`: it must be there, or must not."""
    found = _MOMENT.fullmatch(text)
    if found is None or (offset is not None and bool(found[2]) != bool(offset)):
        return False
    return _parses(datetime.fromisoformat, found[1] + (found[2] or "").replace("Z", "+00:00"))


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _degrees(most: int) -> Callable[[str], bool]:
    pattern = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)

    def check(text: str) -> bool:
        return bool(pattern.fullmatch(text)) and math.isfinite(float(text)) and abs(float(text)) <= most

    return check


def json_text(text: str) -> bool:
    """RFC 8259: one value, and nothing that JSON has not (NaN, Infinity)."""
    try:
        json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    return True


def _no_json(name: str) -> Any:
    raise ValueError(name)


def jwt(text: str) -> bool:
    """RFC 7519 by its shape: three parts of base64url, of which the first names its algorithm. Signature and times are not looked at."""
    parts = text.split(".")
    if len(parts) != 3 or not re.fullmatch(r"[A-Za-z0-9_.-]+", text):  # noqa: PLR2004 - RFC 7515, 7.1
        return False
    try:
        header, _ = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
        )
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def mac(text: str) -> bool:
    """EUI-48 in one of its three ways: with colons, with hyphens, in groups of four with dots."""
    return any(pattern.fullmatch(text) for pattern in _MACS)


_MACS = tuple(
    re.compile(shape, re.IGNORECASE | re.ASCII)
    for shape in (
        r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
        r"(?:[0-9a-f]{2}-){5}[0-9a-f]{2}",
        r"(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}",
    )
)

FORMATS: Final[Mapping[str, Format]] = {
    "email": Format("an e-mail address (RFC 5321, 6531)", email),
    "url": Format("a web address with a host (RFC 3986)", url, ("schemes",)),
    "hostname": Format("a host name (RFC 1123)", hostname),
    "ipv4": Format("an IPv4 address", ipv4),
    "ipv6": Format("an IPv6 address (RFC 4291)", ipv6),
    "ip": Format("an IP address of either kind", ip),
    "mac": Format("a MAC address (EUI-48)", mac),
    "uuid": Format("a UUID (RFC 9562)", uuid, ("version",)),
    "iban": Format("an international bank account number (ISO 13616)", iban),
    "bic": Format("a bank identifier code (ISO 9362)", _stdnum("bic"), needs="stdnum"),
    "card": Format("a payment card's number: issuer and Luhn (ISO/IEC 7812)", _digits((14, 15, 16, 17, 18, 19), checksums.card)),
    "phone": Format("a telephone number that can be given out", phone, ("region",), "phonenumbers"),
    "e164": Format("a telephone number as +4420... (ITU-T E.164)", _shape(r"\+[1-9]\d{6,14}")),
    "country": Format("a country (ISO 3166-1, of two or three letters)", country, ("alpha",)),
    "currency": Format("a currency (ISO 4217)", lambda text: text in iso_codes.CURRENCIES),
    "language": Format("a language tag by its shape (BCP 47)", _shape(_LANGUAGE, re.ASCII | re.IGNORECASE)),
    "vat": Format("a VAT number of the EU or another country", vat, ("country",), "stdnum"),
    "isbn": Format("an ISBN of ten or thirteen digits (ISO 2108)", _stdnum("isbn"), needs="stdnum"),
    "issn": Format("an ISSN (ISO 3297)", _stdnum("issn"), needs="stdnum"),
    "ean": Format("an article number, EAN or GTIN (GS1)", _stdnum("ean"), needs="stdnum"),
    "lei": Format("a legal entity identifier (ISO 17442)", _stdnum("lei"), needs="stdnum"),
    "isin": Format("a security's number (ISO 6166)", _stdnum("isin"), needs="stdnum"),
    "cusip": Format("a North American security's number (CUSIP)", _stdnum("cusip"), needs="stdnum"),
    "imei": Format("a mobile device's number with its check digit (3GPP TS 23.003)", _digits(15, checksums.luhn)),
    "vin": Format("a vehicle's number (ISO 3779)", vin),
    "ssn-us": Format("a US social security number", _digits(9, checksums.us_ssn)),
    "nino-gb": Format("a UK national insurance number", _letters(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", checksums.uk_nino)),
    "nir-fr": Format("a French social security number (NIR)", _letters(r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{8}", checksums.french_nir)),
    "steuer-id-de": Format("a German tax number (Steuer-ID)", _digits(11, checksums.german_tax)),
    "dni-es": Format("a Spanish DNI or NIE", _letters(r"[XYZ\d]\d{7}[A-Z]", checksums.spanish_id)),
    "codice-fiscale-it": Format("an Italian tax code", _letters(r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", checksums.italian_fiscal)),
    "bsn-nl": Format("a Dutch citizen's number (BSN)", _digits(9, lambda digits: digits != "000000000" and checksums.dutch_bsn(digits))),
    "pesel-pl": Format("a Polish PESEL number", _digits(11, checksums.polish_pesel)),
    "cpf-br": Format("a Brazilian CPF", _digits(11, checksums.brazilian_cpf)),
    "cnpj-br": Format("a Brazilian CNPJ", _stdnum("br.cnpj"), needs="stdnum"),
    "aadhaar-in": Format("an Indian Aadhaar number", _digits(12, checksums.aadhaar)),
    "postcode": Format("a postcode of a country, by its shape", postcode, ("country",), required=("country",)),
    "date-iso": Format("a date as 2013-07-04 (ISO 8601)", date_iso),
    "datetime-iso": Format("a date with a time as 2013-07-04T05:06:07Z (ISO 8601, RFC 3339)", datetime_iso, ("offset",)),
    "duration-iso": Format("a duration as PT1H30M (ISO 8601)", lambda text: _DURATION.fullmatch(text) is not None),
    "semver": Format("a version by Semantic Versioning 2.0.0", _shape(_SEMVER)),
    "latitude": Format("degrees of latitude, -90 to 90", _degrees(90)),
    "longitude": Format("degrees of longitude, -180 to 180", _degrees(180)),
    "mime": Format("a media type (RFC 6838)", _shape(rf"(?:{_TYPES})/[a-z0-9][a-z0-9!#$&^_.+-]{{0,126}}(?:; ?[a-z0-9-]+=(?:[^\s;\"]+|\"[^\"]*\"))*", re.ASCII | re.IGNORECASE)),
    "json": Format("JSON (RFC 8259)", json_text),
    "jwt": Format("a JSON web token by its shape (RFC 7519)", jwt),
    "hex-color": Format("a colour as #rrggbb (CSS Color 4)", _shape(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")),
}  # fmt: skip
