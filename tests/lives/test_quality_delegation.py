"""The delegation "Validate data quality" from beginning to end on PostgreSQL: planned, carried out, given again, and told what nobody does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datareeve.agent.report import report
from datareeve.app import App
from datareeve.core.operation import Verdict
from datareeve.interfaces.cli import main

DELEGATION = Path(__file__).parent.parent.parent / "examples" / "validate-data-quality.txt"
CANARY = "canary-51e7"
TABLES = (
    "CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, joined date NOT NULL)",
    f"INSERT INTO customers SELECT n, 'p' || n || '-{CANARY}@example.com', current_date - n FROM generate_series(1, 300) AS n",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, amount numeric(10,2) NOT NULL)",
    "INSERT INTO orders SELECT n, 1 + n % 300, n % 90 FROM generate_series(1, 2000) AS n",
)
DONE = {  # by bullet: what must have been done for it
    "Validate data quality": {"quality.propose-contract", "quality.check-contract"},
    "Implement data quality checks and data contracts": {
        "quality.propose-contract",
        "quality.check-contract",
    },
    "Monitor data freshness": {"quality.propose-contract", "quality.watch-contracts"},
    "Find personal data": {"quality.classify-data"},
    "Write the register of processing activities": {"compliance.register-processing"},
    "Review who can read personal data": {"compliance.review-access"},
    "Check GDPR compliance": {"compliance.check-rules"},
}
LEFT = {  # by bullet: what is said of it in place
    "Export all data of a customer on request": "Say key=env:NAME",
    "Erase customer data on request": "datareeve run compliance.erase-subject --subject customer --key env:NAME --plan",
    "Define data security policies": "the Security Agent's work",
}


@pytest.fixture
def project(tmp_path, pg18):
    """A project that has a database, names a subject, and no contract."""
    with pg18.database(*TABLES) as url:
        dataset = "{system: shop, table: public.customers, subject: customer, subject_key: id}"
        systems = (
            f"systems: {{shop: {{kind: postgresql, url: '{url}'}}}}\ndatasets: {{customers: {dataset}}}\n"
        )
        (tmp_path / "estate.yaml").write_text(
            f"version: 1\n{systems}authority: {{rules: [{{decision: allow}}]}}\n"
        )
        app = App.open(tmp_path)
        with pg18.connect(url.rsplit("/", 1)[1]) as connection:
            app.sql = connection.execute
            yield app
        app.close()


def planned(app, text=""):
    return app.plan_task(text or DELEGATION.read_text(encoding="utf-8"))


def told(outcome):
    return [(part.part_id, part.operation, part.status, part.reason) for part in outcome.parts]


def operations_by_bullet(task):
    parts = {part.part_id: part.operation for part in task.plan.parts}
    served = task.plan.figures["served"]
    return {
        task.task.bullets[int(number) - 1]: {parts[part] for part in ids} for number, ids in served.items()
    }


def test_every_bullet_is_done_with_evidence_asked_back_or_named_as_another_agent_s(project):
    before = (project.project / "estate.yaml").read_text()
    task = planned(project)
    assert task.plan.fingerprint == planned(project).plan.fingerprint
    assert operations_by_bullet(task) == DONE
    for bullet, what in LEFT.items():
        (blocker,) = [blocker for blocker in task.plan.blockers if f"“{bullet}”" in blocker]
        assert what in blocker
    assert set(task.task.bullets) == {*DONE, *LEFT}

    outcome = project.apply(task.plan, by="a test", approved=True, task=DELEGATION.read_text())
    # Nobody has said yet what the data is processed for: that is a violation, and a part of its own.
    violated = [part for part in outcome.parts if part.status != "done"]
    assert [part.operation for part in violated] == ["compliance.check-rules"], told(outcome)
    assert "the critical rules of gdpr hold" in violated[0].reason
    looked = {"compliance.review-access", "compliance.check-rules"}
    for part in outcome.parts:
        assert part.operation in looked or part.checks, part.operation
        assert part.operation not in looked or part.findings, part.operation
        assert part in violated or {check.verdict for check in part.checks} <= {Verdict.HOLDS}
    page = report(task.task, outcome, plan=task.plan, notes=task.notes).markdown()
    assert "ISS-0567" in page
    assert all(what in page for what in LEFT.values())
    assert CANARY not in page + task.plan.model_dump_json()
    assert project.systems["quality"].read("settings")["contracts"]
    assert project.undo(outcome.run, by="a test").status == "undone"
    assert (project.project / "estate.yaml").read_text() == before
    assert not (project.project / "contracts").exists()


def test_given_again_it_checks_the_contract_that_is_there_and_fails_where_the_data_broke(project):
    first = project.apply(planned(project).plan, by="a test", approved=True)
    assert {part.operation for part in first.parts if part.status != "done"} == {"compliance.check-rules"}
    again = planned(project, "Validate data quality of customers and orders")
    (part,) = again.plan.parts
    assert (part.operation, part.inputs["contract"]) == ("quality.check-contract", "shop")
    assert set(part.inputs["tables"]) == {"customers", "orders"}
    assert project.apply(again.plan, by="a test", approved=True).status == "done"
    project.sql("UPDATE orders SET amount = -5 WHERE id < 900")
    broken = project.apply(planned(project, "Run the data quality checks").plan, by="a test", approved=True)
    assert broken.status == "failed", told(broken)


def test_a_draft_that_fails_takes_what_rests_on_it_along_and_nothing_else(project):
    task = planned(project)
    (project.project / "contracts").mkdir()
    (project.project / "contracts" / "shop.yaml").write_text("somebody was quicker\n")
    outcome = project.apply(task.plan, by="a test", approved=True)
    status = {part.operation: part.status for part in outcome.parts}
    assert status["quality.propose-contract"] == "failed"
    assert {status["quality.check-contract"], status["quality.watch-contracts"]} == {"skipped"}
    assert status["quality.classify-data"] == "done"
    assert (project.project / "contracts" / "shop.yaml").read_text() == "somebody was quicker\n"


def test_what_is_not_planned_stands_in_the_plan_as_text_and_the_status_says_so(project, capsys):
    folder = ["--project", str(project.project)]
    assert main(["delegate", str(DELEGATION), "--plan", *folder]) == 2
    shown = " ".join(capsys.readouterr().out.split())
    for bullet, what in LEFT.items():
        assert bullet in shown
        assert what in shown
    one = project.project / "task.txt"
    one.write_text(
        "**Task**: Look after the data\n- Validate data quality\n- Erase customer data on request\n"
    )
    assert main(["delegate", str(one), "--plan", *folder]) == 1
    capsys.readouterr()
    one.write_text("**Task**: Look after the data\n- Validate data quality\n")
    assert main(["delegate", str(one), "--plan", "--json", *folder]) == 0
    assert json.loads(capsys.readouterr().out)["questions"] == []


def test_where_several_systems_fit_all_of_them_are_meant_and_one_that_is_down_is_told(project, tmp_path):
    import duckdb  # noqa: PLC0415 - as an owner would make one

    with duckdb.connect(str(tmp_path / "wh.duckdb")) as warehouse:
        warehouse.execute(
            "CREATE TABLE orders AS SELECT n AS id, n % 90 AS amount FROM range(1, 2001) AS t(n)"
        )
    estate = tmp_path / "estate.yaml"
    more = "{wh: {kind: duckdb, path: wh.duckdb}, gone: {kind: postgresql, url: 'postgresql://nobody@127.0.0.1:9/none'}, "
    estate.write_text(estate.read_text().replace("systems: {", f"systems: {more}", 1))
    app = App.open(tmp_path)
    try:
        parts = planned(app, "Validate data quality").plan.parts
        assert {part.inputs["contract"] for part in parts} == {"shop", "wh", "gone"}
        down = [part for part in parts if part.inputs["contract"] == "gone"]
        assert [part.blockers for part in down] == [("quality.propose-contract: gone cannot be reached. Check host, port and that the server runs; then try again.",), (f"Waits for part {down[0].part_id}, which is blocked.",)]  # fmt: skip
        compared = planned(app, "Reconcile the orders table between shop and wh").plan.parts
        assert [(one.inputs["left"], one.inputs["right"], one.inputs["table"]) for one in compared] == [("shop", "wh", "orders")]  # fmt: skip
        looked = planned(app, "Find personal data").plan.parts
        assert {part.inputs["system"] for part in looked} == {"shop", "wh", "gone"}
        (only,) = planned(app, "Find personal data in the customers table").plan.parts
        assert (only.inputs["system"], only.inputs["tables"]) == ("shop", ["public.customers"])
    finally:
        app.close()


def test_a_key_is_taken_by_reference_and_never_from_the_words(project, monkeypatch):
    asked = planned(project, "Export all data of customer 4711")
    assert asked.plan.parts == ()
    assert "taken by reference only" in asked.questions[0].text
    assert "4711" not in asked.questions[0].text
    monkeypatch.setenv("SUBJECT_KEY", "7")
    (part,) = planned(project, "Export all data of customer env:SUBJECT_KEY").plan.parts
    assert (part.inputs["subject"], part.inputs["key"]) == ("customer", "env:SUBJECT_KEY")
    assert not part.blockers
