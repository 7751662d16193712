"""The project's files: written only where the authority allows, put back as they were."""

import hashlib

import pytest

from datareeve.core.errors import Failed, Refused
from datareeve.systems.estate_file import EstateFile
from datareeve.systems.files import Files


@pytest.fixture
def files(tmp_path):
    (tmp_path / "project").mkdir()
    return Files(tmp_path / "project", ("**/data/**",))


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_folder_that_became_a_link_out_is_neither_written_nor_restored_through(files, tmp_path):
    files.perform("write", run="r", path="data/sub/note.txt", text="ours")
    outside = tmp_path / "outside"
    (files.root / "data" / "sub").rename(outside)
    (files.root / "data" / "sub").symlink_to(outside)
    with pytest.raises(Refused):
        files.perform("write", run="r", path="data/sub/note.txt", text="theirs")
    with pytest.raises(Refused):
        files.perform("restore", run="r", path="data/sub/note.txt", digest=None)
    assert (outside / "note.txt").read_text() == "ours"


def test_a_private_file_stays_private_while_it_is_kept_and_when_it_is_put_back(files):
    private = files.root / "data" / "users.txt"
    private.parent.mkdir()
    private.write_text("before")
    private.chmod(0o600)
    before = files.perform("write", run="r", path="data/users.txt", text="after", mode=0o600)["before"]
    assert mode(files.root / ".datareeve" / "kept" / before) == 0o600
    private.unlink()
    files.perform("restore", run="r", path="data/users.txt", digest=before)
    assert (private.read_text(), mode(private)) == ("before", 0o600)


def test_a_file_whose_folder_is_gone_is_put_back_and_one_not_kept_is_told(files):
    (files.root / "data" / "sub").mkdir(parents=True)
    note = files.root / "data" / "sub" / "note.txt"
    note.write_text("before")
    before = files.perform("write", run="r", path="data/sub/note.txt", text="after")["before"]
    note.unlink()
    note.parent.rmdir()
    files.perform("restore", run="r", path="data/sub/note.txt", digest=before)
    assert note.read_text() == "before"
    with pytest.raises(Failed) as failed:
        files.perform("restore", run="r", path="data/sub/note.txt", digest=hashlib.sha256(b"x").hexdigest())
    assert failed.value.code == "files.write"


def test_the_ledger_and_what_is_kept_are_nobodys_output(files):
    for path in (
        "estate.yaml",
        ".datareeve/ledger.sqlite",
        ".datareeve/kept/x",
        ".datareeve/secrets/app.password",
    ):
        with pytest.raises(Refused):
            files.perform("write", run="r", path=path, text="x")
    (files.root / "data").mkdir()
    (files.root / "data" / "note.txt").symlink_to("../.datareeve/ledger.sqlite")
    with pytest.raises(Refused):
        files.perform("write", run="r", path="data/note.txt", text="x")


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.txt", "data/link.txt"])
def test_nothing_outside_the_project_is_read(files, tmp_path, path):
    (tmp_path / "outside.txt").write_text("not ours")
    (files.root / "data").mkdir()
    (files.root / "data" / "link.txt").symlink_to(tmp_path / "outside.txt")
    for action in ("text", "digest"):
        with pytest.raises(Refused):
            files.read(action, path=path)


def test_the_estate_is_not_written_through_a_link_that_lies_in_wait(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("not ours")
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    (tmp_path / "estate.yaml.new").symlink_to(other)
    EstateFile(tmp_path / "estate.yaml").perform("put", run="r", where=["name"], value="mine")
    assert other.read_text() == "not ours"
    assert "mine" in (tmp_path / "estate.yaml").read_text()
