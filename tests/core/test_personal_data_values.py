"""What values look like is told in counts: the right ones, and never a value."""

import json
import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.core.personal_data import words
from datareeve.core.personal_data.values import MOST, look, signs


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ann.lee@example.org", {"email"}),
        ("Ann Lee <ann@example.org>", {"email"}),
        ("@annlee", {"handle"}),
        ("DE89 3704 0044 0532 0130 00", {"iban"}),
        ("4111 1111 1111 1111", {"card"}),
        ("219-09-9998", {"ssn"}),
        ("+49 171 5550199", {"phone-abroad", "phone"}),
        ("(212) 555-0199", {"phone-written", "phone"}),
        ("1985-04-12", {"date"}),
        ("2024-05-01 10:11:12", {"date", "timed"}),
        ("20240230", {"number"}),
        ("1714558272", {"epoch"}),
        ("4006381333931", {"ean"}),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", {"uuid"}),
        ("00:1b:63:84:45:e6", {"mac"}),
        ("192.168.0.7", {"ip", "ip-private"}),
        ("2001:db8::8a2e:370:7334", {"ip"}),
        ("$2b$12$abcdefghijklmnopqrstuv", {"password"}),
        ("sk_live_abcdefghijklmnop1234", {"key"}),
        ("Mozilla/5.0 (X11; Linux x86_64)", {"agent"}),
        ("Hauptstraße 12a", {"street"}),
        ("12 rue de la Paix", {"street"}),
        ("Maria Garcia", {"full-name"}),
        ("Müller", {"surname"}),
        ("山田太郎", {"person-shaped"}),
        ("Acme GmbH", {"company"}),
        ("E11.9", {"icd"}),
        ("48.85661, 2.35222", {"latlon"}),
        ("Please call Ms. Lee at +49 171 5550199 today", {"text", "personal-within", "person-within"}),
    ],
)  # fmt: skip
def test_a_value_is_known_by_its_shape_and_check_digits(value, expected):
    assert expected <= set(signs(value))


@pytest.mark.parametrize(
    ("value", "never"),
    [
        ("4111 1111 1111 1112", "card"), ("DE89370400440532013001", "iban"), ("978-3-16-148410-0", "phone"), ("2024-05-01", "phone"), ("1.2.3.4.5", "ip"),
        ("1.14.0.3", "ip-wide"), ("ORD-2024-000123", "phone"), ("2024-13-45", "date"), ("@media", "email"), ("a@b", "email"), ("Oak chair", "full-name"), ("Paris", "full-name"),
        ("000-12-3456", "ssn"), ("12345", "phone-like"),
    ],
)  # fmt: skip
def test_what_looks_alike_is_not_taken_for_it(value, never):
    assert never not in set(signs(value))


@given(
    st.lists(
        st.text(min_size=1, max_size=60) | st.integers() | st.floats() | st.none() | st.binary(max_size=20),
        max_size=60,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_values_are_looked_at_without_an_error(values):
    looks = look(values)
    assert looks.looked_at <= 200
    assert all(0 < count <= looks.looked_at for count in looks.counts.values())


def test_no_value_and_no_figure_of_a_value_is_told():
    rng = random.Random(1)  # noqa: S311 - canaries
    canaries = ["zyxq" + "".join(rng.choices(string.ascii_lowercase, k=8)) for _ in range(40)]
    columns = [
        canaries, [f"{c}@example.org" for c in canaries], [f"{c} wrote to {c}@example.org about it" for c in canaries],
        [json.dumps({"mail": f"{c}@x.org", c: {"deep": [c]}}) for c in canaries], ["73914.55", "88123.17"], ["1931-05-06", "2007-01-01"],
    ]  # fmt: skip
    told = " ".join(look(values).model_dump_json() for values in columns)
    assert "zyxq" not in told
    assert not [figure for figure in ("73914", "88123", "1931", "2007") if figure in told]


def test_json_is_looked_at_path_by_path_and_a_key_that_is_a_value_is_told_as_a_star():
    documents = [
        json.dumps(
            {
                "customer": {"e_mail": f"p{n}@example.org"},
                "by": {f"user{n}@example.org": n},
                "anna": 1,
                "items": [{"sku": f"AB-{n}"}],
            }
        )
        for n in range(20)
    ]
    paths = look(documents).paths
    assert set(paths) == {"$.customer.e_mail", "$.by.*", "$.*", "$.items[].sku"}
    assert paths["$.customer.e_mail"].counts["email"] == 20


@pytest.mark.parametrize(
    ("scheme", "numbers"),
    [
        ("es.dni", ["12345678Z", "87654321X", "11111111H", "22222222J", "33333333P", "44444444A"]),
        ("pl.pesel", ["44051401359", "02070803628", "90090515836", "85042107513", "99121512345"]),
        ("", ["12345678", "23456789", "34567890", "45678901", "56789012", "67890123"]),
    ],
)
def test_check_digits_name_a_scheme_only_where_a_whole_sample_fits(scheme, numbers):
    assert look(numbers).scheme == (scheme if len(numbers) >= 6 else "")


def test_a_sample_takes_bounded_time_whatever_is_in_it():
    hostile = [
        "a" * 100_000,
        "1 " * 50_000,
        "@" * 50_000,
        "{" * 50_000,
        "(" * 50_000,
        "0-" * 50_000,
        "[[" * 2000 + "]]" * 2000,
        "é" * 50_000,
        "x@" + "a." * 5_000,
    ]
    began = time.process_time()
    look([f"{value}{n}" for n in range(MOST // len(hostile)) for value in hostile])
    assert time.process_time() - began < 5


def test_words_are_folded_as_values_are():
    for known in (words.given_names(), words.surnames(), words.cities()):
        assert len(known) > 2_000
        assert not [word for word in known if words.fold(word) != word][:3]
