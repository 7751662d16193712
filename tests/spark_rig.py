"""A real Spark for the tests: a standalone master and two workers on the loopback interface, and what of PySpark lives in this process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "spark.executor.memory": "512m",
    "spark.driver.memory": "512m",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
}
START_SECONDS = 120


@dataclass
class Cluster:
    """A running cluster: the URL of its master."""

    folder: Path
    url: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *arguments: str, says: str) -> re.Match[str]:
        """Start a part of it, and wait until its log says so."""
        home = Path(importlib.util.find_spec("pyspark").submodule_search_locations[0])
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(home / "bin" / "spark-class"), *arguments],  # also where pytest is killed
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its executors are ended with it
                env={**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(self.folder), "SPARK_DAEMON_MEMORY": "256m"},
            )  # fmt: skip
        self.processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(says, log.read_text(errors="replace"))):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        """End every process of it."""
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(workers: int = 2) -> Iterator[Cluster]:
    """A new cluster of one core a worker, destroyed at the end."""
    made = Cluster(Path(tempfile.mkdtemp(prefix="datareeve-spark-")))
    where = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    try:
        found = made.start("master", "org.apache.spark.deploy.master.Master", *where, says=r"Starting Spark master at (spark://\S+:\d+)")  # fmt: skip
        made.url = found[1]
        for n in range(workers):
            own = (
                "--cores",
                "1",
                "--memory",
                "640m",
                "--work-dir",
                str(made.folder / f"worker{n}"),
                made.url,
            )
            made.start(f"worker{n}", "org.apache.spark.deploy.worker.Worker", *where, *own, says=r"Successfully registered with master")  # fmt: skip
        yield made
    finally:
        stop_session()
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


def stop_session() -> None:
    """End the Spark of this process, and its Java."""
    from pyspark import SparkContext  # noqa: PLC0415 - a heavy import
    from pyspark.sql import SparkSession  # noqa: PLC0415

    if SparkSession._instantiatedSession is not None:
        with contextlib.suppress(Exception):
            SparkSession._instantiatedSession.stop()
    gateway = SparkContext._gateway
    if gateway is not None:
        with contextlib.suppress(Exception):
            gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.kill()
        gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = None
