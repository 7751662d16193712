from __future__ import annotations

import orjson
import pytest

from datareeve.capabilities.ai.gateway.dialects import table
from datareeve.capabilities.ai.gateway.usage import Tokens

CHAT = table.of("POST", "/v1/chat/completions")
RESPONSES = table.of("POST", "/v1/responses")
MESSAGES = table.of("POST", "/v1/messages")
EMBEDDINGS = table.of("POST", "/v1/embeddings")


def told(dialect, usage):
    return dialect.tokens(orjson.dumps({"id": "x", "content": [], "choices": [], "usage": usage}))


@pytest.mark.parametrize(
    ("dialect", "usage", "tokens"),
    [
        (CHAT, {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}, Tokens(9, 3)),
        (
            CHAT,
            {
                "prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 20, "audio_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": 11},
            },
            Tokens(90, 30, cache_read=64, cache_write=20, reasoning=11),
        ),
        (CHAT, {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 28}},
         Tokens(9, 31, reasoning=28)),
        (CHAT, {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 8}, Tokens(9, 3, cache_read=8)),
        (CHAT, {"prompt_tokens": 9, "completion_tokens": None, "prompt_tokens_details": None}, Tokens(9, 0)),
        (CHAT, {"prompt_tokens": -5, "completion_tokens": "3", "total_tokens": True}, Tokens(0, 0)),
        (CHAT, {"prompt_tokens": 2**60, "completion_tokens": 3.0}, Tokens(0, 3)),
        (CHAT, {}, None),
        (CHAT, None, None),
        (RESPONSES, {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12, "input_tokens_details": {"cached_tokens": 4}},
         Tokens(9, 3, cache_read=4)),
        (MESSAGES, {"input_tokens": 9, "output_tokens": 3}, Tokens(9, 3)),
        (MESSAGES, {"input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 30},
         Tokens(89, 3, cache_read=50, cache_write=30)),
        (
            MESSAGES,
            {
                "input_tokens": 9, "output_tokens": 30, "cache_read_input_tokens": None, "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "output_tokens_details": {"thinking_tokens": 12},
            },
            Tokens(39, 30, cache_write=10, cache_write_1h=20, reasoning=12),
        ),
        (EMBEDDINGS, {"prompt_tokens": 9, "total_tokens": 9}, Tokens(9, 0)),
    ],
)  # fmt: skip
def test_what_an_answer_says_it_used(dialect, usage, tokens):
    assert told(dialect, usage) == tokens


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"[]", b'{"usage":7}', b'{"usage":{"prompt_tokens":', b"\xff\xfe"]
)
@pytest.mark.parametrize("dialect", [CHAT, RESPONSES, MESSAGES, EMBEDDINGS])
def test_an_answer_that_says_nothing_of_it(dialect, answer):
    assert dialect.tokens(answer) is None


def test_a_usage_that_the_model_wrote_is_not_taken_for_the_providers():
    tool = {"type": "tool_use", "input": {"usage": {"input_tokens": 0, "output_tokens": 0}}}
    answer = orjson.dumps({"usage": {"input_tokens": 9, "output_tokens": 3}, "content": [tool]})
    assert MESSAGES.tokens(answer) == Tokens(9, 3)


def test_counting_tokens_costs_nothing():
    for path in ("/v1/messages/count_tokens", "/v1/responses/input_tokens"):
        dialect = table.of("POST", path)
        assert dialect.tokens(b'{"input_tokens":5000}') == Tokens()
        assert dialect.free


def test_the_usage_of_long_embeddings_is_read_at_their_end():
    answer = orjson.dumps(
        {
            "data": [{"embedding": [0.123] * 1000}] * 20,
            "model": "e",
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        }
    )
    assert EMBEDDINGS.tokens(answer) == Tokens(7)


def test_images_are_counted_by_what_they_say_and_sound_that_says_nothing_is_only_written_down():
    images = table.of("POST", "/v1/images/generations")
    assert images.tokens(
        b'{"data":[],"usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210}}'
    ) == Tokens(50, 4160)
    assert table.of("POST", "/v1/audio/speech").tokens(b"ID3\x04...") == Tokens()


def test_the_models_a_key_may_use_are_listed_for_both_sdks():
    models = table.of("GET", "/v1/models")
    status, body = models.local("/v1/models", ["fast", "a/b"], "req_1")
    listed = orjson.loads(body)
    assert (status, listed["object"], [m["id"] for m in listed["data"]]) == (200, "list", ["fast", "a/b"])
    assert models.local("/v1/models/a/b", ["fast", "a/b"], "req_1")[0] == 200
    status, body = models.local("/v1/models/dear", ["fast"], "req_1")
    assert (status, orjson.loads(body)["error"]["code"]) == (404, "gateway.model")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"error":{"type":"overloaded_error","message":"x"}}', "overloaded_error"),
        (b'{"error": {"code":"slow_down"}}', "slow_down"),
        (b'{"error":{"code":502,"message":"x"},"user_id":"u"}', "error"),
        (b'{"type":"error","error":{"type":"api_error"}}', "api_error"),
        (b'{"error":"no such model"}', "error"),
        (b'{"error":null,"output":[]}', ""),
        (b'{"error":{"code":"server_error"},"output":[],"status":"failed"}', ""),
        (b'{"choices":[{"error":{"type":"x"}}]}', ""),
        (b'{"id":"x","tool":{"error":{"type":"x"}}}', ""),
        (b'{"choices":[{"message":{"content":"{\\"error\\":{}"}}]}', ""),
        (b"not json", ""),
        (b'{"error":{', ""),
    ],
)
@pytest.mark.parametrize("dialect", [CHAT, RESPONSES, MESSAGES, EMBEDDINGS])
def test_an_answer_that_is_an_error_instead(dialect, answer, kind):
    assert dialect.failed(answer) == kind
