"""A person's data taken out of PostgreSQL, DuckDB, Parquet, CSV, JSON lines and a log, with its proof; and nobody else's touched."""

from __future__ import annotations

import contextlib
import json

import duckdb
import pytest

import subject_rig
from datareeve.core.errors import BadInput, Failed, Refused, StalePlan
from subject_rig import EMAIL, OTHER, SECRET_CANARIES, SUBJECT

GONE = {
    "customers": 1, "orders": 10, "order-items": 30, "invoices": 2, "newsletter": 1, "app:public.sessions": 3,
    "warehouse-customers": 1, "warehouse-orders": 10, "events": 20, "clicks": 40, "contacts": 1, "log": 6,
}  # fmt: skip


@pytest.fixture
def shop(tmp_path, pg18):
    with subject_rig.shop(tmp_path / "shop", pg18) as made:
        yield made


def by_dataset(plan):
    return {
        key.removeprefix("rows_"): n
        for key, n in plan.figures.items()
        if key.startswith("rows_") and key != "rows_found"
    }


def reasons(outcome):
    return [(part.reason, [step.error for step in part.steps if step.error]) for part in outcome.parts]


def test_a_customer_is_found_in_every_store_and_erased_with_a_proof(shop):
    plan = shop.erasure()
    assert by_dataset(plan) == GONE
    assert plan.blockers == ()
    assert plan.needs_person
    assert plan.fingerprint == shop.erasure().fingerprint
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    for canary in SECRET_CANARIES:
        assert canary.encode() not in shop.data_bytes()
        assert canary.encode() not in shop.told()
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(0,)]
    assert shop.query("SELECT id, customer_id, billing_name FROM invoices ORDER BY id") == [
        (1, None, None), (2, OTHER, "Person Other"), (3, None, None),
    ]  # fmt: skip
    assert all(check.verdict == "holds" for check in shop.app.recheck(outcome.run))
    again = shop.erasure()
    assert (again.steps, again.nothing_to_do != "") == ((), True)


def test_nobody_elses_data_is_touched(shop):
    before = shop.query(
        "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM sessions)"
    )
    clicks = (shop.folder / "lake/clicks.jsonl").read_text().splitlines()
    untouched = (shop.folder / "lake/events/part-2.parquet").read_bytes()
    assert shop.apply(shop.erasure()).status == "done"
    after = shop.query(
        "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM sessions)"
    )
    assert [a - b for a, b in zip(before[0], after[0], strict=True)] == [1, 10, 3]
    assert (shop.folder / "lake/clicks.jsonl").read_text().splitlines() == [
        line for line in clicks if EMAIL not in line
    ]
    assert (shop.folder / "lake/events/part-2.parquet").read_bytes() == untouched
    assert (
        f'{OTHER};other@example.com;"a ""quoted""\nremark"' in (shop.folder / "lake/contacts.csv").read_text()
    )
    log = (shop.folder / "logs/app.log").read_text()
    assert "started on port 4711" in log
    assert f"took 4711 ms for customer_id={OTHER}" in log
    assert "login email=[erased] ok" in log
    with contextlib.closing(
        duckdb.connect(str(shop.folder / "warehouse.duckdb"), read_only=True)
    ) as connection:
        assert connection.execute(
            "SELECT (SELECT count(*) FROM dim_customer), (SELECT count(*) FROM fct_orders)"
        ).fetchone() == (999, 990)
        assert connection.execute("SELECT * FROM v").fetchone() == (990,)
        rows = connection.execute(
            f"SELECT count(*), count(DISTINCT id) FROM read_parquet('{shop.folder}/lake/events/*.parquet')"
        ).fetchone()
        assert rows == (9980, 5000)


def test_the_proof_names_what_was_done_and_a_changed_one_does_not_stand(shop):
    outcome = shop.apply(shop.erasure(), by="dpo")
    path = next((shop.folder / "data/proofs").glob("*.json"))
    proof = json.loads(path.read_text())
    assert {one["dataset"]: (one["before"], one["after"]) for one in proof["datasets"]} == {
        name: (n, 0) for name, n in GONE.items()
    }
    assert proof["allowed"] in ("approval by dpo", "the estate's authority")
    assert proof["evidence"] == f"datareeve evidence {outcome.run} --recheck"
    assert {file["path"] for step in proof["steps"] for file in step["result"].get("files", ())} >= {
        "warehouse.duckdb",
        "app.log",
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert "| customers | app | delete | 1 | 0 |" in path.with_suffix(".md").read_text()
    path.write_text(path.read_text().replace('"before": 30', '"before": 31'))
    failing = [check.claim.text for check in shop.app.recheck(outcome.run) if check.verdict != "holds"]
    assert failing == [
        f"data/proofs/{path.name} is signed by this project, and the ledger holds the steps that it names"
    ]


def test_what_comes_back_is_found_again_without_the_key(shop):
    outcome = shop.apply(shop.erasure())
    (shop.folder / "key.txt").unlink()
    shop.change(
        f"INSERT INTO customers VALUES ({SUBJECT}, 'x', 'x@example.com', NULL, NULL)",
        f"UPDATE customers SET email = '{EMAIL}' WHERE id = 4001",
    )
    with (shop.folder / "logs/app.log").open("a") as log:
        log.write(f"again {EMAIL.upper()}\n")
    failing: dict[str, int] = {}
    for check in shop.app.recheck(outcome.run):
        if check.verdict == "fails" and isinstance(check.observed, dict):
            failing |= {name: max(rows, failing.get(name, 0)) for name, rows in check.observed.items()}
    assert failing == {"log": 1, "customers": 1}


def test_a_row_that_appears_after_the_plan_makes_it_stale(shop):
    plan = shop.erasure()
    shop.change(f"INSERT INTO orders VALUES (5000, {SUBJECT}, 1, '')")
    with pytest.raises(StalePlan):
        shop.apply(plan)
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(1,)]
    assert "quetzalcoatl" in (shop.folder / "logs/app.log").read_text()


def test_another_key_at_the_reference_makes_it_stale(shop):
    plan = shop.erasure()
    (shop.folder / "key.txt").write_text(str(OTHER))
    with pytest.raises(StalePlan):
        shop.apply(plan)


@pytest.mark.parametrize("given", ["4711", "ana.quetzalcoatl@example.org", "env:", "vault:x"])
def test_a_key_in_clear_is_refused_and_not_repeated(shop, given):
    with pytest.raises(BadInput) as refused:
        shop.plan("compliance.erase-subject", subject="customer", key=given)
    assert "quetzalcoatl" not in str(refused.value)
    assert "by reference" in str(refused.value)


def test_a_legal_hold_forbids_it_and_is_named(shop):
    hold = shop.plan(
        "compliance.hold-subject",
        hold="smith-v-shop",
        subject="customer",
        key="file:key.txt",
        why="case 12",
        until="2999-01-01",
    )
    assert shop.apply(hold).status == "done"
    digest = hold.figures["digest"]
    shop.reopen()
    plan = shop.erasure()
    assert plan.steps == ()
    assert any("smith-v-shop" in blocker and "2999-01-01" in blocker for blocker in plan.blockers)
    (shop.folder / "key.txt").write_text(f"{OTHER}")
    assert shop.erasure().blockers == ()
    assert digest.encode() in (shop.folder / "estate.yaml").read_bytes()


def test_a_hold_that_is_placed_after_the_plan_stops_it(shop):
    plan = shop.erasure()
    assert plan.steps
    shop.save(holds={"late": {"why": "case 13"}})
    with pytest.raises(StalePlan):
        shop.apply(plan)
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(1,)]
    step = next(step for step in plan.steps if step.call.action == "erase_rows")
    with pytest.raises(Refused, match="legal holds"):
        shop.app.systems["app"].perform("erase_rows", run="r", **step.call.arguments)
    assert shop.query(f"SELECT count(*) FROM sessions WHERE customer_id = {SUBJECT}") == [(3,)]


def test_another_key_of_the_project_voids_no_hold(shop):
    hold = shop.plan(
        "compliance.hold-subject", hold="h", subject="customer", key="file:key.txt", why="a case"
    )
    assert shop.apply(hold).status == "done"
    (shop.folder / ".datareeve/compliance.key").unlink()
    shop.reopen()
    assert any("holds everybody" in blocker for blocker in shop.erasure().blockers)


def test_a_proof_cannot_be_rechecked_by_another_key(shop):
    plan = shop.erasure()
    assert shop.apply(plan).status == "done"
    (shop.folder / ".datareeve/compliance.key").unlink()
    shop.reopen()
    left = next(claim for claim in plan.checks if claim.call.action == "subject_counts")
    with pytest.raises(Failed, match="another key"):
        shop.app.systems[left.call.system].read("subject_counts", **left.call.arguments)


def test_kept_rows_outlive_a_cascade(shop):
    shop.change(
        "ALTER TABLE invoices ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE NOT VALID"
    )
    kept = {**shop.estate["datasets"]["invoices"], "erasure": "keep", "kept_because": "tax law"}
    shop.save(datasets={**shop.estate["datasets"], "invoices": kept})
    shop.reopen()
    plan = shop.erasure()
    assert any(blocker.startswith("invoices: 2 rows stay and refer") for blocker in plan.blockers)
    assert plan.steps == ()


def test_rows_that_refer_by_another_column_are_counted(shop):
    shop.change(
        "CREATE TABLE messages (n int, sender int REFERENCES customers ON DELETE CASCADE, recipient int REFERENCES customers ON DELETE CASCADE)",
        f"INSERT INTO messages VALUES (1, {SUBJECT}, {OTHER}), (2, {OTHER}, {SUBJECT}), (3, {OTHER}, {OTHER}), (4, {SUBJECT}, {SUBJECT})",
    )
    (told,) = shop.erasure().blockers
    assert told.startswith(
        "app:public.messages: 1 further rows refer to public.customers (ON DELETE CASCADE)"
    )
    shop.change("DELETE FROM messages WHERE n = 1")
    outcome = shop.apply(shop.erasure())
    assert outcome.status == "done"
    assert shop.query("SELECT n FROM messages") == [(3,)]


def test_rows_that_a_policy_hides_are_an_error(shop):
    shop.change(
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk",
        "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON customers USING (id < 4100)",
    )
    clerk = {"kind": "postgresql", "url": shop.url.replace("postgres@", "clerk@")}
    shop.save(systems={**shop.estate["systems"], "app": clerk})
    shop.reopen()
    try:
        with pytest.raises(Refused, match="row-level security"):
            shop.erasure()
    finally:
        shop.app.close()
        shop.change("DROP OWNED BY clerk", "DROP ROLE clerk")


def test_a_first_step_that_is_rolled_back_leaves_the_way_back_open(shop):
    step = next(step for step in shop.erasure().steps if step.call.action == "erase_rows")
    less = {**step.call.arguments, "store": {**step.call.arguments["store"], "expected": 0}}
    with pytest.raises(Failed, match="the plan told of 0"):
        shop.app.systems["app"].perform("erase_rows", run="r", **less)
    assert list((shop.folder / ".datareeve/erasures").iterdir()) == []
    shop.app.systems["app"].perform("erase_rows", run="r", **step.call.arguments)
    assert [one.name for one in (shop.folder / ".datareeve/erasures").iterdir()] == ["r.no-return"]


def test_what_is_held_by_dataset_is_left_and_the_rest_goes(shop):
    shop.save(holds={"audit": {"why": "tax audit", "datasets": ["contacts"]}})
    shop.reopen()
    assert any("audit" in blocker for blocker in shop.erasure().blockers)
    plan = shop.erasure(leave_held=True)
    assert plan.blockers == ()
    assert shop.apply(plan).status == "done"
    assert "quetzalcoatl" in (shop.folder / "lake/contacts.csv").read_text()


def test_rows_that_stay_and_refer_to_rows_that_go_are_told_beforehand(shop):
    datasets = {**shop.estate["datasets"]}
    datasets["orders"] = {**datasets["orders"], "erasure": "keep", "kept_because": "tax law"}
    shop.save(datasets=datasets)
    shop.reopen()
    plan = shop.erasure()
    assert plan.steps == ()
    assert any(
        blocker.startswith("orders: 10 rows stay and refer to public.customers") for blocker in plan.blockers
    )


def test_a_customer_that_is_made_anonymous_stays_as_a_number(shop):
    datasets = {**shop.estate["datasets"]}
    datasets["customers"] = {
        **datasets["customers"],
        "erasure": "anonymise",
        "anonymise": {"name": "text:gone", "email": "token", "phone": "null"},
    }
    datasets["orders"] = {**datasets["orders"], "erasure": "anonymise"}
    datasets["order-items"] = {**datasets["order-items"], "erasure": "anonymise"}
    shop.save(datasets=datasets)
    shop.reopen()
    outcome = shop.apply(shop.erasure())
    assert outcome.status == "done"
    ((name, email, phone, country),) = shop.query(
        f"SELECT name, email, phone, country FROM customers WHERE id = {SUBJECT}"
    )
    assert (name, phone, country) == ("gone", None, "MX")
    assert email.startswith("erased-")
    assert shop.query(
        "SELECT count(*) FROM order_items WHERE gift_message LIKE '%Xochipilli%' AND order_id % 100 = 0"
    ) == [(0,)]
    assert shop.erasure().nothing_to_do


def test_a_log_that_is_being_written_is_refused_and_nothing_is_lost(shop):
    plan = shop.erasure()
    with (shop.folder / "logs/app.log").open("a") as writer:
        outcome = shop.apply(plan)
        assert outcome.parts[0].status == "undone"
        assert any("erasure.open-file" in step.error for step in outcome.parts[0].steps)
        writer.write("one more\n")
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(1,)]
    assert "quetzalcoatl" in (shop.folder / "lake/contacts.csv").read_text(), (
        "what was rewritten before is put back"
    )
    assert "one more" in (shop.folder / "logs/app.log").read_text()
    assert list(shop.folder.rglob("*datareeve-*")) == []
    assert shop.apply(shop.erasure()).status == "done"


def test_a_database_that_fails_midway_leaves_what_is_gone_gone_and_says_so(shop):
    plan = shop.erasure()
    shop.change(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', OLD.note; END $$",
        "CREATE TRIGGER no BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION no()",
    )
    outcome = shop.apply(plan)
    assert outcome.parts[0].status == "failed"
    assert "not all of it could be undone" in outcome.parts[0].reason
    assert shop.query(f"SELECT count(*) FROM sessions WHERE customer_id = {SUBJECT}") == [(0,)]
    assert b"Xochipilli" not in shop.told()
    shop.change("DROP TRIGGER no ON orders")
    again = shop.apply(shop.erasure())
    assert again.status == "done", reasons(again)
    assert list(shop.folder.rglob(".*datareeve-former")) == []
    for canary in SECRET_CANARIES:
        assert canary.encode() not in shop.data_bytes()
        assert canary.encode() not in shop.told()


def test_an_undo_of_a_whole_erasure_says_that_there_is_no_way_back(shop):
    run = shop.apply(shop.erasure()).run
    outcome = shop.app.undo(run, by="dba")
    assert outcome.status == "failed"
    assert "quetzalcoatl" not in (shop.folder / "logs/app.log").read_text()


def test_a_database_that_is_only_read_is_a_blocker_with_the_statement(tmp_path, pg18, mariadb):
    with mariadb.database("CREATE TABLE people (id int, mail text)", f"INSERT INTO people VALUES ({SUBJECT}, '{EMAIL}')") as url, subject_rig.shop(tmp_path / "shop", pg18) as shop:  # fmt: skip
        systems = {**shop.estate["systems"], "crm": {"kind": "mysql", "url": url}}
        datasets = {
            **shop.estate["datasets"],
            "people": {
                "system": "crm",
                "table": "people",
                "subject": "customer",
                "subject_key": "id",
                "personal": {"mail": "email"},
            },
        }
        shop.save(systems=systems, datasets=datasets)
        shop.reopen()
        plan = shop.erasure()
        assert plan.steps == ()
        assert any("DELETE FROM people WHERE id = :key;" in blocker for blocker in plan.blockers)


def test_a_subject_that_nobody_knows_and_a_key_that_is_not_there(shop):
    with pytest.raises(BadInput, match="No dataset"):
        shop.plan("compliance.erase-subject", subject="supplier", key="file:key.txt")
    with pytest.raises((BadInput, Failed)):
        shop.plan("compliance.erase-subject", subject="customer", key="env:NOT_SET_ANYWHERE")
    (shop.folder / "key.txt").write_text("99999999")
    assert shop.erasure().nothing_to_do
    (shop.folder / "key.txt").write_text("not a number' OR 1=1 --")
    assert shop.erasure().nothing_to_do


def test_what_tells_a_person_is_learned_from_files_too_and_what_is_kept_is_counted(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/c.csv").write_text(f"customer_id,mail\n{SUBJECT},{EMAIL}\n")
    (tmp_path / "logs/kept.csv").write_text(f"customer_id,mail\n{SUBJECT},{EMAIL}\n")
    (tmp_path / "logs/a.log").write_text(f"login {EMAIL}\n")
    (tmp_path / "key.txt").write_text(str(SUBJECT))
    of = {
        "system": "logs",
        "subject": "customer",
        "subject_key": "customer_id",
        "personal": {"mail": "email"},
    }
    datasets = {
        "c": {**of, "table": "c.csv"},
        "kept": {**of, "table": "kept.csv", "erasure": "keep", "kept_because": "tax"},
        "log": {"system": "logs", "table": "a.log", "subject": "customer"},
    }
    estate = {"version": 1, "systems": {"logs": {"kind": "folder", "path": "logs"}}, "datasets": datasets}
    (tmp_path / "estate.yaml").write_text(json.dumps(estate))
    app = subject_rig.open_app(tmp_path)
    plan = app.preview(
        app.catalogue.make("compliance.erase-subject", {"subject": "customer", "key": "file:key.txt"})
    )
    assert by_dataset(plan) == {"c": 1, "kept": 1, "log": 1}
    assert any(finding.rule == "subject-kept" for finding in plan.findings)
    assert app.apply(plan, by="dba", approved=True).status == "done"
    assert (tmp_path / "logs/a.log").read_text() == "login [erased]\n"
    assert EMAIL in (tmp_path / "logs/kept.csv").read_text()
    app.close()
