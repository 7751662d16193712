"""datacontract-cli, in a process of its own: formats that it writes or reads, without our secrets, without the network, within a time.

It is given one contract in an empty folder and an environment of nothing but a path; references to other addresses are not followed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.adapter import Adapter, reads

SECONDS = 120.0
TOLD = 10  # errors of a contract at once
MOST_SAID = 600  # characters of what it says
MOST_BYTES = 32 * 2**20
NOWHERE = "http://127.0.0.1:9"  # the discard port: a request that it makes all the same ends there
EXPORTS = {
    "avro": "avsc", "avro-idl": "avdl", "jsonschema": "json", "sql": "sql", "html": "html", "markdown": "md", "protobuf": "proto", "xsd": "xsd",
    "pydantic-model": "py", "dbml": "dbml", "mermaid": "mmd", "go": "go", "spark": "py", "sqlalchemy": "py", "iceberg": "json", "bigquery": "json",
    "rdf": "n3", "dqx": "yaml", "dcs": "yaml", "data-caterer": "yaml", "dbt-sources": "yaml", "dbt-staging-sql": "sql", "odcs": "yaml",
}  # fmt: skip
IMPORTS = {
    "sql": "sql",
    "protobuf": "proto",
    "dbml": "dbml",
    "dcs": "yaml",
    "bigquery": "json",
    "iceberg": "json",
    "xsd": "xsd",
    "openapi": "yaml",
    "odcs": "yaml",
}
PER_TABLE = frozenset(("avro", "jsonschema", "bigquery", "iceberg", "dbt-staging-sql", "xsd"))


class ContractTool(Adapter):
    """Contracts in and out of the formats that datacontract-cli knows."""

    kind = "contract-tool"

    def __init__(self) -> None:
        super().__init__("contract-tool")

    @reads
    def exported(self, text: str, format: str, table: str | None = None, dialect: str | None = None) -> str:  # noqa: A002 - its name
        """A contract in another format. Errors: `BadInput` `contract.format`, `contract.no-tool`; `Failed` `contract.tool`."""
        _known(format, EXPORTS)
        options = ["--no-inline-references"]
        options += ["--schema-name", table] if table and format in PER_TABLE else []
        options += ["--dialect", dialect] if dialect and format == "sql" else []
        with tempfile.TemporaryDirectory(prefix="datareeve-contract-") as folder:
            source, made = Path(folder) / "contract.yaml", Path(folder) / "made"
            source.write_text(text, encoding="utf-8")
            try:
                _run(["export", format, source.name, *options, "--output", made.name], folder)
            except Failed as error:
                if wrong := _linted(folder, source):
                    raise Failed(error.code, f"datacontract-cli does not take the contract: {'; '.join(wrong[:TOLD])}.", "Correct the contract there: the standard asks for it.") from None  # fmt: skip
                raise
            return _read(made)

    @reads
    def problems(self, text: str) -> list[str]:
        """What datacontract-cli finds wrong with a contract, by the standard's own schema; nothing where it is valid."""
        with tempfile.TemporaryDirectory(prefix="datareeve-contract-") as folder:
            source = Path(folder) / "contract.yaml"
            source.write_text(text, encoding="utf-8")
            return _linted(folder, source)

    @reads
    def imported(self, text: str, format: str, dialect: str | None = None) -> str:  # noqa: A002 - its name
        """A text of another format as a contract's text. Errors: as of `exported`."""
        _known(format, IMPORTS)
        with tempfile.TemporaryDirectory(prefix="datareeve-contract-") as folder:
            source, made = Path(folder) / f"source.{IMPORTS[format]}", Path(folder) / "made.yaml"
            source.write_text(text, encoding="utf-8")
            options = ["--dialect", dialect] if dialect and format == "sql" else []
            _run(["import", format, "--source", source.name, *options, "--output", made.name], folder)
            return _read(made)


def _known(name: str, formats: dict[str, str]) -> None:
    if name not in formats:
        raise BadInput(
            "contract.format", f"There is no format {name!r}.", f"Give one of {', '.join(sorted(formats))}."
        )
    if find_spec("datacontract") is None:
        raise BadInput(
            "contract.no-tool",
            f"The format {name} needs datacontract-cli.",
            "Install it: pip install 'datareeve[contracts]'.",
        )


def _run(arguments: list[str], folder: str) -> None:
    environment: dict[str, str] = {
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "all_proxy": NOWHERE,
    }
    command = [sys.executable, "-c", "from datacontract.cli import main; main()", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, fixed words
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Failed(
            "contract.tool",
            f"datacontract-cli took longer than {SECONDS:g} s.",
            "Give a smaller contract, or one table of it.",
        ) from None
    if done.returncode:
        said = _errors(done.stdout) or _errors(done.stderr) or _last(done.stdout + done.stderr)
        raise Failed("contract.tool", f"datacontract-cli cannot do this: {said}", "Look whether the format fits what the contract holds.")  # fmt: skip


def _linted(folder: str, source: Path) -> list[str]:
    """The errors of a contract."""
    told = Path(folder) / "linted.json"
    with suppress(Failed):  # it fails where there are any
        _run(["lint", source.name, "--all-errors", "--no-inline-references", "--output-format", "json", "--output", told.name], folder)  # fmt: skip
    checks = json.loads(_read(told))["checks"]
    return [str(one["reason"] or one["name"]) for one in checks if one["result"] in ("failed", "error")]


LOGGED = re.compile(
    r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d"
)  # a log line says that something was wrong, not what


def _lines(said: str) -> list[str]:
    lines = [line.strip(" │╭╰─╮╯") for line in said.splitlines()]
    return [line for line in lines if line and "--debug" not in line and not LOGGED.match(line)]


def _errors(said: str) -> str:
    """The errors that it tells, the last ones, each with the lines that it runs over."""
    lines = _lines(said)
    first = next((n for n, line in enumerate(lines) if line.startswith("Error")), None)
    return " ".join(lines[first:]).removeprefix("Error:").strip()[:MOST_SAID] if first is not None else ""


def _last(said: str) -> str:
    """The line that tells what went wrong."""
    told = _lines(said)
    return next((line for line in reversed(told) if "rror" in line), told[-1] if told else "it says nothing")[
        :MOST_SAID
    ]


def _read(made: Path) -> str:
    if not made.is_file() or made.stat().st_size > MOST_BYTES:
        raise Failed(
            "contract.tool",
            "datacontract-cli has made nothing, or too much.",
            "Give one table of the contract.",
        )
    return made.read_text(encoding="utf-8")
