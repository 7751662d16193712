"""Packs: the rules of a law as data, each naming its article and the check that looks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field
from ruamel.yaml import YAML

from datareeve.core.operation import Severity
from datareeve.core.value import Value

FOLDER = Path(__file__).parent / "packs"
NAMES = ("gdpr", "ccpa", "pci", "hipaa")


class PackRule(Value):
    """One rule of a law."""

    id: str  # kebab-case, unique in its pack
    article: str  # as the law counts: 'Art. 32(1)(a)', '164.312(b)', 'Req. 3.5.1'
    title: str  # what must be so
    check: str  # a function of checks.py
    arguments: dict[str, Any] = Field(default_factory=dict)
    severity: Severity = Severity.WARNING
    remedy: str = ""


class Pack(Value):
    """The rules of one law."""

    name: str
    title: str
    rules: tuple[PackRule, ...]


@lru_cache(maxsize=len(NAMES))
def pack(name: str) -> Pack:
    """A pack by its name."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return Pack.model_validate({"name": name, **YAML(typ="safe").load(text)})
