"""What speaks for a column's category, in words: counts and shapes, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from datareeve.capabilities.quality.classify.categories import CATEGORIES

if TYPE_CHECKING:
    from datareeve.capabilities.quality.classify.column import ColumnEvidence
    from datareeve.capabilities.quality.classify.tables import TableView
    from datareeve.core.personal_data.values import Looks


class Guess(NamedTuple):
    """One thing that a column may be."""

    category: str
    score: float
    case: str  # what it rests on: 'certain/fits/person', 'values/email'
    named: float = 0.0  # how certainly the name says so


ARE = {
    "email": "e-mail addresses", "iban": "IBANs with the right check digits", "card": "card numbers with the right check digit", "ssn": "shaped as US social security numbers", "phone-abroad": "international telephone numbers",
    "phone-written": "written as telephone numbers", "given": "given names", "surname": "surnames", "full-name": "given name and surname", "street": "a street and a number", "city": "towns", "postcode": "shaped as postcodes",
    "ip": "IP addresses", "ip-private": "private IP addresses", "mac": "MAC addresses", "uuid": "UUIDs", "agent": "browsers", "password": "password hashes", "key": "keys or tokens", "hex": "long hexadecimal numbers",
    "date": "dates", "timed": "moments", "epoch": "seconds since 1970 by their size", "ean": "EAN or ISBN with the right check digit", "coded": "a code and a number", "company": "names of companies", "text": "sentences",
    "url": "web addresses", "json": "JSON", "number": "numbers", "vin": "shaped as VINs", "icd": "shaped as ICD-10 codes", "gender": "words for gender", "honorific": "forms of address", "marital": "words for marital status",
    "religion": "religions", "blood": "blood groups", "latlon": "pairs of coordinates", "social": "pages of social networks", "drug": "medicines", "illness": "illnesses",
}  # fmt: skip
HAVE = {
    "personal-within": "have an address or a number of somebody in them",
    "person-within": "have somebody's name in them",
}
BRIEF = 3  # signs that are told


def evidence(column: ColumnEvidence, guess: Guess, table: TableView, *, taken: bool) -> str:
    """Why a column is taken for a category, or why it is not although something speaks for it."""
    said = []
    if guess.named:
        says = "says" if guess.named == 1 else "may say"
        said.append(f"the name {says} {CATEGORIES[guess.category].words}")
    said.append(_seen(column.looks) or "no values were seen")
    if guess.case.endswith("/person"):
        said.append(f"beside {', '.join(table.beside[:BRIEF])}" if table.beside else "a table about persons")
    elif guess.case.endswith("/thing"):
        said.append("a table about things")
    text = "; ".join(said)
    return text if taken else f"not taken for personal: {text}"


def looks_like(looks: Looks) -> str:
    """What a column looks like that nothing speaks for."""
    return f"not personal: {_seen(looks)}" if _seen(looks) else ""


def _seen(looks: Looks) -> str:
    often = sorted(
        ((n, sign) for sign, n in looks.counts.items() if sign in ARE or sign in HAVE), reverse=True
    )
    said = [
        f"{n} of {looks.looked_at} values {HAVE[sign] if sign in HAVE else f'are {ARE[sign]}'}"
        for n, sign in often[:BRIEF]
    ]
    if looks.scheme:
        said.insert(0, f"the check digits are those of {looks.scheme}")
    if looks.decades:
        said.append(f"most are of the {looks.decades[1]}s or near")
    return "; ".join(said)
