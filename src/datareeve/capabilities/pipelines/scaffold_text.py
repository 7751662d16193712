"""A pipeline as a person would write it: YAML with a comment on each decision."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.pipelines.scaffold import Decided
    from datareeve.capabilities.pipelines.scaffold_source import Source

WIDTH = 110
PLAIN = re.compile(r"[A-Za-z_][\w./-]*(?:\(\d+,\d+\))?")
SPECIAL = frozenset(
    ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
)  # read as no text by some reader of YAML
REMOVED_PERCENT = 20


class Wanted(Value):
    """What a person said."""

    pipeline: str
    system: str | None
    target: str
    schedule: str | None = None
    owner: str = ""


def text(wanted: Wanted, source: Source, decided: Decided) -> str:
    """The file. It loads as it is."""
    return "\n".join([*_head(wanted, source), *_load(wanted, source, decided), *_rest(wanted), ""])


def word(one: str) -> str:
    """A text as YAML has it: plain where every reader takes it for text."""
    if PLAIN.fullmatch(one) and one.casefold() not in SPECIAL:
        return one
    return json.dumps(one, ensure_ascii=not one.isprintable())


def load_name(source: Source, otherwise: str) -> str:
    """What the load is called: the table's name, that of the files or of their folder, else the pipeline's."""
    if source.table or source.query:
        names = [source.table.rpartition(".")[2] or source.query.rpartition('"."')[2]]
    elif source.url:
        names = [re.sub(r"\..*$", "", urlsplit(source.url).path.rstrip("/").rpartition("/")[2])]
    else:
        names = [re.sub(r"\..*$", "", part) for part in reversed(source.files.split("/")[-2:])]
    made = (re.sub(r"\W+|_+$", "_", one).strip("_")[:100] for one in (*names, otherwise))
    found = next((one for one in made if re.search(r"[^\W\d_]", one)), "rows")
    return found if not found[0].isdigit() else f"rows_{found}"


def many(number: int, noun: str) -> str:
    """'1 row', '4,000 rows'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _comment(said: str, indent: int = 0) -> Iterator[str]:
    room = " " * indent
    for line in textwrap.wrap(" ".join(said.split()), WIDTH - indent, break_long_words=False) if said else ():
        yield f"{room}# {line}"


def _head(wanted: Wanted, source: Source) -> Iterator[str]:
    there = wanted.system or _shown(source.url) or "the project"
    what = source.table or source.files or ("its table" if source.query else "")
    rows = (
        ""
        if source.rows is None
        else many(source.rows, "row")
        if source.counted
        else f"about {many(source.rows, 'row')}"
    )
    size = ", ".join(filter(None, [rows, many(len(source.columns), "column")]))
    yield from _comment(f"Written by pipelines.new from what was seen of {there}{' ' if what else ''}{_shown(what)} ({size}). Each decision has its reason beside it: read them, change what is not so.")  # fmt: skip
    yield f"# Then: datareeve run pipelines.run --pipeline {wanted.pipeline} --plan"
    for note in source.notes:
        yield from _comment(f"Not looked at: {note}.")
    if wanted.owner:
        yield f"owner: {word(wanted.owner)}"
    yield f"target: {word(wanted.target)}"


def _shown(name: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in name)


def _load(wanted: Wanted, source: Source, decided: Decided) -> Iterator[str]:
    yield "loads:"
    yield f"  {load_name(source, wanted.pipeline)}:"
    yield from _source(wanted, source)
    if decided.keys:
        yield from _comment(decided.keys_why, 4)
        yield f"    keys: [{', '.join(map(word, decided.keys))}]"
    else:
        yield from _comment(
            "No keys: no primary key, no unique index, and no column whose values all differ.", 4
        )
    yield from _comment(decided.mode_why, 4)
    yield from _comment(decided.instead, 4)
    yield f"    mode: {decided.mode}"
    if decided.cursor is not None:
        yield from _comment(decided.cursor_why, 4)
        yield "    cursor:"
        yield f"      column: {word(decided.cursor)}"
        if decided.lag:
            yield f"      lag: {decided.lag} # {decided.lag_why}"
    if decided.types:
        yield "    columns:"
    for name, one in decided.types.items():
        yield from _comment(one.why, 6)
        yield f"      {word(name)}: {word(one.value)}"


def _source(wanted: Wanted, source: Source) -> Iterator[str]:
    yield "    source:"
    if wanted.system:
        yield f"      system: {word(wanted.system)}"
    if source.table:
        yield f"      table: {word(source.table)}"
    elif source.query:
        yield f"      query: {word(source.query)}"
    elif source.url:
        yield from _http(source)
    elif source.files:
        yield from _comment(_stated(source), 6)
        yield f"      files: {word(source.files)}"


def _http(source: Source) -> Iterator[str]:
    stated = source.stated
    yield "      http:"
    yield f"        url: {word(source.url)}"
    if stated.get("records"):
        yield f"        records: {word(stated['records'])} # where the rows are in the answer"
    if stated.get("link"):
        yield "        paging: {by: link} # the answer's Link header names the next page"
    else:
        for path in stated.get("more", [])[:1]:
            yield from _comment(f"The answer says at {_shown(path)} what comes next: `paging: {{by: cursor, next: {_shown(path)}, parameter: …}}` asks for it. As it stands here one page is read.", 8)  # fmt: skip
    yield "        # auth: {kind: bearer, secret: env:API_TOKEN}"


def _stated(source: Source) -> str:
    """How the files are read, as it was detected."""
    stated = source.stated
    options = {
        "delim": "delimiter",
        "quote": "quote",
        "encoding": "encoding",
        "header": "header",
        "compression": "compression",
    }
    said = [
        f"{name} {json.dumps(stated[key])}"
        for key, name in options.items()
        if stated.get(key) not in (None, "")
    ]
    files = many(stated.get("files", 0), "file")
    return f"{files} of format {stated.get('format') or 'unknown'}{', ' if said else ''}{', '.join(said)}, as detected; `read_as` says it for good."


def _rest(wanted: Wanted) -> Iterator[str]:
    yield from _comment("A publication that takes more than this out of the table is held until a person releases it: a source that was emptied or cut short publishes nothing.")  # fmt: skip
    yield f"change_budget: {{removed_percent: {REMOVED_PERCENT}}}"
    if wanted.schedule:
        yield "schedule:"
        yield f"  cron: {json.dumps(wanted.schedule)}"
        yield "  timezone: UTC"
    else:
        yield "# Nothing runs it by itself. To have it run every night:"
        yield "# schedule: {cron: '30 2 * * *', timezone: Europe/Berlin}"
    yield "# What is built is held against data contracts before it is published; quality.propose-contract drafts one:"
    yield f"# contract: [{word(wanted.pipeline)}]"
