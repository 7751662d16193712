"""The how-to's examples load, and an editor that has the schema calls no valid pipeline wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from datareeve.capabilities.pipelines import spec_files
from datareeve.capabilities.pipelines.spec_schema import schema
from datareeve.core.estate import Estate
from datareeve.systems.registry import Registry

GUIDE = Path(__file__).parents[3] / "docs/how-to/pipelines.md"
BLOCKS = re.findall(r"```(?:yaml|python)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
SYSTEMS = {
    "app": {"kind": "postgresql", "url": "postgresql://u@h/app"},
    "warehouse": {"kind": "duckdb", "path": "w.duckdb"},
    "landing": {"kind": "folder", "path": "in"},
}


def block(first):
    return next(one for one in BLOCKS if one.startswith(first))


def test_the_examples_of_the_how_to_load_as_they_stand(tmp_path):
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl/flights.yaml").write_text(block("# etl/flights.yaml"))
    (tmp_path / "etl/wide.py").write_text(block("# etl/wide.py"))
    (tmp_path / "etl/daily.sql").write_text("SELECT 1 AS n")
    settings = YAML(typ="safe").load(block("pipelines:\n"))["pipelines"]
    systems = Registry(Estate.model_validate({"systems": SYSTEMS, "pipelines": settings}), tmp_path)
    flights = spec_files.load(systems, "flights")
    assert {name: load.mode for name, load in flights.pipeline.loads.items()} == {
        "flights": "upsert",
        "planes": "scd2",
    }
    assert len(flights.warnings) == 1  # the contract that is not there yet
    assert set(spec_files.load(systems, "wide").pipeline.loads) == {"orders", "items"}


@pytest.mark.parametrize(("text", "valid"), [
    (block("# etl/flights.yaml"), True),
    ("target: warehouse\nloads: {a: {source: {files: a.csv}, columns: {x: text}, mode: append, cursor: at}}\ncontract: a\n", True),
    ("target: warehouse\nloads: {a: {source: {files: [a.csv]}, cursr: at}}\n", False),
    ("target: warehouse\nloads: {a: {source: {files: a.csv}, mode: upsrt}}\n", False),
    ("target: 5\n", False),
])  # fmt: skip
def test_the_schema_takes_what_is_valid_with_its_short_forms_and_nothing_else(text, valid):
    assert Draft202012Validator(schema()).is_valid(YAML(typ="safe").load(text)) is valid
