"""What the gateway sends, keeps and gives back where personal data is taken out of prompts, and where prompts are kept."""

import json
import time

import anthropic
import openai
import pytest

import ai_rig
from datareeve.app import App
from datareeve.systems.sealing import make_kek_file

MAIL, IBAN, CARD = "ann.lee@example.org", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111"
PROMPT = f"Write to {MAIL} that {IBAN} is charged; {MAIL} holds order 4711-0815."
SENT = "Write to <EMAIL_1> that <IBAN_1> is charged; <EMAIL_1> holds order 4711-0815."
PRIVACY = {"redact": True, "columns": ["customers.full_name"], "keep_prompts": True, "keep_days": 3}


@pytest.fixture(scope="module")
def double():
    with ai_rig.FaultDouble() as provider:
        yield provider


@pytest.fixture(scope="module")
def running(double, tmp_path_factory):
    project = tmp_path_factory.mktemp("privacy")
    make_kek_file(project / ".datareeve" / "gateway.kek")
    settings = {"privacy": PRIVACY, "cache": {"seconds": 600}}
    with ai_rig.gateway(project, ai_rig.estate(double, gateway=settings)) as gateway:
        gateway.issue("app")
        yield gateway


@pytest.fixture(autouse=True)
def _well(double):
    double.well()
    double.seen.clear()


@pytest.fixture
def oai(running):
    with openai.OpenAI(base_url=running.openai_url, api_key=running.keys["app"], max_retries=0) as client:
        yield client


@pytest.fixture
def ant(running):
    with anthropic.Anthropic(base_url=running.url, api_key=running.keys["app"], max_retries=0) as client:
        yield client


def asked(text):
    return [{"role": "user", "content": text}]


def test_a_chat_goes_out_without_personal_data_and_comes_back_with_it(oai, double):
    answer = oai.chat.completions.create(model="double-small", messages=asked(PROMPT))
    assert double.seen[-1].body["messages"][0]["content"] == SENT
    assert answer.choices[0].message.content == f"You said: {PROMPT}"


@pytest.mark.parametrize("split", [None, 1, 7])
def test_a_stream_comes_back_whole_however_it_is_cut(oai, double, split):
    double.next(ai_rig.ok(split=split))
    stream = oai.chat.completions.create(
        model="double-small", messages=asked(f"{split} {PROMPT}"), stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == f"You said: {split} {PROMPT}"
    assert double.seen[-1].body["messages"][0]["content"] == f"{split} {SENT}"


def test_messages_and_responses_too_whole_and_streamed(oai, ant, double):
    whole = ant.messages.create(
        model="claude-double", max_tokens=99, system=f"For {MAIL}", messages=asked(PROMPT)
    )
    assert whole.content[0].text == f"You said: {PROMPT}"
    assert double.seen[-1].body["system"] == "For <EMAIL_1>"
    with ant.messages.stream(model="claude-double", max_tokens=99, messages=asked(PROMPT)) as stream:
        assert stream.get_final_message().content[0].text == f"You said: {PROMPT}"
    assert oai.responses.create(model="double-small", input=PROMPT).output_text == f"You said: {PROMPT}"
    with oai.responses.stream(model="double-small", input=PROMPT) as stream:
        assert stream.get_final_response().output_text == f"You said: {PROMPT}"
    assert all(MAIL.encode() not in one.raw and b"3704" not in one.raw for one in double.seen)


def test_embeddings_are_of_the_placeholders(oai, double):
    oai.embeddings.create(model="double-small", input=[f"card {CARD}", "nothing"], encoding_format="float")
    assert double.seen[-1].body["input"] == ["card <CARD_1>", "nothing"]


def test_another_protocol_is_restored_after_translation(oai, double):
    answer = oai.chat.completions.create(model="claude/claude-double", messages=asked(PROMPT), max_tokens=99)
    assert answer.choices[0].message.content == f"You said: {PROMPT}"
    assert double.seen[-1].path == "/v1/messages"
    stream = oai.chat.completions.create(
        model="claude/claude-double", messages=asked(PROMPT), max_tokens=99, stream=True
    )
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == f"You said: {PROMPT}"


def test_two_people_share_an_answer_and_each_reads_their_own_address(oai, double):
    for stream in (False, True):
        double.seen.clear()
        texts = []
        for mail in ("one@example.org", "two@example.org"):
            found = oai.chat.completions.create(
                model="double-small", messages=asked(f"shared {stream}: {mail}"), stream=stream
            )
            pieces = (
                [c.choices[0].delta.content or "" for c in found if c.choices]
                if stream
                else [found.choices[0].message.content]
            )
            texts.append("".join(pieces))
        assert texts == [
            f"You said: shared {stream}: {mail}" for mail in ("one@example.org", "two@example.org")
        ]
        assert len(double.seen) == 1


def test_files_and_batches_are_refused_for_nobody_could_put_it_back(oai, ant, double):
    message = {"model": "claude-double", "max_tokens": 9, "messages": asked("x")}
    with pytest.raises(anthropic.BadRequestError, match="could not be put back"):
        ant.messages.batches.create(requests=[{"custom_id": "a", "params": message}])
    body = {"model": "double-small", "messages": asked("x")}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    with pytest.raises(openai.BadRequestError, match="could not be put back"):
        oai.files.create(file=("x.jsonl", json.dumps(line).encode()), purpose="batch")
    assert not double.seen


def test_a_broken_stream_still_tells_its_error(oai, double):
    double.next(ai_rig.cut(after=4))
    with pytest.raises(openai.APIError):
        for _ in oai.chat.completions.create(
            model="double-small", messages=asked(f"cut {PROMPT}"), stream=True
        ):
            pass


def test_prompts_are_kept_sealed_and_redacted_and_read_back(running, oai):
    canary = f"canary-{time.time_ns()}"
    body = {"model": "double-small", "messages": asked(f"{canary} of {MAIL}")}
    oai.chat.completions.create(**body)
    list(oai.chat.completions.create(**body, stream=True))
    app = App.open(running.project)
    control = app.systems["gateway"]

    def found():
        return [
            one for one in control.read("recorded", since=0.0, most=1000) if canary in json.dumps(one["body"])
        ]

    running.wait_until(lambda: len(found()) == 2)
    streamed, whole = sorted(found(), key=lambda one: isinstance(one["answer"], dict))
    assert whole["body"]["messages"] == asked(f"{canary} of <EMAIL_1>")
    assert whole["answer"]["choices"][0]["message"]["content"] == f"You said: {canary} of <EMAIL_1>"
    assert (whole["endpoint"], whole["asked_model"]) == ("/v1/chat/completions", "double-small")
    assert whole["tokens"]["output"] > 0
    assert streamed["answer"].startswith("data: ")
    assert streamed["answer"].rstrip().endswith("[DONE]")
    app.close()
    for file in running.project.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert canary.encode() not in data, file
            assert MAIL.encode() not in data, file


def test_prompts_still_open_when_the_sealing_key_was_changed(running, oai):
    oai.chat.completions.create(model="double-small", messages=asked("before the change"))
    app = App.open(running.project)
    control = app.systems["gateway"]

    def texts():
        return {
            one["body"]["messages"][0]["content"]
            for one in control.read("recorded", since=0.0, most=1000)
            if "messages" in one["body"]
        }

    running.wait_until(lambda: "before the change" in texts())
    running.run("ai.rewrap-keys", "--to", "file:.datareeve/gateway-2.kek")
    (running.project / ".datareeve" / "gateway.kek").unlink()
    oai.chat.completions.create(model="double-small", messages=asked("after the change"))
    running.wait_until(lambda: {"before the change", "after the change"} <= texts())
    app.close()
