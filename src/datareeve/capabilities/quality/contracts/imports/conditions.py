"""Row conditions of Great Expectations as SQL: its own `col("a") > 5`, pandas' `a > 5`, Spark's SQL, and the objects of its newest version."""

from __future__ import annotations

import re
from typing import Any

from datareeve.capabilities.quality.contracts.drafts import column, literal

NAME = r"""col\(\s*(?P<quote>["'])(?P<name>[^"']+)(?P=quote)\s*\)"""
NULLNESS = re.compile(rf"^{NAME}\s*\.\s*(?P<test>notNull|notnull|isNull|isnull)\(\)$")
COMPARED = re.compile(
    rf"""^{NAME}\s*(?P<sign>==|!=|>=|<=|>|<)\s*(?P<value>".*"|'.*'|-?\d+(?:\.\d+)?|True|False|None)$"""
)
PANDAS = re.compile(
    r"""^(?:`(?P<long>[^`]+)`|(?P<name>[A-Za-z_]\w*))\s*(?:(?P<sign>==|!=|>=|<=|>|<)\s*(?P<value>".*"|'.*'|-?\d+(?:\.\d+)?)|\.(?P<test>notnull|isnull|notna|isna)\(\))$"""
)
SIGNS = {"==": "=", "!=": "<>"}


def sql_of(condition: Any, parser: str) -> str | None:
    """The condition as SQL: '' where there is none, None where it cannot be said."""
    if condition in (None, ""):
        return ""
    if isinstance(condition, dict):
        return _object(condition)
    text = str(condition).strip()
    if parser.startswith("spark"):
        return text
    return _word(text)


def _word(text: str) -> str | None:
    for part in (NULLNESS, COMPARED, PANDAS):
        found = part.match(text)
        if found:
            said = found.groupdict()
            return _test(str(said.get("name") or said.get("long")), said)
    return None if "col(" in text or "==" in text or ".not" in text or ".is" in text else text


def _test(name: str, said: dict[str, str | None]) -> str | None:
    if said.get("test"):
        return f"{column(name)} IS {'' if str(said['test']).startswith('is') else 'NOT '}NULL"
    value = str(said["value"])
    inner = value[1:-1] if value[:1] in "\"'" else None
    if inner is not None and value[0] in inner:  # more than one text: `a == "x" and b == "y"`
        return None
    right = (
        literal(inner)
        if inner is not None
        else {"True": "TRUE", "False": "FALSE", "None": "NULL"}.get(value, value)
    )
    sign = str(said["sign"])
    return f"{column(name)} {SIGNS.get(sign, sign)} {right}"


def _object(condition: dict[str, Any]) -> str | None:
    kind = condition.get("type")
    if kind in ("and", "or"):
        parts = [_object(one) for one in condition.get("conditions", [])]
        return None if None in parts or not parts else f" {kind.upper()} ".join(f"({one})" for one in parts)
    name = (condition.get("column") or {}).get("name")
    if not name:
        return None
    if kind == "nullity":
        return f"{column(name)} IS {'' if condition.get('is_null') else 'NOT '}NULL"
    sign, value = str(condition.get("operator") or ""), condition.get("parameter")
    if sign in ("IN", "NOT_IN") and isinstance(value, list):
        return f"{column(name)} {sign.replace('_', ' ')} ({', '.join(map(literal, value))})"
    if sign in ("==", "!=", ">", ">=", "<", "<=") and not isinstance(value, (dict, list)):
        return f"{column(name)} {SIGNS.get(sign, sign)} {literal(value)}"
    return None
