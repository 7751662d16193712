"""What is found in texts, held against a labelled corpus: what is personal stands in «…|KIND», all else looks like it and is not."""

import random
import re
import string
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.core.personal_data import checksums
from datareeve.core.personal_data.text import find

LABEL = re.compile(r"«(.+?)\|([A-Z]+)»", re.DOTALL)
PERSONAL = """
Please write to «ann.lee@example.org|EMAIL» and «o'neil+news@mail.example.co.uk|EMAIL».
Contact: <«bob_smith@firma.de|EMAIL»>, Müller <«jörg.müller@straße.example|EMAIL»>
{"email":"«x.y-z@sub.domain.io|EMAIL»","n":3}
mailto:«sales@shop.example|EMAIL»?subject=Hi
Ruf an: «+49 30 901820|PHONE» oder «+49 (0)171 1234567|PHONE», Büro «030/1234567|PHONE».
Call «(555) 234-5678|PHONE» or «555-867-5309|PHONE» or «1-800-555-0199|PHONE» or «+1 (415) 555-2671|PHONE».
UK «020 7946 0958|PHONE», mobile «07700 900123|PHONE», abroad «+44 20 7946 0958|PHONE» or «+447700900123|PHONE»
Tel. «01 42 68 53 00|PHONE», portable «+33 6 12 34 56 78|PHONE», «06.12.34.56.78|PHONE»
telefon: «5552345678|PHONE», WhatsApp «+91 98765 43210|PHONE», fax «0049 30 901820|PHONE», cell: «(212)5550123|PHONE»
Japan «+81 3-1234-5678|PHONE»; Brazil «+55 11 91234-5678|PHONE»; my mobile number is «415.555.2671|PHONE».
IBAN «DE89 3704 0044 0532 0130 00|IBAN», «GB29NWBK60161331926819|IBAN», «FR14 2004 1010 0505 0001 3M02 606|IBAN» bank
to «NL91ABNA0417164300|IBAN» / «ES91 2100 0418 4502 0005 1332|IBAN»/ «CH93 0076 2011 6238 5295 7|IBAN» «at611904300234573201|IBAN» «NO93 8601 1117 947|IBAN»
paid with «4111 1111 1111 1111|CARD», «5555-5555-5555-4444|CARD», «378282246310005|CARD», «3782 822463 10005|CARD»
cards: «6011111111111117|CARD»; «3530111333300000|CARD»; «30569309025904|CARD»; «2223003122003222|CARD»; «4012888888881881|CARD».
SSN «219-09-9998|ID», ssn: «536904399|ID», social security number «536 90 4399|ID»
Steuer-ID «86 095 742 719|ID» or «47036892816|ID» and «65929970489|ID»
NI number «AB 12 34 56 C|ID» or «JG103759A|ID»
NIR «1 85 05 78 006 084 91|ID», «255081416802538|ID»
DNI «12345678Z|ID», NIE «X1234567L|ID», «Y7654321G|ID»
codice fiscale «RSSMRA85M01H501Q|ID», «MRTMTT91D08F205J|ID»
BSN «111222333|ID», burgerservicenummer: «123456782|ID»
PESEL «44051401359|ID», «02070803628|ID»; personnummer «19811218-9876|ID» and «640823-3234|ID»
CPF «529.982.247-25|ID»; AHV «756.9217.0769.85|ID»; Aadhaar «2345 6789 0124|ID»; SIN «130 692 544|ID»; NN «85.07.30-033.28|ID»
from «192.168.10.4|IP» and «8.8.8.8|IP»:443, «203.0.113.77|IP»/24, host «2001:db8::ff00:42:8329|IP», «fe80::1ff:fe23:4567:890a|IP», «2001:0db8:85a3:0000:0000:8a2e:0370:7334|IP».
export OPENAI_API_KEY=«sk-proj-abcdEFGH1234ijklMNOP5678|SECRET»
ANTHROPIC «sk-ant-api03-AAaa11BBbb22CCcc33DDdd44|SECRET» key
aws_access_key_id = «AKIAIOSFODNN7EXAMPLE|SECRET» aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY|SECRET»
git clone https://x:«ghp_16C7e42F292c6912E7710c838347Ae178B4a|SECRET»@github.com/o/r
Authorization: Bearer «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U|SECRET»
postgresql://app:«hunter2-secret|SECRET»@db.internal:5432/app
«-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MaYjG1
-----END RSA PRIVATE KEY-----|SECRET»
token «xoxb-123456789012-abcdefABCDEF|SECRET», «glpat-abcdefghij1234567890|SECRET», «AIzaSyA1234567890abcdefghijklmnopqrstuv|SECRET», «sk_live_4eC39HqLyjWDarjtT1zdp7dc|SECRET»
dr: «dr-abcdef123456-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij0123456|SECRET» hf «hf_abcdefghijklmnopqrstuvwxyzABCDEF12|SECRET»
"""
ALIKE = """
Order 4711-0815-2026, order no. 4111111111111111, invoice #20261123001, ticket 100200300400, SKU 5012345678900, tracking number 1Z999AA10123456784
Versions 1.2.3, v10.0.19041.1, version 3.11.2.4, Python 3.11.9, postgres:16.3.1, release 2026.11.23
2026-11-23T03:26:08.123456Z, 23.11.2026 14:30, 11/23/2026, 2026-11-23 03:26:08+01:00, 20261123, epoch 1795400768, 1795400768123 ms
UUID 550e8400-e29b-41d4-a716-446655440000, 123e4567-e89b-12d3-a456-426614174000; sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
Coordinates 52.5200, 13.4050; lat 48.858370 lon 2.294481; 40.712776,-74.005974; 3.14159265358979, 2.718281828459045
ISBN 978-3-16-148410-0, ISBN-10: 0-306-40615-2, EAN 4006381333931, ISSN 2049-3630, DOI 10.1000/182
Amounts 1,234,567.89 EUR and $12 345 678,90; 1.234.567,89 €; 99 999 999 rows; 123456789 bytes; 10000000000 tokens
{"id": 9007199254740993, "ts": 1795400768.25, "duration_ms": 123456, "rows": 250000000, "port": 5432}
snowflake 1089471023984721920, msg_01XFDUDYJgAACzvnptvVoYEL, req_011CSHoEeqs5C35K2UUqR7Fy, call_abc123DEF456ghi789
MAC 00:1A:2B:3C:4D:5E; time 12:30:45; std::vector, a::b, 5::int, ::1, 127.0.0.1, 0.0.0.0:8080, 255.255.255.0
# ------
@pytest.fixture and § 2.3.2.1, section 4.2.3.1; mysql://[user]:[password]@localhost, ftp://u:${PASS}@host, b"0000 000000 0000"
@ann said hi to @bob; react@18.2.0; user@host; icon@2x.png; git@github.com:org/repo.git; foo@v2; 5 @ 3.50; @media screen; x = a @ b
sk-learn and sk-this-is-a-long-slug-of-a-page-name; task-force; eyJhbGci; AKIA; ghp_short; scikit-learn-1.5.0-cp311-cp311-manylinux
a table: 12 15 17 19 21 400 12 1234 5 12 88 91 4 1000 2000 3000; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
2019-2020, 2020/2021, pages 123-145, 1914-1918, 100-200, 9-5, 24/7, 16:9, 50-50, 3-2-1, 1-2-3-4-5-6-7-8-9, RFC 7231, ISO 27001:2022
room 101-202-303, part number 123-45-67890, case 555-1234, 4-digit code 0000 1111, case number 2026-0004711, A12345678, model X1000-2000
DE00 3704 0044 0532 0130 00, GB00NWBK60161331926819, 4111 1111 1111 1112, 000-12-3456, 666-12-3456, 123-00-4567, 12345678A
SELECT id, 1234567890 FROM t WHERE x = 98765432101 LIMIT 1000 OFFSET 200000; 0x1F4A9C; #ff00aa; 1e10; 6.02214076e23
https://example.org/a/b?c=1&d=2#x-1234567, http://localhost:4141/v1, file:///tmp/a-1795400768.log, /v1/items/123456789012
0.1 0.22 0.333 0.4444 0.55555; [0.0123456, -0.987654, 1.2345678]; 45 % of 1200000; 2^32 = 4294967296; 2^53 = 9007199254740992
"""


def labelled(text):
    """The text without its labels, and what they say: {(start, end, kind)}."""
    plain, spans, last = "", set(), 0
    for match in LABEL.finditer(text):
        plain += text[last : match.start()]
        spans.add((len(plain), len(plain) + len(match[1]), match[2]))
        plain += match[1]
        last = match.end()
    return plain + text[last:], spans


def test_the_corpus_is_found_and_what_looks_alike_is_not(capsys):
    text, expected = labelled(PERSONAL)
    found = {tuple(one) for one in find(text)}
    false = find(ALIKE)
    kinds = Counter(kind for *_, kind in expected)
    hits = Counter(kind for *_, kind in found & expected)
    wrong = len(found - expected) + len(false)
    precision, recall = (
        len(found & expected) / (len(found) + len(false)),
        len(found & expected) / len(expected),
    )
    with capsys.disabled():
        print(  # noqa: T201 - the figures are asked for
            f"\n{len(expected)} labelled, precision {precision:.3f}, recall {recall:.3f}:",
            dict(hits),
            "wrong:",
            wrong,
        )
    missed = [text[a:b] for a, b, _ in expected - found]
    extra = [text[a:b] for a, b, _ in found - expected] + [ALIKE[a:b] for a, b, _ in false]
    assert precision >= 0.98, extra
    assert recall >= 0.98, (missed, kinds)


def test_random_numbers_are_seldom_taken_for_somebodys():
    """Of plain numbers of 6 to 19 digits, as ids and sums are, hardly any: a check digit is right by chance in one of ten, a shape less often."""
    seeded = random.Random(7)  # noqa: S311 - the same each time
    texts = [f"row {seeded.randrange(10 ** (n - 1), 10**n)} done" for n in range(6, 20) for _ in range(300)]
    hits = [text for text in texts if find(text)]
    assert len(hits) <= len(texts) * 0.02, hits[:20]


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checksums.luhn, "79927398713", "79927398710"),
        (checksums.card, "4111111111111111", "4111111111111112"),
        (checksums.card, "378282246310005", "9782822463100055"),
        (checksums.us_ssn, "219099998", "900123456"),
        (checksums.german_tax, "86095742719", "86095742718"),
        (checksums.uk_nino, "AB123456C", "GB123456C"),
        (checksums.french_nir, "185057800608491", "185057800608492"),
        (checksums.french_nir, "255081416802538", "255081416802539"),
        (checksums.spanish_id, "12345678Z", "12345678A"),
        (checksums.spanish_id, "X1234567L", "Y1234567L"),
        (checksums.italian_fiscal, "RSSMRA85M01H501Q", "RSSMRA85M01H501Z"),
        (checksums.dutch_bsn, "111222333", "111222334"),
        (checksums.polish_pesel, "44051401359", "44051401358"),
        (checksums.swedish_number, "198112189876", "198112189875"),
        (checksums.belgian_number, "85073003328", "85073003329"),
        (checksums.brazilian_cpf, "52998224725", "11111111111"),
        (checksums.swiss_ahv, "7569217076985", "7569217076986"),
        (checksums.aadhaar, "234567890124", "234567890123"),
        (checksums.canadian_sin, "130692544", "830692544"),
    ],
)
def test_check_digits(check, good, bad):
    assert check(good)
    assert not check(bad)


def test_an_iban_of_each_country_is_known_by_its_length():
    assert checksums.iban("DE89370400440532013000") == 22
    assert checksums.iban("DE89370400440532013000XY") == 22
    assert checksums.iban("DE8937040044053201300") == 0
    assert checksums.iban("XX89370400440532013000") == 0


@given(
    st.text(
        alphabet=st.one_of(st.sampled_from(string.digits + " .-/()+@:<>AZaz_\u00a0€"), st.characters()),
        max_size=200,
    )
)
def test_any_text_is_looked_at_and_what_is_found_lies_within_it_in_order(text):
    last = 0
    for start, end, kind in find(text):
        assert last <= start < end <= len(text)
        assert kind.isupper()
        last = end


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_address_is_found_between_any_words(before, after):
    text = f"{before} ann.lee@example.org {after}"
    assert (len(before) + 1, len(before) + 20, "EMAIL") in [tuple(one) for one in find(text)]


@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "12-",
        "(1",
        "+1 ",
        "@",
        "a@",
        "0000 ",
        "A",
        "1:",
        "::",
        "x@y.",
        "1.",
        "\u00a01",
        "eyJ",
        "4111 ",
        "+1(",
    ],
)
def test_no_text_takes_long(unit):
    """Linear in its length, whatever it is: 64 KB within a second, on a machine that does other things as well."""
    text = unit * (65_536 // len(unit))
    began = time.process_time()
    find(text)
    assert time.process_time() - began < 1.0
