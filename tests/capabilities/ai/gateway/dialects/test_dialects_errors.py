"""The official SDKs raise what an application expects of each error, whole and within a stream."""

from __future__ import annotations

import anthropic
import httpx2
import openai
import orjson
import pytest

from datareeve.capabilities.ai.gateway.dialects import Problem, table

CHAT = table.of("POST", "/v1/chat/completions")
RESPONSES = table.of("POST", "/v1/responses")
MESSAGES = table.of("POST", "/v1/messages")
KINDS = [
    (400, "bad_request", "BadRequestError"),
    (401, "authentication", "AuthenticationError"),
    (403, "permission", "PermissionDeniedError"),
    (404, "not_found", "NotFoundError"),
    (413, "too_large", "APIStatusError"),
    (429, "rate_limit", "RateLimitError"),
    (429, "budget", "RateLimitError"),
    (503, "overloaded", "InternalServerError"),
    (504, "timeout", "InternalServerError"),
    (502, "upstream", "InternalServerError"),
    (500, "internal", "InternalServerError"),
]
HELLO = [{"role": "user", "content": "Hello"}]


def problem(status, kind):
    return Problem(status, kind, f"gateway.{kind}", "What is wrong, and what to do.")


class Double:
    """Answers each request with the same status, headers and body, and counts them."""

    def __init__(self, status, body, headers=()):
        self.asked = 0
        self._answer = (status, body, dict(headers))

    def __call__(self, request):
        self.asked += 1
        status, body, headers = self._answer
        return httpx2.Response(
            status,
            content=body,
            headers={"content-type": "application/json", "request-id": "req_1", **headers},
        )

    def openai(self, **options):
        return openai.OpenAI(
            api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(self)), **options
        )

    def anthropic(self, **options):
        return anthropic.Anthropic(
            api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(self)), **options
        )


def streaming(body):
    return Double(200, body, {"content-type": "text/event-stream"})


@pytest.mark.parametrize(("status", "kind", "raised"), KINDS)
def test_openais_sdk_raises_its_own_class(status, kind, raised):
    double = Double(status, CHAT.error(problem(status, kind), "req_1"))
    with double.openai(max_retries=0) as client, pytest.raises(getattr(openai, raised)) as caught:
        client.chat.completions.create(model="m", messages=HELLO)
    error = caught.value
    assert (error.status_code, error.code, error.param) == (status, f"gateway.{kind}", None)
    assert error.body["message"] == "What is wrong, and what to do."
    assert error.type


@pytest.mark.parametrize(("status", "kind", "raised"), KINDS)
def test_anthropics_sdk_raises_its_own_class(status, kind, raised):
    double = Double(status, MESSAGES.error(problem(status, kind), "req_1"))
    with double.anthropic(max_retries=0) as client, pytest.raises(getattr(anthropic, raised)) as caught:
        client.messages.create(model="m", max_tokens=1, messages=HELLO)
    error = caught.value
    assert error.status_code == status
    assert error.body["type"] == "error"
    assert error.body["request_id"] == "req_1"
    assert error.body["error"]["message"] == "What is wrong, and what to do."
    assert error.body["error"]["details"] == {"error_code": f"gateway.{kind}"}


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("headers", "asked"), [({"x-should-retry": "false"}, 1), ({"retry-after-ms": "1"}, 3)]
)
def test_a_budget_is_not_asked_again_and_a_limit_is(sdk, headers, asked):
    dialect = CHAT if sdk == "openai" else MESSAGES
    double = Double(429, dialect.error(problem(429, "budget"), "req_1"), headers)
    with getattr(double, sdk)(max_retries=2) as client:
        ask = client.chat.completions.create if sdk == "openai" else client.messages.create
        with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
            ask(model="m", messages=HELLO, max_tokens=1)
    assert double.asked == asked


CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":3,"item_id":"i",'
    b'"output_index":0,"content_index":0,"delta":"one","logprobs":[]}\n\n'
)
THEIRS = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one"}}\n\n'


@pytest.mark.parametrize("half", [b"", b"\n", b": ping"])
def test_openais_sdk_raises_when_a_stream_of_chunks_breaks(half):
    double, seen = streaming(CHUNK + half + CHAT.stream_error(problem(502, "upstream"), "req_1")), []
    with double.openai() as client, pytest.raises(openai.APIError, match="What is wrong") as caught:
        seen.extend(
            c.choices[0].delta.content
            for c in client.chat.completions.create(model="m", messages=HELLO, stream=True)
        )
    assert seen == ["one"]
    assert caught.value.code == "gateway.upstream"


def test_openais_sdk_raises_when_a_response_breaks():
    double = streaming(DELTA + RESPONSES.stream_error(problem(502, "upstream"), "req_1"))
    with double.openai() as client, pytest.raises(openai.APIError, match="What is wrong") as caught:
        list(client.responses.create(model="m", input="Hello", stream=True))
    assert caught.value.code == "gateway.upstream"


def test_anthropics_sdk_raises_when_a_message_breaks():
    double = streaming(THEIRS + MESSAGES.stream_error(problem(502, "upstream"), "req_1"))
    with (
        double.anthropic() as client,
        pytest.raises(anthropic.APIStatusError, match="What is wrong") as caught,
    ):
        list(client.messages.create(model="m", max_tokens=9, messages=HELLO, stream=True))
    assert caught.value.body["error"]["details"]["error_code"] == "gateway.upstream"


def test_our_scanner_knows_our_own_errors():
    for dialect in (CHAT, RESPONSES, MESSAGES):
        asked = dialect.asked(b'{"model":"m"}', {"model": "m"})
        scanner = dialect.scanner(asked)
        scanner.feed(dialect.stream_error(problem(502, "upstream"), "req_1"))
        assert scanner.failed in ("upstream_error", "gateway.upstream", "api_error")
        assert not scanner.complete


def test_both_sdks_read_the_models_that_the_gateway_lists():
    models = table.of("GET", "/v1/models")
    double = Double(*models.local("/v1/models", ["fast", "a/b"], "req_1"))
    with double.openai() as client:
        assert [m.id for m in client.models.list()] == ["fast", "a/b"]
    with double.anthropic() as client:
        assert [(m.id, m.display_name) for m in client.models.list()] == [("fast", "fast"), ("a/b", "a/b")]
    gone = Double(*models.local("/v1/models/dear", ["fast"], "req_1"))
    with gone.openai() as client, pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("dear")
    assert caught.value.code == "gateway.model"
    with gone.anthropic() as client, pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("dear")


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_sdks_send_is_plain_so_that_no_body_is_scanned(stream):
    seen = []

    def answer(request):
        seen.append(request.read())
        return httpx2.Response(400, json={})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    tools = [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {"type": "object", "properties": {"model": {"type": "string"}}},
            },
        }
    ]
    with openai.OpenAI(api_key="k", http_client=transport) as client, pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": 'Grüße, "世界"\n\x7f'}],
            temperature=0.2,
            tools=tools,
            stream=stream,
        )
    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    with (
        anthropic.Anthropic(api_key="k", http_client=transport) as client,
        pytest.raises(anthropic.BadRequestError),
    ):
        client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Grüße\u2028"}], stream=stream
        )
    assert all(orjson.dumps(orjson.loads(raw)) == raw for raw in seen)
    assert len(seen) == 2
