"""How many tokens a request holds, from its length, before anyone has counted them: what a reservation rests on.

Words cost by their length, figures, signs, capitals and other scripts by the byte. The rates are fitted to four real tokenizers (OpenAI's
two, Anthropic's published one, DeepSeek's) on prose, code, logs, figures and fourteen languages: 0.9 to 1.6 of the highest count for what
is common, 0.6 for base64, 0.7 for rare scripts. Pictures, pages and sound follow the providers' rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from datareeve.capabilities.ai.gateway.dialects import pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from datareeve.capabilities.ai.gateway.config import Protocol

_SMALL: Final = b"abcdefghijklmnopqrstuvwxyz "
_BEYOND_ASCII: Final = bytes(range(128, 256))
LETTERS_A_TOKEN: Final = 4.2  # of small letters in words of usual length
TOKENS_A_LETTER: Final = 0.55  # in long words,
LESS_A_SPACE: Final = 1.15  # less so much for each space between them,
LESS_A_SIGN: Final = 0.4  # and for each sign
SIGNS_A_TOKEN: Final = 1.5  # figures, capitals, punctuation, line ends
OTHER_A_TOKEN: Final = 2.1  # bytes of UTF-8 beyond ASCII
SCHEMA_A_TOKEN: Final = 4  # bytes of compact JSON
A_MESSAGE: Final = 4  # tokens around each message
A_REQUEST: Final = 3
A_PAGE: Final = 3000  # Anthropic: 1,500 to 3,000 tokens a page of PDF
BYTES_A_PAGE: Final = 40_000
SOUND_A_TOKEN: Final = 1600  # bytes: mp3 at 16 kB/s, ten tokens a second
UNSEEN: Final = 1500  # of a file that is only referred to
BASE64: Final = 4 / 3
_DEPTH: Final = 8  # content within content within …


def of_text(text: str) -> int:
    """The tokens of a text."""
    data = text.encode("utf-8", "surrogatepass")
    signs = len(data.translate(None, _SMALL))
    spaces = data.count(b" ")
    letters = len(data) - signs - spaces
    other = 0 if text.isascii() else len(data) - len(data.translate(None, _BEYOND_ASCII))
    signs -= other
    long_words = letters * TOKENS_A_LETTER - spaces * LESS_A_SPACE - signs * LESS_A_SIGN
    return int(max(letters / LETTERS_A_TOKEN, long_words) + signs / SIGNS_A_TOKEN + other / OTHER_A_TOKEN) + 1


def of_bytes(length: int) -> int:
    """The tokens of so many bytes of an answer's text."""
    return -(-length // 4)


class Weight:
    """What has been found in a request: texts, and tokens of what is no text."""

    __slots__ = ("_picture", "texts", "tokens")

    def __init__(self, protocol: Protocol) -> None:
        self.texts: list[str] = []
        self.tokens = 0
        self._picture = pictures.RULES[protocol]

    def total(self) -> int:
        """Tokens of all of it."""
        return self.tokens + (of_text(" ".join(self.texts)) if self.texts else 0)

    def messages(self, messages: object) -> None:
        """Messages of chat, of the Messages API, items of the Responses API."""
        if type(messages) is str:
            self.texts.append(messages)
        elif type(messages) is list:
            self.tokens += A_MESSAGE * len(messages)
            for message in messages:
                if type(message) is dict:
                    self._message(message)

    def structure(self, value: object) -> None:
        """Tools, schemas: words that every tokenizer knows, and signs that providers leave out."""
        if value:
            self.tokens += -(-len(orjson.dumps(value)) // SCHEMA_A_TOKEN)

    def content(self, content: object, depth: int = 0) -> None:
        """A message's content: text, or parts."""
        if type(content) is str:
            self.texts.append(content)
        elif type(content) is list:
            for part in content:
                self._part(part, depth)

    def _message(self, message: dict[str, Any]) -> None:
        if "role" not in message:
            self._part(message, 0)
            return
        content = message.get("content")
        if type(content) is str:
            self.texts.append(content)
        else:
            self.content(content)
        if "tool_calls" in message:
            self.structure(message["tool_calls"])

    def _part(self, part: object, depth: int) -> None:
        if type(part) is str:
            self.texts.append(part)
        if type(part) is not dict:
            return
        text = part.get("text")
        if type(text) is str:
            self.texts.append(text)
        elif (weigh := _PARTS.get(str(part.get("type")))) is not None:
            weigh(self, part, depth)
        else:
            self.structure(part)

    def _image(self, part: Mapping[str, Any], _depth: int) -> None:
        self.tokens += self._picture(part)

    def _document(self, part: Mapping[str, Any], depth: int) -> None:
        source = part.get("source", part.get("file", part))
        source = source if type(source) is dict else {}
        data = source.get("file_data", source.get("data"))
        if source.get("type") in ("text", "content"):
            self.content(data if type(data) is str else source.get("content"), depth + 1)
        elif type(data) is str:
            self.tokens += A_PAGE * -(-int(len(data) / BASE64) // BYTES_A_PAGE)
        else:
            self.tokens += UNSEEN

    def _sound(self, part: Mapping[str, Any], _depth: int) -> None:
        sound = part.get("input_audio")
        data = sound.get("data") if type(sound) is dict else None
        self.tokens += int(len(data) / BASE64 / SOUND_A_TOKEN) if type(data) is str else UNSEEN

    def _result(self, part: Mapping[str, Any], depth: int) -> None:
        inner = part.get("content", part.get("output"))
        if depth < _DEPTH:
            self.content(inner, depth + 1)
        else:
            self.structure(inner)


_PARTS: Final[Mapping[str, Callable[[Weight, Mapping[str, Any], int], None]]] = {
    "image_url": Weight._image,  # noqa: SLF001
    "input_image": Weight._image,  # noqa: SLF001
    "image": Weight._image,  # noqa: SLF001
    "document": Weight._document,  # noqa: SLF001
    "file": Weight._document,  # noqa: SLF001
    "input_file": Weight._document,  # noqa: SLF001
    "input_audio": Weight._sound,  # noqa: SLF001
    "tool_result": Weight._result,  # noqa: SLF001
    "function_call_output": Weight._result,  # noqa: SLF001
}


def of_inputs(inputs: object) -> int:
    """The tokens of an embedding's or a completion's input: a text, texts, tokens, or lists of tokens."""
    if type(inputs) is str:
        return of_text(inputs)
    if type(inputs) is not list:
        return 0
    return sum(map(_one_input, inputs))


def _one_input(value: object) -> int:
    if type(value) is str:
        return of_text(value)
    if type(value) is list:
        return len(value)
    if type(value) is dict:
        weight = Weight("openai")
        weight.content([value])
        return weight.total()
    return 1


def estimate(
    protocol: Protocol, messages: object, instructions: Iterable[object] = (), tools: object = None
) -> tuple[int, int]:
    """Tokens of a request, and of its prefix: its instructions and tools."""
    weight = Weight(protocol)
    for text in instructions:
        weight.content(text)
    weight.structure(tools)
    prefix = weight.total()
    weight.texts.clear()
    weight.tokens = A_REQUEST + prefix
    weight.messages(messages)
    return weight.total(), prefix
