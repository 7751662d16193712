"""What an incident of columns is called: what was really measured, and no more. Pure."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.rule import Rule

MOST = 3  # things that are told of one incident
WORDS = {  # what a broken rule of a kind means, beginning with a verb; some by what they are given
    "not-null": "holds NULL", "not-null missing": "holds NULL or what stands for it", "range": "holds values out of range", "set": "holds values outside its set",
    "pattern": "holds values without the pattern", "pattern negated": "holds values of a pattern that is not allowed",
    "length": "holds values that are too short or too long", "type": "holds text that is no {type}", "format": "holds values that are no {format}",
    "condition": "breaks a condition", "unique": "holds rows more than once", "unique one": "holds values more than once",
    "near-duplicates": "holds rows that are nearly the same", "foreign-key": "refers to rows that are not there", "dependency": "holds different values where there is to be one", "gaps": "has gaps", "continuity": "has gaps",
    "row-count": "has another number of rows than is asked", "volume": "has an unusual number of rows", "learned row-count": "has an unusual number of rows",
    "learned": "has an unusual {metric}", "aggregate": "has another {metric} than is asked", "distribution": "has another distribution",
    "agreement": "does not agree with {other}", "sql": "breaks a query of its own",
}  # fmt: skip
PLURAL = (
    ("holds", "hold"),
    ("has", "have"),
    ("breaks", "break"),
    ("refers", "refer"),
    ("does", "do"),
    ("differs", "differ"),
)


def what(rules: Sequence[Rule], *, whole: bool = False) -> str:
    """'holds NULL and values out of range and has another mean than is asked'; of several tables in the plural. `whole`: of rows, and not of one column."""
    of_one_first = sorted(rules, key=lambda rule: len(rule.columns) != 1)
    phrases = list(dict.fromkeys(_phrase(rule, whole=whole) for rule in of_one_first))
    shown = sorted(phrases[:MOST], key=lambda phrase: _verb(phrase) != _verb(phrases[0]))
    by_verb = [
        f"{verb} {_listed([phrase.removeprefix(f'{verb} ') for phrase in several])}"
        for verb, several in groupby(shown, key=_verb)
    ]
    told = _listed([*by_verb, "more"] if len(phrases) > MOST else by_verb)
    return _plural(told) if len({rule.table for rule in rules}) > 1 else told


def _listed(words: Sequence[str]) -> str:
    """'a, b and c'."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _verb(phrase: str) -> str:
    return phrase.partition(" ")[0]


def _plural(told: str) -> str:
    for one, many in PLURAL:
        told = re.sub(rf"(^|, | and ){one} ", rf"\1{many} ", told)
    return told


def _phrase(rule: Rule, *, whole: bool) -> str:
    """What it means that this rule is broken."""
    given, other = rule.arguments, (rule.arguments.get("with") or {}).get("table")
    own = ["one"] if len(rule.columns) == 1 and not whole else []
    own += [name for name in ("missing", "negated") if given.get(name)] + [rule.metric]
    words = next((found for name in own if (found := WORDS.get(f"{rule.kind} {name}"))), WORDS.get(rule.kind, "breaks a rule"))  # fmt: skip
    return words.format(
        type=given.get("type"), format=given.get("format"), metric=rule.metric, other=other or "another table"
    )
