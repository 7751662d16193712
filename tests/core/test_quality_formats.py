"""Formats: what is of them, what is not, and that a changed check digit is found."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.core.errors import BadInput
from datareeve.core.personal_data import formats
from datareeve.core.personal_data.formats import FORMATS, valid

GOOD = {
    "email": ["a.b+c@exämple.org", "o'neil@sub.example.co.uk", "用户@例子.公司"],
    "url": ["https://[::1]:80/x?y#z", "http://example.com", "https://a.b/%20?q=%C3%A4"],
    "hostname": ["localhost", "a-b.example.com.", "xn--bcher-kva.example"],
    "ipv4": ["192.0.2.1"],
    "ipv6": ["::1", "2001:db8::ffff:1"],
    "ip": ["192.0.2.1", "::"],
    "mac": ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7"],
    "uuid": ["f47ac10b-58cc-4372-a567-0e02b2c3d479", "F47AC10B-58CC-4372-A567-0E02B2C3D479"],
    "iban": ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000", "NO9386011117947"],
    "bic": ["DEUTDEFF", "DEUTDEFF500"],
    "card": ["4111-1111-1111-1111", "378282246310005", "6011 1111 1111 1117", 5555555555554444],
    "phone": ["+442083661177", "+1 202-456-1111"],
    "e164": ["+442083661177"],
    "country": ["DE", "DEU", "GB"],
    "currency": ["EUR", "XAU"],
    "language": ["de", "zh-Hant-TW", "sl-rozaj-biske", "x-own"],
    "vat": ["DE136695976", "EL094259216", "GR094259216", "GB980780684", "CHE107787577IVA", "NO995525828MVA"],
    "isbn": ["978-3-16-148410-0", "0-306-40615-2"],
    "issn": ["0378-5955", "2434-561X"],
    "ean": ["4006381333931", "73513537"],
    "lei": ["5493001KJTIIGC8Y1R12"],
    "isin": ["US0378331005"],
    "cusip": ["037833100"],
    "imei": ["490154203237518"],
    "vin": ["1M8GDM9AXKP042788", "WVWZZZ1JZXW000001"],
    "ssn-us": ["536-90-4399"],
    "nino-gb": ["AB 12 34 56 C"],
    "nir-fr": ["2 95 10 99 126 111 93"],
    "steuer-id-de": ["86 095 742 719"],
    "dni-es": ["12345678Z", "X1234567L"],
    "codice-fiscale-it": ["RSSMRA85T10A562S"],
    "bsn-nl": ["111222333"],
    "pesel-pl": ["44051401359"],
    "cpf-br": ["529.982.247-25"],
    "cnpj-br": ["11.222.333/0001-81"],
    "aadhaar-in": ["2341 2341 2346"],
    "date-iso": ["2024-02-29"],
    "datetime-iso": ["2024-02-29T12:00:00.123456789Z", "2024-02-29 12:00", "2024-02-29T12:00:00+05:30"],
    "duration-iso": ["P1Y2M10DT2H30M", "PT0.5S", "P2W"],
    "semver": ["1.0.0-alpha.1+x.5", "0.0.4"],
    "latitude": ["-45.5", 90, "9e1"],
    "longitude": ["180", -179.99],
    "mime": ["text/html; charset=utf-8", "application/vnd.ms-excel"],
    "json": ['{"a": [1, null, "x"]}', "1.5e3", '"text"', "null", "[]"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
    "hex-color": ["#fff", "#A0B1C2", "#A0B1C2ff"],
}  # fmt: skip
BAD = {
    "email": ["a@b", "a b@c.de", "@c.de", "a@@c.de", "a..b@c.de", "a@-c.de", "a@c.de ", "a@c.de\n", "a@1.2.3.4"],
    "url": ["example.com", "javascript:alert(1)", "http://", "http://a b/", "http://a:99999/", "ftp://example.com"],
    "hostname": ["-a.com", "a..b", "a_b.com", "x" * 64 + ".com", "1.2.3.4"],
    "ipv4": ["256.1.1.1", "1.2.3", "01.2.3.4"],
    "ipv6": ["fe80::1%eth0", ":::", "1.2.3.4"],
    "ip": ["x"],
    "mac": ["00:1b:44:11:3a", "00:1b-44:11:3a:b7", "001b44113ab7zz"],
    "uuid": ["f47ac10b58cc4372a5670e02b2c3d479", "g47ac10b-58cc-4372-a567-0e02b2c3d479"],
    "iban": ["GB82WEST12345698765433", "ZZ82WEST12345698765432", "GB82WEST1234569876543"],
    "bic": ["DEUTDE", "DE1TDEFF"],
    "card": ["4111111111111112", "1234567890123452", "0000000000000000", "4111111111111111a"],
    "phone": ["12345", "+44 1", "not a number", "+442083661177999999"],
    "e164": ["442083661177", "+0123456789", "+1234567890123456"],
    "country": ["XX", "de", "UK", "D"],
    "currency": ["EUX", "eur", "DEM"],
    "language": ["deutsch-", "e", "en_US", "123"],
    "vat": ["DE136695977", "XX123", "136695976", "DE", " DE136695976"],
    "isbn": ["978-3-16-148410-1", "123"],
    "issn": ["0378-5956"],
    "ean": ["4006381333930"],
    "lei": ["5493001KJTIIGC8Y1R13"],
    "isin": ["US0378331006"],
    "cusip": ["037833101"],
    "imei": ["490154203237519", "49015420323751"],
    "vin": ["1M8GDM9A1KP042788", "1M8GDM9AXKP04278", "WVWZZZ1JZXW00000I"],
    "ssn-us": ["000-12-3456", "666-12-3456", "078-05-1120", "53690439"],
    "nino-gb": ["BG123456C", "AB123456E", "DB123456C"],
    "nir-fr": ["2 95 10 99 126 111 94"],
    "steuer-id-de": ["86095742718", "11111111111"],
    "dni-es": ["12345678A", "X1234567Z"],
    "codice-fiscale-it": ["RSSMRA85T10A562T"],
    "bsn-nl": ["111222334", "000000000"],
    "pesel-pl": ["44051401358", "44991401359"],
    "cpf-br": ["529.982.247-26", "111.111.111-11"],
    "cnpj-br": ["11.222.333/0001-80"],
    "aadhaar-in": ["2341 2341 2347", "1341 2341 2346"],
    "date-iso": ["2023-02-29", "20240229", "2024-2-9", "2024-02-29T00:00:00"],
    "datetime-iso": ["2024-02-29", "2024-02-30T12:00:00", "2024-02-29T25:00:00", "2024-02-29T12"],
    "duration-iso": ["P", "PT", "1H", "P1H", "P1Y2W"],
    "semver": ["1.0", "01.0.0", "1.0.0-", "v1.0.0"],
    "latitude": ["90.1", "nan", "inf", "45,5", "٤٥", ""],
    "longitude": ["-180.01", "1e999"],
    "mime": ["text", "texts/html", "text/", "text/html;"],
    "json": ['{"a": 1', "{'a': 1}", "NaN", "[1,]", "undefined", "[" * 5000],
    "jwt": ["a.b.c", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "W10.W10.x"],
    "hex-color": ["fff", "#ff", "#ggg", "#fffff"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"postcode"}))
def test_what_is_of_a_format_and_what_is_not(name):
    assert [value for value in GOOD[name] if not valid(name, value)] == []
    assert [
        value for value in [*BAD[name], None, "", " ", "\0", b"\xff", "x" * 10_000] if valid(name, value)
    ] == []


CHECKED = {
    "iban": "GB82WEST12345698765432", "card": "4111111111111111", "isbn": "9783161484100", "issn": "03785955", "ean": "4006381333931",
    "lei": "5493001KJTIIGC8Y1R12", "cusip": "037833100", "imei": "490154203237518", "steuer-id-de": "86095742719", "dni-es": "12345678Z",
    "bsn-nl": "111222333", "pesel-pl": "44051401359", "cpf-br": "52998224725", "cnpj-br": "11222333000181", "aadhaar-in": "234123412346",
    "nir-fr": "295109912611193", "codice-fiscale-it": "RSSMRA85T10A562S", "vat": "DE136695976", "vin": "1M8GDM9AXKP042788",
}  # fmt: skip


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_digit_is_found_wherever_it_is(data):
    name = data.draw(st.sampled_from(sorted(CHECKED)))
    number = CHECKED[name]
    first = 1 if name == "vin" else 0  # whose first sign says whether there is a check digit at all
    place = data.draw(st.sampled_from([n for n, sign in enumerate(number) if sign.isdigit() and n >= first]))
    other = data.draw(st.sampled_from([sign for sign in "0123456789" if sign != number[place]]))
    assert valid(name, number)
    changed = number[:place] + other + number[place + 1 :]
    assert not valid(name, changed)


@given(
    st.one_of(
        st.text(), st.binary(), st.integers(), st.floats(), st.none(), st.dates(), st.lists(st.integers())
    )
)
@settings(deadline=None, max_examples=200)
def test_no_value_is_an_error(value):
    for name in FORMATS:
        arguments = {"country": "GB"} if name == "postcode" else {}
        assert valid(name, value, **arguments) in (True, False)


@pytest.mark.parametrize(
    ("name", "arguments", "good", "bad"),
    [
        ("phone", {"region": "gb"}, "020 8366 1177", "020"),
        ("vat", {"country": "DE"}, "136695976", "FR40303265045"),
        ("url", {"schemes": ["ftp"]}, "ftp://example.com", "https://example.com"),
        ("uuid", {"version": 4}, "f47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b-58cc-1372-a567-0e02b2c3d479"),
        ("country", {"alpha": 2}, "DE", "DEU"),
        ("datetime-iso", {"offset": True}, "2024-02-29T12:00:00Z", "2024-02-29T12:00:00"),
        ("datetime-iso", {"offset": False}, "2024-02-29T12:00:00", "2024-02-29T12:00:00Z"),
        ("postcode", {"country": "GB"}, "SW1A 1AA", "12345"),
        ("postcode", {"country": "DE"}, "01067", "00123"),
        ("postcode", {"country": "CA"}, "K1A 0B1", "D1A 0B1"),
        ("postcode", {"country": "NL"}, "1012 AB", "1012 SS"),
    ],
)  # fmt: skip
def test_arguments_narrow_a_format(name, arguments, good, bad):
    assert valid(name, good, **arguments)
    assert not valid(name, bad, **arguments)


def test_a_name_that_is_not_known_is_told_with_the_nearest():
    with pytest.raises(BadInput, match="Did you mean 'email'") as error:
        valid("e-mail", "x")
    assert error.value.code == "format.unknown"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("email", {"country": "DE"}),
        ("postcode", {}),
        ("postcode", {"country": "XX"}),
        ("uuid", {"version": "four"}),
    ],
)
def test_arguments_that_do_not_fit_are_told(name, arguments):
    with pytest.raises(BadInput) as error:
        valid(name, "x", **arguments)
    assert error.value.code == "format.arguments"


def test_a_library_that_is_missing_is_told_with_what_installs_it(monkeypatch):
    formats._library.cache_clear()
    monkeypatch.setitem(sys.modules, "stdnum", None)
    with pytest.raises(BadInput) as error:
        valid("bic", "DEUTDEFF")
    formats._library.cache_clear()
    assert (error.value.code, error.value.remedy) == (
        "format.needs-extra",
        "pip install 'datareeve[quality]'",
    )


def test_postcodes_of_thirty_countries_and_more_are_known():
    assert len(formats.POSTCODES) >= 30
    for code in formats.POSTCODES:
        assert not valid("postcode", "no postcode", country=code)


def test_a_long_hostile_value_takes_no_time():
    for name in FORMATS:
        arguments = {"country": "GB"} if name == "postcode" else {}
        for sign in ("a", "1", "-", ".", "a.", "1-", "a@", "P1", "a-", ";a=", "%"):
            number = (name, sign) == ("json", "1")  # a long one, and JSON all the same
            assert valid(name, sign * 4000, **arguments) is number
