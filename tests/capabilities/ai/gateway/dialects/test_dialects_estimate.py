# ruff: noqa: RUF001 - other scripts are what is measured
from __future__ import annotations

import base64
import struct

import orjson
import pytest

from datareeve.capabilities.ai.gateway.dialects import Refusal, estimate, pictures, table

# counted by cl100k_base, o200k_base (tiktoken 0.14), Anthropic's published tokenizer and DeepSeek's (tokenizers 0.23)
COUNTED = [
    ("English prose", "Choosing an index is a trade: every read that it serves gets faster, and every write has one more structure to keep. Ask the planner what it would do before you build anything, and measure on a copy with the traffic that you really have.", (50, 50, 53, 50)),
    ("German prose", "Eine Datenbank ist ein System zur elektronischen Datenverwaltung. Die wesentliche Aufgabe ist es, große Datenmengen effizient, widerspruchsfrei und dauerhaft zu speichern.", (47, 34, 52, 46)),
    ("Polish prose", "Napisz zapytanie, które znajdzie dziesięciu klientów o największej wartości zamówień w zeszłym miesiącu, i wyjaśnij, dlaczego tak.", (51, 39, 65, 45)),
    ("Russian prose", "Напишите запрос, который найдёт десять клиентов с самой большой суммой заказов за прошлый месяц, и объясните почему.", (51, 27, 60, 31)),
    ("Chinese prose", "请帮我写一个查询，找出上个月订单金额最高的十位客户，并说明为什么这样写。数据管理不再仅仅是存储和管理数据。", (48, 37, 43, 30)),
    ("Japanese prose", "先月の注文金額が最も高い顧客を十人教えてください。データベースは、検索や蓄積が容易にできるよう整理された情報の集まりです。", (64, 46, 60, 41)),
    ("Hindi prose", "पिछले महीने सबसे अधिक ऑर्डर वाले दस ग्राहकों को खोजने के लिए एक क्वेरी लिखें।", (75, 24, 83, 45)),
    ("Python", 'def members(raw: bytes, at: int = 0) -> Iterator[tuple[str, int, int]]:\n    position = raw.index(b"{", at) + 1\n    while (key := _KEY.match(raw, position)) is not None:\n        start = key.end()\n        position = _end(raw, start)\n        yield _unescaped(key[1]), start, position\n', (81, 81, 88, 83)),
    ("SQL", "SELECT c.customer_id, c.name, sum(o.total) AS spent\nFROM customers c JOIN orders o USING (customer_id)\nWHERE o.ordered_at >= date_trunc('month', now()) - interval '1 month'\nGROUP BY 1, 2 ORDER BY spent DESC LIMIT 10;", (61, 61, 68, 63)),
    ("JSON", '[{"id":17,"name":"customer 17","email":"user17@example.com","total":482.13,"active":true},{"id":18,"name":"customer 18","email":"user18@example.com","total":90.5,"active":false}]', (56, 56, 58, 58)),
    ("CSV", "id,at,lat,lon\n1,2026-11-02T12:00:07Z,52.52000,13.40495\n2,2026-11-02T12:00:09Z,48.85661,2.35222\n3,2026-11-02T12:00:12Z,51.50735,-0.12776\n", (85, 86, 86, 86)),
    ("UUIDs", "3f2504e0-4f89-11d3-9a0c-0305e82c3301\n7d444840-9dc0-11d1-b245-5ffdce74fad2\n", (50, 50, 54, 52)),
    ("base64", "mJx0c3VwZXIgc2VjcmV0IGJ5dGVzIHRoYXQgbm9ib2R5IHJlYWRzIGV4Y2VwdCBtYWNoaW5lcw==9fK2qLw8ZtVbXn4RpQeYh7Ua1Ds6Go", (86, 83, 81, 82)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "counts"), COUNTED, ids=[row[0] for row in COUNTED])
def test_an_estimate_is_never_far_below_what_tokenizers_count_nor_wild(kind, text, counts):
    assert 0.6 * max(counts) <= estimate.of_text(text) <= 2 * max(counts)


def test_estimates_of_common_texts_are_close():
    common = [row for row in COUNTED if row[0] in ("English prose", "German prose", "Python", "SQL", "CSV")]
    assert all(0.85 <= estimate.of_text(text) / max(counts) <= 1.3 for _, text, counts in common)


def chat(content, **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return table.of("POST", "/v1/chat/completions").asked(orjson.dumps(body), body).input_estimate


def message(content, **fields):
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}], **fields}
    return table.of("POST", "/v1/messages").asked(orjson.dumps(body), body).input_estimate


def png(width, height, size=0):
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(5)
    return base64.b64encode(head + bytes(size)).decode()


def jpeg(width, height):
    table_ = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    frame = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)
    return base64.b64encode(b"\xff\xd8" + table_ + frame).decode()


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((1024, 1024), 765),
        ((2048, 4096), 1105),
        ((512, 512), 255),
        ((100, 100), 255),
    ],  # the first two: OpenAI's own examples
)
def test_openais_pictures_cost_by_tiles(size, tokens):
    for url in (f"data:image/png;base64,{png(*size)}", f"data:image/jpeg;base64,{jpeg(*size)}"):
        assert pictures.openai({"type": "image_url", "image_url": {"url": url}}) == tokens
        assert pictures.openai({"type": "input_image", "image_url": url}) == tokens
    assert pictures.openai({"image_url": {"url": "https://x/y.png", "detail": "low"}}) == 85
    assert pictures.openai({"image_url": {"url": "https://x/y.png"}}) == 1445


@pytest.mark.parametrize(("size", "tokens"), [((200, 200), 54), ((1000, 1000), 1334), ((8000, 8000), 1600)])
def test_anthropics_pictures_cost_by_their_area(size, tokens):
    assert pictures.anthropic({"source": {"type": "base64", "data": png(*size)}}) == tokens
    assert pictures.anthropic({"source": {"type": "url", "url": "https://x"}}) == 1600


def test_a_pictures_bytes_are_not_counted_as_text():
    url = f"data:image/png;base64,{png(1024, 1024, 1_000_000)}"
    assert (
        765
        < chat([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}])
        < 800
    )
    source = {"type": "base64", "media_type": "image/png", "data": png(1000, 1000, 1_000_000)}
    assert 1334 < message([{"type": "tool_result", "content": [{"type": "image", "source": source}]}]) < 1400


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": 5},
        {"image_url": {"url": "data:,"}},
        {"source": {"data": "ÿ€"}},
        {"source": {"data": "AA"}},
        {},
    ],
)
def test_pictures_that_are_none_cost_the_most(part):
    assert (pictures.openai(part), pictures.anthropic(part)) == (1445, 1600)


def test_pages_sound_tools_and_files_are_counted():
    page = {"type": "document", "source": {"type": "base64", "data": "A" * 100_000}}
    assert message([page]) > 2 * estimate.A_PAGE
    assert message([{"type": "document", "source": {"type": "text", "data": "word " * 400}}]) > 400
    assert chat([{"type": "input_audio", "input_audio": {"data": "A" * 1_000_000, "format": "mp3"}}]) > 450
    assert (
        chat("x", tools=[{"type": "function", "function": {"name": "f", "description": "word " * 100}}]) > 100
    )
    assert chat([{"type": "file", "file": {"file_id": "f"}}]) > 1000


def test_odd_messages_are_survived():
    for odd in (
        None,
        5,
        "text",
        [],
        [None],
        [5],
        ["x"],
        [{"content": {"a": 1}}],
        [{"role": "user", "content": [[], None, 3, {}]}],
    ):
        body = {"model": "m", "messages": odd, "system": odd, "tools": odd}
        for path in ("/v1/messages", "/v1/chat/completions"):
            assert table.of("POST", path).asked(orjson.dumps(body), body).input_estimate >= estimate.A_REQUEST


def test_content_nested_in_content_ends_somewhere():
    inner = [{"type": "text", "text": "x"}]
    for _ in range(100):
        inner = [{"type": "tool_result", "content": inner}]
    assert message(inner) > 0


def test_a_body_too_deep_to_be_written_is_refused():
    deep = b'{"model":"m","messages":' + b"[" * 500 + b"]" * 500 + b"}"
    with pytest.raises(Refusal) as caught:
        table.of("POST", "/v1/messages").asked(deep, orjson.loads(deep))
    assert caught.value.problem.code == "gateway.too-deep"


@pytest.mark.parametrize(
    ("inputs", "tokens"),
    [("Hello world", 5), (["Hello world"] * 3, 15), ([1, 2, 3], 3), ([[1, 2], [3]], 3), (None, 0), (7, 0)],
)
def test_inputs_of_embeddings_are_texts_or_tokens(inputs, tokens):
    assert estimate.of_inputs(inputs) == tokens
