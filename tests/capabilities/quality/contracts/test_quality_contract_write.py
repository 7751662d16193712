"""Contracts written: nothing is lost, what is not changed stays as it is, and every rule says the same after it was written and read."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datareeve.capabilities.quality.contracts import write
from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.imports.imported import ImportedColumn, ImportedTable
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.rule import Bounds, Kind
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

EXAMPLES = sorted((Path(__file__).parents[3] / "data" / "odcs").rglob("*.yaml"))
SMALL = [path for path in EXAMPLES if path.stat().st_size < 20_000 and "properties:" in path.read_text()]
TEXT = """# who answers for it
version: 1.0.0
kind: DataContract   # always
apiVersion: v3.1.0
id: one
status: active

schema:
  - name: orders   # of the shop
    properties:
      - name: id
        required: true
        quality:
          # nobody orders twice
          - {id: once, metric: duplicateValues, mustBe: 0}

          - id: few
            metric: nullValues
            mustBeLessThan: 5   # for now
      - name: state
"""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_of_the_standard_stays_as_it_is(path):
    text = path.read_text()
    assert write.changed(text, lambda data: None) == text
    data = parse(text, "it").data
    assert parse(write.dumped(data), "it").data == data


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.name)
def test_a_rule_that_comes_and_goes_leaves_every_example_as_it_was(path):
    text = path.read_text()
    data = parse(text, "it").data
    name = data["schema"][0]["name"]
    with_one = write.add_rule(text, name, {"id": "rows-there", "metric": "rowCount", "mustBeGreaterThan": 0})
    assert {rule.id for rule in read(with_one, "it").rules} - {
        rule.id for rule in read(text, "it").rules
    } == {"rows-there"}
    back = write.remove_rule(with_one, "rows-there")
    assert parse(back, "it").data == data
    kept = [line for line in text.splitlines() if line.strip().startswith("#")]
    assert [line for line in with_one.splitlines() if line.strip().startswith("#")] == kept


def test_a_change_leaves_every_other_line():
    entry = {"id": "few", "metric": "nullValues", "mustBeLessThan": 3}
    assert write.replace_rule(TEXT, "few", entry) == TEXT.replace("mustBeLessThan: 5 ", "mustBeLessThan: 3 ")
    with_one = write.add_rule(TEXT, "orders", {"metric": "nullValues", "mustBe": 0}, "state")
    assert with_one.startswith(TEXT)
    without = write.remove_rule(TEXT, "once")
    assert "once" not in without
    assert "# for now" in without
    assert (
        write.set_property(TEXT, "orders", {"name": "state", "required": True})
        == TEXT + "        required: true\n"
    )
    assert "- name: state" not in write.remove_property(TEXT, "orders", "state")
    assert [one["name"] for one in parse(write.set_table(TEXT, {"name": "other"}), "it").data["schema"]] == [
        "orders",
        "other",
    ]
    assert "schema" not in parse(write.remove_table(TEXT, "orders"), "it").data


def test_what_is_not_there_is_told():
    for code, call in (
        ("contract.no-rule", lambda: write.remove_rule(TEXT, "nothing")),
        ("contract.derived", lambda: write.remove_rule(TEXT, "orders-id-not-null")),
        ("contract.no-table", lambda: write.add_rule(TEXT, "nothing", {})),
        ("contract.no-property", lambda: write.add_rule(TEXT, "orders", {}, "nothing")),
    ):
        with pytest.raises(BadInput) as error:
            call()
        assert error.value.code == code


def test_a_rule_does_not_take_those_that_its_entry_says_beside_it():
    entry = {"id": "valid", "metric": "invalidValues", "arguments": {"validValues": ["a"], "pattern": "^a$"}}
    text = write.add_rule(TEXT, "orders", entry, "state")
    both = [rule.id for rule in read(text, "it").rules if rule.id.endswith("valid") or "valid" in rule.id]
    assert len(both) == 2
    for call in (write.remove_rule, lambda text, rule: write.replace_rule(text, rule, {})):
        with pytest.raises(BadInput) as error:
            call(text, both[0])
        assert error.value.code == "contract.several"
        assert both[1] in error.value.what


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda number: round(number, 3) + 0.0)
WORDS = st.sampled_from(["yes", "no", "1e3", "012", "12:30", "null", "~", "", " a ", "2024-01-01", "#x", "a: b", "'", '"', "\n", "é", "- a", "%d", "off"]) | NAMES  # fmt: skip
ARGUMENTS = {
    "dependency": st.just({"by": ["b c"]}),
    "not-null": st.fixed_dictionaries({}, optional={"missing": st.lists(WORDS, min_size=1, max_size=3)}),
    "set": st.fixed_dictionaries({"values": st.lists(WORDS | NUMBERS, min_size=1, max_size=4)}, optional={"negated": st.sampled_from([True])}),
    "range": st.fixed_dictionaries({"at_least": NUMBERS}, optional={"below": NUMBERS}),
    "pattern": st.fixed_dictionaries({"regex": WORDS}, optional={"negated": st.sampled_from([True])}),
    "length": st.fixed_dictionaries({"at_most": st.integers(0, 99)}),
    "type": st.fixed_dictionaries({"type": st.sampled_from(["integer", "date", "json"])}),
    "format": st.fixed_dictionaries({"format": st.sampled_from(["email", "iban"])}),
    "condition": st.fixed_dictionaries({"sql": WORDS}),
    "unique": st.fixed_dictionaries({}, optional={"nulls": st.just("equal")}),
    "foreign-key": st.fixed_dictionaries({"table": NAMES, "columns": st.lists(NAMES, min_size=1, max_size=2)}),
    "continuity": st.just({"every": "1 hour"}),
    "aggregate": st.fixed_dictionaries({"function": st.sampled_from(["min", "mean"])}),
    "agreement": st.fixed_dictionaries({"function": st.just("row-count"), "with": st.fixed_dictionaries({"table": NAMES})}),
    "sql": st.fixed_dictionaries({"query": st.just("SELECT 1") | st.just("SELECT count(*)\nFROM t")}),
    "schema": st.fixed_dictionaries({"columns": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2), "more": st.booleans()}),
    "distribution": st.just({"method": "psi", "reference": {"edges": [1, 2], "counts": [3, 4, 5]}}),
}  # fmt: skip
OF_NONE = {"row-count", "sql", "schema", "agreement"}
BOUNDS = st.builds(
    Bounds,
    at_most=NUMBERS | st.none(),
    above=NUMBERS | st.none(),
    not_within=st.tuples(st.integers(0, 5), st.integers(6, 9)) | st.none(),
)


@st.composite
def rules(draw):
    kind = draw(st.sampled_from(get_args(Kind)))
    columns = (
        []
        if kind in OF_NONE
        else draw(
            st.lists(
                st.sampled_from(["a", "b c", 'd"', "é.f"]),
                min_size=1,
                max_size=2 if kind in {"unique", "condition"} else 1,
                unique=True,
            )
        )
    )
    bounds = draw(BOUNDS)
    named = {"bounds": bounds if bounds != Bounds() else Bounds(at_most=7)}
    where = draw(st.sampled_from(["", "x > 1", "state = 'yes'"]))
    made = draft(
        kind,
        "t",
        columns,
        draw(ARGUMENTS.get(kind, st.just({}))),
        where=where,
        text=draw(st.sampled_from(["", "what for", "1.10"])),
        **named,
    )
    return made.model_copy(
        update={
            "severity": draw(st.sampled_from(["error", "warning"])),
            "id": draw(st.sampled_from([made.id, "own-id", "its own, named"])),
        }
    )


@example([draft("row-count", "t", (), {}, bounds=Bounds(at_most=0))])
@settings(max_examples=40, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=4))
def test_a_rule_says_the_same_after_it_was_written_and_read(given_rules):
    table = ImportedTable(
        name="t", columns=tuple(ImportedColumn(name=name) for name in ("a", "b c", 'd"', "é.f"))
    )
    text = write.new_contract("made", [table], given_rules, system="app", server={"type": "custom"})
    contract = read(text, "made")
    wanted = sorted((_plain(rule) for rule in given_rules), key=repr)
    found = [_plain(rule) for rule in contract.rules if rule.at != "schema[0].properties"]
    assert sorted(found, key=repr) == wanted
    assert contract.systems == ("app",)
    assert write.changed(text, lambda data: None) == text


def _plain(rule):
    """What a rule says: a set without what stands for nothing is the same set."""
    said = rule.model_dump(mode="json", exclude={"at", "id", "dialect"})
    bounds = said["bounds"]
    if said["kind"] == "not-null" and rule.arguments.get("missing") == []:
        said["arguments"] = {}
    return {
        **said,
        "bounds": {
            key: float(value) if isinstance(value, (int, float)) else value for key, value in bounds.items()
        },
    }


@given(
    st.recursive(
        NAMES | NUMBERS | st.booleans() | st.none() | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        max_leaves=8,
    )
)
@example(["?0", "? a", "?"])
def test_any_data_is_written_so_that_it_is_read_again(value):
    assert parse(write.dumped({"it": value}), "it").data == {"it": value}
