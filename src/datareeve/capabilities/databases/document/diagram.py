"""A drawn entity-relationship diagram: where boxes stand and how lines run, as whole pixels. Same schema, same picture.

Tables stand in columns so that references run from left to right (longest path in the graph of foreign keys, cycles cut); within a column
they are ordered by where their neighbours stand. Tables without relations stand beside, or in rows below where they are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.databases.schema import Schema, Table

CHARACTER, ROW, HEAD, PADDING = 7, 22, 34, 12  # pixels
GAP_ACROSS, GAP_DOWN, MARGIN = 120, 28, 24
MOST_ROWS = 12  # columns shown of a table; keys always are
TALLEST = 1400  # pixels of boxes in one column before another is begun
ROOM_FOR_ROWS = 13  # characters: the estimate beside the name must not move the picture
WIDEST = 1200  # pixels of a row of tables without relations


class Line(Value):
    """A column as drawn."""

    name: str
    type: str
    mark: str  # 'PK', 'FK' or ''
    not_null: bool
    y: int  # of the row's middle, within the box


class Box(Value):
    """A table as drawn. `more`: how many of its columns are not shown."""

    id: str
    label: str
    lines: tuple[Line, ...]
    more: int
    rows: int | None  # estimated
    x: int = 0
    y: int = 0
    width: int
    height: int

    def row(self, column: str) -> int:
        """The height, on the page, of a column's row; of the head where it is not shown."""
        return self.y + next((line.y for line in self.lines if line.name == column), HEAD // 2)


class Edge(Value):
    """A foreign key as drawn, from the referring table's row to the key's row."""

    source: str
    target: str
    title: str
    path: str
    optional: bool


class Diagram(Value):
    """The whole picture and its size in pixels."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int


def draw(schema: Schema, *, short: bool) -> Diagram:
    """The diagram of a schema's tables; `short`: without the schema's name."""
    tables = {t.full_name: t for t in schema.tables}
    links = [
        (t.full_name, f"{k.references_schema}.{k.references_table}")
        for t in schema.tables
        for k in t.foreign_keys
    ]
    links = [(source, target) for source, target in links if target in tables]
    boxes = {name: box(table, short=short) for name, table in tables.items()}
    linked = {name for link in links for name in link}
    stacks = [
        stack
        for column in columns(sorted(linked), links)
        for stack in _stacks([boxes[name] for name in column])
    ]
    alone = [boxes[name] for name in sorted(tables) if name not in linked]
    tall = max((_height(stack) for stack in stacks), default=0)
    beside = bool(alone) and _height(alone) <= tall
    placed = _place_columns([*stacks, alone] if beside else stacks, tall)
    if not beside:
        placed |= _place_rows(alone, MARGIN + tall + GAP_DOWN if stacks else MARGIN)
    edges = [edge for t in schema.tables for edge in _edges(t, placed)]
    return Diagram(
        boxes=tuple(placed[name] for name in sorted(placed)),
        edges=tuple(edges),
        width=max((b.x + b.width for b in placed.values()), default=0)
        + MARGIN
        + (GAP_ACROSS // 2 if edges else 0),
        height=max((b.y + b.height for b in placed.values()), default=0) + MARGIN,
    )


def box(table: Table, *, short: bool) -> Box:
    """A table's box, not yet placed."""
    foreign = {name for key in table.foreign_keys for name in key.columns or ()}
    needed = [c for c in table.columns if c.name in table.primary_key or c.name in foreign]
    room = max(MOST_ROWS - len(needed), 0)
    others = [c for c in table.columns if c not in needed][:room]
    shown = [c for c in table.columns if c in needed or c in others]
    lines = tuple(
        Line(
            name=c.name,
            type=brief(c.type),
            mark="PK" if c.name in table.primary_key else "FK" if c.name in foreign else "",
            not_null=c.not_null,
            y=HEAD + ROW * place + ROW // 2,
        )
        for place, c in enumerate(shown)
    )
    label = table.name if short else table.full_name
    longest = max([len(label) + ROOM_FOR_ROWS, *(len(line.name) + len(line.type) + 7 for line in lines)])
    more = len(table.columns) - len(shown)
    height = HEAD + ROW * (len(lines) + bool(more)) + 6
    return Box(
        id=table.full_name,
        label=label,
        lines=lines,
        more=more,
        rows=table.estimated_rows,
        width=longest * CHARACTER + 2 * PADDING,
        height=height,
    )


def brief(type_name: str) -> str:
    """The type as one says it: 'timestamptz', 'varchar(20)'."""
    for long, said in (
        ("timestamp with time zone", "timestamptz"),
        ("timestamp without time zone", "timestamp"),
        ("character varying", "varchar"),
        ("character", "char"),
        ("double precision", "float8"),
        ("time without time zone", "time"),
    ):
        type_name = type_name.replace(long, said)
    return type_name


def columns(names: Sequence[str], links: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The tables in columns from left to right; a link that would close a cycle is not counted."""
    depth: dict[str, int] = {}

    def measure(name: str, above: frozenset[str]) -> int:
        if name not in depth:
            sources = {s for s, t in links if t == name and s != name and s not in above}
            found = max((measure(s, above | {name}) + 1 for s in sorted(sources)), default=0)
            depth[name] = found
        return depth[name]

    for name in names:
        measure(name, frozenset())
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        found[depth[name]].append(name)
    return _ordered([column for column in found if column], links)


def _ordered(found: list[list[str]], links: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Each column ordered by the mean place of its neighbours, so that fewer lines cross; four sweeps there and back."""
    near: dict[str, list[str]] = {name: [] for column in found for name in column}
    for source, target in links:
        near[source].append(target)
        near[target].append(source)
    for sweep in (1, -1, 1, -1):
        for column in found[::sweep]:
            place = {name: index / len(c) for c in found for index, name in enumerate(c)}
            mean = {name: sum(place[n] for n in near[name]) / len(near[name]) for name in column}
            column.sort(key=mean.__getitem__)
    return found


def _place_columns(stacks: Sequence[Sequence[Box]], tall: int) -> dict[str, Box]:
    placed, x = {}, MARGIN
    for stack in stacks:
        y = MARGIN + (tall - _height(stack)) // 2
        width = max(one.width for one in stack)
        for one in stack:
            placed[one.id] = one.model_copy(update={"x": x, "y": y, "width": width})
            y += one.height + GAP_DOWN
        x += width + GAP_ACROSS
    return placed


def _stacks(column: Sequence[Box]) -> list[list[Box]]:
    """A column too tall to be looked at, cut into several."""
    stacks: list[list[Box]] = [[]]
    for one in column:
        if stacks[-1] and _height([*stacks[-1], one]) > TALLEST:
            stacks.append([])
        stacks[-1].append(one)
    return stacks


def _height(stack: Sequence[Box]) -> int:
    return sum(one.height for one in stack) + GAP_DOWN * (len(stack) - 1)


def _place_rows(boxes: Sequence[Box], y: int) -> dict[str, Box]:
    placed, x, tall = {}, MARGIN, 0
    for one in boxes:
        if x > MARGIN and x + one.width > WIDEST:
            x, y, tall = MARGIN, y + tall + GAP_DOWN, 0
        placed[one.id] = one.model_copy(update={"x": x, "y": y})
        x, tall = x + one.width + GAP_DOWN, max(tall, one.height)
    return placed


def _edges(table: Table, placed: Mapping[str, Box]) -> list[Edge]:
    found = []
    for key in table.foreign_keys:
        target = f"{key.references_schema}.{key.references_table}"
        names, keys = key.columns or (), key.references_columns or ()
        if target in placed:
            start, end = placed[table.full_name], placed[target]
            found.append(
                Edge(
                    source=start.id,
                    target=end.id,
                    title=f"{start.label} ({', '.join(names)}) → {end.label} ({', '.join(keys)})",
                    path=route(start, start.row(names[0]), end, end.row(keys[0])),
                    optional=any(not table.column(name).not_null for name in names),
                )
            )
    return found


def route(start: Box, start_y: int, end: Box, end_y: int) -> str:
    """The curve of a reference: rightwards where there is room between the boxes, else round on their right sides."""
    if start.x + start.width < end.x:
        x, to = start.x + start.width, end.x
        bend = max((to - x) // 2, 30)
        return f"M{x},{start_y} C{x + bend},{start_y} {to - bend},{end_y} {to},{end_y}"
    x, to = start.x + start.width, end.x + end.width
    out = max(x, to) + GAP_ACROSS // 2
    return f"M{x},{start_y} C{out},{start_y} {out},{end_y} {to},{end_y}"
