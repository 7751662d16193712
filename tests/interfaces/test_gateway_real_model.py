"""A real small language model behind the gateway, through both official SDKs, in its own protocol and across."""

import sqlite3

import anthropic
import openai
import pytest

import ai_rig

SAID = [{"role": "user", "content": "Say hi."}]
MODELS = {"chat": {"targets": ["openai/smollm2"]}, "message": {"targets": ["claude/smollm2"]}}


@pytest.fixture(scope="module")
def running(real_model, tmp_path_factory):
    wanted = ai_rig.estate(real_model, gateway={"models": MODELS})
    with ai_rig.gateway(tmp_path_factory.mktemp("gateway"), wanted) as running:
        running.issue("app")
        yield running


@pytest.fixture
def oai(running):
    with openai.OpenAI(base_url=running.openai_url, api_key=running.keys["app"], max_retries=0) as client:
        yield client


@pytest.fixture
def ant(running):
    with anthropic.Anthropic(base_url=running.url, api_key=running.keys["app"], max_retries=0) as client:
        yield client


both = pytest.mark.parametrize("model", ["chat", "message"])


@both
def test_openai_hears_the_same_whole_and_streamed(oai, model):
    asked = {"model": model, "messages": SAID, "max_tokens": 8, "temperature": 0}
    whole = oai.chat.completions.create(**asked)
    chunks = list(oai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content != ""
    assert whole.usage.prompt_tokens == chunks[-1].usage.prompt_tokens > 5
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens <= 8


@both
def test_anthropic_hears_the_same_whole_and_streamed(ant, model):
    # Where an answer begins with a sign of several tokens, llama.cpp leaves out message_start: the same words, each time.
    asked = {"model": model, "messages": SAID, "max_tokens": 8, "extra_body": {"temperature": 0}}
    whole = ant.messages.create(**asked)
    with ant.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    assert whole.content[0].text
    assert streamed.content[0].text
    assert whole.usage.output_tokens <= 8
    prompts = [one.usage.input_tokens + (one.usage.cache_read_input_tokens or 0) for one in (whole, streamed)]
    assert prompts[0] == prompts[1] > 5


def test_a_response_is_streamed_to_its_end(oai):
    events = oai.responses.create(model="chat", input="Say hi.", max_output_tokens=8, stream=True)
    kinds = [event.type for event in events]  # the SDK's helper wants indexes, which llama.cpp does not write
    assert kinds[0] == "response.created"
    assert kinds[-1] in ("response.completed", "response.incomplete")


def test_every_token_of_it_is_in_the_ledger(running, oai):
    answer = oai.chat.completions.create(model="chat", messages=SAID, max_tokens=8)
    said = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    running.wait_until(lambda: said in usage(running))


def usage(running):
    """Input and output tokens of each row that is written."""
    store = sqlite3.connect(f"file:{running.project}/.datareeve/gateway.sqlite?mode=ro", uri=True)
    try:
        return store.execute("SELECT input, output FROM usage WHERE status = 'ok' AND model <> ''").fetchall()
    finally:
        store.close()
