"""Numbers that people are known by, and how each tells itself from any other number: check digits, shapes, ranges never given out.

Each function is told a number without its separators, and says whether it can be one. Sources stand beside each.
"""

from __future__ import annotations

from datetime import date
from typing import Final

# Lengths by country: the SWIFT IBAN registry, release 99.
IBAN_LENGTHS: Final = {
    code: int(length)
    for length, codes in (
        pair.split(":")
        for pair in (
            "15:NO 16:BE 18:DK,FI,FO,GL,NL,SD,FK 19:MK,SI 20:AT,BA,EE,KZ,LT,LU,XK,MN 21:CH,HR,LI,LV "
            "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA 23:AE,GI,IL,IQ,OM,TL,SO 24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG "
            "25:LY,PT,ST 26:IS,TR 27:BI,DJ,FR,GR,IT,MC,MR,SM 28:AL,AZ,BY,CY,DO,GT,HN,HU,LB,NI,PL,SV "
            "29:BR,EG,PS,QA,UA 30:JO,KW,MU,YE 31:MT,SC 32:LC 33:RU"
        ).split()
    )
    for code in codes.split(",")
}
_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_NOT_NINO: Final = frozenset(("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"))
_FISCAL_ODD: Final = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)
_VERHOEFF_D: Final = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
                      "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P: Final = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901",
                      "2793806415", "7046913258")  # fmt: skip


def iban(text: str) -> int:
    """How many signs of it are an IBAN (ISO 13616: the remainder by 97 is 1); 0: none."""
    length = IBAN_LENGTHS.get(text[:2], 0)
    if not length or len(text) < length:
        return 0
    turned = text[4:length] + text[:4]
    return length if int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1 else 0


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0  # noqa: PLR2004


def card(digits: str) -> bool:
    """A payment card: Luhn, and an issuer's prefix with that issuer's length (ISO/IEC 7812; issuers' own pages)."""
    return len(digits) in _lengths(int(digits[:6])) and luhn(digits) and len(set(digits)) > 1


def _lengths(head: int) -> tuple[int, ...]:
    """The lengths of cards that begin with these six digits."""
    two, four = head // 10_000, head // 100
    if head // 100_000 == 4:  # noqa: PLR2004 - Visa
        return (16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # noqa: PLR2004 - Mastercard
        return (16,)
    if two in (34, 37):  # American Express
        return (15,)
    if two in (36, 38, 39) or 3000 <= four <= 3059:  # noqa: PLR2004 - Diners Club
        return (14,)
    if four == 6011 or 644 <= four // 10 <= 649 or two in (65, 62) or 3528 <= four <= 3589:  # noqa: PLR2004 - Discover, UnionPay, JCB
        return (16, 17, 18, 19)
    return (16,) if two in (50, 56, 57, 58) or four in (6304, 6759, 6761, 6762, 6763) else ()  # Maestro


def us_ssn(digits: str) -> bool:
    """No check digit: area, group and serial that were never given out, and the two that advertisements made known (SSA)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return given and digits not in ("078051120", "219099999", "123456789")


def german_tax(digits: str) -> bool:
    """Steuer-ID: ISO 7064 MOD 11,10, and one digit of the first ten twice or three times, the others once (§ 139b AO, BZSt)."""
    counts = sorted(digits[:10].count(d) for d in set(digits[:10]))
    if digits[0] == "0" or counts[-1] not in (2, 3) or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def uk_nino(text: str) -> bool:
    """National insurance number: prefixes that are not used (HMRC, NIM39110)."""
    return text[:2] not in _NOT_NINO


def french_nir(text: str) -> bool:
    """Numéro de sécurité sociale: 97 less the remainder by 97 is its key (INSEE); Corsica's 2A and 2B count as 19 and 18."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def spanish_id(text: str) -> bool:
    """DNI and NIE: the letter is the remainder by 23 (Ministerio del Interior); X, Y, Z count as 0, 1, 2."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and _DNI[int(number) % 23] == text[-1]


def italian_fiscal(text: str) -> bool:
    """Codice fiscale: the last letter is a weighted sum by 26 (DM 23/12/1976)."""
    values = [int(s) if s.isdigit() else ord(s) - 65 for s in text[:15]]
    total = sum(_FISCAL_ODD[v] if n % 2 == 0 else v for n, v in enumerate(values))
    return total % 26 == ord(text[15]) - 65


def dutch_bsn(digits: str) -> bool:
    """Burgerservicenummer: the elfproef."""
    return sum(w * int(d) for w, d in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), digits, strict=True)) % 11 == 0


def polish_pesel(digits: str) -> bool:
    """PESEL: weights 1, 3, 7, 9, and a date of birth whose month tells the century."""
    year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    century = (1900, 2000, 2100, 2200, 1800)[month // 20]
    weighted = sum(w * int(d) for w, d in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), digits, strict=True))
    return weighted % 10 == 0 and a_day(century + year, month % 20, day)


def swedish_number(digits: str) -> bool:
    """Personnummer: Luhn over ten digits, which begin with a date of birth (a coordination number adds 60 to the day)."""
    ten = digits[-10:]
    return luhn(ten) and a_day(2000, int(ten[2:4]), int(ten[4:6]) % 60)


def belgian_number(digits: str) -> bool:
    """Rijksregisternummer: 97 less the remainder by 97; a 2 in front for those born since 2000."""
    return int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def brazilian_cpf(digits: str) -> bool:
    """CPF: two check digits by 11 (Receita Federal)."""
    for length in (9, 10):
        total = sum((length + 1 - n) * int(d) for n, d in enumerate(digits[:length]))
        if total * 10 % 11 % 10 != int(digits[length]):
            return False
    return len(set(digits)) > 1


def swiss_ahv(digits: str) -> bool:
    """AHV number: EAN-13 (Federal ordinance on old-age insurance)."""
    return sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(digits)) % 10 == 0


def aadhaar(digits: str) -> bool:
    """Aadhaar: Verhoeff; it begins with 2 to 9 (UIDAI)."""
    check = 0
    for n, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[n % 8][int(digit)])])
    return digits[0] >= "2" and check == 0


def canadian_sin(digits: str) -> bool:
    """Social insurance number: Luhn; none begins with 0 or 8."""
    return digits[0] not in "08" and luhn(digits)


def a_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has it."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
