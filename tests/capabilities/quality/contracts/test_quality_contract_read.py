"""Contracts of the standard as rules: what is a rule becomes one, what is none is named, what is wrong is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds
from datareeve.core.errors import BadInput

EXAMPLES = sorted((Path(__file__).parents[3] / "data" / "odcs").rglob("*.yaml"))
HEAD = "version: 1.0.0\nkind: DataContract\napiVersion: v3.1.0\nid: one\nstatus: active\n"
ORDERS = """
schema:
  - name: orders
    physicalName: public.orders
    properties:
      - {name: id, logicalType: integer}
      - {name: state, physicalName: status, logicalType: string}
      - {name: paid, logicalType: boolean}
      - {name: created, logicalType: timestamp}
"""


def of(quality: str, *, at: int | None = None, head: str = HEAD, tail: str = ""):
    """A contract of `orders` with quality entries at a property, or at the table."""
    pad = " " * (4 if at is None else 8)
    body = "\n".join(pad + line for line in f"quality:\n{quality}".splitlines())
    lines = ORDERS.strip("\n").splitlines()
    if at is not None:
        row = 4 + at
        inner = lines[row].strip()[3:-1]
        lines[row : row + 1] = [
            "      - " + "\n        ".join(part.strip() for part in inner.split(", ")),
            body,
        ]
        return read(head + "\n".join(lines) + tail, "c")
    return read(head + "\n".join(lines) + "\n" + body + tail, "c")


def the(contract, kind):
    return next(rule for rule in contract.rules if rule.kind == kind)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_of_the_standard_is_read(path):
    contract = read(path.read_text(), path.stem)
    assert contract.id
    assert len({rule.id for rule in contract.rules}) == len(contract.rules)


def test_the_full_example_says_what_it_says():
    path = next(path for path in EXAMPLES if path.name.startswith("full"))
    contract = read(path.read_text(), "full")
    assert contract.systems == ("my-postgres",)
    assert contract.owner == "daustin"
    table = contract.tables[0]
    assert (table.name, table.physical_name, table.key) == ("tbl", "tbl_1", ("rcvr_id",))
    assert table.columns == ("txn_ref_dt", "rcvr_id", "rcvr_cntry_code")
    keys = [rule for rule in contract.rules if rule.kind == "foreign-key"]
    assert (keys[0].columns, keys[0].arguments) == (("rcvr_id", "rcvr_cntry_code"), {"table": "receivers", "columns": ["id", "country_code"]})  # fmt: skip
    rows = the(contract, "row-count")
    assert (rows.bounds, rows.at) == (Bounds(above=1_000_000), "schema[0].quality[0]")
    assert {one.name for one in contract.unsupported} == {"latency", "generalAvailability", "endOfSupport", "endOfLife", "retention", "frequency", "timeOfAvailability"}  # fmt: skip


@pytest.mark.parametrize(
    ("operator", "bounds"),
    [
        ("mustBe: 0", NONE_BREAK),
        ("mustBe: 3", Bounds(equal_to=3)),
        ("mustNotBe: 3", Bounds(not_equal_to=3)),
        ("mustBeGreaterThan: 3", Bounds(above=3)),
        ("mustBeGreaterOrEqualTo: 3", Bounds(at_least=3)),
        ("mustBeLessThan: 3", Bounds(below=3)),
        ("mustBeLessOrEqualTo: 3", Bounds(at_most=3)),
        ("mustBeBetween: [1, 3]", Bounds(at_least=1, at_most=3)),
        ("mustNotBeBetween: [1, 3]", Bounds(not_within=(1, 3))),
    ],
)
def test_each_operator_is_a_bound(operator, bounds):
    assert of(f"- {{metric: nullValues, {operator}}}", at=1).rules[-1].bounds == bounds


@pytest.mark.parametrize(
    ("entry", "kind", "arguments"),
    [
        ("{metric: nullValues, mustBe: 0}", "not-null", {}),
        (
            "{metric: missingValues, arguments: {missingValues: [null, '', n/a]}, mustBe: 0}",
            "not-null",
            {"missing": ["", "n/a"]},
        ),
        ("{metric: invalidValues, arguments: {validValues: [a, null]}, mustBe: 0}", "set", {"values": ["a"]}),
        ("{metric: invalidValues, arguments: {pattern: '^a'}, mustBe: 0}", "pattern", {"regex": "^a"}),
        ("{metric: duplicateValues, mustBe: 0}", "unique", {}),
        ("{rule: duplicateCount, mustBe: 0}", "unique", {}),
        ("{rule: validValues, validValues: [a]}", "set", {"values": ["a"]}),
        (
            "{type: sql, query: 'SELECT count(*) FROM {object} WHERE ${property} = 1', mustBe: 0}",
            "sql",
            {"query": "SELECT count(*) FROM public.orders WHERE status = 1"},
        ),
    ],
)
def test_each_metric_is_a_rule(entry, kind, arguments):
    rule = of(f"- {entry}", at=1).rules[-1]
    assert (rule.kind, rule.columns, rule.arguments, rule.bounds) == (kind, ("status",), arguments, NONE_BREAK if kind != "sql" else Bounds(equal_to=0))  # fmt: skip


def test_percent_severity_dimension_and_id_are_kept():
    entry = "- {id: few-nulls, metric: nullValues, mustBeLessThan: 1, unit: percent, severity: info, dimension: cv, description: hardly any}"
    rule = of(entry, at=1).rules[-1]
    assert (rule.id, rule.unit, rule.severity, rule.dimension, rule.text) == (
        "few-nulls",
        "percent",
        "warning",
        "coverage",
        "hardly any",
    )


def test_an_id_that_two_rules_share_is_qualified():
    contract = of(
        "- {id: same, metric: rowCount, mustBe: 1}\n- {id: same, metric: duplicateValues, arguments: {properties: [id]}}"
    )
    assert {rule.id for rule in contract.rules if "same" in rule.id} == {"orders-same", "orders-id-same"}


def test_properties_are_rules():
    text = f"""{HEAD}
schema:
  - name: t
    properties:
      - {{name: b, primaryKey: true, primaryKeyPosition: 2, logicalType: integer}}
      - {{name: a, primaryKey: true, primaryKeyPosition: 1, required: true, logicalType: string, classification: pii/email}}
      - {{name: n, unique: true, logicalType: integer, logicalTypeOptions: {{minimum: 1, exclusiveMaximum: 9, multipleOf: 2}}, tags: [PII]}}
      - {{name: u, logicalType: string, logicalTypeOptions: {{minLength: 2, maxLength: 3, pattern: x, format: email}}}}
      - {{name: w, logicalType: integer, logicalTypeOptions: {{format: u8}}}}
"""
    contract = read(text, "t")
    found = {(rule.kind, rule.columns): rule.arguments for rule in contract.rules}
    assert found["unique", ("a", "b")] == {}
    assert ("not-null", ("a",)) in found
    assert ("not-null", ("b",)) in found
    assert found["range", ("n",)] == {"at_least": 1, "below": 9}
    assert found["condition", ("n",)] == {"sql": '"n" % 2 = 0'}
    assert found["length", ("u",)] == {"at_least": 2, "at_most": 3}
    assert found["pattern", ("u",)] == {"regex": "x"}
    assert found["format", ("u",)] == {"format": "email"}
    assert found["range", ("w",)] == {"at_least": 0, "at_most": 255}
    assert contract.tables[0].key == ("a", "b")
    assert contract.tables[0].personal == {"a": "email", "n": "personal"}


def test_nested_rules_are_named():
    text = f"""{HEAD}
schema:
  - name: t
    properties:
      - name: address
        logicalType: object
        properties:
          - {{name: street, required: true, quality: [{{id: filled, metric: nullValues, mustBe: 0}}]}}
      - {{name: tags, logicalType: array, items: {{logicalType: string, logicalTypeOptions: {{maxLength: 3}}}}}}
"""
    contract = read(text, "t")
    assert [(one.at, one.name) for one in contract.unsupported] == [
        ("schema[0].properties[0].properties[0].required", "t.address.street required"),
        ("schema[0].properties[0].properties[0].quality[0]", "t.address.street filled"),
        ("schema[0].properties[1].items.logicalTypeOptions", "t.tags.items logicalTypeOptions"),
    ]


def test_freshness_is_a_service_level():
    contract = of(
        "- {metric: rowCount, mustBeGreaterThan: 0}",
        tail="\nslaProperties:\n  - {property: latency, value: 4, unit: h, element: orders.created}\n",
    )
    rule = the(contract, "freshness")
    assert (rule.columns, rule.bounds, rule.unit) == (("created",), Bounds(at_most=14_400), "seconds")


def test_our_own_kinds_are_entries_of_engine_datareeve():
    contract = of(
        """
- type: custom
  engine: datareeve
  implementation: {kind: condition, columns: [id, state], arguments: {sql: id > 0}, where: paid, tolerance: 0.5 %}
- type: custom
  engine: datareeve
  implementation: |
    kind: aggregate
    columns: [id]
    function: max
    mustBeLessThan: 10
- {type: custom, engine: datareeve, implementation: {kind: foreign-key, columns: [id], table: other, references: [oid]}}
""".strip()
    )
    condition, aggregate, key = contract.rules[-3:]
    assert (condition.columns, condition.where, condition.bounds, condition.unit) == (
        ("id", "status"),
        "paid",
        Bounds(at_most=0.5),
        "percent",
    )
    assert (aggregate.arguments, aggregate.bounds) == ({"function": "max"}, Bounds(below=10))
    assert key.arguments == {"table": "other", "columns": ["oid"]}


def test_other_engines_are_translated_or_named():
    contract = of(
        """
- {type: custom, engine: greatExpectations, implementation: {type: expect_table_row_count_to_be_between, kwargs: {minValue: 10, maxValue: 50}}}
- {type: custom, engine: soda, implementation: "row_count > 5"}
- {type: custom, engine: dbt, implementation: {test: dbt_utils.expression_is_true, expression: id > 0}}
- {type: custom, engine: montecarlo, id: strange, implementation: whatever}
- {type: text, description: Everything is fine.}
""".strip()
    )
    assert [rule.bounds.words for rule in contract.rules if rule.kind == "row-count"] == [
        "at least 10, at most 50",
        "above 5",
    ]
    assert the(contract, "condition").arguments == {"sql": "id > 0"}
    assert [one.name for one in contract.unsupported] == ["strange", "text"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "schema:\n  - {name: t, properties: [{name: a, requird: true}]}", 'schema[0].properties[0].requird (line 7, column 38) is an unknown key; did you mean "required"?'),
        (HEAD + "schema:\n  - {nam: t}", 'lacks the key "name"'),
        (HEAD + "schema:\n  - {name: t, properties: [{name: a, required: maybe}]}", "is text where true or false is expected"),
        (HEAD + "schema:\n  - {name: t, properties: [{name: a, logicalType: boolean, logicalTypeOptions: {minimum: 1}}]}", "is no option of type boolean"),
        (HEAD + "schema:\n  - {name: t, properties: [{name: a}], quality: [{metric: duplicateValues, arguments: {properties: [b]}}]}", 'names "b", which t does not have'),
        (HEAD + "schema:\n  - {name: t, quality: [{metric: rowCont, mustBe: 1}]}", 'did you mean "rowCount"?'),
        (HEAD + "schema:\n  - {name: t, quality: [{metric: rowCount}]}", "no bound"),
        (HEAD + "schema:\n  - {name: t}\n  - {name: t}", 'is the second table "t"'),
        (HEAD.replace("v3.1.0", "v2.2.2"), "second version"),
        ("version: 1", 'lacks the key "id"'),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text, told):
    with pytest.raises(BadInput) as error:
        read(text, "c")
    assert error.value.code == "contract.invalid"
    assert told in error.value.what


def test_a_rule_that_does_not_fit_its_column_is_found():
    with pytest.raises(BadInput, match="asks for range of a column of type boolean"):
        of("- {type: custom, engine: datareeve, implementation: {kind: range, at_least: 1}}", at=2)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{kind: continuity, columns: [created], every: 1 day, at_least: 2024-01-01}", "is no argument of continuity"),
        ("{kind: continuity, columns: [created], every: 1 day, at_most: 2024-12-31}", "is no argument of continuity"),
        ("{kind: gaps, columns: [id], step: 0}", "is not a number above zero"),
        ("{kind: gaps, columns: [id], step: -1}", "is not a number above zero"),
        ("{kind: schema, columns: [{name: id, required: true}]}", "write a rule of kind not-null"),
        ("{kind: schema, columns: [id]}", "is no list of columns"),
        ("{kind: row-count, tolerance: 5 %}", "row-count counts none"),
        ("{kind: aggregate, columns: [id], function: sum, tolerance: 5}", "aggregate counts none"),
        ("{kind: not-null, columns: [id], tolerance: -1}", "neither a number"),
        ("{kind: row-count, mustBeLessThan: .inf}", "is not a number"),
        ("{kind: row-count, mustBe: .nan}", "is not a number"),
    ],
)  # fmt: skip
def test_what_would_not_be_executed_as_it_stands_is_refused(said, told):
    with pytest.raises(BadInput) as error:
        of(f"- {{type: custom, engine: datareeve, implementation: {said}}}")
    assert told in error.value.what


@pytest.mark.parametrize(
    ("tolerance", "unit"),
    [("5 %", "percent"), ("5", "value"), ("0", "value")],
    ids=["share", "figure", "none"],
)
def test_an_agreement_may_be_off_by_so_much_on_either_side(tolerance, unit):
    said = f"{{kind: agreement, function: row-count, with: {{table: other}}, tolerance: {tolerance}}}"
    rule = the(of(f"- {{type: custom, engine: datareeve, implementation: {said}}}"), "agreement")
    most = float(tolerance.rstrip(" %"))
    assert (rule.bounds, rule.unit) == (Bounds(at_least=-most, at_most=most), unit)
    assert not rule.bounds.hold(-90)


@pytest.mark.parametrize(
    ("operators", "bounds"),
    [
        ("mustBeGreaterOrEqualTo: 0, mustBeLessThan: 1, unit: percent", Bounds(at_least=0, below=1)),
        ("mustBeGreaterOrEqualTo: 0, mustBeLessThan: 1", NONE_BREAK),
        ("mustBeGreaterOrEqualTo: 10, mustBeBetween: [0, 100]", Bounds(at_least=10, at_most=100)),
        ("mustBeLessOrEqualTo: 50, mustBeBetween: [0, 100]", Bounds(at_least=0, at_most=50)),
    ],
)
def test_operators_together_all_hold(operators, bounds):
    assert the(of(f"- {{metric: nullValues, {operators}}}", at=1), "not-null").bounds == bounds


def test_values_of_a_column_of_text_are_as_they_are_written():
    given = "- {metric: invalidValues, arguments: {validValues: [010, 1.10, true, open, null]}}"
    assert the(of(given, at=1), "set").arguments == {"values": ["010", "1.10", "true", "open"]}
    own = "- {type: custom, engine: datareeve, implementation: {kind: set, values: [007]}}"
    assert the(of(own, at=1), "set").arguments == {"values": ["007"]}
    assert the(of("- {metric: invalidValues, arguments: {validValues: [1, 2]}}", at=0), "set").arguments == {
        "values": [1, 2]
    }


def test_several_mistakes_are_told_at_once():
    with pytest.raises(BadInput) as error:
        read(HEAD + "foo: 1\nschema:\n  - {name: t, bar: 2}", "c")
    assert "foo (line 6, column 1)" in error.value.what
    assert "schema[0].bar (line 8, column 15)" in error.value.what


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(8)
        ),
        "a: " + "[" * 5000 + "]" * 5000,
        "a: !!python/object/apply:os.system [ls]",
        "a: [1",
        "a: 1\na: 2",
        "\x00",
        "a: *b",
        "? [a]\n: b",
        "a: " + "x" * (4 * 2**20),
    ],
    ids=["aliases", "depth", "tag", "open", "twice", "nul", "alias", "key", "size"],
)
def test_a_hostile_text_is_bad_input(text):
    with pytest.raises(BadInput) as error:
        read(text, "c")
    assert error.value.code == "contract.syntax"


@given(st.text(max_size=200))
def test_any_text_is_a_contract_or_bad_input(text):
    with pytest.raises(BadInput):
        read(text, "c")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "metric", "columns", "arguments", "mustBe", "type", "engine", "implementation", "query", "values", "function"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(ANY)
def test_any_entry_is_a_rule_or_named_or_bad_input(entry):
    import json  # noqa: PLC0415

    data = {"version": "1", "kind": "DataContract", "apiVersion": "v3.1.0", "id": "a", "status": "s", "schema": [{"name": "t", "properties": [{"name": "a", "quality": [entry]}], "quality": [entry]}]}  # fmt: skip
    try:
        contract = read(json.dumps(data), "c")
    except BadInput as error:
        assert error.code.startswith("contract.")  # noqa: PT017
    else:
        assert len(contract.rules) + len(contract.unsupported) >= 3
