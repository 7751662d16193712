"""Task intake: a delegation template, or one sentence, becomes a `Task`.

The template is read line by line: a line either names a field (`**Task**: ...`), is a bullet, or continues what stands before it.
Nothing of the text is dropped: a field that the template does not have is kept in `extra`. A task's text is data, never an
instruction to this program: it cannot widen authority, approve or choose what is run.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING

from pydantic import Field

from datareeve.agent.temporal import Mention, mentions, stated_today
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1_000_000
OUR_AGENT = "Data Engineer"

_LABELS = {  # what people write: the field it fills
    "temporal context": "temporal_context",
    "task": "task",
    "tasks": "task",
    "authority": "authority",
    "expected results": "expected_results",
    "expected result": "expected_results",
    "expected": "expected_results",
    "ticket reference": "ticket",
    "ticket": "ticket",
    "progress reporting": "progress_reporting",
    "progress": "progress_reporting",
    "asked by": "asked_by",
    "requested by": "asked_by",
    "from": "asked_by",
}
_TEXT_FIELDS = (
    "temporal_context",
    "authority",
    "expected_results",
    "ticket",
    "progress_reporting",
    "asked_by",
)
_HEADINGS = {
    "temporal_context": "TEMPORAL CONTEXT",
    "authority": "**Authority**",
    "expected_results": "**Expected Results**",
    "ticket": "**Ticket Reference**",
    "progress_reporting": "**Progress Reporting**",
    "asked_by": "**Asked By**",
}

_FENCE = re.compile(r"\s*(?:```|~~~)[\w-]*\s*$")
_BULLET = re.compile(
    r"(?P<indent>\s*)(?:[-*+•\u2013\u2014▪]|\d{1,3}[.)]|[a-z][.)])\s+(?:\[[ xX]?\]\s+)?(?P<text>\S.*)$"
)
_FIELD = re.compile(
    r"\s*(?:>\s*)?(?:#{1,6}\s+)?(?P<mark>[*_]{0,3})[\"\u201c'\u2018]?(?P<label>[A-Za-z][A-Za-z /_-]{0,40}?)[\"\u201d'\u2019]?\s?"
    r"(?::(?P<inside>[*_]{0,3})|(?P<outside>[*_]{1,3})\s?:)\s*(?P<value>.*)$"
)
_PLACEHOLDER = re.compile(r"\[[^\[\]]*\]$")
_QUOTES = "\"\u201c\u201d'\u2018\u2019 \t"


class Task(Value):
    """A delegated piece of work. `bullets` are word for word and in order; one that ends with ':' is a heading of those below it."""

    title: str = ""
    agent: str = OUR_AGENT
    temporal_context: str = ""
    today: date | None = Field(None, description="the day that the task calls today")
    description: str = ""
    bullets: tuple[str, ...] = ()
    authority: str = ""
    expected_results: str = ""
    ticket: str = ""
    progress_reporting: str = ""
    asked_by: str = ""
    extra: dict[str, str] = Field(default_factory=dict, description="fields the template does not have")

    @property
    def work(self) -> tuple[str, ...]:
        """What is to be done: the bullets without headings; where there are none, the description's sentences."""
        wanted = tuple(bullet for bullet in self.bullets if not bullet.endswith(":"))
        return wanted or tuple(sentences(self.description or self.title))

    def mentions(self, today: date) -> tuple[Mention, ...]:
        """The days that the task speaks of, seen from `today`."""
        return mentions(
            "\n".join((self.temporal_context, self.description or self.title, *self.bullets)),
            self.today or today,
        )


def parse(text: str | bytes) -> Task:
    """The task that a delegation template or a sentence describes.

    Errors: `BadInput`: `task.too-large` (over 1 MB, refused unread), `task.encoding`, `task.control-characters`, `task.empty`,
    `task.several`.
    """
    lines = _clean(text).split("\n")
    fields = _Fields()
    for line in lines:
        if not _FENCE.match(line):
            fields.take(line)
    return fields.task()


def render(task: Task) -> str:
    """The task in the delegation template; `parse` gives the same task back."""
    parts = [f"**{task.agent} Agent**: {task.title}"]
    parts += [f"TEMPORAL CONTEXT: {task.temporal_context}"] if task.temporal_context else []
    parts.append("\n".join([f"**Task**: {task.description}", *(f"- {bullet}" for bullet in task.bullets)]))
    values = [(_HEADINGS[name], getattr(task, name)) for name in _TEXT_FIELDS if name != "temporal_context"]
    values += [(f"**{label}**", value) for label, value in task.extra.items()]
    parts.append("\n".join(f"{heading}: {value}" for heading, value in values if value))
    return "\n\n".join(part for part in parts if part) + "\n"


def sentences(text: str) -> Iterator[str]:
    """The sentences and lines of a text: split after '.', '!' or '?' where a capital letter follows."""
    for part in re.split(r"\n+|(?<=[.!?])\s+(?=[A-Z])", text):
        if part.strip():
            yield part.strip()


class _Fields:
    """What has been read so far: the text of each field, and the bullets of the task."""

    def __init__(self) -> None:
        self.text: dict[str, list[str]] = {"task": []}
        self.agent = ""
        self.bullets: list[str] = []
        self.current = "task"
        self.paragraph = True  # a blank line, or nothing, stands before: a plain line starts a paragraph

    def take(self, line: str) -> None:
        """Read one line."""
        bullet = _BULLET.match(line)
        field = self._field(bullet["text"] if bullet else line, within_bullet=bullet is not None)
        if not line.strip():
            self.paragraph = True
        elif field is not None:
            self._open(*field)
        elif bullet:
            self._bullet(bullet)
        else:
            self._continue(line.strip())

    def task(self) -> Task:
        """The task of what was read."""
        text = {name: _value("\n".join(lines)) for name, lines in self.text.items()}
        title, description = text.pop("title", ""), text.pop("task")
        known = {name: text.pop(name, "") for name in _TEXT_FIELDS}
        cut_off = any(known.values()) or bool(text)
        if not (description or self.bullets) and (cut_off or not title):
            raise BadInput(
                "task.empty",
                "There is no task in the text: nothing says what is to be done.",
                "Write the work under **Task**: as a sentence or as bullets, or give one sentence such as 'Back up the database'.",
            )
        if not (title or cut_off or self.agent):  # one sentence, with or without bullets below it
            title = description or self.bullets[0]
            description = "" if not self.bullets and "\n" not in title else description
        if all(_PLACEHOLDER.match("".join(self.text.get(name, [])).strip()) for name in ("title", "task")):
            raise BadInput(
                "task.empty", "The template is not filled in.", "Put the work in place of the [brackets]."
            )
        return Task(
            title=title.split("\n")[0],
            agent=self.agent or OUR_AGENT,
            today=stated_today(known["temporal_context"]),
            description=description,
            bullets=tuple(self.bullets),
            extra={label: value for label, value in text.items() if value},
            **known,
        )

    def _field(self, line: str, *, within_bullet: bool) -> tuple[str, str] | None:
        """The field that a line opens, and its value on that line."""
        match = _FIELD.match(line)
        if match is None:
            return None
        label = " ".join(match["label"].replace("_", " ").split())
        name = _LABELS.get(label.lower(), "")
        bold = len(match["mark"]) > 1 and match["mark"] == (match["inside"] or match["outside"])
        if label.lower().endswith(" agent"):
            name = "title"
        elif not name and not within_bullet and (bold or self._is_heading(label)):
            name = label
        if not name or (within_bullet and not bold):
            return None
        if name == "title":
            self._name_agent(label[: -len(" agent")])
        return name, match["value"]

    def _is_heading(self, label: str) -> bool:
        """'Due Date:' within a template is a field of its own; 'note: ...' in prose is not."""
        return len(self.text) > 1 and len(label.split()) <= 3 and label.istitle()  # noqa: PLR2004 - three words

    def _name_agent(self, name: str) -> None:
        if self.agent:
            raise BadInput(
                "task.several", "The text holds more than one delegation.", "Give them one at a time."
            )
        self.agent = name.title() if name.islower() or (name.isupper() and " " in name) else name

    def _open(self, name: str, value: str) -> None:
        self.current = name
        self.paragraph = not value.strip()
        self.text.setdefault(name, []).extend([value.strip()] if value.strip() else [])

    def _bullet(self, bullet: re.Match[str]) -> None:
        self.paragraph = False
        if self.current == "task":
            self.bullets.append(bullet["text"].strip())
        else:
            self.text.setdefault(self.current, []).append(bullet["text"].strip())

    def _continue(self, line: str) -> None:
        if self.current == "task" and self.bullets and not self.paragraph:
            self.bullets[-1] += f" {line}"
        else:
            self.text[self.current].append(line)
            self.paragraph = False


def _clean(text: str | bytes) -> str:
    """The text with one kind of line end, refused where it is too large or not plain text. The size is looked at first."""
    if len(text) > MAX_BYTES:
        raise _too_large()
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        size = len(decoded.encode("utf-8"))
    except UnicodeError:
        raise BadInput(
            "task.encoding", "The text is not valid UTF-8.", "Save it as UTF-8 and give it again."
        ) from None
    if size > MAX_BYTES:
        raise _too_large()
    lines = re.sub(r"\r\n?|[\u2028\u2029\x85]", "\n", decoded.removeprefix("\ufeff"))
    hidden = next((character for character in lines if _is_hidden(character)), None)
    if hidden is not None:
        line = lines[: lines.index(hidden)].count("\n") + 1
        what = f"Line {line} holds the control character U+{ord(hidden):04X}."
        raise BadInput(
            "task.control-characters", what, "Remove it: a task is plain text that a person can read."
        )
    return lines


def _too_large() -> BadInput:
    return BadInput(
        "task.too-large", "The text is larger than 1 MB.", "Give the task alone; name files by their path."
    )


def _is_hidden(character: str) -> bool:
    """Control characters, and those that show a reader another text than the one read: direction overrides and tags."""
    if character.isprintable() or character in "\n\t":
        return False
    return (
        unicodedata.category(character) == "Cc"
        or unicodedata.bidirectional(character) in _OVERRIDES
        or "\U000e0000" <= character <= "\U000e007f"
    )


_OVERRIDES = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def _value(text: str) -> str:
    """A field's text without quotes around it; a placeholder of the template ('[date]') is nothing."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] in _QUOTES and stripped[-1] in _QUOTES:
        stripped = stripped.strip(_QUOTES)
    return "" if _PLACEHOLDER.match(stripped) else stripped
