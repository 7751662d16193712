"""OpenAI's and Anthropic's official SDKs through the gateway: they see what they would see without it.

What is direct is compared with what the provider was sent and what it said; where the provider speaks the other protocol, the same call must
give the same answer in the caller's own.
"""

import asyncio
import json
import time
from typing import Literal

import anthropic
import openai
import pytest
from pydantic import BaseModel

from ai_rig import cut, fail, ok, silence

HELLO = [{"role": "user", "content": "hello there"}]
ANSWER = "You said: hello there"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
GIVEN = {"city": "Paris", "days": 1}
FUNCTION = {"name": "weather", "description": "the weather of a city", "parameters": SCHEMA}
CHAT_TOOL = {"type": "function", "function": FUNCTION}
RESPONSES_TOOL = {"type": "function", "strict": False, **FUNCTION}
OWN_TOOL = {"name": "weather", "description": "the weather of a city", "input_schema": SCHEMA}

chat_models = pytest.mark.parametrize("model", ["gpt", "sonnet"], ids=["direct", "crossed"])
chat_kinds = pytest.mark.parametrize("kind", ["openai", "claude"], ids=["direct", "crossed"])
message_kinds = pytest.mark.parametrize("kind", ["claude", "openai"], ids=["direct", "crossed"])
message_models = pytest.mark.parametrize("model", ["sonnet", "gpt"], ids=["direct", "crossed"])


class Trip(BaseModel):
    city: str
    days: int


class Mood(BaseModel):
    mood: Literal["good", "bad"]


def narrow_key(running):
    """A virtual key for one model alone."""
    return running.keys.get("narrow") or running.issue("narrow", models='["gpt"]')


# -- OpenAI's SDK: chat completions ------------------------------------------------------------------------------------------------


@chat_models
def test_openai_chat(oai, model):
    answer = oai.chat.completions.create(model=model, messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == ANSWER
    assert (answer.choices[0].message.role, answer.choices[0].finish_reason) == ("assistant", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        3,
        4,
        7,
    )


@chat_models
def test_openai_chat_streamed(oai, model):
    chunks = list(oai.chat.completions.create(model=model, messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)  # it was not asked for, though the gateway asks


@chat_models
def test_openai_chat_streamed_with_its_usage(oai, model):
    options = {"include_usage": True}
    chunks = list(
        oai.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=options)
    )
    assert (chunks[-1].choices, chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (
        [],
        3,
        4,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == ANSWER


@chat_models
def test_openai_chat_with_the_sdks_own_stream_helper(oai, model):
    with oai.chat.completions.stream(model=model, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == ANSWER
    assert {"chunk", "content.delta", "content.done"} <= set(kinds)


@chat_models
def test_openai_chat_without_waiting(running, provider, model):
    async def both():
        async with openai.AsyncOpenAI(
            base_url=running.openai_url, api_key=running.keys["app"], max_retries=0
        ) as client:
            whole = await client.chat.completions.create(model=model, messages=HELLO)
            pieces = [
                chunk.choices[0].delta.content or ""
                async for chunk in await client.chat.completions.create(
                    model=model, messages=HELLO, stream=True
                )
            ]
            many = await asyncio.gather(
                *(client.chat.completions.create(model=model, messages=HELLO) for _ in range(20))
            )
        return whole.choices[0].message.content, "".join(pieces), {m.choices[0].message.content for m in many}

    assert asyncio.run(both()) == (ANSWER, ANSWER, {ANSWER})


@chat_models
def test_openai_tools(oai, model):
    choice = {"type": "function", "function": {"name": "weather"}}
    asked = {"model": model, "messages": HELLO, "tools": [CHAT_TOOL]}
    answer = oai.chat.completions.create(**asked, tool_choice=choice).choices[0]
    [call] = answer.message.tool_calls
    assert (answer.finish_reason, call.type, call.function.name) == ("tool_calls", "function", "weather")
    assert json.loads(call.function.arguments) == GIVEN
    required = oai.chat.completions.create(**asked, tool_choice="required").choices[0]
    assert required.message.tool_calls[0].function.name == "weather"
    assert oai.chat.completions.create(**asked, tool_choice="none").choices[0].message.content == ANSWER
    assert oai.chat.completions.create(**asked, tool_choice="auto").choices[0].message.tool_calls is None


@chat_models
def test_openai_tools_streamed(oai, model):
    two = [CHAT_TOOL, {"type": "function", "function": {**FUNCTION, "name": "traffic"}}]
    said = [{"role": "user", "content": "call weather and call traffic"}]
    with oai.chat.completions.stream(model=model, messages=said, tools=two) as stream:
        answer = stream.get_final_completion().choices[0]
    assert answer.finish_reason == "tool_calls"
    assert [call.function.name for call in answer.message.tool_calls] == ["weather", "traffic"]
    assert [json.loads(call.function.arguments) for call in answer.message.tool_calls] == [GIVEN, GIVEN]
    assert len({call.id for call in answer.message.tool_calls}) == 2


@chat_models
def test_openai_tools_results_go_back(oai, provider, model):
    said = [{"role": "system", "content": "Use the tools."}, {"role": "user", "content": "call weather"}]
    first = oai.chat.completions.create(model=model, messages=said, tools=[CHAT_TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    turns = [*said, first.to_dict(), result]
    answer = oai.chat.completions.create(model=model, messages=turns, tools=[CHAT_TOOL])
    assert answer.choices[0].message.content == "You said: [sunny]"
    assert first.tool_calls[0].id in provider.seen[-1].raw.decode()


@chat_models
@pytest.mark.parametrize("url", [f"data:image/png;base64,{PIXEL}", "https://example.com/a.png"])
def test_openai_images(oai, provider, model, url):
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = oai.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "You said: see (1 image)"
    assert url.removeprefix("data:image/png;base64,") in provider.seen[-1].raw.decode()


@chat_models
def test_openai_bounds_and_stops(oai, model):
    short = oai.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=2)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("You said:", "length")
    stopped = oai.chat.completions.create(model=model, messages=HELLO, stop=["hello"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("You said: ", "stop")


@chat_models
def test_openai_answers_by_a_schema(oai, model):
    answer = oai.chat.completions.parse(model=model, messages=HELLO, response_format=Trip)
    assert answer.choices[0].message.parsed == Trip(city="Paris", days=1)


def test_openai_what_the_gateway_does_not_know_passes_as_it_is(oai, provider):
    strange = {"verbosity": "low", "new_field": {"deep": [1, 2.50, None]}, "metadata": {"a": "ü"}}
    oai.chat.completions.create(
        model="gpt",
        messages=HELLO,
        n=2,
        seed=7,
        logit_bias={"50256": -100},
        reasoning_effort="low",
        extra_body=strange,
        extra_headers={"OpenAI-Organization": "org-1", "X-Own": "kept"},
    )
    [seen] = provider.seen
    assert seen.body == {
        "model": "double-small", "messages": HELLO, "n": 2, "seed": 7, "logit_bias": {"50256": -100}, "reasoning_effort": "low", **strange,
    }  # fmt: skip
    assert seen.headers["x-own"] == "kept"
    assert "openai-organization" not in seen.headers  # whose account it is says the gateway
    assert seen.key == "key-openai"


def test_openai_reasoning_is_counted(oai):
    answer = oai.chat.completions.create(model="gpt", messages=HELLO, reasoning_effort="high")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3
    assert len(oai.chat.completions.create(model="gpt", messages=HELLO, n=3).choices) == 3


@pytest.mark.parametrize(
    ("field", "value"), [("n", 2), ("logit_bias", {"5": 1}), ("logprobs", True), ("audio", {"voice": "a", "format": "wav"})]
)  # fmt: skip
def test_openai_what_cannot_be_said_in_the_other_protocol_is_refused_by_name(oai, provider, field, value):
    with pytest.raises(openai.BadRequestError, match=field):
        oai.chat.completions.create(model="sonnet", messages=HELLO, **{field: value})
    assert provider.seen == []


def test_openai_raw_and_streaming_responses_name_the_request(oai):
    raw = oai.chat.completions.with_raw_response.create(model="gpt", messages=HELLO)
    assert raw.request_id
    assert raw.parse().choices[0].message.content == ANSWER
    with oai.chat.completions.with_streaming_response.create(model="gpt", messages=HELLO) as streamed:
        assert json.loads(streamed.read())["choices"][0]["message"]["content"] == ANSWER


def test_openai_legacy_completions(oai):
    assert oai.completions.create(model="gpt", prompt="hello there").choices[0].text == ANSWER
    pieces = oai.completions.create(model="gpt", prompt="hello there", stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == ANSWER


# -- OpenAI's SDK: responses, embeddings, models, the rest ---------------------------------------------------------------------------


@chat_models
def test_openai_responses(oai, model):
    answer = oai.responses.create(model=model, input="hello there", instructions="Be kind.")
    assert (answer.object, answer.status, answer.output_text) == ("response", "completed", ANSWER)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 4)


@chat_models
def test_openai_responses_streamed(oai, model):
    with oai.responses.stream(model=model, input="hello there") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
    assert (final.output_text, final.usage.output_tokens) == (ANSWER, 4)


@chat_models
def test_openai_responses_with_tools_and_their_results(oai, model):
    asked = {"model": model, "tools": [RESPONSES_TOOL]}
    first = oai.responses.create(**asked, input="call weather")
    [call] = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", GIVEN)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    back = [{"role": "user", "content": "call weather"}, call.to_dict(), result]
    assert oai.responses.create(**asked, input=back).output_text == "You said: [sunny]"
    with oai.responses.stream(**asked, input="call weather") as stream:
        final = stream.get_final_response()
    assert [json.loads(item.arguments) for item in final.output if item.type == "function_call"] == [GIVEN]


@chat_models
def test_openai_responses_by_a_schema(oai, model):
    assert oai.responses.parse(model=model, input="x", text_format=Trip).output_parsed == Trip(
        city="Paris", days=1
    )


@chat_models
def test_openai_responses_without_waiting(running, provider, model):
    async def both():
        async with openai.AsyncOpenAI(
            base_url=running.openai_url, api_key=running.keys["app"], max_retries=0
        ) as client:
            whole = await client.responses.create(model=model, input="hello there")
            stream = await client.responses.create(model=model, input="hello there", stream=True)
            return whole.output_text, [event.type async for event in stream][-1]

    assert asyncio.run(both()) == (ANSWER, "response.completed")


def test_openai_embeddings(oai, provider):
    plain = oai.embeddings.create(model="embed", input=["a", "b"], encoding_format="float")
    packed = oai.embeddings.create(model="embed", input=["a", "b"], dimensions=8)
    assert [len(one.embedding) for one in plain.data] == [8, 8]
    assert [one.index for one in packed.data] == [0, 1]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert plain.usage.total_tokens == 2
    assert {seen.model for seen in provider.seen} == {"double-embed"}


def test_openai_models(oai):
    names = {model.id for model in oai.models.list()}
    assert {"gpt", "sonnet", "embed"} <= names
    assert oai.models.retrieve("gpt").id == "gpt"
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("no-such-model")


def test_openai_files_and_batches(running, oai):
    body = {"model": "double-small", "messages": HELLO}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = oai.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = oai.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = oai.batches.retrieve(batch.id)
    assert batch.status == "completed"
    [result] = [json.loads(one) for one in oai.files.content(batch.output_file_id).text.splitlines()]
    assert result["response"]["body"]["choices"][0]["message"]["content"] == ANSWER
    assert [one.id for one in oai.batches.list()] == [batch.id]
    assert oai.files.delete(file.id).deleted


def test_openai_what_is_not_text_passes_through(oai, provider):
    assert oai.moderations.create(model="gpt", input="x").results[0].flagged is False
    assert oai.images.generate(model="gpt", prompt="x").data[0].b64_json == "aW1hZ2U="
    heard = oai.audio.transcriptions.create(model="gpt", file=("a.wav", b"RIFF" * 1000))
    assert int(heard.text.split()[0]) > 4000
    assert b"RIFF" * 1000 in provider.seen[-1].raw


# -- OpenAI's SDK: errors ------------------------------------------------------------------------------------------------------------


def test_openai_a_wrong_key(running, provider):
    with (
        openai.OpenAI(base_url=running.openai_url, api_key="dr-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as raised,
    ):
        client.chat.completions.create(model="gpt", messages=HELLO)
    assert raised.value.status_code == 401
    assert raised.value.body["message"]
    assert provider.seen == []


def test_openai_a_model_that_is_not_the_keys(running, provider):
    with openai.OpenAI(base_url=running.openai_url, api_key=narrow_key(running), max_retries=0) as client:
        assert client.chat.completions.create(model="gpt", messages=HELLO).choices
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="sonnet", messages=HELLO)
        assert {model.id for model in client.models.list()} == {"gpt"}


@chat_models
@pytest.mark.parametrize(
    "refusal",
    [(400, openai.BadRequestError), (404, openai.NotFoundError), (422, openai.UnprocessableEntityError)],
)
def test_openai_the_providers_refusals_are_the_callers(oai, provider, model, refusal):
    status, error = refusal
    provider.always(fail(status, message="told so"))
    with pytest.raises(error) as raised:
        oai.chat.completions.create(model=model, messages=HELLO)
    assert "told so" in raised.value.message
    assert len(provider.seen) == 1  # what the caller did wrong is not tried again


@chat_kinds
@pytest.mark.parametrize(
    "failure", [(429, openai.RateLimitError), (500, openai.InternalServerError), (503, openai.InternalServerError)]
)  # fmt: skip
def test_openai_the_providers_failures_are_told_in_openais_shape(oai, provider, fresh, kind, failure):
    status, error = failure
    provider.always(fail(status, retry_after=3))
    with pytest.raises(error) as raised:
        oai.chat.completions.create(model=fresh(kind), messages=HELLO, stream=True)
    assert raised.value.body["message"]
    assert raised.value.type


def test_openai_the_gateway_tries_again_so_that_the_sdk_need_not(oai, provider):
    provider.next(fail(500), fail(429, retry_after=0.05))
    assert (
        oai.chat.completions.create(model="stubborn-openai", messages=HELLO).choices[0].message.content
        == ANSWER
    )
    assert [seen.status for seen in provider.seen] == [500, 429, 200]


def test_openai_the_sdk_tries_again_by_itself_what_it_may(running, provider, fresh):
    provider.next(fail(500))
    with openai.OpenAI(base_url=running.openai_url, api_key=running.keys["app"], max_retries=1) as client:
        assert (
            client.chat.completions.create(model=fresh("openai"), messages=HELLO).choices[0].message.content
            == ANSWER
        )
    assert [seen.status for seen in provider.seen] == [500, 200]


def test_openai_a_spent_budget_is_not_tried_again(running, provider):
    key = running.issue("poor")
    with openai.OpenAI(base_url=running.openai_url, api_key=key, max_retries=3) as client:
        client.chat.completions.create(model="gpt", messages=HELLO, max_completion_tokens=100)
        provider.seen.clear()
        began = time.monotonic()
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model="gpt", messages=HELLO, max_completion_tokens=100)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert raised.value.status_code in (402, 403, 429)
    assert time.monotonic() - began < 2
    assert provider.seen == []


@pytest.mark.parametrize("kind", ["openai-claude", "claude-openai"])
def test_openai_another_provider_answers_when_the_first_fails(oai, provider, fresh, kind):
    provider.next(fail(500))
    assert oai.chat.completions.create(model=fresh(kind), messages=HELLO).choices[0].message.content == ANSWER
    assert len({seen.protocol for seen in provider.seen}) == 2


@pytest.mark.parametrize("kind", ["openai-claude", "claude-openai"])
def test_openai_a_stream_that_breaks_before_its_first_token_goes_elsewhere(oai, provider, fresh, kind):
    provider.next(cut(0))
    chunks = list(oai.chat.completions.create(model=fresh(kind), messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER


@chat_kinds
@pytest.mark.parametrize("how", ["close", "reset", "end"])
def test_openai_a_stream_that_breaks_later_raises(oai, provider, fresh, kind, how):
    provider.next(cut(5, how))
    got = []
    with pytest.raises(openai.APIError) as raised:
        got.extend(oai.chat.completions.create(model=fresh(kind), messages=HELLO, stream=True))
    assert any(chunk.choices[0].delta.content for chunk in got)
    assert not isinstance(raised.value, openai.APIConnectionError)  # it is told, not merely cut off


def test_openai_a_broken_responses_stream_raises(oai, provider, fresh):
    provider.next(cut(6))
    with pytest.raises(openai.APIError) as raised:
        list(oai.responses.create(model=fresh("openai"), input="hello there", stream=True))
    assert not isinstance(raised.value, openai.APIConnectionError)


def test_openai_a_client_that_waits_no_longer(oai, provider, fresh):
    provider.next(silence())
    # The SDK tells the gateway how long it waits: on a busy machine the gateway may be the first to say that it is over.
    with pytest.raises((openai.APITimeoutError, openai.InternalServerError), match=r"timed out|504"):
        oai.with_options(timeout=0.3).chat.completions.create(model=fresh("openai"), messages=HELLO)
    provider.wait_until(lambda: provider.seen[0].ended)
    assert provider.seen[0].ended == "client left"  # the provider is not left to write for nobody


# -- Anthropic's SDK: messages -------------------------------------------------------------------------------------------------------


@message_models
def test_anthropic_messages(ant, model):
    answer = ant.messages.create(model=model, messages=HELLO, max_tokens=50, system="Be kind.")
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert [block.text for block in answer.content] == [ANSWER]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 4)


@message_models
def test_anthropic_messages_streamed(ant, model):
    events = list(ant.messages.create(model=model, messages=HELLO, max_tokens=50, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert (kinds[:2], kinds[-3:]) == (
        ["message_start", "content_block_start"],
        ["content_block_stop", "message_delta", "message_stop"],
    )
    text = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(text) == ANSWER
    [delta] = [event for event in events if event.type == "message_delta"]
    assert (delta.delta.stop_reason, delta.usage.output_tokens) == ("end_turn", 4)


@message_models
def test_anthropic_messages_with_the_sdks_own_stream_helper(ant, model):
    with ant.messages.stream(model=model, messages=HELLO, max_tokens=50) as stream:
        assert "".join(stream.text_stream) == ANSWER
        assert stream.get_final_message().usage.output_tokens == 4


@message_models
def test_anthropic_messages_without_waiting(running, provider, model):
    async def both():
        async with anthropic.AsyncAnthropic(
            base_url=running.url, api_key=running.keys["app"], max_retries=0
        ) as client:
            whole = await client.messages.create(model=model, messages=HELLO, max_tokens=50)
            async with client.messages.stream(model=model, messages=HELLO, max_tokens=50) as stream:
                text = "".join([piece async for piece in stream.text_stream])
            many = await asyncio.gather(
                *(client.messages.create(model=model, messages=HELLO, max_tokens=50) for _ in range(20))
            )
        return whole.content[0].text, text, {one.content[0].text for one in many}

    assert asyncio.run(both()) == (ANSWER, ANSWER, {ANSWER})


@message_models
def test_anthropic_tools(ant, model):
    asked = {"model": model, "messages": HELLO, "max_tokens": 50, "tools": [OWN_TOOL]}
    for choice in ({"type": "any"}, {"type": "tool", "name": "weather"}):
        answer = ant.messages.create(**asked, tool_choice=choice)
        [block] = answer.content
        assert (answer.stop_reason, block.type, block.name, block.input) == (
            "tool_use",
            "tool_use",
            "weather",
            GIVEN,
        )
    assert ant.messages.create(**asked, tool_choice={"type": "none"}).content[0].text == ANSWER


@message_models
def test_anthropic_tools_streamed(ant, model):
    two = [OWN_TOOL, {**OWN_TOOL, "name": "traffic"}]
    said = [{"role": "user", "content": "call weather and call traffic"}]
    with ant.messages.stream(model=model, messages=said, max_tokens=50, tools=two) as stream:
        answer = stream.get_final_message()
    assert [(block.name, block.input) for block in answer.content] == [("weather", GIVEN), ("traffic", GIVEN)]
    assert answer.stop_reason == "tool_use"


@message_models
def test_anthropic_tools_results_go_back(ant, model):
    said = [{"role": "user", "content": "call weather"}]
    first = ant.messages.create(model=model, messages=said, max_tokens=50, tools=[OWN_TOOL])
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "sunny"}
    turns = [*said, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    answer = ant.messages.create(model=model, messages=turns, max_tokens=50, tools=[OWN_TOOL])
    assert answer.content[0].text == "You said: [sunny]"


@message_models
@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "image/png", "data": PIXEL},
        {"type": "url", "url": "https://example.com/a.png"},
    ],
    ids=["base64", "url"],
)
def test_anthropic_images(ant, provider, model, source):
    parts = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    answer = ant.messages.create(model=model, messages=[{"role": "user", "content": parts}], max_tokens=50)
    assert answer.content[0].text == "You said: see (1 image)"
    assert (source.get("data") or source.get("url")) in provider.seen[-1].raw.decode()


@message_models
def test_anthropic_bounds(ant, model):
    short = ant.messages.create(model=model, messages=HELLO, max_tokens=2)
    assert (short.content[0].text, short.stop_reason) == ("You said:", "max_tokens")


def test_anthropic_stop_sequences(ant):
    stopped = ant.messages.create(model="sonnet", messages=HELLO, max_tokens=50, stop_sequences=["hello"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "hello")


def test_anthropic_thinking_comes_with_its_signature(ant):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {"model": "sonnet", "messages": HELLO, "max_tokens": 2048, "thinking": thinking}
    whole = ant.messages.create(**asked)
    with ant.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for answer in (whole, streamed):
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert (answer.content[0].thinking, answer.content[0].signature) == ("Let me think.", "c2lnbmVk")


def test_anthropic_prompt_caching_passes_as_it_is(ant, provider):
    system = [{"type": "text", "text": "Be brief. " * 60, "cache_control": {"type": "ephemeral"}}]
    asked = {"model": "sonnet", "messages": HELLO, "max_tokens": 9, "system": system}
    first, second = (ant.messages.create(**asked).usage for _ in range(2))
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 100
    assert provider.seen[0].body == {**asked, "model": "claude-double"}


def test_anthropic_what_the_gateway_does_not_know_passes_as_it_is(ant, provider):
    ant.beta.messages.create(
        model="sonnet",
        messages=HELLO,
        max_tokens=9,
        betas=["context-1m-2025-08-07"],
        extra_body={"new_field": {"deep": [1, 2.50]}},
        extra_query={"beta": "true"},
    )
    [seen] = provider.seen
    assert (seen.headers["anthropic-beta"], seen.query) == ("context-1m-2025-08-07", "beta=true")
    assert (seen.body["new_field"], seen.key) == ({"deep": [1, 2.5]}, "key-claude")
    assert seen.headers["anthropic-version"].startswith("20")


def test_anthropic_thinking_in_the_other_protocol_is_an_effort(ant, provider):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = ant.messages.create(model="gpt", messages=HELLO, max_tokens=2048, thinking=thinking)
    assert [block.type for block in answer.content] == ["text"]  # OpenAI shows no reasoning
    assert provider.seen[0].body["reasoning_effort"] == "low"


def test_anthropic_counts_tokens(ant):
    assert ant.messages.count_tokens(model="sonnet", messages=HELLO).input_tokens == 3


def test_anthropic_models(ant):
    assert {"gpt", "sonnet"} <= {model.id for model in ant.models.list()}
    assert ant.models.retrieve("sonnet").id == "sonnet"


def test_anthropic_batches_and_their_results_come_through_the_gateway(ant, provider):
    params = {"model": "claude-double", "messages": HELLO, "max_tokens": 9}
    batch = ant.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert ant.messages.batches.retrieve(batch.id).processing_status == "ended"
    [one] = ant.messages.batches.results(batch.id)
    assert (one.custom_id, one.result.message.content[0].text) == ("a", ANSWER)
    assert {seen.key for seen in provider.seen} == {"key-claude"}


# -- Anthropic's SDK: errors ---------------------------------------------------------------------------------------------------------


def test_anthropic_a_wrong_key(running, provider):
    with (
        anthropic.Anthropic(base_url=running.url, api_key="dr-wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        client.messages.create(model="sonnet", messages=HELLO, max_tokens=9)
    assert raised.value.body["error"]["type"] == "authentication_error"
    assert provider.seen == []


def test_anthropic_a_bearer_token_is_a_key_too(running, provider):
    with anthropic.Anthropic(
        base_url=running.url, auth_token=running.keys["app"], api_key=None, max_retries=0
    ) as client:
        answer = client.messages.create(model="sonnet", messages=HELLO, max_tokens=9)
    assert answer.content[0].text == ANSWER
    assert "authorization" not in provider.seen[0].headers  # the client's key stays here


@message_kinds
@pytest.mark.parametrize(
    "refusal",
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
    ],
)
def test_anthropic_the_providers_refusals_are_the_callers(ant, provider, fresh, kind, refusal):
    status, error, named = refusal
    provider.always(fail(status, message="told so"))
    with pytest.raises(error) as raised:
        ant.messages.create(model=fresh(kind), messages=HELLO, max_tokens=9)
    assert raised.value.body["error"]["type"] == named
    assert "told so" in raised.value.message


@message_kinds
@pytest.mark.parametrize("failure", [(429, anthropic.RateLimitError), (500, anthropic.InternalServerError)])
def test_anthropic_the_providers_failures_are_told_in_anthropics_shape(ant, provider, fresh, kind, failure):
    status, error = failure
    provider.always(fail(status, retry_after=3))
    with pytest.raises(error) as raised:
        ant.messages.create(model=fresh(kind), messages=HELLO, max_tokens=9)
    assert raised.value.body["type"] == "error"
    assert raised.value.request_id


def test_anthropic_an_overloaded_provider_is_tried_again(ant, provider):
    provider.next(fail(529, kind="overloaded_error"))
    assert (
        ant.messages.create(model="stubborn-claude", messages=HELLO, max_tokens=9).content[0].text == ANSWER
    )
    assert [seen.status for seen in provider.seen] == [529, 200]


@pytest.mark.parametrize("kind", ["openai-claude", "claude-openai"])
def test_anthropic_a_stream_that_breaks_before_its_first_token_goes_elsewhere(ant, provider, fresh, kind):
    provider.next(cut(1))
    with ant.messages.stream(model=fresh(kind), messages=HELLO, max_tokens=50) as stream:
        assert stream.get_final_message().content[0].text == ANSWER


@message_kinds
@pytest.mark.parametrize("how", ["close", "reset", "end"])
def test_anthropic_a_stream_that_breaks_later_raises(ant, provider, fresh, kind, how):
    provider.next(cut(4, how))
    got = []
    with pytest.raises(anthropic.APIStatusError) as raised:
        got.extend(ant.messages.create(model=fresh(kind), messages=HELLO, max_tokens=50, stream=True))
    assert any(event.type == "content_block_delta" for event in got)
    assert raised.value.body["type"] == "error"


def test_anthropic_an_error_within_a_stream_is_the_providers_own(ant, provider, fresh):
    provider.next(ok(error_after=5))
    with pytest.raises(anthropic.APIStatusError) as raised:
        list(ant.messages.create(model=fresh("claude"), messages=HELLO, max_tokens=50, stream=True))
    assert raised.value.body["error"]["type"] == "overloaded_error"


def test_anthropic_a_spent_budget_is_not_tried_again(running, provider):
    key = running.issue("poor too")
    with anthropic.Anthropic(base_url=running.url, api_key=key, max_retries=3) as client:
        client.messages.create(model="sonnet", messages=HELLO, max_tokens=100)
        provider.seen.clear()
        with pytest.raises(anthropic.APIStatusError) as raised:
            client.messages.create(model="sonnet", messages=HELLO, max_tokens=100)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert provider.seen == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("top_k", 5), ("container", {"skills": [{"type": "anthropic", "skill_id": "xlsx"}]})],
)
def test_anthropic_what_cannot_be_said_in_the_other_protocol_is_refused_by_name(ant, provider, field, value):
    with pytest.raises(anthropic.BadRequestError, match=field):
        ant.messages.create(model="gpt", messages=HELLO, max_tokens=2048, extra_body={field: value})
    assert provider.seen == []


# -- streams as they are on the wire -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [{"split": 3}, {"line_end": "\r\n"}, {"comments": True}, {"chunked": False}, {"usage_in_last": True}, {"done": False}], ids=str)  # fmt: skip
def test_openai_streams_of_other_servers(oai, provider, fresh, told):
    provider.next(ok(**told))
    try:
        chunks = list(oai.chat.completions.create(model=fresh("openai"), messages=HELLO, stream=True))
    except openai.APIError:
        assert told == {"done": False}  # without its end a stream is broken
        return
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
