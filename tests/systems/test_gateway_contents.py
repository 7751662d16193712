"""Contents at rest: sealed with keys that the KEK seals, bound to their rows, and readable when the KEK was changed."""

import pytest

from datareeve.core.errors import Failed
from datareeve.systems import gateway_contents, sealing
from datareeve.systems.gateway_contents import BELONGS, DAY_SECONDS, KEPT_SECONDS, LOOK_SECONDS, Contents
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.sealing import Kek, new_kek

NOW = 1_795_400_000.0


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    where = tmp_path / "gateway.sqlite" if request.param == "sqlite" else request.getfixturevalue("database")
    store = GatewayStore.open(where)
    yield store
    store.close()


@pytest.fixture
def kek():
    return Kek.of(new_kek())


def test_what_is_sealed_opens_in_its_row_only(store, kek, clock):
    contents = Contents(store, lambda: kek, clock)
    box = contents.seal(b"a secret answer", "prompt:1")
    assert b"secret" not in box
    assert contents.open(box, "prompt:1") == b"a secret answer"
    assert contents.open(box, "prompt:2") is None
    for place in (0, 5, 20, len(box) - 1):
        broken = bytearray(box)
        broken[place] ^= 1
        assert contents.open(bytes(broken), "prompt:1") is None
    assert contents.open(b"", "prompt:1") is None
    assert contents.seal(b"", "x") != contents.seal(b"", "x")


def test_gateways_with_one_store_read_each_other_and_share_the_days_key(store, kek, clock):
    one, two = Contents(store, lambda: kek, clock), Contents(store, lambda: kek, clock)
    box = one.seal(b"one", "r")
    assert two.open(box, "r") == b"one"
    two.seal(b"two", "r")
    assert len(gateway_contents.content_keys(store)) == 1
    clock.now += DAY_SECONDS
    later = two.seal(b"later", "r")
    assert len(gateway_contents.content_keys(store)) == 2
    clock.now += LOOK_SECONDS
    assert one.open(later, "r") == b"later"
    assert one.open(box, "r") == b"one"


def test_keys_that_nothing_kept_can_be_sealed_with_go(store, kek, clock):
    contents = Contents(store, lambda: kek, clock)
    contents.seal(b"one", "r")
    clock.now += KEPT_SECONDS + 3 * DAY_SECONDS
    contents.seal(b"two", "r")
    assert len(gateway_contents.content_keys(store)) == 1


def test_without_a_kek_only_what_may_be_plain_is_kept_and_with_one_nothing_plain_is_believed(
    store, kek, clock
):
    none = Contents(store, lambda: None, clock)
    assert not none.can_seal
    with pytest.raises(Failed, match="no key to seal"):
        none.seal(b"prompt", "r")
    plain = none.seal(b"answer", "r", must=False)
    assert none.open(plain, "r") == b"answer"
    assert Contents(store, lambda: kek, clock).open(plain, "r") is None
    sealed = Contents(store, lambda: kek, clock).seal(b"answer", "r")
    assert none.open(sealed, "r") is None


def test_a_kek_that_is_made_later_is_found(store, kek, clock):
    found = []
    contents = Contents(store, lambda: found[0] if found else None, clock)
    assert not contents.can_seal
    found.append(kek)
    assert not contents.can_seal
    clock.now += LOOK_SECONDS
    assert contents.can_seal


def test_contents_outlive_their_kek(store, kek, clock):
    """As `ai.rewrap-keys` does it: wrapped for both; gateways change over; the old wrap is dropped."""
    new = Kek.of(new_kek())
    before = Contents(store, lambda: kek, clock)
    box = before.seal(b"kept", "r")
    also = lambda k: sealing.wrapped_also(k.sealed, (kek, new), new, row=k.id, provider=BELONGS)  # noqa: E731
    only = lambda k: sealing.wrapped_only(k.sealed, new, row=k.id, provider=BELONGS)  # noqa: E731
    assert gateway_contents.rewrap(store, also) == 1
    clock.now += DAY_SECONDS
    between = before.seal(b"made under the old one in between", "r")
    before.adopt(lambda: new)
    assert gateway_contents.rewrap(store, only) == 2
    after = Contents(store, lambda: new, clock)
    assert after.open(box, "r") == b"kept"
    assert after.open(between, "r") == b"made under the old one in between"
    assert before.open(between, "r") == b"made under the old one in between"
    assert Contents(store, lambda: kek, clock).open(box, "r") is None
    assert Contents(store, lambda: Kek.of(new_kek()), clock).open(box, "r") is None
