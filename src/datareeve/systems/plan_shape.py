"""The shape of a plan: a hash that stays the same while the server does the same thing in the same order.

It changes with join order, join and scan methods, relations, indexes and the columns of conditions. It does not change with estimates, costs,
constants, the number of workers, or with how many partitions of one kind a plan reads. It tells plan regressions from noise.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

# What makes a node what it is.
KEPT = (
    "Node Type", "Join Type", "Strategy", "Partial Mode", "Operation", "Parent Relationship", "Command", "Scan Direction", "Inner Unique",
    "CTE Name", "Function Name",
)  # fmt: skip
CONDITIONS = (
    "Index Cond", "Recheck Cond", "Filter", "Join Filter", "Hash Cond", "Merge Cond", "One-Time Filter", "TID Cond", "Order By", "Sort Key",
    "Presorted Key", "Group Key", "Cache Key",
)  # fmt: skip
GATHERING = {"Append", "Merge Append"}
# Quoted constants, with what they are cast to; casts of columns; numbers and parameters. Names in double quotes stay.
NOT_COLUMNS = re.compile(
    r"[eE]?'(?:[^']|'')*'(?:::[\w .]+(?:\[\])?)?|::[a-z_][\w .]*(?:\([\d,]*\))?(?:\[\])?|\$\d+|\b\d[\w.]*"
)
NAME = re.compile(r'(?>(?:[^\W\d][\w$]*|"(?:[^"]|"")+")(?:\.(?:[^\W\d][\w$]*|"(?:[^"]|"")+"))*)(?!\s*\()')
WORDS = {"AND", "OR", "NOT", "IS", "NULL", "ANY", "ALL", "CASE", "WHEN", "THEN", "ELSE", "END", "DESC", "ASC", "NULLS", "FIRST", "LAST"}  # fmt: skip
DIGITS = re.compile(r"\d+")


def plan_shape(plan: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of a plan of EXPLAIN (FORMAT JSON): the whole answer, or its top node. No value of a row is in it."""
    text = json.dumps(_node(plan.get("Plan", plan)), separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def _node(plan: dict[str, Any], *, numbered: bool = True) -> list[Any]:
    """A node as a nested list. `numbered`: whether digits in names count; among partitions they do not."""
    names = [plan.get(key) for key in ("Schema", "Relation Name", "Index Name")]
    if not numbered:
        names = [DIGITS.sub("#", name) if name else name for name in names]
    own = [plan.get(key) for key in KEPT]
    conditions = [_columns(plan[key], numbered=numbered) if key in plan else None for key in CONDITIONS]
    apart = plan.get("Node Type") in GATHERING
    children = [_node(child, numbered=numbered and not apart) for child in plan.get("Plans", ())]
    return [own, names, conditions, _different(children) if apart else children]


def _columns(condition: Any, *, numbered: bool) -> list[str]:
    """The columns of a condition: in order for a list of keys, else sorted, for the order of conditions follows their costs."""
    if isinstance(condition, list):
        return [name for part in condition for name in _columns(part, numbered=numbered)]
    found = {name for name in NAME.findall(NOT_COLUMNS.sub("", str(condition))) if name not in WORDS}
    return sorted(found if numbered else {DIGITS.sub("#", name) for name in found})


def _different(children: list[list[Any]]) -> list[list[Any]]:
    seen = {json.dumps(child): child for child in children}
    return [seen[key] for key in sorted(seen)]
