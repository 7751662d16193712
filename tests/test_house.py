"""The house itself: scripts, docs, licence, package."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import datareeve
from datareeve.interfaces import demo

ROOT = Path(__file__).parent.parent
SCRIPTS = ["script/demo", "script/test", "script/check", "script/bench", "script/docs", ".ci/run"]
NOT_PAGES = {"demo", "src"}  # what a demo wrote, and the report's template
PAGES = sorted(
    p
    for p in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in NOT_PAGES for part in p.relative_to(ROOT).parts)
)
SEED_TASK_SHA256 = "a2fd694c6cf37a09f98bcbb93ed083627a438669744742626f525babcd7bc754"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_started_and_says_what_it_is_for(script):
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    first, second, *_ = path.read_text().splitlines()
    assert first == "#!/usr/bin/env bash"
    assert re.match(r"# \S.{30,}", second)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text())
    local = {a or b for a, b in targets if not (a or b).startswith(("http://", "https://", "mailto:"))}
    assert [link for link in sorted(local) if not (page.parent / link).exists()] == []


def test_every_page_is_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        waiting += [
            (page.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        ]
    assert [str(p.relative_to(ROOT)) for p in PAGES if p not in seen and p.name != "AGENTS.md"] == []


def test_the_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_example_is_the_task_that_the_demo_delegates():
    assert (ROOT / "examples" / "configure-postgresql.txt").read_text() == demo.delegation()


def test_the_example_is_word_for_word_what_was_delegated():
    assert (
        hashlib.sha256((ROOT / "examples" / "configure-postgresql.txt").read_bytes()).hexdigest()
        == SEED_TASK_SHA256
    )


def test_the_version_is_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == datareeve.__version__


def test_the_glossary_has_the_words_of_the_code():
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    words = re.findall(r"^\| \*\*([A-Z][a-z ]+)\*\*", glossary, re.MULTILINE)
    assert words == sorted(words)
    core = "\n".join(p.read_text() for p in (ROOT / "src/datareeve/core").glob("*.py"))
    classes = set(re.findall(r"^class (\w+)\(Value", core, re.MULTILINE))
    assert {"Operation", "Plan", "Step", "Claim", "Check", "Outcome", "Finding"} <= classes & {
        word.title() for word in words
    }


def licences(name, seen):
    """The licence of a package and of what it needs, extras of ours included."""
    key = name.lower().replace("_", "-")
    if key in seen:
        return
    try:
        found = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return
    classifiers = [c for c in found.get_all("Classifier") or [] if c.startswith("License")]
    seen[key] = " ".join(
        [found.get("License-Expression") or "", (found.get("License") or "")[:80], *classifiers]
    )
    for text in importlib.metadata.requires(name) or []:
        licences(Requirement(text).name, seen) if "extra ==" not in text or key == "datareeve" else None


def test_nothing_that_is_installed_with_it_is_gpl():
    seen = {}
    licences("datareeve", seen)
    assert len(seen) > 20
    assert {
        name: text
        for name, text in seen.items()
        if re.search(r"(?<!L)\bA?GPL|(?<!Lesser )General Public", text)
    } == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from the working tree."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not on PATH")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_every_file_of_the_package(wheel):
    package = ROOT / "src" / "datareeve"
    wanted = {
        str(p.relative_to(package.parent))
        for p in package.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_installs_into_an_empty_environment_and_starts(wheel, tmp_path):
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "env"], check=True)
    interpreter = tmp_path / "env" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", interpreter, wheel], check=True)
    told = subprocess.run(
        [tmp_path / "env" / "bin" / "datareeve", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert told.stdout.strip().endswith(datareeve.__version__)


def test_help_loads_nothing_heavy():
    code = "import sys; from datareeve.interfaces import cli; sys.argv=['datareeve','--help']\ntry: cli.main()\nexcept SystemExit: pass\n"
    code += "print('LOADED', *sorted({'psycopg','sqlalchemy','alembic','sqlglot','mcp','psutil','jinja2','duckdb','ruamel.yaml'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "LOADED"


def test_help_answers_within_400_milliseconds_of_work():
    def cost():
        before = os.times()
        subprocess.run([Path(sys.executable).parent / "datareeve", "--help"], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert any(cost() < 0.4 for _ in range(10))  # other work beside it makes some of them dearer
