"""Other tools' files as rules: each thing that is asked is a rule or is named, the figures add up, and what is executed means the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.quality.contracts import write
from datareeve.capabilities.quality.contracts.imports import (
    avro,
    dbt,
    expectations,
    great_expectations,
    json_schema,
    soda,
)
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds
from datareeve.core.errors import BadInput

# great_expectations/expectations/core: every module of 1.x and what it keeps of 0.x
GX_CORE = """
expect_column_bootstrapped_ks_test_p_value_to_be_greater_than
expect_column_chisquare_test_p_value_to_be_greater_than expect_column_distinct_values_to_be_in_set
expect_column_distinct_values_to_contain_set expect_column_distinct_values_to_equal_set
expect_column_kl_divergence_to_be_less_than expect_column_max_to_be_between expect_column_mean_to_be_between
expect_column_median_to_be_between expect_column_min_to_be_between
expect_column_most_common_value_to_be_in_set expect_column_pair_cramers_phi_value_to_be_less_than
expect_column_pair_values_a_to_be_greater_than_b expect_column_pair_values_to_be_equal
expect_column_pair_values_to_be_in_set
expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than
expect_column_proportion_of_unique_values_to_be_between expect_column_quantile_values_to_be_between
expect_column_stdev_to_be_between expect_column_sum_to_be_between expect_column_to_exist
expect_column_unique_value_count_to_be_between expect_column_value_lengths_to_be_between
expect_column_value_lengths_to_equal expect_column_value_z_scores_to_be_less_than
expect_column_values_to_be_between expect_column_values_to_be_dateutil_parseable
expect_column_values_to_be_decreasing expect_column_values_to_be_in_set
expect_column_values_to_be_in_type_list expect_column_values_to_be_increasing
expect_column_values_to_be_json_parseable expect_column_values_to_be_null expect_column_values_to_be_of_type
expect_column_values_to_be_unique expect_column_values_to_match_json_schema
expect_column_values_to_match_like_pattern expect_column_values_to_match_like_pattern_list
expect_column_values_to_match_regex expect_column_values_to_match_regex_list
expect_column_values_to_match_strftime_format expect_column_values_to_not_be_in_set
expect_column_values_to_not_be_null expect_column_values_to_not_match_like_pattern
expect_column_values_to_not_match_like_pattern_list expect_column_values_to_not_match_regex
expect_column_values_to_not_match_regex_list expect_compound_columns_to_be_unique
expect_multicolumn_sum_to_equal expect_multicolumn_values_to_be_unique
expect_select_column_values_to_be_unique_within_record expect_table_column_count_to_be_between
expect_table_column_count_to_equal expect_table_columns_to_match_ordered_list
expect_table_columns_to_match_set expect_table_row_count_to_be_between expect_table_row_count_to_equal
expect_table_row_count_to_equal_other_table unexpected_rows_expectation
""".split()
# dbt_expectations, macros/schema_tests
DBT_EXPECTATIONS = """
equal_expression expression_between expression_is_true expect_column_distinct_count_to_be_greater_than
expect_column_distinct_count_to_be_less_than expect_column_distinct_count_to_equal
expect_column_distinct_count_to_equal_other_table expect_column_distinct_values_to_be_in_set
expect_column_distinct_values_to_contain_set expect_column_distinct_values_to_equal_set
expect_column_max_to_be_between expect_column_mean_to_be_between expect_column_median_to_be_between
expect_column_min_to_be_between expect_column_most_common_value_to_be_in_set
expect_column_proportion_of_unique_values_to_be_between expect_column_quantile_values_to_be_between
expect_column_stdev_to_be_between expect_column_sum_to_be_between
expect_column_unique_value_count_to_be_between expect_column_values_to_be_between
expect_column_values_to_be_decreasing expect_column_values_to_be_in_set
expect_column_values_to_be_in_type_list expect_column_values_to_be_increasing
expect_column_values_to_be_null expect_column_values_to_be_of_type expect_column_values_to_be_unique
expect_column_values_to_have_consistent_casing expect_column_values_to_not_be_in_set
expect_column_values_to_not_be_null expect_column_values_to_be_within_n_moving_stdevs
expect_column_values_to_be_within_n_stdevs expect_row_values_to_have_data_for_every_n_datepart
expect_column_pair_values_A_to_be_greater_than_B expect_column_pair_values_to_be_equal
expect_column_pair_values_to_be_in_set expect_compound_columns_to_be_unique expect_multicolumn_sum_to_equal
expect_select_column_values_to_be_unique_within_record expect_column_value_lengths_to_be_between
expect_column_value_lengths_to_equal expect_column_values_to_match_like_pattern
expect_column_values_to_match_like_pattern_list expect_column_values_to_match_regex
expect_column_values_to_match_regex_list expect_column_values_to_not_match_like_pattern
expect_column_values_to_not_match_like_pattern_list expect_column_values_to_not_match_regex
expect_column_values_to_not_match_regex_list expect_column_to_exist
expect_grouped_row_values_to_have_recent_data expect_row_values_to_have_recent_data
expect_table_aggregation_to_equal_other_table expect_table_column_count_to_be_between
expect_table_column_count_to_equal expect_table_column_count_to_equal_other_table
expect_table_columns_to_contain_set expect_table_columns_to_match_ordered_list
expect_table_columns_to_match_set expect_table_columns_to_not_contain_set
expect_table_row_count_to_be_between expect_table_row_count_to_equal
expect_table_row_count_to_equal_other_table expect_table_row_count_to_equal_other_table_times_factor
""".split()
# dbt-labs/dbt-utils, macros/generic_tests
DBT_UTILS = """
accepted_range at_least_one cardinality_equality equal_rowcount equality expression_is_true fewer_rows_than
mutually_exclusive_ranges not_accepted_values not_constant not_empty_string not_null_proportion recency
relationships_where sequential_values unique_combination_of_columns
""".split()
GIVEN = {
    "column": "a", "column_A": "a", "column_B": "b", "min_value": 1, "max_value": 9, "value_set": [1, 2], "regex": "^a", "regex_list": ["a", "b"],
    "like_pattern": "a%", "like_pattern_list": ["a%", "b%"], "value": 3, "type_": "INTEGER", "type_list": ["int", "bigint"], "column_type": "text",
    "column_type_list": ["text", "varchar"], "threshold": 3, "sigma_threshold": 3, "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 2]]}, "quantile": 0.5,
    "value_pairs_set": [[1, 2]], "column_list": ["a", "b"], "column_set": ["a", "b"], "sum_total": 10, "other_table_name": "o", "compare_model": "ref('o')",
    "unexpected_rows_query": "SELECT * FROM {batch} WHERE a < 0", "strftime_format": "%Y-%m-%d", "sort_column": "b", "expression": "a > 0", "datepart": "day",
    "date_part": "day", "date_col": "a", "interval": 1, "field": "a", "to": "ref('o')", "at_least": 0.9, "lower_bound_column": "a", "upper_bound_column": "b",
    "combination_of_columns": ["a", "b"], "values": [1], "ties_okay": True, "double_sided": True,
}  # fmt: skip
UNTRANSLATED = ("not known", "kind that it takes")


def one(rules):
    assert not isinstance(rules, str), rules
    (rule,) = rules
    return rule


def fitting(ask):
    """Of the arguments of all, those that one of them takes: what it does not execute it names."""
    made, given = ask(GIVEN), GIVEN
    while isinstance(made, str) and made.startswith("Not executed with "):
        unasked = made.removeprefix("Not executed with ").split(":")[0].split(", ")
        given = {key: value for key, value in given.items() if key not in unasked}
        made = ask(given)
    return given


@pytest.mark.parametrize("name", GX_CORE)
def test_every_core_expectation_is_a_rule_or_is_named(name):
    suite = {"expectation_suite_name": "t", "expectations": [{"expectation_type": name, "kwargs": fitting(lambda given: expectations.translated(name, given, "t"))}]}  # fmt: skip
    imported = great_expectations.read(json.dumps(suite))
    assert imported.asked == 1
    assert bool(imported.rules) != bool(imported.unsupported)
    for told in imported.unsupported:
        assert told.name == name
        assert not [words for words in UNTRANSLATED if words in told.why]
    contract = read(write.new_contract("t", imported.tables, imported.rules, imported.leftovers), "t")
    assert [told.name for told in contract.unsupported] == [told.name for told in imported.unsupported]


def test_most_core_expectations_are_executed():
    given = {
        name: fitting(lambda given, name=name: expectations.translated(name, given, "t")) for name in GX_CORE
    }
    executed = [
        name for name in GX_CORE if not isinstance(expectations.translated(name, given[name], "t"), str)
    ]
    assert len(GX_CORE) == 59
    assert len(executed) == 49


@pytest.mark.parametrize("package", ["dbt_expectations", "dbt_utils"])
def test_every_test_of_the_packages_is_a_rule_or_is_named(package):
    names = DBT_EXPECTATIONS if package == "dbt_expectations" else DBT_UTILS
    named = [f"{package}.{name}" for name in names]
    tests = [{name: fitting(lambda given, name=name: dbt.single({name: given}, "t", "a"))} for name in named]
    imported = dbt.read(json.dumps({"models": [{"name": "t", "columns": [{"name": "a", "tests": tests}]}]}))
    assert imported.asked == len(names)
    assert {rule.at for rule in imported.rules}.isdisjoint(told.at for told in imported.unsupported)
    assert imported.executed + len(imported.unsupported) == len(names)
    assert not [
        told.name for told in imported.unsupported if any(words in told.why for words in UNTRANSLATED)
    ]
    read(write.new_contract("t", imported.tables, imported.rules, imported.leftovers), "t")


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "said", "bounds"),
    [
        ("expect_column_values_to_be_between", {"column": "a", "min_value": 1, "strict_max": True, "max_value": 5}, "range", {"at_least": 1, "below": 5}, NONE_BREAK),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": ["x"], "mostly": 0.95}, "set", {"values": ["x"]}, Bounds(at_most=5)),
        ("ExpectColumnMeanToBeBetween", {"column": "a", "min_value": 1}, "aggregate", {"function": "mean"}, Bounds(at_least=1)),
        ("expect_column_proportion_of_unique_values_to_be_between", {"column": "a", "min_value": 0.5}, "aggregate", {"function": "distinct-percent"}, Bounds(at_least=50)),
        ("expect_column_min_to_be_between", {"column": "a", "min_value": "2024-01-01"}, "range", {"at_least": "2024-01-01"}, NONE_BREAK),
        ("expect_table_row_count_to_equal", {"value": 7}, "row-count", {}, Bounds(equal_to=7)),
        ("expect_column_value_lengths_to_be_between", {"column": "a", "min_value": 1, "strict_min": True}, "length", {"at_least": 2}, NONE_BREAK),
        ("expect_column_values_to_match_regex_list", {"column": "a", "regex_list": ["x", "y"]}, "pattern", {"regex": "(?:x)|(?:y)"}, NONE_BREAK),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"], "ignore_row_if": "never"}, "unique", {"nulls": "equal"}, NONE_BREAK),
    ],
)  # fmt: skip
def test_an_expectation_means_the_same(name, arguments, kind, said, bounds):
    rule = one(expectations.translated(name, arguments, "t"))
    assert (rule.kind, rule.arguments, rule.bounds) == (kind, said, bounds)


@pytest.mark.parametrize(
    ("condition", "parser", "sql"),
    [
        ('col("b").notNull()', "great_expectations__experimental__", '"b" IS NOT NULL'),
        ('col("b") >= 5', "great_expectations", '"b" >= 5'),
        ("b=='x'", "pandas", "\"b\" = 'x'"),
        ("b > 1 AND c < 2", "spark", "b > 1 AND c < 2"),
        ({"type": "comparison", "column": {"name": "b"}, "operator": "==", "parameter": "x"}, "", "\"b\" = 'x'"),
    ],
)  # fmt: skip
def test_a_row_condition_is_sql(condition, parser, sql):
    arguments = {"column": "a", "row_condition": condition, "condition_parser": parser}
    assert one(expectations.translated("expect_column_values_to_not_be_null", arguments, "t")).where == sql


def test_a_condition_that_is_no_sql_is_named():
    arguments = {"column": "a", "row_condition": 'col("b").f() | col("c") == 2'}
    made = expectations.translated("expect_column_values_to_not_be_null", arguments, "t")
    assert made == "Its row_condition is not plain SQL: write it as one."


DBT = """
version: 2
models:
  - name: orders
    tests:
      - dbt_utils.unique_combination_of_columns: {combination_of_columns: [a, b]}
    columns:
      - name: id
        data_type: bigint
        constraints: [{type: primary_key}, {type: whatever}]
        tests:
          - unique
          - not_null: {config: {severity: warn, where: "state <> 'x'"}}
          - relationships: {to: ref('customers'), field: id, name: known_customer}
      - name: state
        data_tests:
          - accepted_values: {arguments: {values: [a, b]}, config: {error_if: ">10", warn_if: ">=5"}}
          - our_own_test
          - not_null: {where: "day > {{ var('day') }}"}
sources:
  - name: raw
    schema: landing
    tables:
      - name: clicks
        identifier: clicks_v2
        loaded_at_field: loaded
        freshness: {warn_after: {count: 12, period: hour}, error_after: {count: 1, period: day}}
"""


def test_dbt_tests_keep_severity_thresholds_and_conditions():
    imported = dbt.read(DBT)
    by = {(rule.at, rule.severity): rule for rule in imported.rules}
    null = by["models[0].columns[0].tests[1]", "warning"]
    assert (null.kind, null.where) == ("not-null", "state <> 'x'")
    assert by["models[0].columns[1].data_tests[0]", "error"].bounds == Bounds(at_most=10)
    assert by["models[0].columns[1].data_tests[0]", "warning"].bounds == Bounds(below=5)
    assert by["models[0].columns[0].tests[2]", "error"].id == "known_customer"
    assert by["sources[0].tables[0].freshness.error_after", "error"].bounds == Bounds(at_most=86_400)
    assert by["sources[0].tables[0].freshness.warn_after", "warning"].bounds == Bounds(at_most=43_200)
    assert {(told.name, told.at) for told in imported.unsupported} == {
        ("constraint whatever", "models[0].columns[0].constraints[1]"),
        ("our_own_test", "models[0].columns[1].data_tests[1]"),
        ("not_null", "models[0].columns[1].data_tests[2]"),
    }
    assert imported.asked == imported.executed + 3 == 11
    assert {table.name: table.physical_name for table in imported.tables} == {
        "orders": "",
        "clicks": "landing.clicks_v2",
    }


@pytest.mark.parametrize(
    ("name", "arguments", "lost"),
    [
        ("expect_table_row_count_to_equal_other_table", {"compare_model": "ref('o')", "factor": 2}, "factor"),
        ("expect_table_row_count_to_equal_other_table", {"compare_model": "ref('o')", "compare_row_condition": "x"}, "compare_row_condition"),
        ("expect_table_row_count_to_equal_other_table", {"compare_model": "ref('o')", "row_condition": "x > 1"}, "Some rows"),
        ("expect_column_values_to_be_increasing", {"step": 2}, "step"),
        ("expect_column_max_to_be_between", {"max_value": 9, "mostly": 0.9}, "mostly"),
    ],
)  # fmt: skip
def test_an_argument_that_is_not_executed_is_named_and_never_dropped(name, arguments, lost):
    made = dbt.single({f"dbt_expectations.{name}": arguments}, "t", "a")
    assert isinstance(made, str), made
    assert lost in made


def test_a_group_that_a_test_of_dbt_utils_is_asked_of_is_not_dropped():
    made = dbt.single({"dbt_utils.at_least_one": {"group_by_columns": ["shop"]}}, "t", "a")
    assert "group_by_columns" in made


@pytest.mark.parametrize(
    ("given", "sign"), [({}, "<="), ({"strictly": True}, "<="), ({"strictly": False}, "<")]
)
def test_increasing_is_strict_in_dbt_unless_it_is_said(given, sign):
    rule = one(dbt.single({"dbt_expectations.expect_column_values_to_be_increasing": given}, "t", "a"))
    assert rule.arguments["query"].endswith(f"WHERE v {sign} b")
    suite = {"column": "a", "sort_column": "b"}
    plain = one(expectations.translated("expect_column_values_to_be_increasing", suite, "t"))
    assert plain.arguments["query"].endswith("WHERE v < b")


VERSIONS = """
models:
  - name: orders
    latest_version: 2
    tests: [{dbt_utils.expression_is_true: {expression: id > 0}}]
    columns:
      - {name: id, tests: [unique]}
      - {name: old, tests: [not_null]}
    versions:
      - {v: 1}
      - v: 2
        tests: []
        columns:
          - {include: all, exclude: [old]}
          - {name: state, tests: [not_null]}
  - name: lines
    columns:
      - name: order_id
        tests:
          - relationships: {to: ref('orders'), field: id}
          - relationships: {to: "ref('orders', v=1)", field: id}
sources:
  - name: raw
    config: {loaded_at_field: loaded, freshness: {warn_after: {count: 12, period: hour}}}
    tables:
      - name: clicks
        config: {freshness: {error_after: {count: 1, period: day}}}
      - {name: still, config: {freshness: null}}
"""


def test_versions_of_a_model_and_freshness_under_config_are_read():
    imported = dbt.read(VERSIONS)
    assert {table.name: table.physical_name for table in imported.tables} == {
        "orders_v1": "", "orders": "orders_v2", "lines": "", "clicks": "", "still": "",
    }  # fmt: skip
    told = {(rule.table, rule.kind, rule.columns) for rule in imported.rules}
    assert {
        ("orders_v1", "unique", ("id",)), ("orders_v1", "not-null", ("old",)), ("orders", "unique", ("id",)), ("orders", "not-null", ("state",)),
        ("clicks", "freshness", ("loaded",)),
    } < told  # fmt: skip
    assert ("orders", "not-null", ("old",)) not in told
    fresh = {(rule.severity, rule.bounds.at_most) for rule in imported.rules if rule.kind == "freshness"}
    assert fresh == {("warning", 43_200), ("error", 86_400)}
    assert [rule.arguments["table"] for rule in imported.rules if rule.kind == "foreign-key"] == ["orders", "orders_v1"]  # fmt: skip
    assert not imported.unsupported
    read(write.new_contract("t", imported.tables, imported.rules, imported.leftovers), "t")


SODA = """
filter orders [daily]:
  where: created > '2020-01-01'
checks for orders [daily]:
  - row_count > 0
checks for orders [hourly]:
  - row_count > 0
checks for orders:
  - row_count between 1 and 10
  - missing_percent(a) < 5%
  - duplicate_count(a, b) = 0
  - invalid_count(x) = 0:
      valid values: [a, b]
      valid max length: 3
  - avg(price):
      fail: when > 10
      warn: when not between 2 and 8
  - percentile(price, 0.95) < 100
  - freshness(created) < 1d6h
  - schema:
      fail: {when required column missing: [a, b]}
      warn: {when wrong column type: {a: integer}}
  - values in (a, b) must exist in customers (c, d)
  - failed rows: {name: bad, fail condition: a < 0}
  - anomaly detection for row_count
  - mine between 1 and 2: {mine expression: AVG(a - b)}
  - change for row_count < 5
  - row_count > ${least}
  - row_count same as other
  - stars(x) = 3
"""


def test_sodacl_says_what_it_says():
    imported = soda.read(SODA)
    found = [(rule.kind, rule.columns, rule.bounds.words, rule.severity) for rule in imported.rules]
    assert found == [
        ("row-count", (), "above 0", "error"),
        ("row-count", (), "at least 1, at most 10", "error"),
        ("not-null", ("a",), "below 5", "error"),
        ("unique", ("a", "b"), "at most 0", "error"),
        ("set", ("x",), "at most 0", "error"),
        ("length", ("x",), "at most 0", "error"),
        ("aggregate", ("price",), "at most 10", "error"),
        ("aggregate", ("price",), "at least 2, at most 8", "warning"),
        ("aggregate", ("price",), "below 100", "error"),
        ("freshness", ("created",), "at most 108000", "error"),
        ("schema", (), "at most 0", "error"),
        ("schema", (), "at most 0", "warning"),
        ("foreign-key", ("a", "b"), "at most 0", "error"),
        ("condition", (), "at most 0", "error"),
        ("learned", (), "", "error"),
        ("sql", (), "at least 1, at most 2", "error"),
        ("agreement", (), "equal to 0", "error"),
    ]
    assert imported.rules[0].where == "created > '2020-01-01'"
    assert [told.name for told in imported.unsupported] == [
        "row_count > 0",
        "change for row_count < 5",
        "row_count > ${least}",
        "stars(x) = 3",
    ]
    assert imported.asked == imported.executed + len(imported.unsupported) == 18


@pytest.mark.parametrize(
    ("line", "below", "lost"),
    [
        ("invalid_count(x) = 0", {"valid values": ["a"], "invalid format": "email"}, "invalid format"),
        ("invalid_count(x) = 0", {"valid regex": "^a", "valid names file": "n.csv"}, "valid names file"),
        ("avg(x) > 3", {"valid min": 0}, "valid min"),
        ("duplicate_count(x) = 0", {"missing values": ["n/a"]}, "missing values"),
    ],
)
def test_a_criterion_of_soda_that_is_not_executed_is_named(line, below, lost):
    made = soda.single({line: below}, "t", "x")
    assert isinstance(made, str), made
    assert lost in made


def test_an_enumeration_with_objects_in_it_is_named_and_not_cut_short():
    text = json.dumps(
        {"title": "t", "type": "object", "properties": {"a": {"enum": [{"b": 1}, 2]}, "c": {"const": 3}}}
    )
    imported = json_schema.read(text)
    assert {column.name: column.enum for column in imported.tables[0].columns} == {"a": (), "c": (3,)}
    assert [one.name for one in imported.unsupported] == ["a enum"]


def test_a_soda_contract_is_read():
    text = """
dataset: pg/db/public/orders
columns:
  - name: id
    data_type: integer
    checks: [{missing: }, {duplicate: {threshold: {must_be_less_than: 3}}}]
  - name: kind
    checks: [{invalid: {valid_values: [a, b]}}, {aggregate: {function: avg_length, threshold: {must_be_between: {greater_than_or_equal: 1, less_than_or_equal: 2}}}}]
checks: [{row_count: {}}, {failed_rows: {expression: id < 0}}, {strange: {}}]
"""
    imported = soda.read(text)
    assert [rule.kind for rule in imported.rules] == ["row-count", "condition", "not-null", "sql", "set", "aggregate"]  # fmt: skip
    assert [told.name for told in imported.unsupported] == ["strange"]


def test_a_json_schema_is_a_table():
    text = json.dumps({
        "title": "Order", "type": "object", "required": ["id", "state"], "additionalProperties": False,
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "state": {"type": ["string", "null"], "enum": ["a", "b", None]},
            "mail": {"$ref": "#/$defs/mail"},
            "day": {"type": "string", "format": "date"},
            "odd": {"type": "string", "not": {"const": "x"}},
            "address": {"type": "object", "required": ["street"], "properties": {"street": {"type": "string"}}},
        },
        "$defs": {"mail": {"type": "string", "format": "email", "maxLength": 50}},
    })  # fmt: skip
    imported = json_schema.read(text)
    contract = read(write.new_contract("o", imported.tables, imported.rules, imported.leftovers), "o")
    found = {(rule.kind, rule.columns): rule.arguments for rule in contract.rules}
    assert found["range", ("id",)] == {"at_least": 1}
    assert ("not-null", ("id",)) in found
    assert ("not-null", ("state",)) not in found
    assert found["set", ("state",)] == {"values": ["a", "b"]}
    assert found["format", ("mail",)] == {"format": "email"}
    assert found["length", ("mail",)] == {"at_most": 50}
    assert any(rule.arguments.get("more") is False for rule in contract.rules)
    assert [told.name for told in imported.unsupported] == ["odd not"]
    assert {told.name for told in contract.unsupported} == {"Order.address.street required", "not"}


def test_an_avro_schema_is_a_table():
    text = json.dumps({
        "type": "record", "name": "Order", "fields": [
            {"name": "id", "type": "long", "doc": "its number"},
            {"name": "state", "type": ["null", {"type": "enum", "name": "State", "symbols": ["A", "B"]}]},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "odd", "type": ["int", "string"]},
            {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "int"}]}},
        ],
    })  # fmt: skip
    imported = avro.read(text)
    contract = read(write.new_contract("o", imported.tables, imported.rules, imported.leftovers), "o")
    found = {(rule.kind, rule.columns): rule.arguments for rule in contract.rules}
    assert ("not-null", ("id",)) in found
    assert found["set", ("state",)] == {"values": ["A", "B"]}
    assert ("not-null", ("state",)) not in found
    assert [told.name for told in imported.unsupported] == ["odd union"]
    types = [column.logical_type for column in imported.tables[0].columns]
    assert types == ["integer", "string", "timestamp", "", "object"]


@pytest.mark.parametrize(
    "reader", [dbt.read, great_expectations.read, soda.read, json_schema.read, avro.read]
)
def test_what_is_something_else_is_bad_input(reader):
    for text in ("{}", "a: 1", "1", "{", "[1]"):
        with pytest.raises(BadInput) as error:
            reader(text)
        assert error.value.code in ("contract.import", "contract.syntax")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.sampled_from(sorted(GIVEN)), JUNK, max_size=5)
BELOW = st.dictionaries(st.sampled_from(["fail", "warn", "valid values", "valid regex", "valid min", "fail query", "fail condition", "name"]), JUNK, max_size=3)  # fmt: skip
LINES = st.sampled_from([line.strip().removeprefix("- ") for line in SODA.splitlines()])


def is_told(made):
    return bool(made) if isinstance(made, str) else all(rule.table == "t" for rule in made)


@given(st.sampled_from(GX_CORE + DBT_EXPECTATIONS), ARGUMENTS)
def test_any_arguments_give_rules_or_a_reason(name, arguments):
    assert is_told(expectations.translated(name, arguments, "t"))


@given(st.sampled_from([f"dbt_utils.{name}" for name in DBT_UTILS] + list(dbt.GENERIC)), ARGUMENTS)
def test_any_dbt_test_gives_rules_or_a_reason(name, arguments):
    assert is_told(dbt.single({name: arguments}, "t", "a"))


@given(LINES | st.text(max_size=30), BELOW)
def test_any_soda_check_gives_rules_or_a_reason(line, below):
    assert is_told(soda.single({line: below} if below else line, "t", "a"))
