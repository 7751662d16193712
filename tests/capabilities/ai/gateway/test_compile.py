"""Estate and store become what a gateway works by; a shown key is recognised, or refused without a hint."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway import compile as compiling
from datareeve.capabilities.ai.gateway.config import Config, VirtualKey
from datareeve.core import estate as estates
from datareeve.core.errors import BadInput
from datareeve.core.estate_gateway import GatewaySettings
from datareeve.core.secrets import Secret
from datareeve.systems import sealing
from datareeve.systems.gateway_store import GatewayStore, StoredProviderKey, StoredVirtualKey

NOW = 1_800_000_000.0
SECRET = "x" * 43
KEK = sealing.new_kek()


def shown(key_id="abcdefghijkl", secret=SECRET):
    return f"dr-{key_id}-{secret}".encode()


def virtual(text=None, **more):
    text = text or shown()
    return VirtualKey(id=text[3:15].decode(), digest=hashlib.sha256(text).digest(), name="app", **more)


def config(*keys):
    return Config(1, GatewaySettings(), {}, {}, {key.id: key for key in keys}, {})


def code(found):
    return found.code if hasattr(found, "code") else found.name


# -- who asks ----------------------------------------------------------------------------------------------------------------------


def test_a_key_is_recognised_by_its_whole_text():
    key = virtual()
    assert compiling.authenticate(config(key), shown(), NOW) is key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "gateway.no-key"),
        (b"sk-something-else", "gateway.unknown-key"),
        (shown("zzzzzzzzzzzz"), "gateway.unknown-key"),
        (shown(secret="x" * 42), "gateway.unknown-key"),
        (shown(secret="x" * 42 + "y"), "gateway.unknown-key"),
        (b"dr-abcdefghijkl-", "gateway.unknown-key"),
        (b"dr-abcdefghijkl", "gateway.unknown-key"),
        (b"dr-", "gateway.unknown-key"),
        (shown() + b" ", "gateway.unknown-key"),
        (shown() + b"a" * 1_000_000, "gateway.unknown-key"),
        ("dr-äbcdefghijkl-".encode() + b"x" * 43, "gateway.unknown-key"),
    ],
)
def test_any_other_text_is_refused(text, expected):
    assert code(compiling.authenticate(config(virtual()), text, NOW)) == expected


def test_where_nobody_has_a_key_nobody_comes_in_not_even_with_the_digest_of_nobody():
    for text in (b"", b"dr-", b"dr--", b"dr-" + b"\0" * 12, shown()):
        assert code(compiling.authenticate(config(), text, NOW)) in ("gateway.no-key", "gateway.unknown-key")


@pytest.mark.parametrize(
    ("more", "now", "expected"),
    [
        ({"revoked": True}, NOW, "gateway.revoked-key"),
        ({"revoked": True, "expires_at": NOW - 1}, NOW, "gateway.revoked-key"),
        ({"expires_at": NOW}, NOW, "gateway.expired-key"),
        ({"expires_at": NOW}, NOW - 0.001, "app"),
    ],
)
def test_a_revoked_or_expired_key_opens_nothing(more, now, expected):
    assert code(compiling.authenticate(config(virtual(**more)), shown(), now)) == expected


def test_a_revoked_key_is_told_only_to_whoever_has_its_secret():
    keys = config(virtual(revoked=True))
    assert code(compiling.authenticate(keys, shown(secret="y" * 43), NOW)) == "gateway.unknown-key"


@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down_or_in(text):
    assert not isinstance(compiling.authenticate(config(virtual()), text, NOW), VirtualKey) or text == shown()


def test_a_problem_holds_nothing_of_what_was_shown():
    for text in (b"dr-canary", shown("canarycanary"), b"canary" * 100):
        assert "canary" not in repr(compiling.authenticate(config(virtual()), text, NOW))


# -- from estate and store ---------------------------------------------------------------------------------------------------------

ESTATE = {
    "version": 1,
    "systems": {
        "openai": {
            "kind": "openai",
            "keys": ["env:ONE"],
            "requests_per_minute": 60,
            "headers": {"openai-organization": "org"},
        },
        "claude": {"kind": "anthropic", "base_url": "https://claude.example/", "idle_seconds": 5},
        "local": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "auth": "none", "query": {"v": "1"}},
        "db": {"kind": "sqlite", "path": "x.db"},
    },
    "gateway": {
        "models": {"chat": {"targets": ["openai/gpt-4.1", "claude/anthropic/x"]}},
        "budgets": {"all": {"usd": 10}},
    },
}
TEXTS = {"env:ONE": "sk-one", "file:.datareeve/gateway.kek": KEK.reveal()}


class World:
    """A store, an estate and what stands at its references."""

    def __init__(self, folder):
        self.store = GatewayStore.open(folder / "gateway.sqlite")
        self.texts = dict(TEXTS)
        self.place = folder / "estate.yaml"
        self.place.write_text(json.dumps(ESTATE))

    def resolve(self, reference):
        if reference not in self.texts:
            raise BadInput("secret.missing", f"Nothing is stored at {reference}.")
        return Secret(self.texts[reference])

    def add(self, key_id, text, state="active", provider="openai", **more):
        kek = sealing.Kek.of(Secret(self.texts["file:.datareeve/gateway.kek"]))
        sealed = sealing.seal(Secret(text), kek, row=key_id, provider=provider)
        self.store.add_provider_key(
            StoredProviderKey(id=key_id, provider=provider, sealed=sealed, state=state, **more)
        )

    def compiled(self, **more):
        return compiling.current(self.place, self.store, self.resolve, **more)[1]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.store.close()


def keys_of(made, provider="openai"):
    return [(key.id, key.secret.reveal(), key.state) for key in made.providers[provider].keys]


def test_a_provider_has_the_keys_that_are_used_the_active_ones_first(world):
    world.add("pk_1", "sk-1", "draining")
    world.add("pk_2", "sk-2", "active", expires_at=NOW)
    world.add("pk_3", "sk-3", "retired")
    world.add("pk_4", "sk-4", "revoked")
    world.add("pk_5", "sk-5", provider="claude")
    made = world.compiled()
    assert keys_of(made) == [
        ("estate:env:ONE", "sk-one", "active"),
        ("pk_2", "sk-2", "active"),
        ("pk_1", "sk-1", "draining"),
    ]
    assert keys_of(made, "claude") == [("pk_5", "sk-5", "active")]
    assert made.providers["openai"].keys[1].expires_at == NOW


def test_providers_and_routes_are_as_the_estate_declares_them(world):
    made = world.compiled()
    assert set(made.providers) == {"openai", "claude", "local"}
    openai, claude, local = (made.providers[name] for name in ("openai", "claude", "local"))
    assert (openai.protocol, openai.base_url, openai.auth) == (
        "openai",
        "https://api.openai.com/v1",
        "bearer",
    )
    assert (openai.requests_per_minute, dict(openai.headers)) == (60, {"openai-organization": "org"})
    assert (claude.protocol, claude.base_url, claude.auth) == (
        "anthropic",
        "https://claude.example",
        "x-api-key",
    )
    assert claude.idle_seconds == 5
    assert (local.auth, dict(local.query), local.keys) == ("none", {"v": "1"}, ())
    assert [str(target) for target in made.routes["chat"].targets] == ["openai/gpt-4.1", "claude/anthropic/x"]
    assert made.routes["chat"].targets[1].model == "anthropic/x"
    assert made.budgets["all"].usd == 10


def test_virtual_keys_come_with_their_scope(world):
    digest = hashlib.sha256(shown()).digest()
    limits = {
        "team": "shop",
        "models": ("chat", "gpt-*"),
        "requests_per_minute": 5,
        "tokens_per_minute": 6,
        "max_parallel": 7,
        "expires_at": NOW,
        "cache": False,
        "admin": True,
    }
    world.store.add_virtual_key(StoredVirtualKey(id="abcdefghijkl", digest=digest, name="app", **limits))
    made = world.compiled()
    key = made.virtual_keys["abcdefghijkl"]
    assert {name: getattr(key, name) for name in limits} == limits
    assert compiling.authenticate(made, shown(), NOW - 1) is key
    world.store.revoke_virtual_key("abcdefghijkl")
    assert code(compiling.authenticate(world.compiled(), shown(), NOW - 1)) == "gateway.revoked-key"


def test_its_revision_is_the_store_s_and_grows_with_each_change(world):
    before = world.compiled().revision
    world.add("pk_1", "sk-1")
    assert world.compiled().revision > before


def test_a_key_that_cannot_be_read_is_left_out_and_told_by_its_id(world):
    world.add("pk_1", "sk-canary")
    world.texts = {"file:.datareeve/gateway.kek": sealing.new_kek().reveal()}
    problems = {}
    made = world.compiled(problems=problems)
    assert keys_of(made) == []
    assert {key: why.split(":")[0] for key, why in problems.items()} == {
        "estate:env:ONE": "secret.missing",
        "pk_1": "sealed.other-kek",
    }
    assert "canary" not in str(problems)


def test_a_key_that_cannot_be_read_any_more_is_kept_and_nothing_else_waits_for_it(world):
    world.add("pk_1", "sk-1")
    before = world.compiled()
    world.add("pk_2", "sk-2")
    world.store.set_key_state("pk_1", "draining")
    world.texts = {}
    problems = {}
    made = world.compiled(before=before, problems=problems)
    assert keys_of(made) == [("estate:env:ONE", "sk-one", "active"), ("pk_1", "sk-1", "draining")]
    assert set(problems) == {"estate:env:ONE", "pk_1", "pk_2"}
    assert made.revision > before.revision


def test_a_revoked_key_is_not_kept_whatever_else_is_wrong(world):
    world.add("pk_1", "sk-1")
    before = world.compiled()
    world.store.set_key_state("pk_1", "revoked")
    world.texts = {}
    assert [key for key, *_ in keys_of(world.compiled(before=before))] == ["estate:env:ONE"]


def test_a_key_with_a_line_break_never_reaches_a_header(world):
    world.texts["env:ONE"] = "sk-one\r\nx-evil: 1"
    problems = {}
    assert keys_of(world.compiled(problems=problems)) == []
    assert problems["estate:env:ONE"].startswith("key.malformed")
    assert "evil" not in str(problems)


def test_a_wrong_estate_is_an_error_so_that_the_gateway_keeps_what_it_has(world):
    world.place.write_text("systems: [")
    with pytest.raises(BadInput):
        world.compiled()
    assert world.place.name == estates.ESTATE_FILE
