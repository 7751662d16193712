"""When models end, and what their makers recommend instead: the catalogue kept here, a project's own before it, a provider's own word before both.

A model is known by its dated name and by the names that point at it. An end is the first day on which requests fail. Nothing is guessed: what
is not in the catalogue has no known end.
"""

from __future__ import annotations

import io
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OWN_FILE = "ai-models.yaml"  # a project's own catalogue, beside estate.yaml
MAKERS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
LONGEST_CHAIN = 8  # of replacements that end themselves
PROVIDERS_LIST = "the provider's own list of models"


class ModelEnd(Value):
    """What is known of one model's end."""

    model: str
    maker: str  # openai, anthropic
    ends: date | None = None  # the first day on which requests fail
    told: date | None = None
    not_before: date | None = None  # promised, where no end is announced
    replacement: str = ""
    aliases: tuple[str, ...] = ()
    source: str = ""
    seen: date | None = None

    def days_left(self, today: date) -> int | None:
        """Days on which it still answers; negative: it has ended; None: no end is announced."""
        return (self.ends - today).days if self.ends else None


class _Entry(Value):
    ends: date | None = None
    told: date | None = None
    not_before: date | None = None
    replacement: str = ""
    aliases: tuple[str, ...] = ()


class _Page(Value):
    source: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    seen: date
    models: dict[str, _Entry]


class Note(Value):
    """What changes with some models beside name and price."""

    models: tuple[str, ...]
    source: str
    what: str


class _File(Value):
    version: date
    pages: tuple[_Page, ...]
    notes: tuple[Note, ...] = ()


class Catalogue(Value):
    """All that is known, the earlier before the later where several name one model."""

    version: str
    models: tuple[ModelEnd, ...]
    notes: tuple[Note, ...] = ()

    def end_of(self, maker: str, model: str) -> ModelEnd | None:
        """A maker's model by its dated name or one that points at it; None where nothing is known.

        A fine-tuned model (`ft:BASE:…`) ends with its base, and what replaces the base is not tuned:
        https://developers.openai.com/api/docs/deprecations.
        """
        known = self._by_name
        found, base = known.get((maker, model)), model.split(":")
        if found is None and base[0] == "ft" and len(base) > 1 and (of_base := known.get((maker, base[1]))):
            return of_base.model_copy(
                update={"model": model, "aliases": (), "replacement": "", "not_before": None}
            )
        return found

    def replacement_of(self, maker: str, model: str, today: date) -> str:
        """What to use instead, '' where nothing is known. Replacements that end themselves are followed to one that does not."""
        name, found = model, self.end_of(maker, model)
        for _ in range(LONGEST_CHAIN):
            if found is None or found.ends is None:
                break
            if not found.replacement:
                return name if name != model and found.ends > today else ""
            name = found.replacement
            found = self.end_of(maker, name)
        return name if name != model else ""

    def note_of(self, model: str) -> Note | None:
        """What changes with a model beside its name; None where nothing is known."""
        return next((note for note in self.notes if model in note.models), None)

    def with_dates(self, maker: str, dates: Mapping[str, str]) -> Catalogue:
        """With the days that a provider itself lists, by model: its word goes before ours; what we know of replacements stays."""
        listed = []
        for name, day in dates.items():
            known = self.end_of(maker, name) or ModelEnd(model=name, maker=maker)
            listed.append(known.model_copy(update={
                "model": name, "ends": _day(day), "aliases": (), "source": PROVIDERS_LIST, "not_before": None, "seen": None,
            }))  # fmt: skip
        found = tuple(one for one in listed if one.ends)
        return self.model_copy(update={"models": (*found, *self.models)})

    @property
    def _by_name(self) -> dict[tuple[str, str], ModelEnd]:
        found: dict[tuple[str, str], ModelEnd] = {}
        for one in self.models:
            for name in (one.model, *one.aliases):
                found.setdefault((one.maker, name), one)
        return found


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The catalogue of this version."""
    return parsed(resources.files(__package__).joinpath("models.yaml").read_text("utf-8"), "models.yaml")


def catalogue(own: str | None = None, name: str = OWN_FILE) -> Catalogue:
    """The shipped catalogue, and before it a project's own where its text is given. Errors: `BadInput` `models.file`."""
    if own is None:
        return shipped()
    first, rest = parsed(own, name), shipped()
    return Catalogue(
        version=f"{first.version} ({name}), {rest.version}",
        models=(*first.models, *rest.models),
        notes=(*first.notes, *rest.notes),
    )


def parsed(text: str, name: str) -> Catalogue:
    """A catalogue from its YAML. Errors: `BadInput` `models.file`, naming the place."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only where there is one to read
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        document = YAML(typ="safe", pure=True).load(io.StringIO(text))
        read = _File.model_validate(document if isinstance(document, dict) else {})
    except (YAMLError, ValueError, RecursionError) as error:
        raise BadInput(
            "models.file",
            f"{name} is no catalogue of models: {_first_problem(error)}",
            "It has `version` and `pages`: source, provider, seen, models: {NAME: {ends: 2027-01-31, replacement: OTHER}}.",
        ) from None
    models = tuple(
        ModelEnd(model=model, maker=page.provider, source=page.source, seen=page.seen, **dict(entry))
        for page in read.pages
        for model, entry in page.models.items()
    )
    return Catalogue(version=read.version.isoformat(), models=models, notes=read.notes)


def maker_of(entry: Mapping[str, Any]) -> str:
    """Whose API a provider of the estate is, as its dates hold: 'openai', 'anthropic', or '' for any other server, which has its own."""
    declared = str(entry.get("prices_as") or "")
    if declared in MAKERS.values():
        return declared
    host = urlsplit(str(entry.get("base_url") or "")).hostname
    return MAKERS.get(host, "") if host else str(entry.get("kind", ""))


def dates_of(name: str, entry: Mapping[str, Any]) -> str:
    """Whose dates in the catalogue hold for a provider of the estate: its maker's; of any other server those that stand under its own name.

    Those a project's own ai-models.yaml may give (`provider: azure`). '' where it is named as a maker and is another server.
    """
    return maker_of(entry) or ("" if name in MAKERS.values() else name)


def host_of(entry: Mapping[str, Any]) -> str:
    """Where a provider of the estate is; '' where the estate does not say, which is its maker's own address."""
    return urlsplit(str(entry.get("base_url") or "")).hostname or ""


def maker_by_name(model: str) -> str:
    """The maker of a model that is asked for by its bare name; '' where the name does not say."""
    return "anthropic" if model.startswith("claude") else "openai" if model.startswith(OPENAI_NAMES) else ""


OPENAI_NAMES = (
    "gpt-",
    "o1",
    "o3",
    "o4",
    "chatgpt-",
    "text-embedding-",
    "codex-",
    "computer-use",
    "whisper",
    "tts-",
    "davinci",
    "babbage",
)


def ending(catalogue: Catalogue, of: Iterable[tuple[str, str]], today: date, days: int) -> list[ModelEnd]:
    """Which of some (maker, model) have ended or end within so many days, those that ended first before."""
    found: dict[tuple[str, str], tuple[date, ModelEnd]] = {}
    for maker, model in of:
        one = catalogue.end_of(maker, model)
        if one and one.ends and (one.ends - today).days <= days:
            found[one.maker, one.model] = (one.ends, one)
    return [one for _, one in sorted(found.values(), key=lambda pair: (pair[0], pair[1].model))]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc'])) or 'it'}: {problem['msg']}."
    return "it cannot be read as YAML."
