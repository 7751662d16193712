"""`datareeve status` names every system of the estate: a folder by what lies in it, and none is left out silently."""

import json

import pytest

from datareeve.interfaces.cli import main

ESTATE = """\
version: 1
systems:
  lake: {kind: folder, path: lake}
  cluster: {kind: spark, url: 'local[1]'}
"""


@pytest.fixture
def status(tmp_path, capsys):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "orders.csv").write_text("id,total\n1,2\n")
    (tmp_path / "estate.yaml").write_text(ESTATE)

    def told(*words):
        code = main(["status", "--project", str(tmp_path), *words])
        return code, capsys.readouterr().out

    return told


def test_a_folder_is_told_with_what_lies_in_it_and_others_by_name(status):
    code, out = status("--json")
    lake, cluster = json.loads(out)
    assert (code, lake["title"], lake["figures"]["health"], lake["figures"]["tables"]) == (0, "Status of lake", "healthy", 1)  # fmt: skip
    assert (cluster["title"], cluster["database"][0]["text"]) == ("Status of cluster", "not looked at here: a system of kind spark")  # fmt: skip
    code, out = status()
    assert code == 0
    assert "healthy: a folder of 1 table in 1 file" in " ".join(out.split())


def test_a_folder_that_is_gone_is_down(status, tmp_path):
    (tmp_path / "lake" / "orders.csv").unlink()
    (tmp_path / "lake").rmdir()
    code, out = status("--json")
    assert (code, json.loads(out)[0]["figures"]["health"]) == (1, "down")
