"""Files as a source: what is detected is told, what is read is exact, and what cannot be read is told with its place."""

# ruff: noqa: DTZ001 - times without a zone are as they stand in the files

import bz2
import datetime as dt
import gzip
import os
import resource
from contextlib import contextmanager
from decimal import Decimal

import pytest

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.file_source import open_files
from datareeve.systems.file_types import driver_errors
from datareeve.systems.mover import Mover


@pytest.fixture
def mover():
    with Mover() as one:
        yield one


@contextmanager
def source(folder, *patterns, mode="full", **read_as):
    made = open_files(read_as, patterns, folder, mode=mode)
    try:
        yield made
    finally:
        made.close()


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(mover, files):
    """Everything, the strict way, and the columns."""
    columns = {one.name: one.type for one in files.columns(mover)}
    rows = []
    for part in files.reading(mover, None, None).parts:
        rows += mover.execute(f"SELECT * FROM {files.relation(mover, part)}").fetchall()
    return columns, rows


def carefully(mover, files):
    files.columns(mover)
    good, bad = [], []
    for part in files.reading(mover, None, None).parts:
        with pytest.raises(driver_errors()):  # the strict way refuses it
            mover.execute(f"SELECT * FROM {files.relation(mover, part)}").fetchall()
        taken, rejected = files.carefully(mover, part)
        good += mover.execute(f"SELECT * FROM {taken}").fetchall()
        bad += mover.execute(f"SELECT place, reason, row FROM {rejected} ORDER BY ALL").fetchall()
    return good, bad


def refused(mover, folder, *patterns, mode="full", **read_as):
    with source(folder, *patterns, mode=mode, **read_as) as files, pytest.raises((BadInput, Failed)) as told:
        read(mover, files)
    return told.value


def test_values_of_every_kind_are_exact(mover, tmp_path):
    put(tmp_path, "a.csv", 'id,zip,price,day,at,moment,yes,big,said\n1,00123,1.50,2026-01-02,2026-01-02 03:04:05,2026-01-02T03:04:05+02:00,true,12345678901234567890,"x\ny"\n2,04567,2.25,2026-02-03,2026-01-02T03:04:05.123456,2026-01-02T03:04:05Z,false,5,""\n3,,,,,,,,\n')  # fmt: skip
    with source(tmp_path, "*.csv") as files:
        columns, rows = read(mover, files)
    assert columns == {
        "id": "BIGINT", "zip": "VARCHAR", "price": "DECIMAL(18,2)", "day": "DATE", "at": "TIMESTAMP",
        "moment": "TIMESTAMP WITH TIME ZONE", "yes": "BOOLEAN", "big": "DECIMAL(38,0)", "said": "VARCHAR",
    }  # fmt: skip
    assert rows[0][:5] == (1, "00123", Decimal("1.50"), dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5))
    assert rows[0][5].timestamp() == 1767315845
    assert rows[0][7:] == (12345678901234567890, "x\ny")
    assert rows[1][8] == ""  # an empty text is not no value
    assert rows[2][1:] == (None,) * 8


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ("12.5", "whole number"),
        ("00123", "whole number"),
        ("1e3", "whole number"),
        ("0x1F", "whole number"),
        ("true", "whole number"),
        ("1_000", "whole number"),
    ],
)
def test_what_duckdb_would_round_is_rejected_with_its_place(mover, tmp_path, later, reason):
    # The value stands where no sample looks: between the windows of a file that is larger than what is looked at whole.
    lines = [f"{n},{'x' * 90}" for n in range(60_000)]
    lines[6_500] = f"{later},here"
    put(tmp_path, "big.csv", "id,pad\n" + "\n".join(lines) + "\n")
    with source(tmp_path, "big.csv") as files:
        assert files.columns(mover)[0].type == "BIGINT"
        good, bad = carefully(mover, files)
    assert len(good) == 59_999
    assert [(place, reason in why, row) for place, why, row in bad] == [
        ("big.csv:6502", True, f"{later},here")
    ]


def test_a_decimal_of_more_digits_is_never_rounded(mover, tmp_path):
    lines = [f"{n}.25,{'x' * 90}" for n in range(60_000)]
    lines[6_500] = "1.239,here"
    put(tmp_path, "big.csv", "price,pad\n" + "\n".join(lines) + "\n")
    with source(tmp_path, "big.csv") as files:
        assert files.columns(mover)[0].type == "DECIMAL(18,2)"
        _, bad = carefully(mover, files)
    assert [place for place, _, _ in bad] == ["big.csv:6502"]


@pytest.mark.parametrize(("text", "kind", "warned"), [
    ("03/04/2026", "VARCHAR", "date_format"), ("1,234", "VARCHAR", "decimal"), ("2026-01-01 10:00:00|2026-01-01T10:00:00Z", "VARCHAR", "zone"),
    ("2026-02-30", "VARCHAR", ""), ("+5", "VARCHAR", ""), ("NaN|1.5|inf", "DOUBLE", ""), ("0.30000000000000004|0.1", "DOUBLE", ""),
    ("123456789012345678901234567890123456789", "VARCHAR", ""), ("9223372036854775807", "BIGINT", ""), ("9223372036854775808", "DECIMAL(38,0)", ""),
    ("0.1|12345678901234567890.25", "DECIMAL(38,2)", ""), ("1,234,567.5", "DECIMAL(18,1)", ""), ("1.234,5", "DECIMAL(18,1)", ""), ("-0.5|.25", "DECIMAL(18,2)", ""),
    ("2026-01-02|2026-01-02 01:02:03", "TIMESTAMP", ""), ("", "VARCHAR", ""),
])  # fmt: skip
def test_types_are_the_narrowest_that_lose_nothing(mover, tmp_path, text, kind, warned):
    put(tmp_path, "a.csv", "id;v\n" + "".join(f"{n};{one}\n" for n, one in enumerate(text.split("|"))))
    with source(tmp_path, "a.csv") as files:
        columns, rows = read(mover, files)
        warnings = files.reading(mover, None, None).warnings
    assert columns["v"] == kind
    assert len(rows) == len(text.split("|"))
    assert any(warned in one for one in warnings) if warned else not warnings


def test_a_format_that_was_given_settles_what_is_unclear(mover, tmp_path):
    put(tmp_path, "a.csv", "d;v\n03/04/2026;1,234\n31/12/2026;5\n")
    with source(tmp_path, "a.csv", date_format="%d/%m/%Y", decimal=",") as files:
        assert read(mover, files) == ({"d": "DATE", "v": "DECIMAL(18,3)"}, [(dt.date(2026, 4, 3), Decimal("1.234")), (dt.date(2026, 12, 31), Decimal(5))])  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_encodings_are_detected_and_stated(mover, tmp_path, encoding):
    name = "Ünal € Bär" if encoding != "latin-1" else "Ünal Bär"
    put(tmp_path, "a.csv", f"id,name\n1,{name}\n2,plain\n".encode(encoding))
    with source(tmp_path, "a.csv") as files:
        columns, rows = read(mover, files)
        stated = files.reading(mover, None, None).stated["encoding"]
    assert list(columns) == ["id", "name"]
    assert rows == [(1, name), (2, "plain")]
    assert stated == [encoding.replace("-sig", "")]


def test_mixed_encodings_are_told_by_file_and_line(mover, tmp_path):
    put(tmp_path, "a.csv", "id,name\n1,Ünal\n".encode() + "2,Bär\n".encode("latin-1") + "3,Müller\n".encode())
    with source(tmp_path, "a.csv") as files:
        good, bad = carefully(mover, files)
        warnings = files.reading(mover, None, None).warnings
    assert good == [(1, "Ünal"), (3, "Müller")]
    assert bad == [("a.csv:3", "is not UTF-8", "2,B\\xe4r")]
    assert "mixed" in warnings[0]


def test_broken_rows_are_told_apart_one_by_one(mover, tmp_path):
    good_rows = "".join(f'{n},"said ""{n}"",\nand more"\r\n' for n in range(50))
    put(
        tmp_path,
        "a.csv",
        "id,name\r\n" + good_rows + '100,"open\r\n101,a,b\r\n\r\n102\r\n103,x\0y\r\n104,ok\r\n',
    )
    with source(tmp_path, "a.csv") as files:
        good, bad = carefully(mover, files)
    assert good == [*((n, f'said "{n}",\nand more') for n in range(50)), (104, "ok")]
    assert [(place, why) for place, why, _ in bad] == [
        ("a.csv:102", "a quote is not closed"), ("a.csv:103", "has 3 columns, not 2"), ("a.csv:105", "has 1 columns, not 2"), ("a.csv:106", "holds a NUL character"),
    ]  # fmt: skip


def test_a_line_that_is_too_long_is_never_held(mover, tmp_path):
    path = put(tmp_path, "a.csv", "id,name\n1,x\n")
    with path.open("ab") as stream:
        for _ in range(200):
            stream.write(b"y" * 2**20)
        stream.write(b",z\n2,x\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with source(tmp_path, "a.csv", longest_line=2**20) as files:
        good, bad = carefully(mover, files)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert good == [(1, "x"), (2, "x")]
    assert [(place, why) for place, why, _ in bad] == [("a.csv:3", "is longer than 1,048,576 bytes")]
    assert len(bad[0][2]) <= 500
    assert grown_mb < 120


def test_files_are_one_relation_whatever_the_order_of_their_columns(mover, tmp_path):
    put(tmp_path, "a.csv", "id,name\n1,x\n")
    put(tmp_path, "b.csv", "name;id;more\ny;2.5;7\n")
    put(tmp_path, "c.csv", "id,name\n")
    put(tmp_path, "d.csv", b"")
    with source(tmp_path, "*.csv") as files:
        columns, rows = read(mover, files)
        reading = files.reading(mover, None, None)
    assert columns == {"id": "DECIMAL(18,1)", "name": "VARCHAR", "more": "BIGINT"}
    assert sorted(rows, key=str) == [(Decimal("1.0"), "x", None), (Decimal("2.5"), "y", 7)]
    assert reading.warnings == ("d.csv is empty",)
    assert len(reading.stated["dialect"]) == 2


def test_names_that_collide_are_told_and_kept_apart(mover, tmp_path):
    put(tmp_path, "a.csv", 'a,A,"q""x",\n1,2,3,4\n')
    with source(tmp_path, "a.csv") as files:
        columns, rows = read(mover, files)
        assert "a second column A is read as A_1" in files.reading(mover, None, None).warnings[0]
    assert list(columns) == ["a", "A_1", 'q"x', "column3"]
    assert rows == [(1, 2, 3, 4)]


def test_json_lines_keep_what_stands_there(mover, tmp_path):
    put(
        tmp_path,
        "a.jsonl",
        '{"a":1,"b":"00123","c":{"d":[1]},"e":1.50,"t":"2026-01-02T03:04:05Z"}\n\n{"a":2,"e":2,"f":[1,2],"b":null}',
    )
    with source(tmp_path, "a.jsonl") as files:
        columns, rows = read(mover, files)
    assert columns == {
        "a": "BIGINT",
        "b": "VARCHAR",
        "c": "JSON",
        "e": "DECIMAL(18,1)",
        "t": "TIMESTAMP WITH TIME ZONE",
        "f": "JSON",
    }
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in rows] == [(1, "00123", '{"d":[1]}', Decimal("1.5"), None), (2, None, None, Decimal(2), "[1,2]")]  # fmt: skip


def test_lines_that_are_no_objects_are_told_apart(mover, tmp_path):
    put(tmp_path, "a.jsonl", b'{"a":1}\n{"a":\n[1]\n{"a":1,"a":2}\n{"a":"x"}\n{"a":"\xff"}\n{"a":3}\n{"a":4')
    lines = "".join(f'{{"a":{n}}}\n' for n in range(100))
    put(tmp_path, "b.jsonl", lines)
    with source(tmp_path, "a.jsonl") as files:
        good, bad = carefully(mover, files)
    assert [place for place, _, _ in bad] == ["a.jsonl:2", "a.jsonl:3", "a.jsonl:4", "a.jsonl:6", "a.jsonl:8"]
    assert [row[0] for row in good] == ["1", "x", "3"]  # a text among them: all are kept as text


def test_a_whole_number_in_json_is_not_cut(mover, tmp_path):
    lines = [f'{{"a":{n},"pad":"{"x" * 80}"}}' for n in range(60_000)]
    lines[6_000] = '{"a":12.5,"pad":""}'
    put(tmp_path, "a.jsonl", "\n".join(lines) + "\n")
    with source(tmp_path, "a.jsonl") as files:
        assert files.columns(mover)[0].type == "BIGINT"
        good, bad = carefully(mover, files)
    assert (len(good), [place for place, _, _ in bad]) == (59_999, ["a.jsonl:6001"])


def test_of_a_large_file_it_is_told_that_keys_of_rows_that_were_not_looked_at_are_not_loaded(mover, tmp_path):
    lines = [f'{{"a":{n},"pad":"{"x" * 80}"}}' for n in range(60_000)]
    lines[6_000] = '{"a":1,"seldom":2}'
    put(tmp_path, "large.jsonl", "\n".join(lines) + "\n")
    put(tmp_path, "small.jsonl", "\n".join(lines[:100]) + "\n")
    with source(tmp_path, "*.jsonl") as files:
        files.columns(mover)
        told = [one for one in files.reading(mover, None, None).warnings if "looked at in part" in one]
    assert [one.partition(" ")[0] for one in told] == ["large.jsonl"]


@pytest.mark.parametrize(("text", "records", "rows"), [
    ('{"n":[{"a":5}],"data":{"items":[{"a":1},\n {"a":2,"b":"q]}"}]}}', "data.items", [(1, None), (2, "q]}")]),
    ('[{"a":1},{"a":2}]', None, [(1,), (2,)]), ('{"a":1}\n{"a":2}\n', None, [(1,), (2,)]), ('{"a":\n 7}', None, [(7,)]),
])  # fmt: skip
def test_records_of_documents_are_found(mover, tmp_path, text, records, rows):
    put(tmp_path, "a.json", text)
    with source(tmp_path, "a.json", **({"records": records} if records else {})) as files:
        assert read(mover, files)[1] == rows


def test_a_document_is_never_held_whole(mover, tmp_path):
    path = put(tmp_path, "a.json", '{"rows":[')
    with path.open("a") as stream:
        stream.write(",".join(f'{{"a":{n},"b":"{"x" * 200}"}}' for n in range(20_000)))
        stream.write("]}")
    with source(tmp_path, "a.json", records="rows") as files:
        _, rows = read(mover, files)
    assert len(rows) == 20_000
    assert rows[19_999][0] == 19_999


@pytest.mark.parametrize(("name", "data", "code"), [
    ("a.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9000, mtime=0)[:-6], "pipelines.file-cut-off"),
    ("a.csv.bz2", bz2.compress(b"a,b\n" + b"1,2\n" * 9000)[:-6], "pipelines.file-cut-off"),
    ("a.parquet", b"PAR1" + b"x" * 100, "pipelines.file-unfinished"), ("a.csv.part", b"a,b\n1,2\n", "pipelines.file-unfinished"),
    ("a.json", b'[{"a":1},', "pipelines.file-cut-off"), ("a.json", b'{"a":1}]', "pipelines.not-json"), ("a.jsonl", b"hello\n", "pipelines.not-json"),
    ("a.csv", b"", "pipelines.no-columns"), ("a.xlsx", b"PK\x03\x04" + b"x" * 99, "pipelines.file-damaged"),
])  # fmt: skip
def test_half_written_files_are_refused_by_name(mover, tmp_path, name, data, code):
    put(tmp_path, name, data)
    error = refused(mover, tmp_path, name)
    assert error.code == code
    assert name in error.what


def test_zstd_that_is_cut_off_is_not_taken_for_whole(mover, tmp_path):
    mover.execute(
        f"COPY (SELECT range a FROM range(300000)) TO '{tmp_path}/whole.csv.zst' (FORMAT csv, HEADER, COMPRESSION zstd)"
    )
    with source(tmp_path, "whole.csv.zst") as files:
        assert len(read(mover, files)[1]) == 300_000
    put(tmp_path, "cut.csv.zst", (tmp_path / "whole.csv.zst").read_bytes()[:-4])
    assert refused(mover, tmp_path, "cut.csv.zst").code == "pipelines.file-cut-off"


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_packed_files_are_read(mover, tmp_path, ending, pack):
    put(tmp_path, f"a.csv.{ending}", pack(b"a,b\n1,2\n") + pack(b"3,4\n"))
    with source(tmp_path, f"a.csv.{ending}") as files:
        assert read(mover, files)[1] == [(1, 2), (3, 4)]


def test_parquet_files_are_joined_by_name_and_widened(mover, tmp_path):
    mover.execute(
        f"COPY (SELECT 1::INTEGER AS id, 1.5::DECIMAL(4,1) AS p, 'x' AS s) TO '{tmp_path}/a.parquet'"
    )
    mover.execute(
        f"COPY (SELECT 2.25::DECIMAL(6,2) AS p, 5000000000::BIGINT AS id) TO '{tmp_path}/b.parquet'"
    )
    with source(tmp_path, "*.parquet") as files:
        columns, rows = read(mover, files)
    assert columns == {"id": "DECIMAL(19,0)", "p": "DECIMAL(6,2)", "s": "VARCHAR"}
    assert rows == [(1, Decimal("1.50"), "x"), (5000000000, Decimal("2.25"), None)]


def test_sheets_keep_days_and_leading_zeros(mover, tmp_path):
    mover.load("excel")
    mover.execute(
        f"COPY (SELECT NULL::DATE AS d, 1 AS a, '00123' AS z, true AS b, 1.5 AS x, NULL::TIMESTAMP AS t UNION ALL SELECT DATE '2026-01-02', 2, 'q', false, 2.25, TIMESTAMP '2026-01-02 03:04:05') TO '{tmp_path}/a.xlsx' (FORMAT xlsx, HEADER true)"
    )
    with source(tmp_path, "a.xlsx") as files:
        columns, rows = read(mover, files)
    assert columns == {
        "d": "DATE",
        "a": "BIGINT",
        "z": "VARCHAR",
        "b": "BOOLEAN",
        "x": "DECIMAL(18,2)",
        "t": "TIMESTAMP",
    }
    assert rows == [(None, 1, "00123", True, Decimal("1.50"), None), (dt.date(2026, 1, 2), 2, "q", False, Decimal("2.25"), dt.datetime(2026, 1, 2, 3, 4, 5))]  # fmt: skip
    assert refused(mover, tmp_path, "a.xlsx", sheet="nope").code == "pipelines.sheet"


def test_fixed_width_is_cut_in_characters(mover, tmp_path):
    put(tmp_path, "a.txt", "001 Ünal  12.50\r\n002 bob    3.25\r\n003 x\r\n")
    with source(tmp_path, "a.txt", widths={"id": 4, "name": 6, "v": 5}) as files:
        assert read(mover, files)[1] == [
            ("001", "Ünal", Decimal("12.50")),
            ("002", "bob", Decimal("3.25")),
            ("003", "x", None),
        ]
    put(tmp_path, "b.txt", "001 x\n002 a line that is far too long\n")
    with source(tmp_path, "b.txt", widths={"id": 4, "name": 6}) as files:
        good, bad = carefully(mover, files)
    assert (good, bad[0][0]) == ([("001", "x")], "b.txt:2")


# -- which files -------------------------------------------------------------------------------------------------------------------------


def test_only_new_files_are_read_and_changed_ones_are_told(mover, tmp_path):
    put(tmp_path, "a.csv", "id\n1\n")
    with source(tmp_path, "*.csv", mode="append") as files:
        position = files.reading(mover, None, None).position
    put(tmp_path, "b.csv", "id\n2\n")
    put(tmp_path, "a.csv", "id\n1\n9\n")
    with source(tmp_path, "*.csv", mode="append") as files:
        reading = files.reading(mover, position, None)
        rows = [
            mover.execute(f"SELECT * FROM {files.relation(mover, part)}").fetchall() for part in reading.parts
        ]
    assert rows == [[(2,)]]
    assert "a.csv" in reading.warnings[0]
    with source(tmp_path, "*.csv", mode="upsert") as files:
        assert [
            one[0] for part in files.reading(mover, position, None).parts for one in part.data["files"]
        ] == ["a.csv", "b.csv"]
    with source(tmp_path, "*.csv", mode="append") as files:
        again = files.reading(mover, reading.position, None)
    assert again.parts == ()


def test_a_file_that_was_only_touched_is_not_read_twice(mover, tmp_path):
    path = put(tmp_path, "a.csv", "id\n1\n")
    with source(tmp_path, "*.csv", mode="upsert") as files:
        position = files.reading(mover, None, None).position
    os.utime(path, (1, 1))
    with source(tmp_path, "*.csv", mode="upsert") as files:
        assert files.reading(mover, position, None).parts == ()


def test_parts_have_the_same_ids_and_are_read_the_same_after_a_crash(mover, tmp_path):
    put(tmp_path, "a.csv", "id,v\n1,5\n")
    with source(tmp_path, "*.csv", mode="append") as files:
        first = files.reading(mover, None, None)
    with source(tmp_path, "*.csv", mode="append") as files:
        assert files.reading(mover, None, None).parts == first.parts
    put(tmp_path, "b.csv", "id,v,w\nx,y,z\n")  # what is there now has other columns and types
    with source(tmp_path, "*.csv", mode="append") as files:
        files.columns(mover)
        assert mover.execute(f"SELECT * FROM {files.relation(mover, first.parts[0])}").fetchall() == [(1, 5)]


def test_small_files_are_one_part(mover, tmp_path):
    for n in range(150):
        put(tmp_path, f"{n:03}.csv", f"id\n{n}\n")
    with source(tmp_path, "*.csv") as files:
        reading = files.reading(mover, None, None)
        rows = [
            row
            for part in reading.parts
            for row in mover.execute(f"SELECT * FROM {files.relation(mover, part)}").fetchall()
        ]
    assert len(reading.parts) == 2
    assert sorted(rows) == [(n,) for n in range(150)]


def test_a_file_that_changes_while_it_is_read_is_told(mover, tmp_path):
    put(tmp_path, "a.csv", "id\n1\n")
    with source(tmp_path, "a.csv") as files:
        part = files.reading(mover, None, None).parts[0]
        put(tmp_path, "a.csv", "id\n1\n2\n")
        with pytest.raises(Failed, match=r"a\.csv was written while it was read"):
            files.relation(mover, part)
        (tmp_path / "a.csv").unlink()
        with pytest.raises(Failed, match=r"a\.csv has vanished"):
            files.relation(mover, part)


def test_a_file_that_is_open_for_writing_is_left_for_the_next_run(mover, tmp_path):
    put(tmp_path, "a.csv", "id\n1\n")
    with (tmp_path / "b.csv").open("w") as stream:
        stream.write("id\n2\n")
        stream.flush()
        with source(tmp_path, "*.csv", mode="append") as files:
            reading = files.reading(mover, None, None)
        assert refused(mover, tmp_path, "*.csv").code == "pipelines.file-unfinished"
    assert list(reading.position["files"]) == ["a.csv"]
    assert "b.csv" in reading.warnings[0]


def test_hidden_names_and_links_that_lead_out_are_no_data(mover, tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    put(inside, "a.csv", "id\n1\n")
    put(inside, "_temporary/b.csv", "id\n2\n")
    put(inside, ".c.csv", "id\n3\n")
    put(outside, "d.csv", "id\n4\n")
    (inside / "link.csv").symlink_to(outside / "d.csv")
    with source(inside, "**/*.csv") as files:
        assert read(mover, files)[1] == [(1,)]
    for pattern in ("../out/d.csv", "/etc/passwd", "", "a\0b"):
        assert refused(mover, inside, pattern).code == "pipelines.file-outside"
    assert refused(mover, inside, "*.parquet").code == "pipelines.no-files"


def test_folders_names_are_columns(mover, tmp_path):
    put(tmp_path, "year=2013/month=01/a.csv", "id\n1\n")
    put(tmp_path, "year=2014/month=02/a.csv", "id\n2\n")
    with source(tmp_path, "**/*.csv") as files:
        columns, rows = read(mover, files)
    assert columns == {"id": "BIGINT", "year": "BIGINT", "month": "VARCHAR"}
    assert sorted(rows) == [(1, 2013, "01"), (2, 2014, "02")]


def test_a_thousand_columns_with_hostile_names(mover, tmp_path):
    names = [f"c{n}" for n in range(997)] + ["'; DROP TABLE x; --", 'q""q', "Größe"]
    put(
        tmp_path,
        "a.csv",
        ",".join(f'"{name}"' for name in names) + "\n" + ",".join("1" * 1 for _ in names) + "\n",
    )
    with source(tmp_path, "a.csv") as files:
        columns, rows = read(mover, files)
    assert list(columns)[-3:] == ["'; DROP TABLE x; --", 'q"q', "Größe"]
    assert rows == [(1,) * 1000]


def test_all_keys_are_told(mover, tmp_path):
    put(tmp_path, "a.csv", "id,v\n1,x\n")
    put(tmp_path, "b.csv", "id,v\n2,y\n")
    with source(tmp_path, "*.csv", mode="upsert") as files:
        assert sorted(mover.execute(f"SELECT * FROM {files.keys_relation(mover, ('id',))}").fetchall()) == [
            (1,),
            (2,),
        ]
