"""What an erasure leaves: named in the plan and in the proof. And what a run that failed midway left undone: taken up again."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import signal
import string

import duckdb
import pytest

import subject_rig
from datareeve.core.operation import Effect
from subject_rig import EMAIL, OTHER, SECRET_CANARIES, SUBJECT


@pytest.fixture
def shop(tmp_path, pg18):
    with subject_rig.shop(tmp_path / "shop", pg18) as made:
        yield made


def proof_of(shop):
    """The proof that was written last, and its page."""
    path = max((shop.folder / "data/proofs").glob("*.json"), key=lambda one: one.stat().st_mtime_ns)
    return json.loads(path.read_text()), path.with_suffix(".md").read_text()


def stays(proof):
    return {one["dataset"]: (one["before"], one["after"], one["why"]) for one in proof["stays"]}


def test_the_proof_names_what_is_kept_and_what_is_held_and_where_nothing_was(shop):
    kept = {**shop.estate["datasets"]["invoices"], "erasure": "keep", "kept_because": "tax law, ten years"}
    more = {"returns": {"system": "app", "table": "returns", "subject": "customer", "subject_key": "who"}}
    shop.change("CREATE TABLE returns (who int, what text)", "INSERT INTO returns VALUES (4712, 'a shoe')")
    shop.save(
        datasets={**shop.estate["datasets"], "invoices": kept, **more},
        holds={"audit": {"why": "case 12", "datasets": ["contacts"]}},
    )
    shop.reopen()
    plan = shop.erasure(leave_held=True)
    told = {finding.rule: finding.what for finding in plan.findings if finding.subject in ("invoices", "contacts")}  # fmt: skip
    assert told == {
        "subject-kept": "2 rows of invoices stay (kept: tax law, ten years).",
        "subject-held": "1 rows of contacts stay (legal hold audit: case 12).",
    }
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    proof, page = proof_of(shop)
    assert stays(proof) == {
        "invoices": (2, 2, "kept: tax law, ten years"),
        "contacts": (1, 1, "legal hold audit: case 12"),
    }
    assert [one["dataset"] for one in proof["searched"]] == ["returns"]
    assert "| invoices | app | 2 | 2 | kept: tax law, ten years |" in page
    assert "- returns of app, by key" in page
    assert {"invoices", "contacts", "returns"}.isdisjoint(one["dataset"] for one in proof["datasets"])
    assert all(check.verdict == "holds" for check in shop.app.recheck(outcome.run))


def test_rows_of_others_that_share_what_tells_are_in_the_proof(shop):
    shop.change(f"UPDATE customers SET phone = '{subject_rig.PHONE}' WHERE id = 4712")
    assert shop.apply(shop.erasure(erase_shared=True)).status == "done"
    proof, page = proof_of(shop)
    assert stays(proof) == {
        "customers": (1, 1, "they are another key's, and hold the same identifying values")
    }
    assert "another key's" in page


def test_the_bundles_of_an_earlier_export_go_too(shop):
    for path in (None, "data/handed/over.zip"):
        export = shop.plan("compliance.export-subject", subject="customer", key="file:key.txt", path=path)
        assert shop.apply(export).status == "done"
    (shop.folder / "key.txt").write_text("4712")
    assert shop.apply(shop.plan("compliance.export-subject", subject="customer", key="file:key.txt")).status == "done"  # fmt: skip
    (shop.folder / "key.txt").write_text(str(SUBJECT))
    plan = shop.erasure()
    (step,) = [step for step in plan.steps if step.call.action == "remove_bundles"]
    assert len(step.paths) == 2
    assert shop.apply(plan).status == "done"
    assert [len(list((shop.folder / "data").rglob("*.zip")))] == [1], "another person's bundle stays"
    proof, page = proof_of(shop)
    assert {one["path"]: len(one["sha256"]) for one in proof["bundles"]} == dict.fromkeys(step.paths, 64)
    assert "data/handed/over.zip, SHA-256" in page


def test_a_bundle_alone_is_enough_to_erase_and_a_hold_leaves_it(shop):
    assert shop.apply(shop.erasure()).status == "done"
    assert shop.erasure().nothing_to_do
    shop.change(f"INSERT INTO customers VALUES ({SUBJECT}, 'x', 'x@example.com', NULL, NULL)")
    export = shop.plan("compliance.export-subject", subject="customer", key="file:key.txt")
    assert shop.apply(export).status == "done"
    shop.change(f"DELETE FROM customers WHERE id = {SUBJECT}")
    shop.save(holds={"audit": {"why": "case 12", "datasets": ["contacts"]}})
    shop.reopen()
    held = shop.erasure(leave_held=True)
    assert held.nothing_to_do
    assert [finding.rule for finding in held.findings if finding.subject.endswith(".zip")] == ["bundle-stays"]
    shop.save(holds={})
    shop.reopen()
    plan = shop.erasure()
    assert [step.call.action for step in plan.steps] == ["remove_bundles", "write_proof"]
    assert shop.apply(plan).status == "done"
    assert list((shop.folder / "data").rglob("*.zip")) == []
    assert shop.erasure().nothing_to_do


# -- a run that failed midway ------------------------------------------------------------------------------------------------------------


def test_rows_found_by_values_go_before_those_that_tell_the_values(shop):
    names = [step.id for step in shop.erasure().steps if step.call.action == "erase_rows"]
    assert names[0] == "erase newsletter"
    shop.change(
        "CREATE TABLE campaign (address text REFERENCES newsletter ON DELETE CASCADE, n int)",
        "INSERT INTO campaign SELECT address, 1 FROM newsletter",
    )
    names = [step.id for step in shop.erasure().steps if step.call.action == "erase_rows"]
    assert names[:2] == ["erase app:public.campaign", "erase newsletter"]


def test_a_proof_that_could_not_be_written_is_written_later(shop):
    (shop.folder / "data").mkdir(exist_ok=True)
    (shop.folder / "data/proofs").write_text("a file in the way")
    failed = shop.apply(shop.erasure())
    assert failed.status == "failed"
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(0,)]
    (shop.folder / "data/proofs").unlink()
    plan = shop.erasure()
    assert not plan.nothing_to_do
    assert plan.fingerprint == shop.erasure().fingerprint
    assert [finding.what.split()[0] for finding in plan.findings if finding.rule == "erasure-without-proof"] == [failed.run]  # fmt: skip
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    proof, _ = proof_of(shop)
    assert {one["dataset"]: (one["before"], one["after"]) for one in proof["datasets"]}["customers"] == (1, 0)
    assert len(proof["datasets"]) == 12
    assert {one["run"] for one in proof["steps"]} == {failed.run, outcome.run}
    assert all(check.verdict == "holds" for check in shop.app.recheck(outcome.run))
    assert shop.erasure().nothing_to_do
    for canary in SECRET_CANARIES:
        assert canary.encode() not in shop.data_bytes()
        assert canary.encode() not in shop.told()


def test_what_a_failed_run_knew_of_the_person_is_sought_again(shop):
    shop.change("CREATE TABLE late (mail text)")
    late = {"late": {"system": "app", "table": "late", "subject": "customer", "personal": {"mail": "email"}}}
    (shop.folder / "data").mkdir(exist_ok=True)
    (shop.folder / "data/proofs").write_text("a file in the way")
    assert shop.apply(shop.erasure()).status == "failed"
    (shop.folder / "data/proofs").unlink()
    shop.change(f"INSERT INTO late VALUES ('{subject_rig.EMAIL}')")
    shop.save(datasets={**shop.estate["datasets"], **late})
    shop.reopen()
    assert shop.erasure().figures["rows_late"] == 1
    assert shop.apply(shop.erasure()).status == "done"
    assert shop.query("SELECT count(*) FROM late") == [(0,)]


def test_a_run_that_was_undone_leaves_nothing_to_take_up(shop):
    plan = shop.erasure()
    with (shop.folder / "logs/app.log").open("a"):
        assert shop.apply(plan).parts[0].status == "undone"
    again = shop.erasure()
    assert [finding for finding in again.findings if finding.rule == "erasure-without-proof"] == []
    assert shop.apply(again).status == "done"
    proof, _ = proof_of(shop)
    assert len({one["run"] for one in proof["steps"]}) == 1


# -- materialized views, foreign tables ---------------------------------------------------------------------------------------------------

VIEWS = (
    "CREATE MATERIALIZED VIEW by_country AS SELECT country, count(*) AS n, max(email) AS last FROM customers GROUP BY 1",
    "CREATE VIEW spenders AS SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id",
    'CREATE MATERIALIZED VIEW "Top spenders" AS SELECT * FROM spenders',
    'CREATE MATERIALIZED VIEW of_view AS SELECT name FROM "Top spenders"',
    "CREATE MATERIALIZED VIEW empty AS SELECT * FROM customers WITH NO DATA",
    "CREATE MATERIALIZED VIEW other AS SELECT 1 AS one",
    "ANALYZE",
)
LEFT = "SELECT (SELECT count(*) FROM by_country WHERE country = 'MX') + (SELECT count(*) FROM \"Top spenders\" WHERE name LIKE '%Xochipilli') + (SELECT count(*) FROM of_view WHERE name LIKE '%Xochipilli')"
REMEMBERED = "SELECT count(*) FROM pg_stats WHERE tablename IN ('by_country', 'Top spenders', 'of_view') AND most_common_vals::text LIKE '%Xochi%'"


def test_materialized_views_of_what_is_erased_are_filled_anew(shop):
    shop.change(*VIEWS)
    assert shop.query(LEFT) == [(21,)]
    assert shop.query(REMEMBERED) == [(2,)]
    plan = shop.erasure()
    refreshed = [step.call.arguments["view"] for step in plan.steps if step.call.action == "refresh_view"]
    assert refreshed == ["public.Top spenders", "public.by_country", "public.of_view"]
    assert plan.fingerprint == shop.erasure().fingerprint
    assert shop.apply(plan).status == "done"
    assert (shop.query(LEFT), shop.query(REMEMBERED)) == ([(0,)], [(0,)])


def test_a_view_that_our_role_may_not_refresh_blocks(shop):
    shop.change(
        *VIEWS[:1],
        "DROP ROLE IF EXISTS eraser",
        "CREATE ROLE eraser LOGIN BYPASSRLS",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO eraser",
        "REVOKE ALL ON by_country FROM eraser",
    )
    eraser = {"kind": "postgresql", "url": shop.url.replace("postgres@", "eraser@")}
    shop.save(systems={**shop.estate["systems"], "app": eraser})
    shop.reopen()
    try:
        plan = shop.erasure()
        assert plan.steps == ()
        assert any("public.by_country of app is a materialized view" in one and "GRANT postgres TO" in one for one in plan.blockers)  # fmt: skip
    finally:
        shop.app.close()
        shop.change("DROP OWNED BY eraser", "DROP ROLE eraser")


def test_a_materialized_view_as_a_dataset_blocks_only_where_its_tables_are_none(shop):
    shop.change("CREATE TABLE nowhere (id int, mail text)", "CREATE MATERIALIZED VIEW lost AS SELECT * FROM nowhere", *VIEWS[:1])  # fmt: skip
    of = {"system": "app", "subject": "customer", "subject_key": "id"}
    mine = {**shop.estate["datasets"], "by-country": {**of, "table": "by_country"}}
    shop.save(datasets=mine)
    shop.reopen()
    assert shop.erasure().blockers == ()
    assert shop.apply(shop.erasure()).status == "done"
    assert any(line.startswith("by-country: public.by_country is a materialized view") for line in proof_of(shop)[0]["unreached"])  # fmt: skip
    shop.save(datasets={**mine, "lost": {**of, "table": "lost"}})
    shop.reopen()
    assert any("lost is a materialized view of tables that no dataset names" in one for one in shop.erasure().blockers)  # fmt: skip


def test_foreign_tables_that_no_dataset_names_are_told(shop):
    shop.change(
        "CREATE FOREIGN DATA WRAPPER far",
        "CREATE SERVER far FOREIGN DATA WRAPPER far",
        "CREATE FOREIGN TABLE elsewhere (id int, mail text) SERVER far",
    )
    assert [(one.subject, one.what) for one in shop.erasure().findings if one.subject.endswith("elsewhere")] == [
        ("app:public.elsewhere", "app:public.elsewhere is not searched: public.elsewhere is a foreign table that no dataset names: its rows are in another system, and not searched.")
    ]  # fmt: skip


# -- who gets at it in MariaDB -------------------------------------------------------------------------------------------------------------


def test_rights_of_everybody_in_mariadb_are_seen_or_not_run(shop, mariadb):
    with mariadb.database("CREATE TABLE people (id int, mail text)") as url:
        of = {"system": "crm", "table": "people", "subject": "customer", "subject_key": "id", "personal": {"mail": "email"}}  # fmt: skip
        base, said = url.rpartition("/")[2], {}
        for account, statement in (
            ("narrow", f"GRANT SELECT ON `{base}`.* TO narrow@'%' IDENTIFIED BY ''"),
            ("looker", ""),
            ("root", f"GRANT SELECT ON `{base}`.people TO PUBLIC"),
        ):
            with mariadb.connect() as connection, connection.cursor() as cursor:
                cursor.execute(statement or "DO 1")
            crm = {"kind": "mysql", "url": url.replace("looker@", f"{account}@")}
            shop.save(systems={"crm": crm}, datasets={"people": of}, processing={})
            shop.reopen()
            rules = shop.plan("compliance.check-rules", packs=["gdpr"]).figures["rules"]
            said[account] = rules["gdpr/closed-by-default"]["says"]
        with mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP USER narrow@'%'")
            cursor.execute(f"REVOKE SELECT ON `{base}`.people FROM PUBLIC")
        assert said == {"narrow": "not run", "looker": "pass", "root": "fail"}


def test_a_view_of_its_owner_is_a_way_to_the_rows_in_mariadb(shop, mariadb):
    views = (
        "CREATE VIEW mails AS SELECT mail FROM people",
        "CREATE SQL SECURITY INVOKER VIEW own AS SELECT mail FROM people",
    )
    with mariadb.database("CREATE TABLE people (id int, mail text)", *views) as url:
        base = url.rpartition("/")[2]
        of = {"system": "crm", "table": "people", "subject": "customer", "personal": {"mail": "email"}}
        shop.save(systems={"crm": {"kind": "mysql", "url": url.replace("looker@", "root@")}}, datasets={"people": of}, processing={})  # fmt: skip
        shop.reopen()
        with mariadb.connect() as connection, connection.cursor() as cursor:
            for view in ("mails", "own"):
                cursor.execute(f"GRANT SELECT ON `{base}`.{view} TO viewer@'%' IDENTIFIED BY ''")
            try:
                plan = shop.plan("compliance.review-access")
            finally:
                cursor.execute("DROP USER viewer@'%'")
        ways = [one["through"] for one in plan.figures["access"] if one["role"].startswith("'viewer'")]
        assert ways == ["mails (view)"]
        assert [one.subject for one in plan.findings if one.rule == "read-by-another-way"] == ["crm: people"]


# -- what the planner remembers --------------------------------------------------------------------------------------------------------------

REMEMBERS = (
    "CREATE TABLE visits (customer_id int, mail text, country text) PARTITION BY LIST (country)",
    "CREATE TABLE visits_mx PARTITION OF visits FOR VALUES IN ('MX')",
    "CREATE TABLE visits_de PARTITION OF visits FOR VALUES IN ('DE')",
    "CREATE INDEX ON visits_mx (lower(mail))",
    f"INSERT INTO visits SELECT {SUBJECT}, '{subject_rig.EMAIL}', 'MX' FROM generate_series(1, 50)",
    "INSERT INTO visits SELECT 4000 + n % 90, 'p' || n % 90 || '@example.com', 'DE' FROM generate_series(1, 900) n",
    "CREATE TABLE wishes (customer_id int, mail text, what text)",
    f"INSERT INTO wishes SELECT {SUBJECT}, '{subject_rig.EMAIL}', 'w' || n % 3 FROM generate_series(1, 60) n",
    'CREATE STATISTICS "Of wishes" (mcv) ON mail, what FROM wishes',
    "COMMENT ON STATISTICS \"Of wishes\" IS 'kept'",
    "ANALYZE visits",
    "ANALYZE visits_mx",
    "ANALYZE wishes",
)
KNOWN = "SELECT (SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND most_common_vals::text LIKE '%quetzal%'), (SELECT count(*) FROM pg_stats_ext WHERE most_common_vals::text LIKE '%quetzal%')"


def test_statistics_of_partitions_expressions_and_several_columns_forget_too(shop):
    shop.change(*REMEMBERS)
    of = {"system": "app", "subject": "customer", "subject_key": "customer_id", "personal": {"mail": "email"}}
    more = {name: {**of, "table": name} for name in ("visits", "wishes")}
    shop.save(datasets={"customers": shop.estate["datasets"]["customers"], **more}, processing={})
    shop.change("DROP TABLE order_items, orders, sessions")
    shop.reopen()
    assert shop.query(KNOWN) == [(4, 1)]
    plan = shop.erasure()
    assert shop.apply(plan).status == "done"
    assert shop.query(KNOWN) == [(0, 0)]
    assert shop.query("SELECT stxname, obj_description(oid) FROM pg_statistic_ext") == [("Of wishes", "kept")]


# -- names of files --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [("ana.quetzalcoatl@example.org.log", 1), ("customer-4711.log", 1), ("customer_id=4711/a.log", 1), ("4711.log", 0), ("customer-4712.log", 0)],
)  # fmt: skip
def test_a_file_whose_name_tells_the_person_blocks(shop, name, told):
    path = shop.folder / "lake/seen" / name
    path.parent.mkdir(parents=True)
    path.write_text("nothing of anybody\n")
    seen = {"system": "lake", "table": "seen/**/*.log", "subject": "customer"}
    shop.save(datasets={"customers": shop.estate["datasets"]["customers"], "seen": seen}, processing={})
    shop.change("DROP TABLE order_items, orders, sessions")
    shop.reopen()
    blockers = shop.erasure().blockers
    assert len([one for one in blockers if "by their own names" in one]) == told
    assert "4711" not in str(blockers)


def test_no_step_is_called_reversible_that_has_no_way_back(shop):
    shop.change("CREATE MATERIALIZED VIEW people AS SELECT name FROM customers")
    plan = shop.erasure()
    steps = {step.id: step for step in plan.all_steps()}
    assert {"clear customers", "refresh app:public.people", "write the proof"} <= steps.keys()
    assert [step.id for step in steps.values() if step.effect is Effect.REVERSIBLE and not step.undo] == []


# -- keys of several columns ---------------------------------------------------------------------------------------------------------------

TENANTS = (
    "CREATE TABLE parties (tenant int, no int, mail text, PRIMARY KEY (tenant, no))",
    "CREATE TABLE deals (id int PRIMARY KEY, tenant int, no int, note text, FOREIGN KEY (tenant, no) REFERENCES parties)",
    "CREATE TABLE deal_lines (deal int REFERENCES deals, payload jsonb)",
    "CREATE TABLE hints (tenant int NOT NULL, no int, words text, FOREIGN KEY (tenant, no) REFERENCES parties ON DELETE CASCADE)",
    f"INSERT INTO parties VALUES (1, {SUBJECT}, '{EMAIL}'), (1, {OTHER}, 'o@example.com')",
    f"INSERT INTO deals VALUES (1, 1, {SUBJECT}, 'Xochipilli'), (2, 1, {OTHER}, 'n'), (3, 1, {SUBJECT}, 'x')",
    """INSERT INTO deal_lines SELECT d, '{"to": "Xochipilli"}' FROM generate_series(1, 3) d""",
    f"INSERT INTO hints VALUES (1, {SUBJECT}, 'Xochipilli'), (1, {OTHER}, 'w')",
)
PARTIES = {"system": "app", "table": "parties", "subject": "customer", "subject_key": "no", "personal": {"mail": "email"}}  # fmt: skip


def test_references_of_several_columns_are_followed(shop):
    shop.change(*TENANTS)
    lines = {"system": "app", "table": "deal_lines", "personal": {"payload": "document"}}
    deals = {"system": "app", "table": "deals", "personal": {"note": "free-text"}}
    shop.save(datasets={"parties": PARTIES, "deals": deals, "deal-lines": lines}, processing={})
    shop.reopen()
    plan = shop.erasure()
    assert plan.blockers == ()
    assert {name: plan.figures[f"rows_{name}"] for name in ("parties", "deals", "deal-lines", "app:public.hints")} == {"parties": 1, "deals": 2, "deal-lines": 2, "app:public.hints": 1}  # fmt: skip
    assert shop.apply(plan).status == "done"
    assert shop.query("SELECT (SELECT count(*) FROM parties), (SELECT count(*) FROM deals), (SELECT count(*) FROM deal_lines), (SELECT count(*) FROM hints)") == [(1, 1, 1, 1)]  # fmt: skip
    proof, _ = proof_of(shop)
    assert "(tenant, no) IN (SELECT tenant, no FROM" in json.dumps(proof)


def test_a_key_that_is_a_part_of_one_may_be_several_people_and_that_is_told(shop):
    shop.change(*TENANTS)
    shop.save(datasets={"parties": PARTIES}, processing={})
    shop.reopen()
    told = [finding.rule for finding in shop.erasure().findings]
    assert "key-is-a-part" not in told
    shop.change(f"INSERT INTO parties VALUES (2, {SUBJECT}, 'somebody.else@example.com')")
    (finding,) = [one for one in shop.erasure().findings if one.rule == "key-is-a-part"]
    assert "2 rows of parties" in finding.what
    assert "(tenant, no)" in finding.what
    exported = shop.plan("compliance.export-subject", subject="customer", key="file:key.txt")
    assert "key-is-a-part" in [one.rule for one in exported.findings]


def test_a_document_that_tells_a_person_within_says_how_it_is_reached(shop):
    shop.change("CREATE TABLE events (id int, doc jsonb)")
    events = {"system": "app", "table": "events", "subject": "customer", "personal": {"doc": "document"}}
    shop.save(datasets={**shop.estate["datasets"], "events": events})
    shop.reopen()
    (finding,) = [one for one in shop.erasure().findings if one.subject == "events"]
    assert "generated of what tells a person within doc" in finding.instead


# -- damaged files -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut off", "within"])
@pytest.mark.parametrize("part", [1, 2])
def test_a_damaged_file_blocks_by_its_name_and_hides_nothing_else(shop, damage, part):
    path = shop.folder / f"lake/events/part-{part}.parquet"
    whole = path.read_bytes()
    path.write_bytes(
        whole[:900] if damage == "cut off" else whole[:60] + bytes(len(whole) - 2060) + whole[-2000:]
    )
    plan = shop.erasure()
    (blocker,) = plan.blockers
    assert blocker.startswith("events: ")
    assert path.name in blocker
    assert "Restore it from a backup" in blocker
    assert plan.figures["rows_customers"] == 1
    assert shop.plan("compliance.register-processing").steps
    path.write_bytes(whole)
    assert shop.erasure().blockers == ()


def test_damage_that_only_a_rewriting_meets_leaves_every_file_as_it_was(shop):
    path = shop.folder / "lake/events/part-1.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + bytes(2000) + whole[2060:])  # the first column, which is not searched
    before = shop.data_bytes()
    outcome = shop.apply(shop.erasure())
    assert outcome.status == "failed"
    assert "part-1.parquet cannot be read to its end" in str(outcome.parts[0].reason)
    assert shop.data_bytes() == before
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(1,)]
    path.write_bytes(whole)
    assert shop.apply(shop.erasure()).status == "done"


@contextlib.contextmanager
def disk_of(size):
    """No file may become larger than this, as on a disk that is full."""
    former, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(("large", "says"), [("lake", "clicks of lake cannot be written anew: File too large"), ("warehouse", "warehouse: there is no space to write")])  # fmt: skip
def test_a_disk_that_is_full_leaves_every_file_as_it_was_and_says_so(shop, large, says):
    filler = "".join(random.Random(7).choices(string.ascii_letters, k=1_500_000))  # noqa: S311 - it is only to be large
    if large == "lake":
        with (shop.folder / "lake/clicks.jsonl").open("a") as file:
            file.write(json.dumps({"customer_id": OTHER, "page": filler}) + "\n")
    else:
        with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as connection:
            connection.execute("CREATE TABLE filler AS SELECT ? AS a", [filler])
    plan, before = shop.erasure(), shop.data_bytes()
    with disk_of(1_400_000):
        outcome = shop.apply(plan)
    assert outcome.status == "failed"
    assert says in str(outcome.parts[0].reason)
    assert shop.data_bytes() == before
    assert not list(shop.folder.rglob(".*datareeve-*"))
    assert shop.query(f"SELECT count(*) FROM customers WHERE id = {SUBJECT}") == [(1,)]
    assert shop.apply(shop.erasure()).status == "done"


# -- what PostgreSQL keeps -----------------------------------------------------------------------------------------------------------------


def test_free_text_is_forgotten_by_the_planner_where_a_table_becomes_empty(shop):
    shop.change(
        "CREATE TABLE letters (id int, customer_id int, body text)",
        f"INSERT INTO letters SELECT n, {SUBJECT}, 'Dear Xochipilli' FROM generate_series(1, 50) n",
        "ANALYZE letters",
    )
    kept = (
        "SELECT count(*) FROM pg_stats WHERE tablename = 'letters' AND most_common_vals::text LIKE '%Xochi%'"
    )
    assert shop.query(kept) == [(1,)]
    letters = {"system": "app", "table": "letters", "subject": "customer", "subject_key": "customer_id", "personal": {"body": "free-text"}}  # fmt: skip
    shop.save(datasets={**shop.estate["datasets"], "letters": letters})
    shop.reopen()
    assert shop.apply(shop.erasure()).status == "done"
    assert shop.query(kept) == [(0,)]


def test_that_bytes_stay_in_free_space_and_wal_is_told(shop):
    plan = shop.erasure()
    assert any("free space of app's pages, and its WAL, may hold what is erased" in one.what and "VACUUM (FULL)" in one.what for one in plan.findings)  # fmt: skip
    assert shop.apply(plan).status == "done"
    assert any("free space of app's pages" in line for line in proof_of(shop)[0]["unreached"] + [proof_of(shop)[1]])  # fmt: skip
