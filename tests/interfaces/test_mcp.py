"""MCP over stdio, spoken with the SDK's own client to a process of its own."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager

import anyio
import psycopg
from mcp import Client, StdioServerParameters
from mcp.types import Implementation

from datareeve.interfaces import cli

INDEX = {"operation": "databases.create-index", "inputs": {"table": "trips", "columns": ["plane"]}}


@asynccontextmanager
async def client(project):
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "datareeve.interfaces.cli", "mcp", "--project", str(project)]
    )
    async with Client(server, client_info=Implementation(name="pm", version="1")) as connected:
        yield connected


def speak(project, talk):
    async def spoken():
        async with client(project) as connected:
            return await talk(connected)

    return anyio.run(spoken)


def call(project, tool, **arguments):
    """One call: whether it is an error, and the structured answer."""

    async def talk(connected):
        result = await connected.call_tool(tool, arguments)
        return result.is_error, result.structured_content

    return speak(project, talk)


def index_is_there(database):
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT to_regclass('trips_plane_idx') IS NOT NULL").fetchone()[0]


def test_hints_are_truthful_and_no_tool_approves(project):
    async def talk(connected):
        return (await connected.list_tools()).tools

    tools = {tool.name: tool.annotations for tool in speak(project, talk)}
    assert {name for name, hints in tools.items() if hints.read_only_hint} == {
        "status",
        "report",
        "search_operations",
        "describe_operation",
        "run_read",
    }
    assert {name for name, hints in tools.items() if hints.destructive_hint} == {"apply"}
    assert sorted(tools) == [
        "apply",
        "delegate",
        "describe_operation",
        "plan",
        "report",
        "run_read",
        "search_operations",
        "status",
    ]


def test_an_agents_plan_waits_until_a_person_has_approved_it(project, database, capsys):
    heard = []

    async def listen(progress, total, message):
        heard.append(message)

    async def talk(connected):
        planned = (await connected.call_tool("plan", INDEX)).structured_content
        waiting = await connected.call_tool("apply", {"fingerprint": planned["fingerprint"]})
        assert not waiting.is_error
        assert waiting.structured_content["status"] == "waiting"
        assert not index_is_there(database)
        assert cli.main(waiting.structured_content["a_person_runs"].split()[1:]) == 0
        done = (
            await connected.call_tool(
                "apply", {"fingerprint": planned["fingerprint"]}, progress_callback=listen
            )
        ).structured_content
        report = (await connected.call_tool("report", {"run": done["run"]})).structured_content
        return done, report

    done, report = speak(project, talk)
    assert done["status"] == "done"
    assert index_is_there(database)
    assert any(message.startswith("step: create-index trips_plane_idx") for message in heard)
    assert [evidence["verdict"] for evidence in report["evidence"]] == ["holds"]
    assert [run["by"] for run in _runs(project, capsys)] == ["agent:pm"]


def _runs(project, capsys):
    capsys.readouterr()
    cli.main(["runs", "--json", "--project", str(project)])
    return json.loads(capsys.readouterr().out)


def test_an_agent_cannot_approve_its_own_plan_by_applying_twice(project, database):
    _, planned = call(project, "plan", **INDEX)
    for _ in range(2):
        _, answer = call(project, "apply", fingerprint=planned["fingerprint"])
        assert answer["status"] == "waiting"
    assert not index_is_there(database)


def test_what_the_estate_allows_is_carried_out_unattended(project, database):
    estate = project / "estate.yaml"
    estate.write_text(
        estate.read_text().replace(
            "  rules: []", "  rules:\n    - {decision: allow, operations: [databases.create-index]}"
        )
    )
    _, planned = call(project, "plan", **INDEX)
    assert call(project, "apply", fingerprint=planned["fingerprint"])[1]["status"] == "done"
    assert index_is_there(database)


def test_a_task_in_words_gives_a_plan_and_changes_nothing(project, database):
    failed, answer = call(project, "delegate", task="create an index on trips (plane)", rehearse=False)
    assert not failed
    assert [step["step"] for step in answer["steps"]] == ["create-index trips_plane_idx"]
    assert "CREATE" not in str(answer["questions"])
    assert not index_is_there(database)


def test_reading_operations_answer_at_once_and_others_are_refused(project):
    failed, answer = call(project, "run_read", operation="databases.review-schema", inputs={})
    assert not failed
    assert answer["figures"]["tables"] == 1
    failed, answer = call(project, "run_read", **INDEX)
    assert failed
    assert answer["error"] == "mcp.not-a-read"


def test_operations_are_found_by_what_they_do_and_described(project):
    _, found = call(project, "search_operations", query="build an index")
    assert found["operations"][0]["name"] == "databases.create-index"
    _, described = call(project, "describe_operation", operation="databases.create-index")
    assert described["inputs"]["required"] == ["system", "table", "columns"]


def test_the_estate_tells_how_it_stands(project):
    _, answer = call(project, "status")
    assert (
        answer["systems"][0]["figures"]["health"] == "degraded"
    )  # the tests' server runs without fsync, and that is told
    assert {level["target"] for level in answer["service_levels"]} == {
        "query_ms_p95",
        "backup_age_hours",
        "restore_point_seconds",
        "restore_time_seconds",
    }


def test_errors_are_answers_with_a_code_and_a_remedy(project):
    for tool, arguments, code in (
        ("plan", {"operation": "databases.create-idnex", "inputs": {}}, "operation.unknown"),
        ("plan", {"operation": "databases.create-index", "inputs": {"tabel": "trips"}}, "operation.input"),
        ("apply", {"fingerprint": "0123456789abcdef"}, "plan.unknown"),
        ("report", {"run": "nope"}, "run.unknown"),
        ("delegate", {"task": "Deploy the Kubernetes cluster"}, "task.not-our-work"),
    ):
        failed, answer = call(project, tool, **arguments)
        assert failed
        assert answer["error"] == code
        assert answer["remedy"]
