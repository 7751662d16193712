"""Prices: golden figures from the providers' pages, the estate's own, rounding, and the list itself as the other opinion."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from genai_prices import data_snapshot
from genai_prices.types import Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.prices import PriceBook
from datareeve.capabilities.ai.gateway.usage import Tokens
from datareeve.core.estate_gateway import PriceOverride

OPENAI, CLAUDE = "https://api.openai.com/v1", "https://api.anthropic.com"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()
BOOK = PriceBook(now=lambda: NOW)
MILLION = 1_000_000


def cost(tokens: Tokens, model: str, url: str = OPENAI, hint: str = "openai", *, batch: bool = False) -> int:
    return BOOK.of(hint, url, model).cost_microusd(tokens, batch)


# Published: https://openai.com/api/pricing, https://docs.anthropic.com/en/docs/about-claude/pricing. Dollars per million tokens.
@pytest.mark.parametrize(
    ("model", "tokens", "dollars"),
    [
        ("gpt-4.1", Tokens(input=MILLION), "2"),
        ("gpt-4.1", Tokens(output=MILLION), "8"),
        ("gpt-4.1", Tokens(input=MILLION, cache_read=MILLION), "0.5"),
        ("gpt-4.1-2025-04-14", Tokens(input=MILLION), "2"),
        ("gpt-4o", Tokens(input=1000, output=500), "0.0075"),
        ("gpt-4o-mini", Tokens(input=MILLION, output=MILLION), "0.75"),
        ("gpt-5", Tokens(input=MILLION, output=MILLION, reasoning=900_000), "11.25"),
        ("o3", Tokens(input=MILLION, output=MILLION), "10"),  # since its price fell in June 2025
        ("text-embedding-3-small", Tokens(input=MILLION), "0.02"),
        ("claude-haiku-4-5-20251001", Tokens(input=MILLION, output=MILLION), "6"),
        ("claude-opus-4-5", Tokens(input=100_000, output=10_000), "0.75"),
        # 10,000 read from the cache, 20,000 written for five minutes and 30,000 for an hour, 40,000 as they are.
        ("claude-haiku-4-5", Tokens(100_000, 0, 10_000, 20_000, 30_000), "0.126"),
        ("claude-sonnet-4-5", Tokens(input=200_000, output=1000), "0.615"),
        (
            "claude-sonnet-4-5",
            Tokens(input=200_001, output=1000),
            "1.222506",
        ),  # above 200,000 all of it costs more
    ],
)
def test_a_request_costs_what_the_provider_has_published(model, tokens, dollars):
    url, hint = (CLAUDE, "anthropic") if model.startswith("claude") else (OPENAI, "openai")
    assert cost(tokens, model, url, hint) == int(Decimal(dollars) * MILLION)


@pytest.mark.parametrize(
    ("url", "hint", "model", "dollars"),
    [
        (OPENAI, "openai", "gpt-4.1", "5"),
        (CLAUDE, "anthropic", "claude-haiku-4-5", "3"),
        (
            CLAUDE,
            "anthropic",
            "claude-3-5-haiku-latest",
            "2.4",
        ),  # not listed for batches: half, as documented
    ],
)
def test_a_batch_costs_half(url, hint, model, dollars):
    assert cost(Tokens(MILLION, MILLION), model, url, hint, batch=True) == int(Decimal(dollars) * MILLION)


@pytest.mark.parametrize(
    ("tokens", "microdollars"),
    [(25, 0), (75, 2), (26, 1), (24, 0), (125, 2), (0, 0)],  # at $0.02: 0.5, 1.5, 0.52, 0.48, 2.5
)
def test_halves_are_rounded_to_the_even_micro_dollar(tokens, microdollars):
    assert cost(Tokens(input=tokens), "text-embedding-3-small") == microdollars


def test_a_model_without_a_known_price_has_none():
    assert BOOK.of("openai", "http://10.0.0.7:8000/v1", "our-own-llama") is None
    assert BOOK.of("nobody", OPENAI, "gpt-4.1") is None
    assert BOOK.of("openai", OPENAI, "") is None


def test_the_address_decides_before_the_protocol_and_a_named_provider_before_both():
    groq = BOOK.of("openai", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    assert groq.usd_per_million()["input"] == 0.59
    named = BOOK.of("groq", "http://127.0.0.1:9/v1", "llama-3.3-70b-versatile")
    assert named.usd_per_million() == groq.usd_per_million()
    azure = BOOK.of("openai", "https://ours.openai.azure.com/openai/v1", "gpt-4.1")
    assert azure.usd_per_million()["output"] == 8.0
    behind_a_proxy = BOOK.of("openai", "http://127.0.0.1:9/v1", "gpt-4.1")
    assert behind_a_proxy.usd_per_million()["input"] == 2.0


def test_a_fee_for_each_request_is_counted_once_and_not_where_nothing_was_used():
    sonar = BOOK.of(
        "perplexity", "https://api.perplexity.ai", "sonar"
    )  # $1, $1, and $12 per thousand requests
    assert sonar.cost_microusd(Tokens(100, 100)) == 12_200
    assert sonar.cost_microusd(Tokens()) == 0


def test_the_estates_own_price_goes_before_the_list():
    book = PriceBook(
        {
            "azure/ours": PriceOverride(input=1.1, output=4, cache_write=2),
            "local/*": PriceOverride(input=0, output=0),
        }
    )
    ours = book.of("openai", OPENAI, "ours", target="azure/ours")
    assert ours.cost_microusd(Tokens(MILLION, MILLION)) == 5_100_000
    assert ours.cost_microusd(Tokens(MILLION, MILLION), batch=True) == 2_550_000
    assert (
        ours.cost_microusd(Tokens(MILLION, 0, MILLION)) == 1_100_000
    )  # no own price for what the cache gave
    assert ours.cost_microusd(Tokens(MILLION, 0, 0, 0, MILLION)) == 3_200_000
    assert (
        book.of("openai", OPENAI, "gpt-4.1", target="local/gpt-4.1").cost_microusd(Tokens(MILLION, MILLION))
        == 0
    )
    assert book.of("openai", OPENAI, "gpt-4.1", target="openai/gpt-4.1").usd_per_million()["input"] == 2.0


def test_a_version_says_which_prices_were_used():
    listed = PriceBook()
    assert listed.of("openai", OPENAI, "gpt-4.1").version == listed.version
    assert listed.version.startswith("genai-prices-0.")
    own = PriceBook({"a/b": PriceOverride(input=1, output=1)})
    assert own.of(None, "", "b", target="a/b").version in own.version
    assert own.of("openai", OPENAI, "gpt-4.1").version == listed.version
    before = own.version
    own.adopt({"a/b": PriceOverride(input=2, output=1)})
    assert own.version != before
    assert own.of(None, "", "b", target="a/b").cost_microusd(Tokens(input=5)) == 10


def test_a_price_that_changes_with_the_hour_changes_in_a_process_that_runs():
    clock = [datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()]
    price = PriceBook(now=lambda: clock[0]).of("deepseek", "https://api.deepseek.com", "deepseek-chat")
    by_day = price.cost_microusd(Tokens(MILLION, MILLION))
    clock[0] = datetime(2026, 11, 20, 20, 0, tzinfo=UTC).timestamp()
    by_night = price.cost_microusd(Tokens(MILLION, MILLION))
    assert by_day != by_night
    clock[0] = datetime(2026, 11, 21, 0, 29, tzinfo=UTC).timestamp()
    assert price.cost_microusd(Tokens(MILLION, MILLION)) == by_night
    clock[0] = datetime(2026, 11, 21, 0, 31, tzinfo=UTC).timestamp()
    assert price.cost_microusd(Tokens(MILLION, MILLION)) == by_day


def test_a_price_that_changes_on_a_day_changes_on_that_day():
    clock = [datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC).timestamp()]
    price = PriceBook(now=lambda: clock[0]).of("openai", OPENAI, "o3")
    assert price.cost_microusd(Tokens(MILLION)) == 10_000_000
    clock[0] += 1
    assert price.cost_microusd(Tokens(MILLION)) == 2_000_000


def test_figures_that_contradict_each_other_never_give_a_negative_cost():
    assert cost(Tokens(input=10, output=0, cache_read=500), "gpt-4.1") == 250
    assert cost(Tokens(input=-5, output=-5), "gpt-4.1") == 0


def test_names_that_clients_invent_do_not_fill_memory():
    book = PriceBook(now=lambda: NOW)
    for n in range(20_500):
        book.of("nobody", OPENAI, f"model-{n}")
    assert len(book._known) <= 10_000


def _priced_models():
    for provider in data_snapshot.get_snapshot().providers:
        if provider.id in ("openai", "anthropic", "groq", "mistral", "deepseek", "x-ai", "google"):
            yield from ((provider, model) for model in provider.models)


MODELS = [(p, m) for p, m in _priced_models() if BOOK.of(p.id, "", m.id) is not None]
KINDS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.integers(0, 2 * MILLION),
    st.integers(0, 200_000),
    st.fractions(0, 1),
    st.fractions(0, 1),
)
def test_the_list_itself_calculates_the_same(chosen, length, output, cached, written):
    provider, model = chosen
    found = provider.find_model(model.id)
    read = int(length * cached)
    write = int((length - read) * written)
    tokens = Tokens(length, output, read, write)
    usage = Usage(**{theirs: getattr(tokens, ours) for theirs, ours in KINDS.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prices = found.get_prices(datetime.fromtimestamp(NOW, UTC))
        told = prices.calc_price(usage)["total_price"] * MILLION
    ours = BOOK.of(provider.id, "", model.id).cost_microusd(tokens)
    assert ours == int(told.to_integral_value(ROUND_HALF_EVEN))
