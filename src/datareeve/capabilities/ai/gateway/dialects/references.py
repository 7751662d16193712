"""What a request names of what a provider keeps: files, containers, vector stores, earlier answers and their items, conversations.

A provider knows only us, so whoever named another's file would read it. A body without the few words that such names stand under is done after
one look at its bytes. Any other is walked: a name counts wherever it stands, but in what is the client's own (tools' arguments and schemas,
metadata) and in what only tells what came of an earlier turn (citations, results).
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from datareeve.capabilities.ai.gateway.dialects import fields, meaning
from datareeve.capabilities.ai.gateway.splice import LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.capabilities.ai.gateway.dialects import Asked, Dialect

Named = tuple[str, str]  # the field, the id

MARK: Final = re.compile(
    rb'"(?:file_id|container|vector_store_id|item_reference"|previous_response_id"|conversation")'
)
ESCAPED: Final = b"\\u00"  # any letter of them may be written so
TOP: Final = ("previous_response_id", "conversation")
FIELDS: Final = frozenset("file_id file_ids container container_id vector_store_id vector_store_ids".split())
ITEM: Final = "item_reference"
ITEMED: Final = frozenset(  # dialects whose items may be named by an id alone
    ("responses", "responses-compact", "responses-input-tokens", "conversations")
)
OWN: Final = frozenset(
    "parameters input_schema input_examples schema json_schema arguments metadata attributes filters".split()
)
CALLS: Final = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))  # their `input` is the client's own
TOLD: Final = frozenset(
    """file_citation container_file_citation file_path file_search_call code_interpreter_call code_execution_output
    bash_code_execution_output""".split()
)  # the provider reads no file because of them
SAYING: Final = {  # items that the provider looks up by their id, but where one of these says what they are
    "reasoning": ("encrypted_content", "content"),
    "image_generation_call": ("result",),
}
MOST: Final = (
    1000  # names in one request (some clients send a session's items as references), in a batch's file
)
MOST_MADE: Final = 1000  # in one answer
LONGEST: Final = 200  # characters of an id


def of(asked: Asked, dialect: Dialect) -> Sequence[Named]:
    """What a request names. Errors: `Refusal` where it could be read in two ways, names too much, or by what is no id."""
    if not dialect.reads_json:
        return asked.named
    return within(asked.raw, asked.body, itemed=dialect.name in ITEMED)


def within(raw: bytes, body: dict[str, Any], *, itemed: bool) -> list[Named]:
    """The same of one JSON body, `raw` its bytes; `itemed`: of the Responses API's kind."""
    bare = _bare(body) if itemed else []
    if not bare and not _marked(raw):
        return []
    if not meaning.is_plain(raw, body):
        raise fields.refusal(
            "gateway.repeated-field",
            "A key stands twice in one object of a body that names files or the like. Give each key once.",
        )
    found: dict[Named, None] = {}  # each once, in order
    for named in chain(bare, _top(body) if itemed else (), _walked(body)):
        found[named] = None
        if len(found) > MOST:
            raise fields.refusal(
                "gateway.too-many-names",
                f"The request names more than {MOST:,} files or the like. Name fewer.",
            )
    return list(found)


def made(answer: dict[str, Any], *, items: bool) -> list[str]:
    """The ids that an answer brings beside its own, by which a later request may name them: its items, where they are kept, and containers."""
    output = answer.get("output")
    brought = [one for one in output if type(one) is dict] if type(output) is list else []
    found = [
        one.get(name) for one in brought for name in (("id", "container_id") if items else ("container_id",))
    ]
    container = answer.get("container")
    found.append(container.get("id") if type(container) is dict else None)
    return [name for name in found if type(name) is str and 0 < len(name) <= LONGEST][:MOST_MADE]


def _marked(raw: bytes) -> bool:
    if b"\\" in raw and ESCAPED in raw:
        return True
    if len(raw) <= LARGE:
        return MARK.search(raw) is not None
    ends = range(LARGE, len(raw) + LARGE, LARGE)  # short looks: see `large`
    return any(MARK.search(raw, end - LARGE, end + LONGEST) is not None for end in ends)


def _top(body: dict[str, Any]) -> Iterator[Named]:
    """What it goes on from. Errors: `Refusal`."""
    for field in TOP:
        value = body.get(field)
        name = value.get("id") if type(value) is dict and field == "conversation" else value
        if value is None:
            continue
        if type(name) is not str:
            raise fields.refusal("gateway.bad-field", "previous_response_id and conversation must be ids.")
        yield field, name


def _bare(body: dict[str, Any]) -> list[Named]:
    """Items that are an id and nothing of their own: they need not say that they are references."""
    items = body.get("input", body.get("items"))
    if type(items) is not list:
        return []
    bare = (item for item in items if type(item) is dict and "id" in item and _is_bare(item))
    return [("input", item["id"] if type(item["id"]) is str else "") for item in bare]


def _is_bare(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    if not kind:
        return "content" not in item
    said = SAYING.get(kind) if type(kind) is str else None
    return said is not None and item["id"] is not None and not any(map(item.get, said))


def _walked(body: dict[str, Any]) -> Iterator[Named]:
    waiting: list[Any] = [body]
    while waiting:
        value = waiting.pop()
        if type(value) is list:
            waiting += [one for one in value if type(one) in (dict, list)]
        elif (kind := str(value.get("type"))) not in TOLD:
            if kind == ITEM and type(value.get("id")) is str:
                yield "input", value["id"]
            for name, inner in value.items():
                if name in FIELDS:
                    yield from ((name, one) for one in _ids(inner))
                if (
                    type(inner) in (dict, list)
                    and name not in OWN
                    and not (name == "input" and kind in CALLS)
                ):
                    waiting.append(inner)


def _ids(value: object) -> list[str]:
    if type(value) is dict:
        value = value.get("id")
    listed = value if type(value) is list else [value]
    return [one for one in listed if type(one) is str and one]
