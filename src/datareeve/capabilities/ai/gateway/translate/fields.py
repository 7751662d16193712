"""What becomes of each field when a request or an answer crosses from one protocol to the other: the table, and the check that reads it.

The table is the behaviour: a request's field is let through, left out by name or refused by name because this table says so, and a field
that stands in no table is refused. The documentation's page is made from `TABLES`. The specification of both protocols is the types of
their official SDKs (openai 3: `types/chat`, `types/responses`; anthropic 2: `types`); a test holds the table against them, so that a
field which a new SDK adds is not forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
Does = Literal["carried", "left_out", "refused"]


class Untranslatable(Exception):
    """A request or an answer holds something the other protocol cannot say. `field` names it, `why` says why; neither holds a value."""

    def __init__(self, field: str, why: str = "the other protocol has no such field") -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one field.

    `carried`: said in the other protocol as `says` tells. `left_out`: has no counterpart there and does not touch the answer; its name is
    given back, so that the client can be told. `refused`: has none and does touch it. `neutral`: values that mean the same as leaving the
    field out; they are let through everywhere.
    """

    does: Does
    says: str
    neutral: tuple[Any, ...] = (None,)


Table = dict[str, Rule]


def carried(says: str) -> Rule:
    """The field has a counterpart."""
    return Rule("carried", says)


def left_out(says: str, *neutral: Any) -> Rule:
    """The field has none, and the answer is the same without it."""
    return Rule("left_out", says, (None, *neutral))


def refused(says: str, *neutral: Any) -> Rule:
    """The field has none, and the answer would be another without it."""
    return Rule("refused", says, (None, *neutral))


def check(value: Any, table: Table, at: str, missing: list[str]) -> None:
    """Hold an object against its table; names of what is left out are added to `missing`. `at`: its place, ending in a dot, or ''.

    Errors: `Untranslatable` where a field is refused or unknown, or where it is no object.
    """
    if type(value) is not dict:
        raise Untranslatable(at.rstrip(".") or "body", "is not an object")
    for name, held in value.items():
        rule = table.get(name)
        if rule is None:
            shown = name if _NAME.fullmatch(name) else "?"  # a client's own words are not repeated
            raise Untranslatable(at + shown, "is not known to the translation")
        if rule.does == "carried" or held in rule.neutral:
            continue
        if rule.does == "refused":
            raise Untranslatable(at + name, rule.says)
        missing.append(at + name)


def table_of(tables: dict[str, Table], value: dict[str, Any], at: str, default: str = "") -> Table:
    """The table of an object by its `type`. Errors: `Untranslatable` naming the place where that type is none of them."""
    kind = value.get("type") or default
    table = tables.get(kind) if type(kind) is str else None
    if table is None:
        raise Untranslatable(f"{at}.type", "is none that the other protocol knows")
    return table


_OFF = False
_SAME = "the same"
_TYPE = "says what the object is"
_OPENAI_ONLY = "a service of OpenAI's own; the other provider has none"
_CACHE_HINT = "a hint for the provider's prompt cache; the answer is the same without it"
_NO_FILES = "a file kept by one provider is not known to the other"
_SAMPLING = "this way of sampling is not offered by the other provider"
_ONE_ANSWER = "the other provider gives one answer a request"
_DETAIL = "how finely an image is looked at; the other provider chooses by itself"

# ---------------------------------------------------------------------------------------------------- chat completions → messages
CHAT_REQUEST: Table = {
    "messages": carried(
        "leading system and developer messages become `system`, the rest `messages`; tool messages become tool_result blocks"
    ),
    "model": carried("the target's own name"),
    "max_tokens": carried(
        "max_tokens; where neither is given, the most that the Claude generation gives: 4,096, 8,192 or 32,000"
    ),
    "max_completion_tokens": carried("max_tokens"),
    "temperature": carried(
        "the same, up to 1; 1 is the default of both and is not sent; refused above 1, and for models that take none"
    ),
    "top_p": carried("the same; 1 is the default of both and is not sent; refused for models that take none"),
    "stop": carried("stop_sequences; one of nothing but white space is refused, as Anthropic does"),
    "stream": carried(_SAME),
    "stream_options": carried("usage comes at the end of the stream where it is asked for"),
    "tools": carried("function tools; custom ones are refused"),
    "tool_choice": carried("none, auto, tool, and any for required; of allowed_tools only those are offered"),
    "parallel_tool_calls": carried("tool_choice.disable_parallel_tool_use"),
    "reasoning_effort": carried("output_config.effort; minimal becomes low, none turns thinking off"),
    "response_format": carried(
        "a json_schema becomes output_config.format; json_object is refused: Anthropic has no mode without a schema"
    ),
    "user": carried("metadata.user_id"),
    "safety_identifier": carried("metadata.user_id, before `user`"),
    "service_tier": carried("auto, and default as standard_only; others are refused, they are another price"),
    "metadata": left_out("labels of OpenAI's own store"),
    "prompt_cache_key": left_out(_CACHE_HINT),
    "prompt_cache_options": left_out(_CACHE_HINT),
    "prompt_cache_retention": left_out(_CACHE_HINT),
    "prediction": left_out("makes the same answer faster"),
    "audio": refused("Anthropic does not speak"),
    "modalities": refused("Anthropic answers in text only", ["text"]),
    "frequency_penalty": refused(_SAMPLING, 0),
    "presence_penalty": refused(_SAMPLING, 0),
    "logit_bias": refused(_SAMPLING, {}),
    "seed": refused(_SAMPLING),
    "n": refused(_ONE_ANSWER, 1),
    "logprobs": refused("Anthropic gives no probabilities", _OFF),
    "top_logprobs": refused("Anthropic gives no probabilities", 0),
    "function_call": refused("superseded by tool_choice: use that"),
    "functions": refused("superseded by tools: use those", []),
    "moderation": refused(_OPENAI_ONLY),
    "store": refused(_OPENAI_ONLY, _OFF),
    "verbosity": refused("Anthropic has no such setting", "medium"),
    "web_search_options": refused(_OPENAI_ONLY),
}
CHAT_STREAM_OPTIONS: Table = {
    "include_usage": carried("the last chunk before [DONE] holds the usage where it is true"),
    "include_obfuscation": left_out("padding against eavesdroppers; a translated stream has none", _OFF),
}
CHAT_MESSAGE: Table = {
    "role": carried(
        "system, developer, user, assistant, tool; function is refused, it is superseded by tool"
    ),
    "content": carried("text and parts; empty text, which Anthropic refuses, says nothing and is not sent"),
    "tool_calls": carried("tool_use blocks; arguments that are no JSON object are refused"),
    "tool_call_id": carried(
        "tool_use_id; signs that Anthropic refuses are replaced, the same way everywhere"
    ),
    "refusal": carried("a text block: what the assistant said"),
    "name": refused("Anthropic does not name participants"),
    "audio": refused("Anthropic does not speak"),
    "function_call": refused("superseded by tool_calls: use those"),
    "annotations": left_out("sources of an earlier answer; its text is carried", []),
    "reasoning_content": left_out(
        "what a compatible server showed of its reasoning; no provider takes another's back"
    ),
    "reasoning": left_out(
        "what a compatible server showed of its reasoning; no provider takes another's back"
    ),
}
CHAT_PARTS: dict[str, Table] = {
    "text": {
        "type": carried(_TYPE),
        "text": carried(_SAME),
        "prompt_cache_breakpoint": carried("cache_control; its ttl is the provider's default"),
    },
    "image_url": {
        "type": carried(_TYPE),
        "image_url": carried("a data: URL becomes a base64 source, another a url source"),
        "prompt_cache_breakpoint": carried("cache_control; its ttl is the provider's default"),
    },
    "file": {
        "type": carried(_TYPE),
        "file": carried(
            "a data: URL of a PDF or of plain text becomes a document; file_id is refused: " + _NO_FILES
        ),
        "prompt_cache_breakpoint": carried("cache_control; its ttl is the provider's default"),
    },
    "refusal": {"type": carried(_TYPE), "refusal": carried("a text block: what the assistant said")},
    "input_audio": {
        "type": carried(_TYPE),
        "input_audio": refused("Anthropic does not listen"),
        "prompt_cache_breakpoint": left_out(_CACHE_HINT),
    },
}
CHAT_IMAGE_URL: Table = {"url": carried("source"), "detail": left_out(_DETAIL, "auto")}
CHAT_FILE: Table = {
    "file_data": carried("source"),
    "filename": carried("title"),
    "file_id": refused(_NO_FILES),
}
CHAT_TOOLS: dict[str, Table] = {
    "function": {"type": carried(_TYPE), "function": carried("a tool")},
    "custom": {"type": carried(_TYPE), "custom": refused("tools that take free text are OpenAI's own")},
}
CHAT_FUNCTION: Table = {
    "name": carried(_SAME),
    "description": carried(_SAME),
    "parameters": carried("input_schema; none becomes an object without properties"),
    "strict": carried(_SAME),
}
CHAT_CALLS: dict[str, Table] = {
    "function": {
        "type": carried(_TYPE),
        "id": carried("id"),
        "function": carried("name and input"),
        "index": left_out("the place in a stream"),
    },
    "custom": {
        "type": carried(_TYPE),
        "id": carried("id"),
        "custom": refused("tools that take free text are OpenAI's own"),
    },
}
CHAT_CALL_FUNCTION: Table = {"name": carried(_SAME), "arguments": carried("input")}
CHAT_BREAKPOINT: Table = {"mode": carried("cache_control of type ephemeral"), "ttl": left_out(_CACHE_HINT)}
CHAT_ALLOWED: Table = {"mode": carried("tool_choice"), "tools": carried("only those tools are sent")}
CHAT_NAMED: Table = {"name": carried(_SAME)}
CHAT_CHOICES: dict[str, Table] = {
    "function": {"type": carried(_TYPE), "function": carried("a tool_choice of type tool")},
    "allowed_tools": {
        "type": carried(_TYPE),
        "allowed_tools": carried("only those tools are sent; its mode is the tool_choice"),
    },
    "custom": {"type": carried(_TYPE), "custom": refused("tools that take free text are OpenAI's own")},
}
CHAT_FORMATS: dict[str, Table] = {
    "text": {"type": carried(_TYPE)},
    "json_schema": {"type": carried(_TYPE), "json_schema": carried("output_config.format")},
    "json_object": {"type": refused("Anthropic has no JSON mode without a schema: give a json_schema")},
}
CHAT_SCHEMA: Table = {
    "name": carried("the schema's title, where it has none"),
    "description": carried("the schema's description, where it has none"),
    "schema": carried("schema"),
    "strict": carried("Anthropic always holds to the schema"),
}

# ---------------------------------------------------------------------------------------------------- messages → chat completions
MESSAGES_REQUEST: Table = {
    "max_tokens": carried(
        "max_completion_tokens for OpenAI's reasoning models, else max_tokens; 0 (warming a cache) is refused"
    ),
    "messages": carried("messages; tool_result blocks become tool messages"),
    "model": carried("the target's own name"),
    "system": carried("a first message of the role system"),
    "metadata": carried("user"),
    "output_config": carried("effort as reasoning_effort, format as response_format"),
    "service_tier": carried("auto, and standard_only as default"),
    "stop_sequences": carried("stop; refused beyond OpenAI's four"),
    "stream": carried("the same, with its usage asked for"),
    "temperature": carried(_SAME),
    "top_p": carried(_SAME),
    "thinking": carried(
        "enabled: reasoning_effort, low below 4,096 tokens of budget, medium below 16,384, else high; adaptive and disabled: nothing is "
        "sent, the model decides; no thinking blocks come back, OpenAI does not show its reasoning; between_tools is refused"
    ),
    "tool_choice": carried("the same; any becomes required, disable_parallel_tool_use parallel_tool_calls"),
    "tools": carried("function tools; Anthropic's own tools are refused by their type"),
    "cache_control": left_out(_CACHE_HINT),
    "workspace_id": left_out("chooses among Anthropic's workspaces"),
    "container": refused("Anthropic's own containers"),
    "diagnostics": refused("OpenAI does not say why its cache missed"),
    "inference_geo": refused("OpenAI cannot be held to a region by a request"),
    "speed": refused("another speed at another price", "standard"),
    "top_k": refused(_SAMPLING),
    "user_profile_id": refused("Anthropic's own profiles"),
}
MESSAGES_MESSAGE: Table = {
    "role": carried("user, assistant, system"),
    "content": carried("text and blocks"),
}
MESSAGES_BLOCKS: dict[str, Table] = {
    "text": {
        "type": carried(_TYPE),
        "text": carried(_SAME),
        "cache_control": left_out(_CACHE_HINT),
        "citations": left_out("sources of an earlier answer; its text is carried", []),
    },
    "image": {
        "type": carried(_TYPE),
        "source": carried("an image_url: base64 as a data: URL; a file is refused: " + _NO_FILES),
        "cache_control": left_out(_CACHE_HINT),
        "transformations": refused("OpenAI does not transform images"),
    },
    "document": {
        "type": carried(_TYPE),
        "source": carried("base64 becomes a file, text a text part; url, content and file are refused"),
        "title": carried("filename; refused of a text, which has none"),
        "context": refused("OpenAI's files have none"),
        "citations": refused("OpenAI does not cite files", {"enabled": False}, {}),
        "cache_control": left_out(_CACHE_HINT),
    },
    "tool_use": {
        "type": carried(_TYPE),
        "id": carried("id; shortened to OpenAI's 40 signs, the same way everywhere"),
        "input": carried("arguments"),
        "name": carried(_SAME),
        "caller": refused("code of Anthropic's own called it", {"type": "direct"}),
        "toolset_name": refused("Anthropic's own tools"),
        "cache_control": left_out(_CACHE_HINT),
    },
    "tool_result": {
        "type": carried(_TYPE),
        "tool_use_id": carried("tool_call_id"),
        "content": carried("text; images and documents are refused, a tool message holds none"),
        "is_error": carried("the text begins with 'Error: '"),
        "toolset_name": refused("Anthropic's own tools"),
        "cache_control": left_out(_CACHE_HINT),
    },
    "thinking": {
        "type": refused("no provider takes another's thinking back"),
        "thinking": refused("no provider takes another's thinking back"),
        "signature": refused("no provider takes another's thinking back"),
    },
    "redacted_thinking": {
        "type": refused("no provider takes another's thinking back"),
        "data": refused("no provider takes another's thinking back"),
    },
}
MESSAGES_SOURCES: dict[str, Table] = {
    "base64": {
        "type": carried(_TYPE),
        "data": carried("the data: URL"),
        "media_type": carried("the data: URL"),
    },
    "url": {"type": carried(_TYPE), "url": carried("an image's url; refused of a document")},
    "text": {"type": carried(_TYPE), "data": carried("a text part"), "media_type": carried("text/plain")},
    "file": {"type": refused(_NO_FILES), "file_id": refused(_NO_FILES)},
    "content": {
        "type": refused("OpenAI's files hold no parts"),
        "content": refused("OpenAI's files hold no parts"),
    },
}
MESSAGES_TOOL: Table = {
    "name": carried("the same; refused beyond OpenAI's 64 signs"),
    "description": carried(_SAME),
    "input_schema": carried("parameters"),
    "strict": carried(_SAME),
    "type": refused("a tool of Anthropic's own", "custom"),
    "allowed_callers": refused("code of Anthropic's own would call it", ["direct"]),
    "cache_control": left_out(_CACHE_HINT),
    "defer_loading": refused("OpenAI's chat knows no search for tools", _OFF),
    "eager_input_streaming": left_out("how finely its arguments are streamed"),
    "input_examples": refused("OpenAI's tools have no examples", []),
}
MESSAGES_CHOICES: dict[str, Table] = {
    "auto": {"type": carried(_SAME), "disable_parallel_tool_use": carried("parallel_tool_calls")},
    "any": {"type": carried("required"), "disable_parallel_tool_use": carried("parallel_tool_calls")},
    "tool": {
        "type": carried("function"),
        "name": carried(_SAME),
        "disable_parallel_tool_use": carried("parallel_tool_calls"),
    },
    "none": {"type": carried(_SAME)},
}
MESSAGES_THINKING: dict[str, Table] = {
    "enabled": {
        "type": carried("reasoning_effort"),
        "budget_tokens": carried("reasoning_effort, by its size"),
        "display": refused("OpenAI's chat does not show its reasoning", "omitted"),
    },
    "adaptive": {
        "type": left_out("the model decides by itself"),
        "display": refused("OpenAI's chat does not show its reasoning", "omitted"),
    },
    "disabled": {"type": carried("the same as leaving it out")},
    "between_tools": {"type": refused("OpenAI has no such mode")},
}
MESSAGES_OUTPUT_CONFIG: Table = {
    "effort": carried("reasoning_effort"),
    "format": carried("response_format of type json_schema, strict"),
}
MESSAGES_FORMAT: Table = {
    "type": carried(_TYPE),
    "schema": carried("json_schema.schema; its title is the name"),
}
MESSAGES_METADATA: Table = {"user_id": carried("user")}

# ---------------------------------------------------------------------------------------------------- responses → chat, messages
_RESPONSES_STATE = "a response kept by OpenAI is not known to the other provider: send the whole conversation"
RESPONSES_REQUEST: Table = {
    "input": carried("messages, function calls and their outputs; other items are refused by their type"),
    "instructions": carried("the first system message"),
    "model": carried("the target's own name"),
    "max_output_tokens": carried("max_tokens, or max_completion_tokens"),
    "parallel_tool_calls": carried("as of chat"),
    "reasoning": carried("effort as of chat; a summary is refused: the answer holds no reasoning"),
    "safety_identifier": carried("as of chat"),
    "service_tier": carried("as of chat"),
    "stream": carried(_SAME),
    "stream_options": carried("include_obfuscation is left out"),
    "temperature": carried("as of chat"),
    "text": carried("format as response_format; verbosity as of chat"),
    "tool_choice": carried("as of chat"),
    "tools": carried("function tools; OpenAI's own tools are refused by their type"),
    "top_p": carried("as of chat"),
    "user": carried("as of chat"),
    "metadata": left_out("labels of OpenAI's own store; the answer repeats them"),
    "prompt_cache_key": left_out(_CACHE_HINT),
    "prompt_cache_options": left_out(_CACHE_HINT),
    "prompt_cache_retention": left_out(_CACHE_HINT),
    "max_tool_calls": left_out("bounds OpenAI's own tools, which are refused"),
    "include": refused(
        "asks for items that the other protocol does not give", [], ["reasoning.encrypted_content"]
    ),
    "store": refused("the other protocol keeps no responses: send store false, or leave it out", _OFF),
    "truncation": refused("the other protocol does not shorten a conversation", "disabled"),
    "access_programs": refused(_OPENAI_ONLY),
    "background": refused("the other protocol does not answer later", _OFF),
    "background_options": refused("the other protocol does not answer later"),
    "context_management": refused(_OPENAI_ONLY, []),
    "conversation": refused(_RESPONSES_STATE),
    "image": refused(_OPENAI_ONLY),
    "moderation": refused(_OPENAI_ONLY),
    "previous_response_id": refused(_RESPONSES_STATE),
    "prompt": refused("a prompt kept by OpenAI is not known to the other provider"),
    "top_logprobs": refused("its probabilities are not translated", 0),
}
RESPONSES_REQUEST_TO_CHAT: Table = RESPONSES_REQUEST | {
    "metadata": carried(_SAME),
    "prompt_cache_key": carried(_SAME),
    "prompt_cache_retention": carried(_SAME),
}
RESPONSES_STREAM_OPTIONS: Table = {"include_obfuscation": CHAT_STREAM_OPTIONS["include_obfuscation"]}
_CALLER = refused("code of OpenAI's own called it", {"type": "direct"})
_STATUS = left_out("how far it had come", "completed")
RESPONSES_ITEMS: dict[str, Table] = {
    "message": {
        "type": carried(_TYPE),
        "role": carried("user, assistant, system, developer"),
        "content": carried("text and parts"),
        "id": left_out("OpenAI's own name of it"),
        "status": _STATUS,
        "phase": left_out("a label of OpenAI's own"),
    },
    "function_call": {
        "type": carried("a tool call"),
        "call_id": carried("its id"),
        "name": carried(_SAME),
        "arguments": carried(_SAME),
        "id": left_out("OpenAI's own name of it"),
        "status": _STATUS,
        "async": refused("the other protocol waits for its tools", _OFF),
        "caller": _CALLER,
        "namespace": refused("the other protocol has no namespaces"),
    },
    "function_call_output": {
        "type": carried("a tool's result"),
        "call_id": carried("the call's id"),
        "output": carried("text and parts; chat takes text only"),
        "id": left_out("OpenAI's own name of it"),
        "status": _STATUS,
        "caller": _CALLER,
        "name": left_out("the call's name"),
        "namespace": refused("the other protocol has no namespaces"),
    },
}
RESPONSES_PARTS: dict[str, Table] = {
    "input_text": {
        "type": carried(_TYPE),
        "text": carried(_SAME),
        "prompt_cache_breakpoint": carried("cache_control for messages; left out for chat"),
    },
    "output_text": {
        "type": carried(_TYPE),
        "text": carried(_SAME),
        "annotations": left_out("sources of an earlier answer; its text is carried", []),
        "logprobs": left_out("probabilities of an earlier answer", []),
    },
    "refusal": CHAT_PARTS["refusal"],
    "input_image": {
        "type": carried(_TYPE),
        "image_url": carried("as of chat"),
        "detail": left_out(_DETAIL, "auto"),
        "file_id": refused(_NO_FILES),
        "prompt_cache_breakpoint": carried("cache_control for messages; left out for chat"),
    },
    "input_file": {
        "type": carried(_TYPE),
        "file_data": carried("as of chat"),
        "filename": carried("as of chat"),
        "file_url": carried("a document's url source; refused for chat"),
        "detail": left_out(_DETAIL, "auto"),
        "file_id": refused(_NO_FILES),
        "prompt_cache_breakpoint": carried("cache_control for messages; left out for chat"),
    },
}
RESPONSES_TOOL: Table = {
    "type": carried("function; others are refused by their type"),
    "name": carried(_SAME),
    "description": carried(_SAME),
    "parameters": carried("as of chat"),
    "strict": carried("as of chat"),
    "async": refused("the other protocol waits for its tools", _OFF),
    "allowed_callers": refused("code of OpenAI's own would call it", ["direct"]),
    "defer_loading": refused("the other protocol knows no search for tools", _OFF),
    "output_schema": refused("the other protocol's tools have none"),
}
RESPONSES_CHOICES: dict[str, Table] = {
    "function": {"type": carried(_TYPE), "name": carried("the tool's name")},
    "allowed_tools": {
        "type": carried(_TYPE),
        "mode": carried("the tool_choice"),
        "tools": carried("only those tools are sent"),
    },
}
RESPONSES_TEXT: Table = {
    "format": carried("response_format"),
    "verbosity": refused("Anthropic has no such setting", "medium"),
}
RESPONSES_TEXT_TO_CHAT: Table = RESPONSES_TEXT | {"verbosity": carried(_SAME)}
RESPONSES_FORMATS: dict[str, Table] = {
    "text": {"type": carried(_TYPE)},
    "json_schema": {"type": carried(_TYPE), **CHAT_SCHEMA},
    "json_object": CHAT_FORMATS["json_object"],
}
RESPONSES_FORMATS_TO_CHAT: dict[str, Table] = RESPONSES_FORMATS | {"json_object": {"type": carried(_SAME)}}
RESPONSES_REASONING: Table = {
    "effort": carried("as of chat"),
    "summary": refused("the answer would hold no reasoning"),
    "generate_summary": refused("the answer would hold no reasoning"),
    "context": refused("which reasoning is shown to the model again; there is none", "auto", "current_turn"),
    "mode": refused(_OPENAI_ONLY, "standard"),
}

# ---------------------------------------------------------------------------------------------------- answers
MESSAGES_ANSWER: Table = {
    "id": carried("id"),
    "content": carried(
        "text is joined; tool_use becomes tool_calls; thinking becomes reasoning_content, as compatible servers name it"
    ),
    "model": carried("the name the client asked for"),
    "role": carried(_SAME),
    "stop_reason": carried(
        "end_turn and stop_sequence: stop; max_tokens, model_context_window_exceeded and pause_turn: length; tool_use: tool_calls; "
        "refusal: content_filter"
    ),
    "stop_details": carried("the explanation is the refusal"),
    "stop_sequence": left_out("chat does not say which one it was"),
    "type": carried(_TYPE),
    "usage": carried("usage: prompt_tokens counts all of the prompt, cached parts included"),
    "container": left_out("never there: refused in the request"),
    "diagnostics": left_out("never there: refused in the request"),
}
MESSAGES_USAGE: Table = {
    "input_tokens": carried("of prompt_tokens"),
    "cache_read_input_tokens": carried("of prompt_tokens, and prompt_tokens_details.cached_tokens"),
    "cache_creation_input_tokens": carried("of prompt_tokens, and prompt_tokens_details.cache_write_tokens"),
    "cache_creation": left_out("by lifetime; their sum is carried"),
    "output_tokens": carried("completion_tokens"),
    "output_tokens_details": carried("thinking_tokens as completion_tokens_details.reasoning_tokens"),
    "service_tier": carried("standard as default, priority"),
    "inference_geo": left_out("OpenAI does not say where"),
    "server_tool_use": left_out("never there: Anthropic's own tools are refused in the request"),
    "speed": left_out("never there: refused in the request"),
}
CHAT_ANSWER: Table = {
    "id": carried("id"),
    "choices": carried("the first; more than one are never there, refused in the request"),
    "created": left_out("a message has no time"),
    "model": carried("the name the client asked for"),
    "object": carried(_TYPE),
    "metadata": left_out("labels of OpenAI's own store"),
    "moderation": left_out("never there: refused in the request"),
    "service_tier": carried("usage.service_tier: default as standard, priority"),
    "system_fingerprint": left_out("Anthropic has none"),
    "usage": carried("usage: input_tokens without the cached parts"),
}
CHAT_ANSWER_CHOICE: Table = {
    "finish_reason": carried(
        "stop: end_turn (which stop sequence it was, chat does not say), or tool_use where a tool is called; length: max_tokens; "
        "tool_calls and function_call: tool_use; content_filter: refusal"
    ),
    "index": carried("0"),
    "logprobs": left_out("never there: refused in the request"),
    "message": carried("content"),
}
CHAT_ANSWER_MESSAGE: Table = {
    "content": carried("a text block"),
    "refusal": carried("a text block, and the stop_reason refusal"),
    "role": carried(_SAME),
    "annotations": left_out("never there: web search is refused in the request"),
    "audio": left_out("never there: refused in the request"),
    "function_call": left_out("never there: refused in the request"),
    "tool_calls": carried(
        "tool_use blocks; arguments that are no JSON object make the answer untranslatable, save where it was cut by its length: the cut call is left out"
    ),
    "reasoning_content": left_out(
        "a thinking block without Anthropic's signature would be refused when it is sent back"
    ),
    "reasoning": left_out(
        "a thinking block without Anthropic's signature would be refused when it is sent back"
    ),
}
CHAT_USAGE: Table = {
    "prompt_tokens": carried(
        "input_tokens, cache_read_input_tokens and cache_creation_input_tokens together"
    ),
    "completion_tokens": carried("output_tokens"),
    "total_tokens": carried("their sum"),
    "prompt_tokens_details": carried(
        "cached_tokens as cache_read_input_tokens, cache_write_tokens as cache_creation_input_tokens"
    ),
    "completion_tokens_details": carried("reasoning_tokens as output_tokens_details.thinking_tokens"),
}

TABLES: dict[str, dict[str, Table]] = {
    "chat → messages: request": {
        "body": CHAT_REQUEST,
        "stream_options": CHAT_STREAM_OPTIONS,
        "messages[]": CHAT_MESSAGE,
        **{f"content[] of type {name}": table for name, table in CHAT_PARTS.items()},
        "image_url": CHAT_IMAGE_URL,
        "file": CHAT_FILE,
        **{f"tools[] of type {name}": table for name, table in CHAT_TOOLS.items()},
        "prompt_cache_breakpoint": CHAT_BREAKPOINT,
        "tools[].function": CHAT_FUNCTION,
        **{f"tool_calls[] of type {name}": table for name, table in CHAT_CALLS.items()},
        "tool_calls[].function": CHAT_CALL_FUNCTION,
        **{f"tool_choice of type {name}": table for name, table in CHAT_CHOICES.items()},
        "tool_choice.function": CHAT_NAMED,
        "tool_choice.allowed_tools": CHAT_ALLOWED,
        **{f"response_format of type {name}": table for name, table in CHAT_FORMATS.items()},
        "json_schema": CHAT_SCHEMA,
    },
    "messages → chat: answer": {"body": MESSAGES_ANSWER, "usage": MESSAGES_USAGE},
    "messages → chat: request": {
        "body": MESSAGES_REQUEST,
        "messages[]": MESSAGES_MESSAGE,
        **{f"content[] of type {name}": table for name, table in MESSAGES_BLOCKS.items()},
        **{f"source of type {name}": table for name, table in MESSAGES_SOURCES.items()},
        "tools[]": MESSAGES_TOOL,
        **{f"tool_choice of type {name}": table for name, table in MESSAGES_CHOICES.items()},
        **{f"thinking of type {name}": table for name, table in MESSAGES_THINKING.items()},
        "output_config": MESSAGES_OUTPUT_CONFIG,
        "output_config.format": MESSAGES_FORMAT,
        "metadata": MESSAGES_METADATA,
    },
    "chat → messages: answer": {
        "body": CHAT_ANSWER,
        "choices[]": CHAT_ANSWER_CHOICE,
        "message": CHAT_ANSWER_MESSAGE,
        "usage": CHAT_USAGE,
    },
    "responses → messages: request": {
        "body": RESPONSES_REQUEST,
        "stream_options": RESPONSES_STREAM_OPTIONS,
        **{f"input[] of type {name}": table for name, table in RESPONSES_ITEMS.items()},
        **{f"content[] of type {name}": table for name, table in RESPONSES_PARTS.items()},
        "tools[]": RESPONSES_TOOL,
        **{f"tool_choice of type {name}": table for name, table in RESPONSES_CHOICES.items()},
        "text": RESPONSES_TEXT,
        **{f"text.format of type {name}": table for name, table in RESPONSES_FORMATS.items()},
        "reasoning": RESPONSES_REASONING,
    },
    "responses → chat: request, where it differs": {
        "body": {
            name: rule
            for name, rule in RESPONSES_REQUEST_TO_CHAT.items()
            if rule is not RESPONSES_REQUEST[name]
        },
        "text": {
            name: rule for name, rule in RESPONSES_TEXT_TO_CHAT.items() if rule is not RESPONSES_TEXT[name]
        },
        "text.format of type json_object": RESPONSES_FORMATS_TO_CHAT["json_object"],
    },
}
