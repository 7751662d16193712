from __future__ import annotations

import httpx2
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.dialects import Refusal, form, table
from datareeve.capabilities.ai.gateway.dialects.batches import summed
from datareeve.capabilities.ai.gateway.usage import Tokens

FILES = table.of("POST", "/v1/files")
AUDIO = table.of("POST", "/v1/audio/transcriptions")
BATCHES = table.of("POST", "/v1/messages/batches")
RESULTS = table.of("GET", "/v1/messages/batches/b/results")
CONTENT = table.of("GET", "/v1/files/f/content")
TYPE = "multipart/form-data; boundary=X"


def a_form(*fields, mark="X", head=b'Content-Disposition: form-data; name="%b"'):
    parts = [
        b"--%b\r\n" % mark.encode() + head % name.encode() + b"\r\n\r\n" + value + b"\r\n"
        for name, value in fields
    ]
    return b"".join(parts) + b"--%b--\r\n" % mark.encode()


def code(call):
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.problem.code


def sent_by_the_sdk(call):
    """What the official SDK sends: its body and its content type."""
    seen = []

    def answer(request):
        seen.append((request.read(), request.headers["content-type"]))
        return httpx2.Response(200, json={"id": "f", "text": "x"})

    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    call(client)
    client.close()
    return seen[0]


def test_what_the_sdk_uploads_is_read_and_only_the_model_changes():
    raw, kind = sent_by_the_sdk(
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"\xff\r\n--\x00 sound"))
    )
    for body in ({}, {"content-type": kind}):
        asked = AUDIO.asked(raw, body)
        assert asked.model == "whisper-1"
        assert AUDIO.outgoing(asked, "whisper-1") is raw
        assert AUDIO.outgoing(asked, "w") == raw.replace(b"whisper-1", b"w")


def test_a_file_for_a_batch_is_read_line_by_line():
    lines = [
        {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "m", "messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 10}}
        for n in range(3)
    ]  # fmt: skip
    text = b"\n".join(map(orjson.dumps, lines)) + b"\n"
    raw, kind = sent_by_the_sdk(lambda c: c.files.create(file=("b.jsonl", text), purpose="batch"))
    asked = FILES.asked(raw, {"content-type": kind})
    assert (asked.model, asked.max_output, asked.batch) == ("m", 30, True)
    assert asked.input_estimate > 3 * 6
    assert FILES.outgoing(asked, "o") == raw.replace(b'"model":"m"', b'"model":"o"')
    assert FILES.outgoing(asked, "m") is raw


def batch_file(*lines):
    return a_form(("purpose", b"batch"), ("file", b"\n".join(lines)))


LINE = b'{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":%b}'


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (
            [LINE % b'{"model":"cheap","input":"x"}', LINE % b'{"model":"dear","input":"x"}'],
            "gateway.batch-models",
        ),
        ([LINE % b'{"model":"cheap","model":"dear"}'], "gateway.repeated-field"),
        (
            [b'{"url":"/v1/embeddings","body":{"model":"cheap"},"body":{"model":"dear"}}'],
            "gateway.repeated-field",
        ),
        ([b'{"url":"/v1/embeddings"}'], "gateway.batch-line"),
        ([b"nonsense"], "gateway.batch-line"),
        ([b'{"url":"/v1/else","body":{"model":"m"}}'], "gateway.batch-line"),
        (
            [LINE.replace(b"embeddings", b"chat/completions") % b'{"model":"m","stream":true}'],
            "gateway.bad-field",
        ),
    ],
)
def test_a_file_for_a_batch_that_hides_a_model_is_refused(lines, wrong):
    assert code(lambda: FILES.asked(batch_file(*lines), {"content-type": TYPE})) == wrong


def test_any_other_file_passes_unread():
    raw = a_form(("purpose", b"assistants"), ("file", b"anything"))
    asked = FILES.asked(raw, {"content-type": TYPE})
    assert (asked.model, FILES.outgoing(asked, "o")) == ("", raw)


GOOD = a_form(("model", b"cheap"), ("file", b"x"))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"--X--\r\n", b"nonsense", GOOD[:-6], b"preamble\r\n" + GOOD, GOOD + b"--X\r\n", GOOD.replace(b"--X\r\n", b"--X \r\n"),
        GOOD.replace(b'name="model"', b"name=model"), GOOD.replace(b'name="model"', b'name="mod\\el"'),
        GOOD.replace(b"form-data; ", b"form-data; name*=utf-8''model; "),
        GOOD.replace(b"\r\n\r\ncheap", b'\r\nContent-Disposition: form-data; name="x"\r\n\r\ncheap'),
        GOOD.replace(b'name="model"', b'\r\n name="model"'), GOOD.replace(b'name="model"', b'name="model"\nX: y'),
        a_form(("model", b"cheap"), mark="Y") + GOOD,
        GOOD.replace(b"\r\n\r\ncheap", b"\r\nContent-Transfer-Encoding: base64\r\n\r\ncheap"),
    ],
)  # fmt: skip
def test_a_form_that_may_be_read_in_two_ways_is_refused(raw):
    assert code(lambda: AUDIO.asked(raw, {"content-type": TYPE})) == "gateway.form"


def test_a_part_may_say_that_it_is_not_encoded():
    raw = GOOD.replace(
        b"\r\n\r\nx", b"\r\nContent-Type: audio/mpeg\r\nContent-Transfer-Encoding: binary\r\n\r\nx"
    )
    assert AUDIO.asked(raw, {"content-type": TYPE}).model == "cheap"


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (a_form(("model", b"cheap"), ("model", b"dear")), "gateway.repeated-field"),
        (a_form(("model", b"cheap"), ("Model", b"dear")), "gateway.odd-field"),
        (a_form(("file", b"x")), "gateway.no-model"),
        (a_form(*[("x", b"")] * 300), "gateway.form"),
    ],
)
def test_a_second_model_in_a_form_is_refused(raw, wrong):
    assert code(lambda: AUDIO.asked(raw, {"content-type": TYPE})) == wrong


@given(st.binary(max_size=200), st.sampled_from((GOOD, b"--X\r\n", b"")))
def test_any_bytes_are_a_form_or_refused(data, before):
    for content_type in ("", TYPE, "text/plain"):
        try:
            found = list(form.parts(before + data, content_type))
        except Refusal:
            continue
        assert all(0 < part.start <= part.end for part in found)


# -- Anthropic's batches -------------------------------------------------------------------------------------------


def batch(*models, **fields):
    message = {"max_tokens": 7, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return {
        "requests": [{"custom_id": str(n), "params": {"model": m, **message}} for n, m in enumerate(models)]
    }


@pytest.mark.parametrize("write", [orjson.dumps, lambda body: orjson.dumps(body, option=orjson.OPT_INDENT_2)])
def test_a_batch_is_read_as_the_sum_of_its_requests_and_renamed_in_each(write):
    raw = write(batch("m", "m"))
    asked = BATCHES.asked(raw, orjson.loads(raw))
    assert (asked.model, asked.max_output, asked.batch) == ("m", 14, True)
    told = BATCHES.outgoing(asked, "other")
    assert told == raw.replace(b'"m"', b'"other"')


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (orjson.dumps(batch("cheap", "dear")), "gateway.batch-models"),
        (orjson.dumps(batch("m", stream=True)), "gateway.bad-field"),
        (b'{"requests":[]}', "gateway.bad-field"),
        (b'{"requests":[5]}', "gateway.bad-field"),
        (b'{"requests":[{"params":5}]}', "gateway.bad-field"),
        (b'{"requests":[{"params":{"model":"cheap","model":"dear"}}]}', "gateway.repeated-field"),
        (b'{"requests":[{"params":{"model":"cheap"},"params":{"model":"dear"}}]}', "gateway.bad-field"),
        (rb'{"requests":[{"params":{"model":"cheap"},"par\u0061ms":{"model":"dear"}}]}', "gateway.bad-field"),
        (b'{"requests":[{"params":{"model":"cheap","MODEL":"dear"}}]}', "gateway.odd-field"),
        (b'{"requests":[{"params":{"model":"cheap"},"Params":{"model":"dear"}}]}', "gateway.odd-field"),
        (b'{"requests":[{"params":{"model":"cheap"}}],"requests":[]}', "gateway.repeated-field"),
    ],
)
def test_a_batch_that_hides_a_model_is_refused(raw, wrong):
    assert code(lambda: BATCHES.asked(raw, orjson.loads(raw))) == wrong


def test_results_are_counted_by_model_and_failures_cost_nothing():
    message = {"model": "m", "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 1}}
    lines = [{"result": {"type": "succeeded", "message": message}}] * 2 + [
        {"result": {"type": "errored", "error": {}}}
    ]
    answer = b"\n".join(map(orjson.dumps, lines))
    assert summed(RESULTS.by_model(answer).values()) == Tokens(12, 4, cache_read=2)
    theirs = {
        "response": {
            "status_code": 200,
            "body": {"model": "g", "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
        }
    }
    assert CONTENT.by_model(orjson.dumps(theirs) + b'\nnonsense "usage"\n["usage"]') == {"g": Tokens(5, 2)}
    assert CONTENT.tokens(b"any other file") == Tokens()


LINE = b'{"custom_id":"a","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}'
AS_A_FILE = a_form(("purpose", b"batch"), ("file", LINE)).replace(
    b'name="purpose"', b'name="purpose"; filename="p"'
)


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (a_form(("purpose", b"batch"), ("purpose", b"user_data"), ("file", LINE)), "gateway.repeated-field"),
        (a_form(("purpose", b"user_data"), ("purpose", b"batch"), ("file", LINE)), "gateway.repeated-field"),
        (a_form(("Purpose", b"batch"), ("purpose", b"user_data"), ("file", LINE)), "gateway.odd-field"),
        (AS_A_FILE, "gateway.form"),
    ],
)
def test_what_a_file_is_for_is_said_once(raw, wrong):
    assert code(lambda: FILES.asked(raw, {"content-type": TYPE})) == wrong


@pytest.mark.parametrize("purpose", [b"batch", b" Batch ", b"batch-api"])
def test_a_file_for_a_batch_is_read_whatever_its_provider_calls_it(purpose):
    raw = a_form(("purpose", purpose), ("file", LINE))
    assert FILES.asked(raw, {"content-type": TYPE}).model == "m"


@pytest.mark.parametrize(("said", "streams"), [(b"true", True), (b"TRUE", True), (b"1", True), (b"false", False), (b"0", False), (b"", False)])  # fmt: skip
def test_whether_a_form_asks_for_a_stream(said, streams):
    raw = a_form(("model", b"m"), ("stream", said))
    assert AUDIO.asked(raw, {"content-type": TYPE}).stream is streams


@pytest.mark.parametrize("said", [b"on", b"yes", b"t", b"y", b"2", b"none"])
def test_a_flag_that_only_some_take_for_true_is_refused(said):
    raw = a_form(("model", b"m"), ("stream", said))
    assert code(lambda: AUDIO.asked(raw, {"content-type": TYPE})) == "gateway.bad-field"
