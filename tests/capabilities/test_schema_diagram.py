"""The drawing as data: tables in, places and lines out."""

import pytest

from datareeve.capabilities.databases.document import about, size, word
from datareeve.capabilities.databases.document.diagram import MOST_ROWS, box, columns, draw
from datareeve.capabilities.databases.schema import Column, Constraint, Schema, Table


def table(name, *targets, width=2):
    names = [f"c{n}" for n in range(width)]
    keys = tuple(
        Constraint(
            name=f"{name}_{t}",
            kind="f",
            columns=("c0",),
            references_schema="s",
            references_table=t,
            references_columns=("c0",),
        )
        for t in targets
    )
    return Table(
        schema="s",
        name=name,
        columns=tuple(Column(name=n, type="integer") for n in names),
        constraints=keys,
        estimated_rows=3,
    )


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([("a", "b"), ("b", "c"), ("a", "c")], [["a"], ["b"], ["c"]]),
        ([("a", "b"), ("b", "a")], [["b"], ["a"]]),
        ([("a", "a")], [["a"]]),
        ([("x", "a"), ("y", "b"), ("x", "b")], [["x", "y"], ["a", "b"]]),
    ],
)
def test_references_run_from_left_to_right_and_cycles_are_cut(links, expected):
    names = sorted({name for link in links for name in link})
    assert columns(names, links) == expected


def overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


@pytest.mark.parametrize("count", [1, 5, 60])
def test_no_two_boxes_overlap_and_all_are_inside(count):
    names = [f"t{n}" for n in range(count)]
    star = [
        table("fact", *names),
        *(table(name, width=20) for name in names),
        *(table(f"alone{n}") for n in range(count)),
    ]
    diagram = draw(Schema(relations=tuple(star)), short=True)
    assert len(diagram.boxes) == 2 * count + 1
    assert len(diagram.edges) == count
    assert not [
        1 for n, one in enumerate(diagram.boxes) for other in diagram.boxes[n + 1 :] if overlap(one, other)
    ]
    assert all(b.x + b.width <= diagram.width and b.y + b.height <= diagram.height for b in diagram.boxes)


def test_the_same_schema_gives_the_same_picture_whatever_its_rows():
    tables = (table("a", "b"), table("b"))
    grown = tuple(t.model_copy(update={"estimated_rows": 10**9}) for t in tables)
    one, other = (draw(Schema(relations=ts), short=True) for ts in (tables, grown))
    assert [(b.x, b.y, b.width) for b in one.boxes] == [(b.x, b.y, b.width) for b in other.boxes]


def test_a_wide_table_shows_its_keys_and_says_how_many_columns_are_left():
    wide = table("wide", "t", width=40).model_copy(
        update={"constraints": (Constraint(name="k", kind="p", columns=("c39",)),)}
    )
    drawn = box(wide, short=True)
    assert (len(drawn.lines), drawn.lines[-1].name, drawn.more) == (MOST_ROWS, "c39", 40 - MOST_ROWS)


def test_a_reference_out_of_the_schema_is_not_drawn():
    assert draw(Schema(relations=(table("a", "elsewhere"),)), short=True).edges == ()


def test_an_empty_schema_is_an_empty_picture():
    assert draw(Schema(relations=()), short=True).boxes == ()


@pytest.mark.parametrize(
    ("rows", "said"), [(None, "≈?"), (0, "≈0"), (9, "≈9"), (336776, "≈340,000"), (99_600, "≈100,000")]
)
def test_rows_are_said_to_two_digits(rows, said):
    assert about(rows) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "≈0 B"), (8192, "≈8 kB"), (41_000_000, "≈39 MB"), (2**60, "≈1,000 PB")]
)
def test_sizes_are_said_to_two_digits(count, said):
    assert size(count) == said


@pytest.mark.parametrize(
    ("text", "said"), [("numeric(10,2)", "numeric(10_2)"), ("2nd col", "_2nd_col"), ("text[]", "text[]")]
)
def test_mermaid_is_given_one_word(text, said):
    assert word(text) == said
