"""The categories of personal data: a closed list, with what the law calls each.

A category is what estate.yaml says of a column (`datasets.*.personal`), what masking, retention, erasure and the rule packs ask for. Sources:
GDPR articles 9 and 10; 45 CFR 164.514(b)(2)(i), the eighteen HIPAA identifiers, counted from (A); California Civil Code 1798.140(v)(1)
and, for what is sensitive, (ae); PCI DSS 4, table 2 (account data).
"""

from __future__ import annotations

from typing import Literal

from datareeve.core.value import Value

# How much harm comes of its being seen. `secret` opens doors or accounts: nobody but its owner reads it.
Sensitivity = Literal["personal", "sensitive", "secret"]
Pci = Literal["cardholder data", "sensitive authentication data", ""]
NOT_PERSONAL = "no"  # in estate.yaml: a person has looked at the column, and it is not personal


class Category(Value):
    """One kind of personal data."""

    name: str  # 'date-of-birth'
    words: str  # 'a date of birth'
    sensitivity: Sensitivity = "personal"
    gdpr_special: bool = False  # article 9
    gdpr_criminal: bool = False  # article 10
    hipaa: int | None = None  # 1 names ... 18 any other unique number
    ccpa: str = "A"  # the letter of 1798.140(v)(1); 'L' where it is sensitive personal information
    pci: Pci = ""


def _special(name: str, words: str, hipaa: int | None = None) -> Category:
    return Category(name=name, words=words, sensitivity="sensitive", gdpr_special=True, hipaa=hipaa, ccpa="L")


def _sensitive(
    name: str, words: str, *, hipaa: int | None = None, ccpa: str = "L", pci: Pci = ""
) -> Category:
    return Category(name=name, words=words, sensitivity="sensitive", hipaa=hipaa, ccpa=ccpa, pci=pci)


ALL: tuple[Category, ...] = (
    # who it is
    Category(name="name", words="names of persons", hipaa=1),
    Category(name="username", words="names of accounts", hipaa=18),
    Category(name="email", words="e-mail addresses", hipaa=6),
    Category(name="phone", words="telephone and fax numbers", hipaa=4),
    Category(name="social-profile", words="accounts and pages on other services", hipaa=14),
    Category(name="photo", words="pictures of persons", hipaa=17, ccpa="H"),
    Category(name="signature", words="signatures", hipaa=18, ccpa="B"),
    # where
    Category(name="address", words="streets and postal addresses", hipaa=2, ccpa="B"),
    Category(name="postcode", words="postcodes of persons", hipaa=2, ccpa="B"),
    Category(name="city", words="places where persons live", hipaa=2, ccpa="B"),
    _sensitive("location", "coordinates of persons", hipaa=2, ccpa="L"),
    # characteristics
    Category(name="date-of-birth", words="dates of birth", hipaa=3, ccpa="C"),
    Category(name="date-of-death", words="dates of death", hipaa=3, ccpa="C"),
    Category(name="age", words="ages", hipaa=3, ccpa="C"),
    Category(name="birth-place", words="places of birth", hipaa=2, ccpa="B"),
    Category(name="gender", words="gender or sex", ccpa="C"),
    Category(name="marital-status", words="marital status and family", ccpa="C"),
    Category(name="nationality", words="nationality and citizenship", ccpa="C"),
    # numbers that others know a person by
    _sensitive("national-id", "national identification and social security numbers", hipaa=7),
    _sensitive("tax-id", "tax numbers of persons", hipaa=18),
    _sensitive("passport", "numbers of passports and identity cards", hipaa=11),
    _sensitive("driving-licence", "numbers of driving and other licences", hipaa=11),
    _sensitive("health-insurance-id", "numbers of insured persons", hipaa=9),
    _sensitive("patient-id", "medical record numbers", hipaa=8),
    # money
    _sensitive("bank-account", "IBANs and account numbers", hipaa=10),
    Category(name="bank-code", words="codes of the banks of persons", ccpa="B"),
    _sensitive("card-number", "payment card numbers", hipaa=10, pci="cardholder data"),
    _sensitive("card-expiry", "expiry dates of cards", ccpa="B", pci="cardholder data"),
    Category(
        name="card-security-code",
        words="security codes and PINs of cards",
        sensitivity="secret",
        ccpa="L",
        pci="sensitive authentication data",
    ),
    _sensitive("income", "income, salaries and debts", ccpa="I"),
    # what opens doors
    Category(
        name="password", words="passwords and their hashes", sensitivity="secret", hipaa=18, ccpa="L"
    ),
    Category(name="secret", words="keys, tokens and secrets", sensitivity="secret", hipaa=18, ccpa="L"),
    # devices and traces
    Category(name="ip-address", words="IP addresses of persons", hipaa=15, ccpa="A"),
    Category(name="device-id", words="numbers of devices: MAC, IMEI, advertising ids", hipaa=13, ccpa="A"),
    Category(name="online-id", words="cookies, sessions and other identifiers of visitors", hipaa=18, ccpa="F"),
    Category(name="user-agent", words="browsers of persons", ccpa="F"),
    Category(name="vehicle-id", words="number plates and VINs", hipaa=12, ccpa="A"),
    # special categories
    _special("health", "health"),
    _special("biometric", "biometric data", hipaa=16),
    _special("genetic", "genetic data"),
    _special("religion", "religion or belief"),
    _special("ethnicity", "racial or ethnic origin"),
    _special("political-opinion", "political opinions"),
    _special("union-membership", "trade union membership"),
    _special("sexual-orientation", "sex life or sexual orientation"),
    Category(
        name="criminal-record",
        words="convictions and offences",
        sensitivity="sensitive",
        gdpr_criminal=True,
        ccpa="B",
    ),
    # work and school
    Category(name="employment", words="employment, its evaluation and its end", ccpa="I"),
    Category(name="education", words="marks and education", ccpa="J"),
    # what holds any of these
    Category(name="free-text", words="free text with personal data in it", hipaa=18, ccpa="B"),
    Category(name="document", words="JSON with personal data in it", hipaa=18, ccpa="B"),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {category.name: category for category in ALL}


def category(name: str) -> Category | None:
    """The category of that name; None for `no`, and for what an owner calls otherwise."""
    return CATEGORIES.get(name)
