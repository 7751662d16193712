"""Peers, each in an environment of its own below `.bench/`, so that their dependencies never meet ours.

A measurement gives a peer a script to run; the script prints one JSON object. Installed once, again when its requirements change.
"""

from __future__ import annotations

import json
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{peer}: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _command(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotInstalled(done.stderr.strip()[-300:])
