from pathlib import Path

import pytest

import servers
from datareeve.capabilities.databases.operations.measure_workload import MeasureWorkload

SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE t AS SELECT n, 'name ' || n AS name FROM generate_series(1, 5000) n",
    "ANALYZE t",
)


@pytest.mark.system
def test_the_statistics_of_the_server_give_families_and_invented_parameters_replay_them(tmp_path):
    with (
        servers.server(
            binaries=Path("/usr/lib/postgresql/15/bin"), shared_preload_libraries="pg_stat_statements"
        ) as server,
        server.database(*SCHEMA) as url,
    ):
        with server.connect(url.rsplit("/", 1)[1]) as app:
            for n in range(3):
                app.execute(f"SELECT name FROM t WHERE n = {n} ORDER BY name LIMIT 7")
                app.execute(f"SELECT count(*) FROM t WHERE n + {n} = 3")
        registry = servers.registry(tmp_path, url)
        families = {f["sql"]: f for f in registry["app"].read("workload")["families"]}
        known = families["SELECT name FROM t WHERE n = $1 ORDER BY name LIMIT $2"]
        assert (known["calls"], known["p95_ms"]) == (3, None)
        operation = MeasureWorkload(system="app")
        measured = operation.plan(operation.observe(registry)).figures["families"]
        assert known["fingerprint"] in measured
        # What no column is plainly compared with cannot be invented, and is not replayed with made-up numbers.
        assert families["SELECT COUNT(*) FROM t WHERE n + $1 = $2"]["fingerprint"] not in measured
        registry.close()
