"""LIKE, and the regular expressions that RE2 (DuckDB), PostgreSQL and Java read alike: whether a text matches, never what it matched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models.kinds import BOOL, TEXT
from datareeve.capabilities.pipelines.models.scopes import LOST, Scope, Term

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

MARK = "!"  # escapes % and _ on every engine, where the text has none of its own
CLASSES = {r"\d": "[0-9]", r"\w": "[0-9A-Za-z_]", r"\s": "[ \\t\\n\\f\\r]"}
PIECE = re.compile(
    r"(?P<class>\\[dws])|(?P<escaped>\\[.^$*+?()\[\]{}|/\\-])|(?P<group>\(\?:|\((?!\?)|\)|\|)"
    r"|(?P<repeat>[*+?](?![+?*])|\{\d{1,3}(,\d{0,3})?\}(?![+?*]))|(?P<any>\.)|(?P<start>\^)|(?P<end>\$)"
    r"|(?P<set>\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9 _.,;:@#%&/=!'\"<>~+-])+\])|(?P<plain>[A-Za-z0-9 _,;:@#%&=!'\"<>~/-]|[^\x00-\x7f])"
)


def like(writer: Writer, node: Any, scope: Scope) -> Term:  # noqa: PLR0911 - one for each way that it is refused or written
    """LIKE, with or without ESCAPE, and a regular expression."""
    if isinstance(node, exp.RegexpLike):
        return _regex(writer, node, scope)
    inner, escape = (
        (node.this, node.expression.name)
        if isinstance(node, exp.Escape)
        else (node, "" if writer.dialect == "duckdb" else "\\")
    )
    if not isinstance(inner, exp.Like) or len(escape) > 1:
        return writer.refuse(
            node,
            "case",
            "upper and lower case of letters beyond ASCII differ between engines",
            "translate(x, 'ABC…', 'abc…') LIKE …, which names the letters",
        )
    term, pattern = writer.value(inner.this, scope), inner.expression
    if not term.known:
        return LOST
    if term.kind != TEXT:
        return writer.refuse(
            node, "type", f"{term.kind.name} is not text everywhere", "CAST(x AS VARCHAR) LIKE …"
        )
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        return writer.refuse(
            node,
            "pattern",
            "a backslash in a pattern that is not written out means other things by engine",
            "a pattern in quotes, or starts_with, strpos",
        )
    written = _like_pattern(pattern.name, escape)
    if written is None:
        return writer.refuse(node, "pattern", "the pattern ends in its escape", "a whole pattern")
    word = "NOT LIKE" if inner.args.get("negate") else "LIKE"
    return writer.term(f"({term.sql} {word} {writer.words.text(written)} ESCAPE '{MARK}')", BOOL, term)


def _like_pattern(pattern: str, escape: str) -> str | None:
    made, rest = [], iter(pattern)
    for one in rest:
        if escape and one == escape:
            following = next(rest, None)
            if following is None:
                return None
            made.append(MARK + following if following in "%_" + MARK else following)
        else:
            made.append(MARK + MARK if one == MARK else one)
    return "".join(made)


def _regex(writer: Writer, node: Any, scope: Scope) -> Term:
    term, pattern = writer.value(node.this, scope), node.expression
    if not term.known:
        return LOST
    instead = "LIKE, starts_with, or a pattern of letters, [a-z0-9], \\d, ., *, +, ?, {2,3}, (a|b), ^ and $"
    if writer.dialect == "duckdb" and "~" in writer.text:
        return writer.refuse(
            "x ~ pattern",
            "regex",
            "DuckDB's ~ asks for the whole text, and other engines' for a part",
            "regexp_matches(x, '^(…)$')",
        )
    if (
        term.kind != TEXT
        or node.args.get("flag") is not None
        or not (isinstance(pattern, exp.Literal) and pattern.is_string)
    ):
        return writer.refuse(
            node,
            "regex",
            "a pattern that is not written out, or has flags, is not read alike by RE2, PostgreSQL and Java",
            instead,
        )
    written = portable_pattern(pattern.name, "\\z" if not writer.words.postgres else "$")
    if written is None:
        return writer.refuse(
            node, "regex", "RE2, PostgreSQL and Java do not read this pattern alike", instead
        )
    text = writer.words.text(written)
    made = (
        f"regexp_matches({term.sql}, {text})"
        if writer.words.duckdb
        else f"({term.sql} {'~' if writer.words.postgres else 'RLIKE'} {text})"
    )
    return writer.term(made, BOOL, term)


def portable_pattern(pattern: str, end: str) -> str | None:
    """The pattern in the words that all three know; None where there are none."""
    made, place, before = [], 0, "start"
    while place < len(pattern):
        found = PIECE.match(pattern, place)
        if found is None or (found.lastgroup == "repeat" and before in ("start", "repeat", "open")):
            return None
        kind, text = str(found.lastgroup), found[0]
        if text == "(":
            text = "(?:"
        made.append({"class": CLASSES.get(text, text), "any": "[^\\n]", "end": end}.get(kind, text))
        before = "open" if text in ("(?:", "|") or kind in ("start", "end") else kind
        place = found.end()
    try:
        re.compile(pattern)
    except re.error:
        return None
    return "".join(made)
