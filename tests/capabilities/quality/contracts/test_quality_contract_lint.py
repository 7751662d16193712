"""What is drafted is valid by datacontract-cli's own lint, of every kind of system, and goes out in its formats."""

from __future__ import annotations

import json

import duckdb
import pytest

from datareeve.app import catalogue, opened
from datareeve.capabilities.quality.contracts import servers
from datareeve.core.errors import BadInput, Failed
from datareeve.systems.contract_tool import ContractTool

CANARY = "canary7f3a"
PLACES = {
    "postgresql": [
        {"url": f"postgresql://reader:{CANARY}@db.internal:5433/shop"},
        {"url": f"postgresql://reader@[::1]:5433/shop?sslpassword={CANARY}"},
        {"url": "postgresql:///shop?host=/var/run/postgresql"},
        {"url": "postgresql://a.internal:5432,b.internal:5432/shop"},
        {"url": "postgresql://reader@%2Fvar%2Frun/shop", "password": f"env:{CANARY}"},
    ],
    "mysql": [{"url": f"mariadb://reader:{CANARY}@db.internal/shop"}],
    "duckdb": [{"path": "data/shop.duckdb"}],
    "sqlite": [{"path": "data/shop.sqlite"}],
    "folder": [{"path": "lake"}],
    "spark": [{"url": "spark://host:7077"}],
}
CONTRACT = """version: 1.0.0
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
status: draft
servers: [SERVER]
schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer}
"""


def test_a_server_is_what_the_standard_asks_of_its_kind_and_tells_no_secret():
    told = [
        {"server": f"{kind}{n}", **servers.described(kind, entry, ["orders.parquet"])}
        for kind, some in PLACES.items()
        for n, entry in enumerate(some)
    ]
    text = CONTRACT.replace("[SERVER]", json.dumps(told))
    assert CANARY not in text
    assert "reader" not in text
    assert ContractTool().read("problems", text=text) == []
    assert [(one.get("host"), one.get("port")) for one in told[:5]] == [
        ("db.internal", 5433), ("::1", 5433), ("localhost", 5432), ("a.internal", 5432), ("localhost", 5432),
    ]  # fmt: skip


def test_what_is_wrong_with_a_contract_is_told_and_not_that_something_is():
    text = CONTRACT.replace("SERVER", '{"server": "shop", "type": "postgresql"}')
    problems = ContractTool().read("problems", text=text)
    assert [one.split("'")[1] for one in problems] == ["host", "port", "database", "schema"]
    with pytest.raises(Failed, match=r"'host' is a required.*'schema' is a required") as error:
        ContractTool().read("exported", text=text, format="html")
    assert "WARNING" not in error.value.what


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The same orders in DuckDB and in a folder of files."""
    folder = tmp_path_factory.mktemp("drafts")
    (folder / "lake").mkdir()
    with duckdb.connect(str(folder / "shop.duckdb")) as made:
        made.execute(
            "CREATE TABLE orders AS SELECT i AS id, 'paid' AS state, TIMESTAMP '2026-01-01' + i * INTERVAL 61 SECOND AS at, i % 9 / 7 AS total FROM range(500) r(i)"
        )
        made.execute(f"COPY orders TO '{folder}/lake/orders.parquet'")
    (folder / "estate.yaml").write_text(
        "systems:\n  shop: {kind: duckdb, path: shop.duckdb}\n  lake: {kind: folder, path: lake}\n"
    )
    return folder


@pytest.mark.parametrize(("system", "formats"), [("shop", ("html", "avro", "sql", "jsonschema")), ("lake", ("html",))])  # fmt: skip
def test_a_draft_is_valid_and_goes_out_in_the_formats_of_datacontract_cli(project, system, formats):
    with opened(project) as app:
        make = catalogue().make
        app.apply(app.preview(make("quality.propose-contract", {"system": system})), by="a person", approved=True)  # fmt: skip
        text = (project / "contracts" / "orders.yaml").read_text("utf-8")
        assert ContractTool().read("problems", text=text) == []
        for format_ in formats:
            asked = make(
                "quality.export-contract", {"contract": "orders", "format": format_, "replace": True}
            )
            assert app.preview(asked).steps
    (project / "contracts" / "orders.yaml").unlink()


def test_a_format_that_holds_one_table_asks_for_it_in_our_words(project):
    (project / "contracts").mkdir(exist_ok=True)
    server = json.dumps({"server": "shop", **servers.described("duckdb", {"path": "shop.duckdb"})})
    text = CONTRACT.replace("SERVER", server) + "  - {name: lines, properties: [{name: id}]}\n"
    (project / "contracts" / "two.yaml").write_text(text)
    with opened(project) as app, pytest.raises(BadInput, match="has 2 tables") as error:
        app.preview(catalogue().make("quality.export-contract", {"contract": "two", "format": "avro"}))
    assert "--table, of orders, lines" in error.value.remedy
