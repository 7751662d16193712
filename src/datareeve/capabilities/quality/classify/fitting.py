# ruff: noqa: PLR2004 - shapes are lengths and shares; each stands where it is used
"""Whether what is in a column can be what its name says: 1 it is, 0 nothing speaks against it, -1 it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.personal_data.values import Looks

MOSTLY, OFTEN, SOME = 0.8, 0.5, 0.25
NUMBER_FAMILIES = frozenset(("integer", "decimal", "float"))
TIME_FAMILIES = frozenset(("date", "timestamp", "timestamptz"))


def fits(category: str, looks: Looks) -> int:
    """What the values say of a category. Without values: 0."""
    if not looks.looked_at:
        return 0
    return _TESTS.get(category, _any)(looks)


def _any(_: Looks) -> int:
    return 0


def _signs(*wanted: str, least: float = OFTEN, never: tuple[str, ...] = ()) -> Callable[[Looks], int]:
    def test(looks: Looks) -> int:
        if looks.share(*wanted) >= least:
            return 1
        return -1 if not looks.share(*wanted) and (not never or looks.share(*never) >= OFTEN) else 0

    return test


def _name(looks: Looks) -> int:
    """Names of persons; what is shaped like them is not spoken against: no list has all names."""
    persons = looks.counts.get("given", 0) + looks.counts.get("surname", 0) + looks.counts.get("full-name", 0)
    if looks.share("company") >= 0.15:
        return -1
    if looks.share("full-name", "given", "surname") >= 0.45 or persons >= 0.7 * looks.looked_at:
        return 1
    if looks.share("number", "uuid", "date", "hex", "url", "email", "coded", "text", "json", "ip") >= OFTEN:
        return -1
    if looks.length <= 5:  # initials, and what stands between names: `van`
        return 0
    if (
        persons < 0.15 * looks.looked_at
        and looks.looked_at >= 8
        and not looks.share("half-name", "cjk-name")
        and looks.share("person-shaped") < MOSTLY
    ):
        return -1
    return 0


def _phone(looks: Looks) -> int:
    if looks.share("phone") >= 0.4:
        return 1
    if looks.share("phone-like", "integer") >= MOSTLY and 7 <= looks.length <= 15:
        return 0 if looks.share("epoch") >= OFTEN else 1
    return 0 if looks.share("phone-like") >= SOME else -1


def _born(looks: Looks) -> int:
    if looks.decades:
        return (
            1 if looks.decades[1] <= 2000 and looks.decades[2] > looks.decades[0] else 0
        )  # few customers are children
    if looks.share("year") >= MOSTLY:
        return 1
    if looks.share("number") >= OFTEN:
        return 0 if looks.share("day-number") == 1 else -1
    return 0 if looks.share("date") >= SOME else -1


def _text(looks: Looks) -> int:
    """Free text: 1 where somebody is in it."""
    if looks.share("text") < SOME:
        return -1
    return 1 if looks.counts.get("personal-within", 0) + looks.counts.get("person-within", 0) else 0


def _address(looks: Looks) -> int:
    if looks.share("street", "street-like") >= 0.3 or looks.share("street-word") >= OFTEN:
        return 1
    if looks.share("number", "url", "ip", "uuid", "email", "hex", "mac", "date", "json", "social") >= OFTEN:
        return 0 if looks.share("house-sized") == 1 else -1
    return 0


def _postcode(looks: Looks) -> int:
    if looks.share("postcode") >= MOSTLY:
        return 1
    return (
        0 if looks.share("postcode") >= SOME or (looks.length <= 10 and looks.share("number") < OFTEN) else -1
    )


def _city(looks: Looks) -> int:
    if looks.share("city") >= 0.2:
        return 1
    return (
        -1
        if looks.share("number", "date", "uuid", "coded", "url", "company") >= OFTEN
        or not 2 <= looks.length < 40
        else 0
    )


def _age(looks: Looks) -> int:
    return 1 if looks.share("age-sized") == 1 and looks.share("of-age") >= MOSTLY else -1


def _income(looks: Looks) -> int:
    if looks.share("pay-sized") >= OFTEN:
        return 1
    if looks.share("number") >= OFTEN:
        return 0
    bands = looks.length <= 20 and looks.looked_at <= 20 and not looks.share("date", "email", "uuid", "url")
    return 0 if bands else -1  # `<20k`, `40 to 60 thousand`


def _location(looks: Looks) -> int:
    if looks.share("latlon") >= OFTEN:
        return 1
    if looks.share("number") == 1:
        return -1 if looks.share("degrees") < 1 else 1 if looks.share("precise") >= OFTEN else 0
    return -1 if looks.share("date", "text") >= OFTEN else 0


def _gender(looks: Looks) -> int:
    if looks.share("gender", "honorific") >= MOSTLY:
        return 1
    if looks.share("one-digit") == 1 and looks.looked_at <= 5:  # ISO/IEC 5218
        return 0
    return -1 if looks.looked_at > 12 or looks.length > 16 else 0


def _few(sign: str, most: int = 30) -> Callable[[Looks], int]:
    """Coded values: known words say yes, many different or long ones no."""

    def test(looks: Looks) -> int:
        if looks.share(sign) >= 0.4:
            return 1
        return (
            -1
            if looks.looked_at > most
            or (
                looks.share("number", "date", "text", "uuid", "email", "url") >= MOSTLY
                and looks.looked_at > 9
            )
            else 0
        )

    return test


def _id(looks: Looks) -> int:
    if looks.scheme or looks.share("ssn") >= OFTEN:
        return 1
    if looks.share("email", "date", "url", "text", "full-name", "uuid", "json") >= OFTEN:
        return -1
    return 0 if 4 <= looks.length <= 24 else -1  # the last four are a part of it


def _document(looks: Looks) -> int:
    if looks.share("document-number", "coded") >= MOSTLY:
        return 1
    return (
        -1
        if looks.share("email", "date", "url", "text", "full-name", "uuid", "json") >= OFTEN
        or looks.length < 4
        else 0
    )


def _account(looks: Looks) -> int:
    if looks.share("iban") >= OFTEN:
        return 1
    if looks.share("email", "date", "url", "text", "full-name", "uuid", "json", "year") >= OFTEN:
        return -1
    return 0 if 6 <= looks.length <= 34 else -1


def _password(looks: Looks) -> int:
    if looks.share("password") >= OFTEN or looks.share("hex", "opaque") >= OFTEN:
        return 1
    return -1 if looks.share("date", "uuid", "timed", "email") >= OFTEN else 0


def _secret(looks: Looks) -> int:
    if looks.share("key", "hex", "opaque", "uuid") >= OFTEN:
        return 1
    return (
        -1
        if (looks.share("date", "number", "email", "text") >= OFTEN and looks.length < 16) or looks.length < 6
        else 0
    )


def _ip(looks: Looks) -> int:
    if looks.share("ip") < OFTEN:
        return -1
    return 0 if looks.share("ip-private") >= MOSTLY else 1


def _device(looks: Looks) -> int:
    if looks.share("mac", "luhn15", "uuid", "hex") >= OFTEN:
        return 1
    return -1 if looks.share("date", "text", "email") >= OFTEN or looks.length < 8 else 0


def _online(looks: Looks) -> int:
    if looks.share("cookie", "hex", "opaque", "uuid") >= OFTEN:
        return 1
    return -1 if looks.share("date", "text", "email") >= OFTEN or looks.length < 6 else 0


def _vehicle(looks: Looks) -> int:
    if looks.share("vin", "plate") >= OFTEN:
        return 1
    return -1 if looks.share("date", "text", "uuid", "email", "decimal") >= OFTEN else 0


def _username(looks: Looks) -> int:
    if looks.share("user-like", "email") >= MOSTLY:
        return 1
    return -1 if looks.share("uuid", "date", "text", "json", "url") >= OFTEN else 0


def _picture(looks: Looks) -> int:
    if looks.share("picture", "person-picture") >= OFTEN:
        return 1
    return -1 if looks.share("date", "number", "text", "uuid") >= OFTEN else 0


def _health(looks: Looks) -> int:
    if looks.share("icd", "illness", "drug", "blood") >= 0.4:
        return 1
    return -1 if looks.share("email", "full-name", "url", "uuid") >= OFTEN else 0


def _social(looks: Looks) -> int:
    if looks.share("social", "handle") >= OFTEN:
        return 1
    return -1 if looks.share("date", "number", "uuid") >= OFTEN else 0


def _expiry(looks: Looks) -> int:
    if looks.share("expiry") >= OFTEN:
        return 1
    return 0 if looks.share("date", "integer") >= OFTEN else -1


def _code(looks: Looks) -> int:
    if looks.share("integer") >= MOSTLY and 3 <= looks.length <= 4:
        return 1
    return 0 if looks.share("password", "hex", "opaque") >= OFTEN else -1


def _words(looks: Looks) -> int:
    return -1 if looks.share("number", "date", "uuid", "email", "url", "json") >= OFTEN else 0


_TESTS: dict[str, Callable[[Looks], int]] = {
    "name": _name, "phone": _phone, "date-of-birth": _born, "date-of-death": _signs("date", "timed", least=OFTEN), "free-text": _text, "address": _address, "postcode": _postcode,
    "city": _city, "age": _age, "income": _income, "location": _location, "gender": _gender, "marital-status": _few("marital"), "religion": _few("religion"),
    "ethnicity": _few("ethnicity"), "political-opinion": _few("politics"), "sexual-orientation": _few("orientation"), "national-id": _id, "tax-id": _id,
    "passport": _document, "driving-licence": _document, "health-insurance-id": _document, "patient-id": _document, "bank-account": _account,
    "email": _signs("email", least=OFTEN), "card-number": _signs("card", least=0.4), "card-expiry": _expiry, "card-security-code": _code,
    "bank-code": _signs("bic", least=OFTEN), "password": _password, "secret": _secret, "ip-address": _ip, "device-id": _device, "online-id": _online,
    "user-agent": _signs("agent", least=0.4, never=("number", "date", "uuid")), "vehicle-id": _vehicle, "username": _username, "photo": _picture, "health": _health, "social-profile": _social,
    "birth-place": _city, "nationality": _words, "employment": _any, "education": _any, "criminal-record": _signs("crime", least=SOME, never=("email", "uuid", "url")),
    "genetic": _signs("gene", least=SOME, never=("number", "date", "email", "url")),
}  # fmt: skip
