"""The how-to lists every kind of rule with its arguments, and each of its examples is a rule; mistakes are told all at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from datareeve.capabilities.quality.contracts import kinds
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.rule import Kind
from datareeve.core.errors import BadInput
from datareeve.core.personal_data.formats import FORMATS

PAGE = (Path(__file__).parents[4] / "docs/how-to/data-contracts.md").read_text("utf-8")
ROWS = {row[1]: row for row in re.finditer(r"^\| `([\w-]+)` \|(.+)\|(.*)\| `(\{.+\})` \|$", PAGE.partition("All kinds of rules")[2], re.MULTILINE)}  # fmt: skip
HEAD = "version: 1.0.0\nkind: DataContract\napiVersion: v3.1.0\nid: all\nstatus: active\n"
TABLES = """schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer}
      - {name: customer_id, logicalType: integer}
      - {name: total, logicalType: number}
      - {name: state, logicalType: string}
      - {name: code, logicalType: string}
      - {name: email, logicalType: string}
      - {name: placed_at, logicalType: timestamp}
      - {name: sent_at, logicalType: timestamp}
    quality:
      - {id: told, type: custom, engine: datareeve, implementation: IMPLEMENTATION}
  - {name: customers, properties: [{name: id}]}
  - {name: lines, properties: [{name: amount}]}
"""


def test_the_page_lists_the_kinds_that_there_are():
    assert list(ROWS) == list(get_args(Kind))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_page_tells_the_arguments_of_a_kind_and_gives_a_rule_of_it(kind):
    told = ROWS[kind]
    assert set(kinds.ARGUMENTS[kind]) <= set(re.findall(r"`([\w-]+)`", told[3]))
    assert set(kinds.NEEDED.get(kind, ())) == set(re.findall(r"\*`([\w-]+)`\*", told[3]))
    rules = {one.id: one for one in read(HEAD + TABLES.replace("IMPLEMENTATION", told[4]), "c").rules}
    assert rules["told"].kind == kind
    assert rules["told"].arguments.keys() <= YAML(typ="safe").load(told[4]).keys() | {"columns"}


def test_the_page_names_the_functions_and_types_that_there_are():
    assert ", ".join(kinds.FUNCTIONS) in ROWS["aggregate"][2]
    assert ", ".join(kinds.READABLE[:-1]) in ROWS["type"][2]
    listed = PAGE.partition("Formats, with what each takes beside: ")[2].partition(".\n")[0]
    assert re.findall(r"`([\w-]+)`", listed) == list(FORMATS)


MISTAKES = """schema:
  - name: t
    properties:
      - name: a
        requird: true
        quality:
          - {id: x, type: custom, engine: datareeve, implementation: {kind: rnge, at_least: 1}}
          - {id: y, type: custom, engine: datareeve, implementation: {kind: range}}
      - {nam: b}
      - {name: a, required: maybe, quality: [{metric: rowCont}]}
  - name: t
    quality: [{id: z, type: custom, engine: datareeve, implementation: {kind: near-duplicates, columns: [q], keys: [q]}}, word]
"""


def test_all_mistakes_are_told_at_once_and_nothing_that_only_follows_of_them():
    with pytest.raises(BadInput) as error:
        read(HEAD + MISTAKES, "c")
    told = re.findall(r"(?:: |; )((?:schema)[\w.\[\]]*) \(line (\d+)", error.value.what)
    assert sorted(told) == sorted([
        ("schema[0].properties[0].requird", "10"),
        ("schema[0].properties[0].quality[0].implementation.kind", "12"),
        ("schema[0].properties[0].quality[1].implementation", "13"),
        ("schema[0].properties[1]", "14"),
        ("schema[0].properties[1].nam", "14"),
        ("schema[0].properties[2].name", "15"),
        ("schema[0].properties[2].required", "15"),
        ("schema[0].properties[2].quality[0].metric", "15"),
        ("schema[1].name", "16"),
        ("schema[1].quality[0].implementation.keys", "17"),
        ("schema[1].quality[1]", "17"),
    ])  # fmt: skip


@pytest.mark.parametrize("damaged", ["schema: 3", "schema: [1, {name: t, properties: 4}]", "schema: [{name: [], properties: [[]]}]", "servers: 1\nschema: [{}]", "team: [1]", "schema: [{name: t, quality: {a: 1}, relationships: [1], properties: {}}]"])  # fmt: skip
def test_what_is_no_contract_at_all_is_a_mistake_too(damaged):
    with pytest.raises(BadInput) as error:
        read(HEAD + damaged, "c")
    assert error.value.code == "contract.invalid"
