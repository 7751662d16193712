"""A folder of Parquet files as a destination: who may publish, what a crash at the worst moment leaves, and which files go."""

import contextlib
import json

import pytest

from datareeve.core.errors import DatareeveError, Failed, LeaseLost
from datareeve.systems.dataset_manifest import KEPT, PLACE, Manifest, folder_of, newest, put
from datareeve.systems.dataset_store import LocalStore
from datareeve.systems.destination import Batch
from datareeve.systems.destination_dataset import DatasetDestination


class Ten:
    """Ten rows."""

    columns = ("id",)

    def __init__(self, since=0):
        self._since = since

    def taken(self):
        return f"SELECT range + {self._since} AS id FROM range(10)"

    def rejected(self):
        return ""

    def still(self):
        """Nothing changes while it is read."""


class Crash(BaseException):
    """The process ends here."""


class Crashing(DatasetDestination):
    """It ends when its manifest is put, before its work file knows."""

    def _remove_files(self, files):
        raise Crash


@pytest.fixture
def opened(tmp_path):
    with contextlib.ExitStack() as stack:

        def made(work="one", kind=DatasetDestination):
            there = kind.of(
                "there", tmp_path / "there", tmp_path / f"{work}.duckdb", lambda: None, memory_mb=100
            )
            return stack.enter_context(contextlib.closing(there))

        yield made


def claimed(there):
    return there.claim("p", ledger="one", fence=1, run="r")


def built(there, build="b1", rows=10, begin=0):
    """A build of one table, ready to be published; gives the right to write."""
    held = claimed(there)
    with there.commit(held):
        there.record(held, build={"id": build, "run": "r", "digest": "d"})
    held = claimed(there)
    with there.commit(held):
        there.begin_load(None, "t__next", "id BIGINT", "t")
    for part in range(rows // 10):
        there.insert(held, Batch(build, "t", str(part)), there.moved(None, "t__next"), Ten(begin + part * 10))
    with there.commit(held):
        there.settle(held, "t", "t__next", "", only_comes=False)
    return held


def publish(there, held):
    with there.commit(held):
        there.take_place("t", "t__next")
        there.record(held, build={}, published={"id": held.build["id"]})


def ids(there):
    return [row[0] for row in there.run("SELECT id FROM t ORDER BY id")]


def parquet(tmp_path):
    return sorted(path.name for path in tmp_path.glob("there/t/*"))


# -- manifests -----------------------------------------------------------------------------------------------------------------------------


def test_of_two_manifests_of_one_number_the_first_stays(tmp_path):
    assert put(LocalStore(tmp_path, "there"), Manifest(1, {"a": {"files": []}}))
    assert not put(LocalStore(tmp_path, "there"), Manifest(1, {"b": {"files": []}}))
    assert list(newest(LocalStore(tmp_path, "there")).tables) == ["a"]
    assert [path.name for path in (tmp_path / PLACE).iterdir()] == ["000000000001.json"]


def test_old_manifests_go_and_the_last_ones_stay(tmp_path):
    for number in range(1, KEPT + 6):
        assert put(LocalStore(tmp_path, "there"), Manifest(number))
    numbers = sorted(int(path.stem) for path in (tmp_path / PLACE).iterdir())
    assert numbers == list(range(6, KEPT + 6))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"datareeve": 1}', '{"datareeve": 2, "tables": {}, "pipelines": {}, "garbage": []}'],
)
def test_a_manifest_that_cannot_be_read_is_said_and_none_before_it_is_taken_for_it(tmp_path, text):
    put(LocalStore(tmp_path, "there"), Manifest(1))
    (tmp_path / PLACE / "000000000002.json").write_text(text)
    with pytest.raises(DatareeveError) as caught:
        newest(LocalStore(tmp_path, "there"))
    assert caught.value.code == "pipelines.manifest"


@pytest.mark.parametrize("table", ["t", "a/b", "..", "_datareeve", ".hidden", "Überweisung", "a b", "x=1"])
def test_a_table_has_a_folder_of_its_own_below_the_root_whatever_it_is_called(table):
    found = folder_of(table)
    assert "/" not in found
    assert not found.startswith((".", "_"))
    assert "=" not in found


# -- publishing ----------------------------------------------------------------------------------------------------------------------------


def test_what_is_built_is_seen_by_nobody_before_it_is_published(opened, tmp_path):
    there = opened()
    held = built(there)
    assert there.columns(None, "t") == {}
    assert newest(LocalStore(tmp_path / "there", "there")).number == 0
    publish(there, held)
    assert ids(there) == list(range(10))
    assert newest(LocalStore(tmp_path / "there", "there")).pipelines["p"]["published"] == {"id": "b1"}


def test_a_crash_between_manifest_and_work_file_leaves_what_is_published(opened, tmp_path):
    there = opened(kind=Crashing)
    held = built(there)
    with pytest.raises(Crash):
        publish(there, held)
    there.close()
    after = opened()
    found = claimed(after)
    assert ids(after) == list(range(10))
    assert found.published == {"id": "b1"}
    assert (
        found.build["id"] == "b1"
    )  # it is the one that is published: publishing is quiet, and the next build drops it
    with after.commit(found):
        after.remove(None, "t__next")
        after.record(found, build={})
    assert ids(after) == list(range(10))
    assert parquet(tmp_path) == [
        name.partition("/")[2]
        for name in newest(LocalStore(tmp_path / "there", "there")).tables["t"]["files"]
    ]


def test_a_publisher_that_slept_while_another_machine_published_publishes_nothing(opened, tmp_path):
    here = opened("here")
    held = built(here, "b1")
    elsewhere = opened("elsewhere")
    publish(elsewhere, built(elsewhere, "b2", rows=20))
    with pytest.raises(LeaseLost) as caught:
        publish(here, held)
    assert caught.value.code == "pipelines.fenced"
    assert newest(LocalStore(tmp_path / "there", "there")).pipelines["p"]["published"] == {"id": "b2"}
    again = opened("looks")
    assert ids(again) == list(range(20))


def test_a_build_upon_what_is_no_longer_published_is_no_build(opened):
    here = opened("here")
    built(here, "b1")
    here.close()
    elsewhere = opened("elsewhere")
    publish(elsewhere, built(elsewhere, "b2", rows=20))
    found = claimed(opened("here"))
    assert (found.build["run"], found.build["digest"]) == ("", "")
    assert found.published == {"id": "b2"}


def test_the_files_of_a_batch_that_was_killed_go_with_the_publication_and_others_stay(opened, tmp_path):
    there = opened()
    held = built(there)
    for name in ("b1-killed.parquet", "b9-of-another-project.parquet", "notes.txt"):
        (tmp_path / "there/t" / name).write_text("half a file")
    publish(there, held)
    assert "b1-killed.parquet" not in parquet(tmp_path)
    assert {"b9-of-another-project.parquet", "notes.txt"} < set(parquet(tmp_path))


def test_a_build_that_is_dropped_leaves_no_files(opened, tmp_path):
    there = opened()
    held = built(there)
    assert len(parquet(tmp_path)) == 1
    with there.commit(held):
        there.remove(None, "t__next")
        there.record(held, build={})
    assert parquet(tmp_path) == []


def test_the_former_files_are_published_again_and_the_undone_ones_stay_for_who_reads_them(opened, tmp_path):
    there = opened()
    publish(there, built(there, "b1"))
    publish(there, built(there, "b2", rows=20))
    held = claimed(there)
    with there.commit(held):
        there.give_back(held, "t")
        there.record(held, build={}, published={"id": "b1"})
    assert ids(there) == list(range(10))
    assert len(parquet(tmp_path)) == 3
    publish(there, built(there, "b3", begin=100))
    assert ids(there) == list(range(100, 110))
    assert len(parquet(tmp_path)) == 2


def test_many_small_files_become_one(opened, tmp_path):
    there = opened()
    publish(there, built(there, "b1", rows=1280))
    assert len(parquet(tmp_path)) == 128
    held = claimed(there)
    with there.commit(held):
        there.record(held, build={"id": "b2", "run": "r", "digest": "d"})
    held = claimed(there)
    with there.commit(held):
        there.run("CREATE TABLE t__came AS SELECT 5000::BIGINT AS id")
        there.run("CREATE VIEW t__next AS SELECT * FROM t UNION ALL SELECT * FROM t__came")
        there.settle(held, "t", "t__next", "t__came", only_comes=True)
    publish(there, held)
    assert (
        len(json.loads(max((tmp_path / "there" / PLACE).glob("*.json")).read_text())["tables"]["t"]["files"])
        == 1
    )
    assert len(ids(there)) == 1281


def test_a_file_that_went_is_named(opened, tmp_path):
    there = opened()
    publish(there, built(there))
    there.close()
    (tmp_path / "there/t" / parquet(tmp_path)[0]).unlink()
    with pytest.raises(Failed) as caught:
        opened()
    assert caught.value.code == "pipelines.file-missing"
    assert "t/b1-" in caught.value.what
