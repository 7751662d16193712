"""What no model may hold: anything that changes something, reads files or the network, or runs text as SQL.

The rights of the role that runs it are the first wall; this is the second, and tells a person early.
"""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from datareeve.core.errors import BadInput

CHANGES = (exp.DML, exp.DDL, exp.Command, exp.Set, exp.Use, exp.Attach, exp.Detach, exp.Pragma, exp.Copy, exp.LoadData, exp.Into, exp.Lock, exp.Drop, exp.Alter, exp.Create, exp.TruncateTable)  # fmt: skip
GAPS = (exp.Placeholder, exp.Parameter, exp.SessionParameter)
READS_FILES = tuple(
    getattr(exp, name) for name in ("ReadCSV", "ReadParquet", "OpenJSON") if hasattr(exp, name)
)
TABLE_FUNCTIONS = frozenset({"unnest", "explode", "generate_series", "exploding_generate_series", "range", "generate_date_array", "posexplode", "inline"})  # fmt: skip
REACHES_OUT = re.compile(
    r"^(pg_sleep\w*|lo_\w+|pg_(read|ls|stat_file|terminate|cancel|reload|rotate|advisory|try_advisory|switch|create|drop|promote|logical|replication|file|notify|export|backup|start|stop|wal)\w*"
    r"|set_?config|setval|nextval|currval|lastval|dblink\w*|query_to_\w+|cursor_to_\w+|table_to_\w+|database_to_\w+|schema_to_\w+|ts_stat|txid_current"
    r"|(read|sniff|glob|parquet|duckdb|pragma|iceberg|delta|ducklake|st_read|http)_\w*|glob|query|query_table|getenv|getvariable|which_secret|\w+_(scan|query|attach|execute|tables)|from_substrait\w*"
    r"|load_file|load_extension|readfile|writefile|reflect|try_reflect|java_method|identifier|read_files|input_file_\w+|assert_true|ai_\w+|http_\w+|xml_is_\w+|inet_\w+_addr)$",
    re.IGNORECASE,
)
A_FILE = re.compile(
    r"[/\\*?]|://|\.(csv|tsv|parquet|pq|json|jsonl|ndjson|xlsx?|orc|avro|db|duckdb|sqlite|txt|gz|zst|arrow|vortex)$",
    re.IGNORECASE,
)
FORMATS = frozenset({"parquet", "csv", "json", "orc", "text", "avro", "delta", "binaryfile", "iceberg", "jdbc", "xml"})  # fmt: skip


def check_safe(name: str, tree: Any, text: str, dialect: str) -> None:
    """Errors: `BadInput` `pipelines.model-sql`."""
    del text
    for node in tree.walk():
        if told := _forbidden(node, dialect):
            raise BadInput(
                "pipelines.model-sql",
                f"Model {name} has {told}.",
                "A model is one SELECT over tables of the pipeline and of its target; files and other systems are loads.",
            )


def _forbidden(node: Any, dialect: str) -> str:  # noqa: PLR0911 - one for each way that it is refused or written
    if isinstance(node, CHANGES):
        return f"{_word(node)}: it changes something"
    if isinstance(node, GAPS):
        return "a parameter, which nothing fills in"
    if isinstance(node, READS_FILES):
        return f"{_word(node)}: it reads files"
    if isinstance(node, exp.Table):
        return _table(node, dialect)
    if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)) and REACHES_OUT.match(node.name):
        return f"the function {node.name.lower()}, which reaches outside of the tables"
    if isinstance(node, exp.Func) and REACHES_OUT.match(node.sql_name()):
        return f"the function {node.sql_name().lower()}, which reaches outside of the tables"
    return ""


def _table(node: exp.Table, dialect: str) -> str:
    if isinstance(node.this, exp.Identifier):
        if dialect == "spark" and node.db.lower() in FORMATS:
            return f"FROM {node.db.lower()}: it reads files"
        return "a file in FROM" if dialect != "postgres" and A_FILE.search(node.name) else ""
    called = node.this.name if isinstance(node.this, exp.Anonymous) else ""
    if isinstance(node.this, exp.Func):
        called = called or node.this.sql_name()
    return "" if called.lower() in TABLE_FUNCTIONS else f"the table function {called.lower() or 'of FROM'}"


def _word(node: Any) -> str:
    return str(node.key).upper()
