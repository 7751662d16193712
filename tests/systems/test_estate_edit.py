"""Changes of estate.yaml are made in the lines that they are about: comments stay with the lines they were written to."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from datareeve.systems.estate_file import EstateFile, changed

TEXT = """\
# the estate of the shop
version: 1

# who answers
systems:   # all of them
  # the first one
  openai:   # ours
    kind: openai   # the protocol
    keys:   # by reference
    - env:A   # the old one
    # between two keys
    - env:B

  # a second one, when the first is away
  claude:
    kind: anthropic
    headers: {x-team: shop}   # who pays

  # the last word on systems

# what stands in front of them
gateway:
  listen: 127.0.0.1:4141   # where
  models: {}   # none yet
# who is told
alerts:
# of silence
- name: silent
  system: gateway   # of it
  sample: up
  silent_seconds: 600
# of errors
- name: errors
  system: gateway
  sample: error_percent
  above: 5   # percent
# the end
"""
PROVIDER = {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "auth": "none"}


def at(text: str, where: list[str]) -> object:
    node = YAML(typ="safe").load(text)
    for key in where:
        node = node.get(key) if isinstance(node, dict) else next(e for e in node if e["name"] == key)
    return node


def only_added(before: str, after: str) -> list[str]:
    """The lines that came; fails where one of the old ones is gone or stands elsewhere."""
    old, came = before.splitlines(), []
    for line in after.splitlines():
        if old and line == old[0]:
            old.pop(0)
        else:
            came.append(line.strip())
    assert old == []
    return came


def test_providers_that_are_added_leave_every_line_where_it_was(tmp_path):
    place = tmp_path / "estate.yaml"
    place.write_text(TEXT, encoding="utf-8")
    estate = EstateFile(place)
    for name in ("local", "other"):
        estate.put(["systems", name], PROVIDER)
    now = place.read_text(encoding="utf-8")
    assert only_added(TEXT, now)[:2] == ["local:", "kind: openai"]
    assert now.index("  other:") < now.index("  # the last word on systems")
    for name in ("other", "local"):
        estate.put(["systems", name], None)
    assert place.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("where", "value", "was", "stands"),
    [
        (["systems", "openai", "kind"], "anthropic", "openai   # the protocol", "anthropic   # the protocol"),
        (["systems", "openai", "keys"], ["env:A", "env:C"], "- env:B", "- env:C"),
        (["systems", "openai", "keys"], ["env:A", "env:B", "env:C"], "- env:B\n", "- env:B\n    - env:C\n"),
        (["systems", "openai", "keys"], ["env:B"], "    - env:A   # the old one\n", ""),
        (["systems", "claude", "headers"], {"x-team": "bar"}, "{x-team: shop}   #", "{x-team: bar}   #"),
        (["gateway", "listen"], "127.0.0.1:1", "127.0.0.1:4141   # where", "127.0.0.1:1   # where"),
        (["gateway", "models", "chat"], {"targets": ["a/b"]}, "  models: {}   # none yet\n",
         "  models:   # none yet\n    chat:\n      targets:\n      - a/b\n"),
        (["alerts", "errors"], {"name": "errors", "system": "gateway", "sample": "error_percent", "above": 9},
         "above: 5   # percent", "above: 9   # percent"),
        (["alerts", "silent"], None,
         "- name: silent\n  system: gateway   # of it\n  sample: up\n  silent_seconds: 600\n", ""),
    ],
)  # fmt: skip
def test_only_the_lines_that_change_are_written(where, value, was, stands):
    now = changed(TEXT, where, value)
    assert now == TEXT.replace(was, stands, 1)
    if value is not None:
        assert at(now, where) == value


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nsystems: {a: {kind: openai}}   # in braces\n\n# before the gateway\ngateway: {}\n",
        "version: 1\nsystems: &all\n  a: {kind: openai}\n\n# before the gateway\ngateway: {}\nother: *all\n",
    ],
)
def test_what_is_not_written_in_lines_keeps_its_comments_too(text):
    now = changed(text, ["systems", "b"], PROVIDER)
    assert at(now, ["systems", "b"]) == PROVIDER
    assert "\n# before the gateway\ngateway: {}\n" in now
    assert ("# in braces" in now) == ("# in braces" in text)


def test_a_text_in_braces_is_changed_as_a_whole():
    assert (
        at(changed('{"version": 1, "systems": {}}', ["systems", "b"], PROVIDER), ["systems", "b"]) == PROVIDER
    )
