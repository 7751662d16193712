"""The rig itself: the double keeps to what the official SDKs read and to what a real server sends, and its faults are faults."""

import http.client
import json

import anthropic
import openai
import pytest

from ai_rig import cut, drop, fail, garbage, ok, silence

HELLO = [{"role": "user", "content": "hello there"}]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "of a city", "parameters": TOOL},
}
OWN_TOOL = {"name": "weather", "description": "of a city", "input_schema": TOOL}


@pytest.fixture
def oai(double):
    with openai.OpenAI(base_url=double.openai_url, api_key="sk-1", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def ant(double):
    with anthropic.Anthropic(
        base_url=double.anthropic_url, api_key="sk-1", max_retries=0, timeout=5
    ) as client:
        yield client


def test_a_chat_says_back_what_was_said(double, oai):
    answer = oai.chat.completions.create(model="double-small", messages=HELLO)
    assert answer.choices[0].message.content == "You said: hello there"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 4)
    [seen] = double.seen
    assert (seen.key, seen.model, seen.status, seen.ended, seen.used.output) == (
        "sk-1",
        "double-small",
        200,
        "whole",
        4,
    )


def test_a_streamed_chat_has_a_token_an_event_and_its_usage_at_the_end(double, oai):
    chunks = list(
        oai.chat.completions.create(
            model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: hello there"
    assert chunks[-1].usage.completion_tokens == 4
    assert len(chunks) == 1 + 4 + 1 + 1
    assert double.seen[0].used.output == 4


def test_a_message_and_its_stream_say_the_same(double, ant):
    whole = ant.messages.create(model="m", messages=HELLO, max_tokens=50)
    with ant.messages.stream(model="m", messages=HELLO, max_tokens=50) as stream:
        streamed = stream.get_final_message()
    assert whole.content[0].text == streamed.content[0].text == "You said: hello there"
    assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")
    assert (whole.usage.output_tokens, streamed.usage.output_tokens) == (4, 4)
    assert [one.used.output for one in double.seen] == [4, 4]


def test_a_response_and_its_stream_say_the_same(oai):
    whole = oai.responses.create(model="m", input="hello there")
    with oai.responses.stream(model="m", input="hello there") as stream:
        streamed = stream.get_final_response()
    assert whole.output_text == streamed.output_text == "You said: hello there"
    assert whole.usage.total_tokens == streamed.usage.total_tokens == 7


def test_tools_are_called_by_every_endpoint_whole_and_streamed(oai, ant):
    given = {"city": "Paris", "days": 1}
    chat = oai.chat.completions.create(model="m", messages=HELLO, tools=[CHAT_TOOL], tool_choice="required")
    assert json.loads(chat.choices[0].message.tool_calls[0].function.arguments) == given
    with oai.chat.completions.stream(
        model="m", messages=HELLO, tools=[CHAT_TOOL], tool_choice="required"
    ) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert (streamed.finish_reason, json.loads(streamed.message.tool_calls[0].function.arguments)) == (
        "tool_calls",
        given,
    )
    flat = {"type": "function", "strict": False, **CHAT_TOOL["function"]}
    assert (
        json.loads(
            oai.responses.create(model="m", input="x", tools=[flat], tool_choice="required")
            .output[0]
            .arguments
        )
        == given
    )
    choice = {"type": "any"}
    whole = ant.messages.create(model="m", messages=HELLO, max_tokens=9, tools=[OWN_TOOL], tool_choice=choice)
    with ant.messages.stream(
        model="m", messages=HELLO, max_tokens=9, tools=[OWN_TOOL], tool_choice=choice
    ) as own:
        assert own.get_final_message().content[0].input == whole.content[0].input == given


def test_batches_of_both_are_done_at_once(oai, ant):
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": HELLO},
    }
    file = oai.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = oai.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    [result] = [json.loads(one) for one in oai.files.content(batch.output_file_id).text.splitlines()]
    assert result["response"]["body"]["choices"][0]["message"]["content"] == "You said: hello there"
    own = ant.messages.batches.create(
        requests=[{"custom_id": "a", "params": {"model": "m", "messages": HELLO, "max_tokens": 9}}]
    )
    [one] = ant.messages.batches.results(own.id)
    assert (one.custom_id, one.result.message.content[0].text) == ("a", "You said: hello there")


def test_what_is_marked_for_the_prompt_cache_is_written_once_and_then_read(ant):
    system = [{"type": "text", "text": "Be brief. " * 50, "cache_control": {"type": "ephemeral"}}]
    first, second = (
        ant.messages.create(model="m", messages=HELLO, max_tokens=9, system=system).usage for _ in range(2)
    )
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 100
    assert first.cache_read_input_tokens == second.cache_creation_input_tokens == 0


def test_it_does_the_next_things_in_order_and_then_what_it_always_does(double, oai):
    double.next(fail(429, retry_after=7), fail(500), model="m")
    double.always(fail(503), model="never")
    with pytest.raises(openai.RateLimitError) as raised:
        oai.chat.completions.create(model="m", messages=HELLO)
    assert raised.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError):
        oai.chat.completions.create(model="m", messages=HELLO)
    oai.chat.completions.create(model="m", messages=HELLO)
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            oai.chat.completions.create(model="never", messages=HELLO)
    assert (double.served(model="m"), double.served(model="never"), len(double.seen)) == (1, 0, 5)


def test_a_key_that_it_does_not_take_is_told_so_in_each_shape(double, oai, ant):
    double.keys = {"another"}
    with pytest.raises(openai.AuthenticationError):
        oai.models.list()
    with pytest.raises(anthropic.AuthenticationError):
        ant.models.list()


def test_it_limits_each_key_as_its_headers_say(double, oai):
    double.per_minute = 2
    first = oai.chat.completions.with_raw_response.create(model="m", messages=HELLO)
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    oai.chat.completions.create(model="m", messages=HELLO)
    with pytest.raises(openai.RateLimitError):
        oai.chat.completions.create(model="m", messages=HELLO)


def raw_answer(double, *, stream=True):
    """Status and body as the standard library reads them, and the exception it ended with."""
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=0.7)
    try:
        connection.request(
            "POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": HELLO, "stream": stream})
        )
        answer = connection.getresponse()
        read = b""
        while chunk := answer.read1() if stream else answer.read():
            read += chunk
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, locals().get("read", b"")
    else:
        return answer.status, read
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("told", "stream", "is_seen"),
    [
        (cut(2), True, ("IncompleteRead", 2, "cut")),
        (cut(2, "reset"), True, ("ConnectionResetError", 2, "cut")),
        (cut(2, "end"), True, (200, 2, "cut")),
        (cut(20), False, ("IncompleteRead", 0, "cut")),
        (ok(lie=10), False, ("IncompleteRead", 0, "cut")),
        (ok(body=b"<html>oops"), False, (200, 0, "whole")),
        (garbage(), True, ("BadStatusLine", 0, "cut")),
        (drop(), True, ("RemoteDisconnected", 0, "cut")),
        (silence(), True, ("TimeoutError", 0, "client left")),
        (silence(3), True, ("TimeoutError", 3, "client left")),
        (ok(error_after=1), True, (200, 2, "error")),
        (ok(split=7), True, (200, 7, "whole")),
        (ok(chunked=False, comments=True), True, (200, 7, "whole")),
        (ok(done=False), True, (200, 6, "whole")),
    ],
)  # fmt: skip
def test_a_fault_is_what_it_says(double, told, stream, is_seen):
    double.always(told)
    status, read = raw_answer(double, stream=stream)
    double.wait_until(lambda: double.seen[0].ended)
    assert (status, read.count(b"data: "), double.seen[0].ended) == is_seen


def test_crlf_line_ends_and_usage_in_the_last_chunk_are_still_a_stream(double, oai):
    double.always(ok(line_end="\r\n", comments=True, usage_in_last=True, split=5))
    *_, last = oai.chat.completions.create(model="m", messages=HELLO, stream=True)
    assert (last.choices[0].finish_reason, last.usage.completion_tokens) == ("stop", 4)


def test_what_it_holds_is_answered_when_it_is_let_go(double):
    double.next(ok(hold=True))
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=5)
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": HELLO}))
    double.wait_until(lambda: double.seen)
    assert double.running == 1
    double.let_go()
    assert connection.getresponse().status == 200
    connection.close()


def test_a_dead_double_refuses_and_comes_back_at_the_same_port(double):
    port = double.port
    double.stop()
    assert raw_answer(double)[0] == "ConnectionRefusedError"
    double.start()
    assert (double.port, raw_answer(double)[0]) == (port, 200)


# -- the double against a real server ----------------------------------------------------------------------------------------------

SHAPES = ["/v1/chat/completions", "/v1/responses", "/v1/messages"]
OWN = {"timings", "model", "metadata"}  # llama.cpp's own fields, and values that differ


def asked(port, path, stream):
    limit = "max_output_tokens" if path.endswith("responses") else "max_tokens"
    said = {"input": "hello there"} if path.endswith("responses") else {"messages": HELLO}
    body = {
        "model": "m",
        limit: 4,
        "stream": stream,
        **said,
        **({"stream_options": {"include_usage": True}} if stream else {}),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    read = answer.read().decode()
    connection.close()
    assert answer.status == 200, read
    return answer.headers.get_content_type(), read


def shape(value):
    """Names and kinds of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if name not in OWN}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def missing(real, ours, at=""):
    """Paths of what the real server says and the double does not, or says in another kind of value."""
    if isinstance(real, dict) and isinstance(ours, dict):
        return [
            m for name, one in real.items() for m in missing(one, ours.get(name, "nothing"), f"{at}.{name}")
        ]
    if isinstance(real, list) and isinstance(ours, list):
        return missing(real[0], ours[0], f"{at}[]")
    alike = {"NoneType", "str"} if at.endswith("content") else {real if isinstance(real, str) else ""}
    return [] if ours == real or (isinstance(ours, str) and ours in alike) else [f"{at}: {real} != {ours}"]


@pytest.mark.parametrize("path", SHAPES)
def test_a_whole_answer_holds_all_that_a_real_server_says(double, real_model, path):
    (real_kind, real), (kind, ours) = (
        asked(port, path, stream=False) for port in (real_model.port, double.port)
    )
    assert kind == real_kind
    lost = missing(shape(json.loads(real)), shape(json.loads(ours)))
    assert [one for one in lost if not one.startswith(".completed_at")] == []


def kinds(text):
    """The kinds of events in order, repeats left out: their names, or what a chunk's choice holds."""
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        data = {} if lines["data"] == "[DONE]" else json.loads(lines["data"])
        choice = (data.get("choices") or [{}])[0]
        chunk = (
            "end"
            if choice.get("finish_reason")
            else "usage"
            if data.get("usage")
            else "delta"
            if choice
            else lines["data"]
        )
        name = lines.get("event", chunk)
        found += [name] if found[-1:] != [name] else []
    return [name for name in found if name != "ping"]


@pytest.mark.parametrize("path", SHAPES)
def test_a_stream_has_the_events_of_a_real_server(double, real_model, path):
    (real_kind, real), (kind, ours) = (
        asked(port, path, stream=True) for port in (real_model.port, double.port)
    )
    assert kind == real_kind
    ours_named = [name.replace("response.incomplete", "response.completed") for name in kinds(ours)]
    assert ours_named == kinds(real)
