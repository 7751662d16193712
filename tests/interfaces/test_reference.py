"""The reference is made from the code, the same each time, and what is out of date is found."""

from __future__ import annotations

import json

from datareeve.app import catalogue
from datareeve.interfaces import reference


def test_the_reference_covers_every_operation_command_and_error_and_is_made_the_same_twice(tmp_path):
    reference.write(tmp_path)
    assert reference.stale(tmp_path) == []
    assert sorted(path.stem for path in (tmp_path / "operations").iterdir()) == list(catalogue().names())
    commands = (tmp_path / "command-line.md").read_text()
    assert "## datareeve delegate" in commands
    assert "--approve STR: Approve and carry out the kept plan of this fingerprint." in commands
    assert "| `plan.stale` | 1 | This no longer holds: …. |" in (tmp_path / "errors.md").read_text()
    assert "systems" in json.loads((tmp_path / "estate.schema.json").read_text())["properties"]
    assert "loads" in json.loads((tmp_path / "pipeline.schema.json").read_text())["properties"]


def test_a_changed_missing_or_left_over_page_is_named(tmp_path, capsys):
    reference.write(tmp_path)
    (tmp_path / "errors.md").write_text("old")
    (tmp_path / "operations.md").unlink()
    (tmp_path / "operations" / "databases.gone.md").write_text("gone")
    assert reference.stale(tmp_path) == ["errors.md", "operations.md", "operations/databases.gone.md"]
    assert reference.main(["--check", str(tmp_path)]) == 1
    assert "errors.md is out of date: run script/docs" in capsys.readouterr().out
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main(["--check", str(tmp_path)]) == 0
