"""Sealed keys: what opens, what does not, and what is never told."""

import contextlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.core.errors import BadInput, Failed
from datareeve.core.secrets import Secret
from datareeve.systems import sealing
from datareeve.systems.sealing import Kek

CANARY = "sk-canary7f3a"
OLD, NEW, OTHER = (Kek(bytes([n]) * 32) for n in (1, 2, 3))


def sealed(text=CANARY, kek=OLD):
    return sealing.seal(Secret(text), kek, row="pk_1", provider="openai")


def opened(envelope, *keks, row="pk_1", provider="openai"):
    return sealing.unseal(envelope, keks, row=row, provider=provider).reveal()


@given(st.text(min_size=1, max_size=200))
def test_what_is_sealed_opens_again_and_the_text_stands_nowhere_in_it(text):
    envelope = sealed(text)
    assert opened(envelope, OLD) == text
    assert len(text) < 4 or text not in envelope


def test_the_key_ids_stand_in_front():
    version, kek, dek, *_ = sealed().split(".")
    assert (version, kek) == ("v1", OLD.id)
    assert len(dek) == 12
    assert sealing.wrapped_for(sealed()) == (OLD.id,)


def test_two_envelopes_of_the_same_secret_have_nothing_in_common_but_the_key_id():
    first, second = sealed().split("."), sealed().split(".")
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, True, False, False, False]


@pytest.mark.parametrize("where", [{"row": "pk_2"}, {"provider": "claude"}])
def test_an_envelope_that_was_moved_to_another_row_does_not_open(where):
    with pytest.raises(Failed) as error:
        opened(sealed(), OLD, **where)
    assert error.value.code == "sealed.damaged"


def test_another_key_does_not_open_it_and_both_are_named_by_their_ids():
    with pytest.raises(Failed, match=f"{OLD.id}.*{OTHER.id}") as error:
        opened(sealed(), OTHER)
    assert error.value.code == "sealed.other-kek"


@given(st.data())
def test_any_changed_character_is_found(data):
    envelope = sealed()
    at = data.draw(st.integers(0, len(envelope) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.+"))
    changed = envelope[:at] + other + envelope[at + 1 :]
    with contextlib.suppress(Failed):
        assert opened(changed, OLD) == CANARY  # the same bits: base64's last character has some to spare


@given(st.one_of(st.text(max_size=300), st.lists(st.text(max_size=30), min_size=5, max_size=5).map(".".join)))
def test_what_is_no_envelope_is_refused_in_words(text):
    with pytest.raises(Failed, match=r"sealed|key"):
        opened(text, OLD)
    with pytest.raises(Failed, match=r"sealed"):
        sealing.wrapped_for("v1." + "." * 70_000)


def test_while_the_kek_changes_both_open_it_then_only_the_new_one_and_the_secret_is_not_touched():
    first = sealed()
    where = {"row": "pk_1", "provider": "openai"}
    both = sealing.wrapped_also(first, (OLD,), NEW, **where)
    assert (opened(both, OLD), opened(both, NEW)) == (CANARY, CANARY)
    assert sealing.wrapped_also(both, (OLD,), NEW, **where) == both
    last = sealing.wrapped_only(both, NEW, **where)
    assert opened(last, NEW) == CANARY
    with pytest.raises(Failed, match="sealed with key"):
        opened(last, OLD)
    assert {e.split(".")[4] for e in (first, both, last)} == {first.split(".")[4]}


def test_a_wrap_is_never_dropped_for_a_key_that_does_not_open_it():
    with pytest.raises(Failed):
        sealing.wrapped_only(sealed(), NEW, row="pk_1", provider="openai")
    forged = sealed().replace(OLD.id, NEW.id)
    with pytest.raises(Failed, match="does not open"):
        sealing.wrapped_only(forged, NEW, row="pk_1", provider="openai")


def test_a_kek_is_32_bytes_in_base64_or_hexadecimal():
    plain = bytes(range(32))
    made = {
        Kek.of(Secret(text)).id for text in (plain.hex(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    }
    assert made == {Kek(plain).id}
    assert Kek.of(sealing.new_kek()).id != Kek.of(sealing.new_kek()).id


@pytest.mark.parametrize("text", ["", "correct horse battery staple", "AAEC", "0" * 63, "ä" * 64, "=" * 44])
def test_anything_else_is_refused_without_being_told(text):
    with pytest.raises(BadInput, match="32 bytes") as error:
        Kek.of(Secret(text))
    assert len(text) < 4 or text not in str(error.value)


def test_a_kek_shows_nothing_of_itself():
    assert str(OLD) == f"<Kek {OLD.id} ***>"
    assert (b"\x01" * 32).hex() not in repr(vars(Kek)) + repr(OLD)


def test_a_kek_file_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "state" / "gateway.kek"
    sealing.make_kek_file(path)
    first = path.read_text()
    sealing.make_kek_file(path)
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Kek.of(Secret(first)).id
    assert [p.name for p in path.parent.iterdir()] == ["gateway.kek"]
