"""What stands in `examples/` does what it says."""

import json
import subprocess
import sys
from pathlib import Path

ASKED = """
import json, os, urllib.request

def asked(url, **headers):
    said = {"model": "any", "max_tokens": 4, "messages": [{"role": "user", "content": "Say hi."}]}
    headers["content-type"] = "application/json"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(said).encode(), headers)) as answer:
        return json.load(answer)

print(json.dumps([asked(os.environ["OPENAI_BASE_URL"] + "/chat/completions"), asked(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages")]))
raise SystemExit(3)
"""


def test_a_command_finds_both_providers_on_the_small_model_and_its_status_is_told():
    example = Path(__file__).parent.parent / "examples" / "on_a_small_model.py"
    done = subprocess.run(
        [sys.executable, example, sys.executable, "-c", ASKED],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 3, done.stderr[-2000:]
    chat, message = json.loads(done.stdout)
    assert chat["choices"][0]["message"]["content"]
    assert message["content"][0]["text"]
    assert chat["model"] == "smollm2-135m"
