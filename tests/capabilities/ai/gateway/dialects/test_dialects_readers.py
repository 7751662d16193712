"""Whatever an upstream's way of reading JSON: it reads the model that was scoped and priced, or the request was refused."""

from __future__ import annotations

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.dialects import Refusal, table

MODELS = st.sampled_from(("cheap", "dear"))
NAMES = st.sampled_from(
    (
        "model",
        "Model",
        "MODEL",
        "mode\u0131",
        "model\0",
        "model ",
        "m",
        "messages",
        "stream",
        "\u017ftream",
        "stream_options",
        "n",
        "N",
        "models",
    )
)
VALUES = (
    MODELS
    | st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.just({"model": "dear"})
    | st.just([{"include_usage": True}])
)
SPACES = st.sampled_from(("", " ", "\n", "\t"))


@st.composite
def bodies(draw):
    """Bodies as an attacker writes them: keys repeated, escaped, spaced, of other case."""
    pairs = [("model", "cheap"), *draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))]
    gap = draw(SPACES)
    told = [
        f"{_key(draw, name)}{draw(SPACES)}:{gap}{json.dumps(value)}"
        for name, value in draw(st.permutations(pairs))
    ]
    return ("{" + gap + f",{gap}".join(told) + "}").encode()


def _key(draw, name):
    escaped = draw(st.sets(st.integers(0, len(name) - 1), max_size=2))
    return (
        '"'
        + "".join(f"\\u{ord(c):04x}" if i in escaped or c == "\0" else c for i, c in enumerate(name))
        + '"'
    )


def first(pairs):
    return dict(reversed(pairs))


def last(pairs):
    return dict(pairs)


def like_go(pairs):
    """encoding/json: names match in any case, by Unicode's simple folding; the last one wins."""
    return {name.casefold(): value for name, value in pairs}


def like_c(pairs):
    """Names end at a zero byte."""
    return {name.split("\0")[0].strip(): value for name, value in pairs}


READERS = (first, last, like_go, like_c)
PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/images/generations",
)


@given(bodies(), st.sampled_from(PATHS), MODELS)
@settings(max_examples=600)
def test_no_reader_reads_another_model_or_another_way_of_answering(raw, path, target):
    dialect = table.of("POST", path)
    try:
        asked = dialect.asked(raw, orjson.loads(raw))
    except Refusal:
        return
    told = dialect.outgoing(asked, target)
    for reader in READERS:
        top = json.loads(told, object_pairs_hook=list)
        read = reader([(name, value) for name, value in top])
        assert read["model"] == target
        assert (read.get("stream") is True) == asked.stream or path == "/v1/embeddings"
        assert "models" not in read
