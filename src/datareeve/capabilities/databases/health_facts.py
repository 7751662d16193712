"""What a page of a database's health is made of beside the look itself."""

from __future__ import annotations

from pydantic import Field

from datareeve.core.value import Value

Series = tuple[tuple[str, float], ...]  # moments (ISO 8601, UTC) and figures, oldest first


class PageFacts(Value):
    """What the page needs beyond the look: the last day's samples by name, the disk's fortnight, growth by table, and the page there is."""

    trends: dict[str, Series] = Field(default_factory=dict)
    disk: Series = ()
    growth: dict[str, float] = Field(default_factory=dict)  # bytes a day, by full name
    before: str | None = None  # the digest of the page that stands there
    seen: str = ""  # when that one was made
