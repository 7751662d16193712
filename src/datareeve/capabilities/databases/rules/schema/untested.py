"""Tables whose rows were not looked at: larger than the bound, or not readable by the role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a table."""
    for name in survey.untested:
        table = survey.table(name)
        instead = (
            "Give largest_mb more, in a quiet hour."
            if table.readable
            else f"GRANT SELECT ON {survey.dialect.name(table.schema_name, table.name)} TO the reading role;"
        )
        reason = "it is larger than the bound" if table.readable else "the role may not read it"
        yield Finding(
            rule="untested",
            subject=name,
            what=f"Keys and references of {name} were not tested: {reason}.",
            why="Testing reads every row.",
            instead=instead,
            severity=Severity.INFO,
            figures={"table_bytes": table.bytes},
        )
