"""What the rules about plans share: a mark on a node, shown as a badge and told as a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.capabilities.databases.explain import Node


class Mark(Value):
    """Something that stands out in a node."""

    rule: str
    badge: str  # a few words
    what: str
    why: str
    instead: str
    severity: Severity = Severity.WARNING
    figures: dict[str, Any] = Field(default_factory=dict)

    def finding(self, node: Node) -> Finding:
        """The mark as a finding about its node."""
        return Finding(
            rule=self.rule,
            subject=node.relation or node.title,
            what=self.what,
            why=self.why,
            instead=self.instead,
            severity=self.severity,
            figures={"node": node.number, **self.figures},
        )
