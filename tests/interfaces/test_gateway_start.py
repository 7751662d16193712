"""What a gateway loads before it listens: whoever starts it anew under load waits for all of it. What it does not need yet comes later, or never."""

import os
import subprocess
import sys

import pytest

# Neither a driver, a client nor a slice that this estate has no use for; of our own, what looks after a gateway or reads its account.
NOT_YET = """
    alembic duckdb genai_prices http.client jinja2 keyring mcp psutil psycopg pymysql redis rich sqlalchemy sqlglot
    datareeve.app datareeve.agent datareeve.core.ledger datareeve.core.runner datareeve.capabilities.databases
    datareeve.capabilities.ai.operations datareeve.core.personal_data.text
    datareeve.systems.ai_provider datareeve.systems.gateway_control datareeve.systems.gateway_replay datareeve.systems.otlp
    datareeve.systems.registry
""".split()
ESTATE = """
version: 1
systems:
  openai: {{kind: openai, base_url: "http://127.0.0.1:9/v1", keys: [env:KEY_OPENAI]}}
gateway: {{privacy: {{redact: {redact}}}}}
"""
START = """
import os, signal, sys
from pathlib import Path
from datareeve.interfaces import cli, gateway

def ready(address):
    print(*sys.modules)
    os.kill(os.getpid(), signal.SIGTERM)

status = gateway.run(Path(sys.argv[1]), listen="127.0.0.1:0", ready=ready)
print(*sys.modules)
sys.exit(status)
"""


@pytest.fixture
def loaded(tmp_path):
    """What is loaded when a gateway listens, and when it has ended."""

    def start(*, redact=False):
        (tmp_path / "estate.yaml").write_text(ESTATE.format(redact=str(redact).lower()))
        told = subprocess.run(
            [sys.executable, "-c", START, tmp_path],
            env={**os.environ, "KEY_OPENAI": "key-openai"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        listening, ended = told.stdout.splitlines()
        return set(listening.split()), set(ended.split())

    return start


def test_a_gateway_listens_before_it_loads_what_it_does_not_need_for_that(loaded):
    listening, ended = loaded()
    assert "datareeve.capabilities.ai.gateway.server" in listening
    assert [name for name in NOT_YET if name in listening] == []
    assert "genai_prices" in ended  # it came while it listened, not with the first request


def test_what_every_prompt_is_looked_through_with_is_there_before_the_first_one(loaded):
    listening, _ = loaded(redact=True)
    assert "datareeve.core.personal_data.text" in listening
