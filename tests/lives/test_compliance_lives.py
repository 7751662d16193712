"""Export, holds, retention, the register, access and the rules of laws, on real servers and files; each from its start to its undo."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import duckdb
import pytest

import subject_rig
from datareeve.core.errors import BadInput, StalePlan
from subject_rig import EMAIL, OTHER, SECRET_CANARIES, SUBJECT

AGED = (
    "CREATE TABLE visits (id int, customer_id int, at timestamptz NOT NULL) PARTITION BY RANGE (at)",
    "CREATE TABLE visits_2019 PARTITION OF visits FOR VALUES FROM ('2019-01-01') TO ('2020-01-01')",
    "CREATE TABLE visits_2020 PARTITION OF visits FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    "CREATE TABLE visits_now PARTITION OF visits DEFAULT",
    f"INSERT INTO visits SELECT n, {OTHER}, '2019-03-01'::timestamptz + n * interval '1 hour' FROM generate_series(1, 1000) n",
    f"INSERT INTO visits SELECT n, {OTHER}, '2020-03-01' FROM generate_series(1, 500) n",
    f"INSERT INTO visits SELECT n, {SUBJECT}, now() - interval '100 days' FROM generate_series(1, 12000) n",
    f"INSERT INTO visits SELECT n, {OTHER}, now() FROM generate_series(1, 70) n",
)
VISITS = {
    "system": "app",
    "table": "visits",
    "subject": "customer",
    "subject_key": "customer_id",
    "retention_days": 30,
    "retention_column": "at",
    "personal": {},
}


@pytest.fixture
def shop(tmp_path, pg18):
    with subject_rig.shop(tmp_path / "shop", pg18) as made:
        yield made


def datasets(shop, **more):
    shop.save(datasets={**shop.estate["datasets"], **more})
    shop.reopen()


def told(plan):
    return {finding.rule for finding in plan.findings}


# -- export ----------------------------------------------------------------------------------------------------------------------------


def test_a_person_gets_all_their_data_in_one_file_for_their_eyes_alone(shop):
    plan = shop.plan("compliance.export-subject", subject="customer", key="file:key.txt")
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    path = next((shop.folder / "data/subject-access").glob("*.zip"))
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as packed:
        about = json.loads(packed.read("about.json"))
        customers = json.loads(packed.read("customers.json"))
        items = list(csv.DictReader(io.StringIO(packed.read("order-items.csv").decode())))
        log = json.loads(packed.read("log.json"))
    assert customers == [
        {"id": SUBJECT, "name": subject_rig.NAME, "email": EMAIL, "phone": subject_rig.PHONE, "country": "MX"}
    ]
    assert len(items) == 30
    assert any(EMAIL in line["text"] for line in log)
    sold = next(one for one in about["datasets"] if one["dataset"] == "customers")
    assert (sold["purposes"], sold["bases"], sold["recipients"], sold["retention_days"]) == (
        ["to sell and deliver"],
        ["contract"],
        ["the parcel service"],
        3650,
    )
    assert sum(one["rows"] for one in about["datasets"]) == plan.figures["rows_found"] == 125
    for canary in SECRET_CANARIES:
        assert canary.encode() not in shop.told()
    assert shop.plan("compliance.export-subject", subject="customer", key="file:key.txt").nothing_to_do
    assert shop.app.undo(outcome.run, by="dba").status == "undone"
    assert not path.exists()


def test_an_export_over_another_file_is_refused(shop):
    (shop.folder / "data").mkdir()
    (shop.folder / "data/mine.zip").write_text("mine")
    plan = shop.plan(
        "compliance.export-subject", subject="customer", key="file:key.txt", path="data/mine.zip"
    )
    assert plan.steps == ()
    assert plan.blockers == ("Another file stands at data/mine.zip: give another path.",)


# -- retention ---------------------------------------------------------------------------------------------------------------------------


def test_whole_partitions_are_dropped_other_rows_go_in_batches_and_younger_ones_stay(shop):
    shop.change(*AGED)
    datasets(shop, visits=VISITS)
    plan = shop.plan("compliance.apply-retention", datasets=["visits"])
    assert [step.id for step in plan.steps] == [
        "drop partition public.visits_2019",
        "drop partition public.visits_2020",
        "remove old rows of visits",
    ]
    assert plan.figures["rows_past_retention"] == 13_500
    assert plan.fingerprint == shop.plan("compliance.apply-retention", datasets=["visits"]).fingerprint
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    assert outcome.parts[0].steps[-1].result["batches"] == 3
    assert shop.query("SELECT count(*) FROM visits") == [(70,)]
    assert shop.query("SELECT to_regclass('visits_2019') IS NULL, to_regclass('visits_now') IS NULL") == [
        (True, False)
    ]
    assert shop.plan("compliance.apply-retention", datasets=["visits"]).nothing_to_do


def test_materialized_views_of_what_is_past_its_time_are_filled_anew(shop):
    shop.change(
        *AGED,
        "CREATE VIEW seen AS SELECT id, at FROM visits",
        "CREATE MATERIALIZED VIEW by_day AS SELECT at::date AS day, count(*) AS n FROM seen GROUP BY 1",
        "CREATE MATERIALIZED VIEW first_day AS SELECT min(day) AS day FROM by_day",
        "ANALYZE",
    )
    datasets(shop, visits=VISITS, days={"system": "app", "table": "by_day", "retention_days": 30, "retention_column": "day"})  # fmt: skip
    former = shop.query("SELECT (SELECT count(*) FROM by_day), (SELECT day FROM first_day)")
    plan = shop.plan("compliance.apply-retention", datasets=["visits", "days"])
    assert [step.id for step in plan.steps][-2:] == ["refresh app:public.by_day", "refresh app:public.first_day"]  # fmt: skip
    assert any("by_day is a materialized view" in finding.what for finding in plan.findings)
    assert not any(step.needs_person for step in plan.steps)  # a rule of the authority may allow it
    assert shop.apply(plan).status == "done"
    left = shop.query("SELECT (SELECT count(*) FROM by_day), (SELECT day FROM first_day), (SELECT count(*) FROM by_day WHERE day < current_date - 1500)")  # fmt: skip
    assert left[0][:2] != former[0]
    assert left[0][2] == 0
    assert shop.plan("compliance.apply-retention", datasets=["visits"]).nothing_to_do


def test_a_hold_spares_the_rows_of_its_subject_and_keeps_their_partitions(shop):
    shop.change(*AGED, f"UPDATE visits SET customer_id = {SUBJECT} WHERE id = 7 AND at < '2020-01-01'")
    datasets(shop, visits=VISITS)
    hold = shop.plan(
        "compliance.hold-subject", hold="case", subject="customer", key="file:key.txt", why="a case"
    )
    assert shop.apply(hold).status == "done"
    shop.reopen()
    plan = shop.plan("compliance.apply-retention", datasets=["visits"])
    assert [step.id for step in plan.steps] == ["remove old rows of visits"]
    assert shop.apply(plan).status == "done"
    assert shop.query(
        f"SELECT count(*) FILTER (WHERE customer_id = {SUBJECT}), count(*) FILTER (WHERE customer_id = {OTHER}) FROM visits"
    ) == [(12_001, 70)]
    shop.save(holds={"all": {"why": "audit", "datasets": ["visits"]}})
    shop.reopen()
    held = shop.plan("compliance.apply-retention", datasets=["visits"])
    assert (held.steps, "retention-not-applied" in told(held)) == ((), True)


@pytest.mark.parametrize(
    ("declared", "holds", "why"),
    [
        (None, {}, "no dataset says"),
        ({"retention_days": 9000}, {}, "kept for longer"),
        ({"erasure": "keep", "kept_because": "tax law"}, {}, "tax law"),
        ({"retention_days": 30}, {"audit": {"why": "case", "datasets": ["notes"]}}, "audit"),
        ({"retention_days": 30}, {}, ""),
    ],
)
def test_a_cascade_takes_nothing_along_that_stays(shop, declared, holds, why):
    shop.change(
        "CREATE TABLE old (id int PRIMARY KEY, at date)",
        "CREATE TABLE notes (old int REFERENCES old ON DELETE CASCADE, n int)",
        "INSERT INTO old VALUES (1, '2001-01-01'), (2, current_date)",
        "INSERT INTO notes VALUES (1, 1), (2, 2)",
    )
    old = {"system": "app", "table": "old", "retention_days": 365, "retention_column": "at"}
    more = {} if declared is None else {"notes": {"system": "app", "table": "notes", **declared}}
    shop.save(holds=holds, processing={}, datasets={"old": old, **more})
    shop.reopen()
    plan = shop.plan("compliance.apply-retention", datasets=["old"])
    if why:
        assert plan.steps == ()
        assert any(why in finding.what for finding in plan.findings)
    else:
        assert shop.apply(plan).status == "done"
        assert shop.query("SELECT old FROM notes") == [(2,)]


def test_a_moment_in_a_text_column_is_not_compared(shop):
    shop.change("CREATE TABLE texts (at text)", "INSERT INTO texts VALUES ('01/02/2999')")
    one = {"system": "app", "table": "texts", "retention_days": 365, "retention_column": "at"}
    shop.save(datasets={"texts": one}, processing={})
    shop.reopen()
    plan = shop.plan("compliance.apply-retention")
    assert plan.steps == ()
    assert any("is text" in finding.what for finding in plan.findings)


def test_a_hold_that_is_placed_after_the_plan_stops_retention(shop):
    shop.change(*AGED)
    datasets(shop, visits=VISITS)
    plan = shop.plan("compliance.apply-retention", datasets=["visits"])
    before = shop.query("SELECT count(*) FROM visits")
    shop.save(holds={"late": {"why": "case 13"}})
    with pytest.raises(StalePlan):
        shop.apply(plan)
    assert shop.query("SELECT count(*) FROM visits") == before


def test_old_rows_leave_files_and_a_duckdb_file(shop):
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE seen AS SELECT n AS id, DATE '2020-01-01' + n::INT AS seen_at FROM range(4000) t(n)"
        )
        connection.execute(
            f"COPY (SELECT n AS id, DATE '2020-01-01' + n::INT AS seen_at FROM range(4000) t(n)) TO '{shop.folder}/lake/seen.parquet' (FORMAT parquet)"
        )
    (shop.folder / "lake/seen.csv").write_text("id,seen_at\n1,2020-01-01\n2,\n3,2999-01-01\n")
    limit = {"subject": "customer", "retention_days": 30, "retention_column": "seen_at"}
    datasets(
        shop,
        **{"seen-duck": {"system": "warehouse", "table": "seen", **limit}, "seen-parquet": {"system": "lake", "table": "seen.parquet", **limit}, "seen-csv": {"system": "lake", "table": "seen.csv", **limit}},
    )  # fmt: skip
    wanted = ["seen-duck", "seen-parquet", "seen-csv"]
    plan = shop.plan("compliance.apply-retention", datasets=wanted)
    assert plan.blockers == ()
    outcome = shop.apply(plan)
    assert outcome.status == "done", outcome.parts[0].reason
    assert (shop.folder / "lake/seen.csv").read_text() == "id,seen_at\n2,\n3,2999-01-01\n"
    with duckdb.connect(str(shop.folder / "warehouse.duckdb"), read_only=True) as connection:
        duck = connection.execute("SELECT count(*), min(seen_at) > current_date - 32 FROM seen").fetchone()
        parquet = connection.execute(
            f"SELECT count(*), min(seen_at) > current_date - 32 FROM '{shop.folder}/lake/seen.parquet'"
        ).fetchone()
    assert duck == parquet
    assert duck[1] in (True, None)
    assert not list(shop.folder.rglob("*datareeve-former"))
    assert shop.plan("compliance.apply-retention", datasets=wanted).nothing_to_do


def test_more_rows_than_allowed_and_a_missing_column_are_told(shop):
    shop.change(*AGED)
    datasets(
        shop,
        visits=VISITS,
        orders={
            **subject_rig.ESTATE["datasets"]["orders"],
            "retention_days": 5,
            "retention_column": "nowhere",
        },
    )
    plan = shop.plan("compliance.apply-retention", max_rows=100)
    assert plan.steps == ()
    assert any("more than max_rows (100)" in blocker for blocker in plan.blockers)
    assert any("public.orders has no column nowhere" in finding.what for finding in plan.findings)


# -- the register ------------------------------------------------------------------------------------------------------------------------


def test_the_register_is_written_with_its_gaps_and_taken_back(shop):
    plan = shop.plan("compliance.register-processing")
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    page = (shop.folder / "data/compliance/register.md").read_text()
    assert "| sales | to sell and deliver | contract | customer |" in page
    assert "names of persons" in page
    assert {finding.subject for finding in plan.findings if finding.rule == "not-registered"} >= {
        "invoices",
        "newsletter",
        "log",
    }
    html = (shop.folder / "data/compliance/register.html").read_text()
    assert "<td>to sell and deliver</td>" in html
    assert "http" not in html.replace("http-equiv", "")
    assert shop.plan("compliance.register-processing").nothing_to_do
    assert shop.app.undo(outcome.run, by="dba").status == "undone"
    assert not (shop.folder / "data/compliance").exists()


def test_hostile_words_of_the_estate_stay_words(shop):
    shop.save(
        processing={
            "x|y": {"purpose": "<script>alert(1)</script>", "basis": "consent", "datasets": ["orders"]}
        }
    )
    shop.reopen()
    shop.apply(shop.plan("compliance.register-processing"))
    assert "<script>alert" not in (shop.folder / "data/compliance/register.html").read_text()
    assert "| x\\|y |" in (shop.folder / "data/compliance/register.md").read_text()


# -- access ------------------------------------------------------------------------------------------------------------------------------


def test_who_can_read_personal_data_is_told_with_the_way(shop):
    shop.change(
        "DROP ROLE IF EXISTS clerk", "DROP ROLE IF EXISTS ghost", "CREATE ROLE clerk LOGIN PASSWORD 'x' BYPASSRLS", "CREATE ROLE ghost",
        "GRANT SELECT (email) ON customers TO clerk", "GRANT SELECT ON orders TO ghost", "GRANT SELECT ON newsletter TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    )  # fmt: skip
    try:
        plan = shop.plan("compliance.review-access")
    finally:
        shop.change("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC", "DROP OWNED BY clerk", "DROP OWNED BY ghost", "DROP ROLE clerk", "DROP ROLE ghost")  # fmt: skip
    rights = {(one["role"], one["dataset"]): one for one in plan.figures["access"]}
    assert rights["clerk", "customers"] == {
        "system": "app",
        "role": "clerk",
        "dataset": "customers",
        "reads": True,
        "writes": False,
        "way": "granted",
        "through": "",
    }
    assert rights["clerk", "newsletter"]["way"] == "public"
    assert rights["postgres", "customers"]["way"] == "superuser"
    assert ("clerk", "invoices") not in rights
    by_rule = {finding.rule: finding for finding in plan.findings}
    assert by_rule["public-can-read"].subject == "app: newsletter"
    assert by_rule["bypasses-row-security"].subject == "app: clerk"
    assert by_rule["grant-to-nobody"].subject == "app: ghost"
    assert by_rule["public-by-default"].subject == "app"
    assert "password-never-expires" in by_rule


WAYS = (
    *AGED[:4],
    "DROP ROLE IF EXISTS peeper", "DROP ROLE IF EXISTS viewer", "DROP ROLE IF EXISTS heir", "CREATE ROLE peeper LOGIN", "CREATE ROLE viewer LOGIN", "CREATE ROLE heir LOGIN",
    "GRANT SELECT ON visits_2019, visits_2020 TO peeper", "GRANT SELECT ON visits_2020 TO PUBLIC",
    "CREATE VIEW mails AS SELECT upper(email) AS who FROM customers", "CREATE VIEW second AS SELECT who FROM mails", "GRANT SELECT (who) ON second TO viewer",
    "CREATE VIEW counts AS SELECT count(*) AS n FROM customers", "CREATE VIEW own WITH (security_invoker) AS SELECT email FROM customers", "GRANT SELECT ON counts, own TO heir",
    "CREATE TABLE customers_old () INHERITS (customers)", "GRANT UPDATE (email) ON customers_old TO heir",
)  # fmt: skip
NO_WAYS = ("DROP VIEW second, mails, counts, own", "DROP TABLE visits, customers_old", "DROP ROLE peeper", "DROP ROLE viewer", "DROP ROLE heir")  # fmt: skip


def test_rights_on_partitions_inherited_tables_and_views_are_rights_on_the_data(shop):
    shop.change(*WAYS)
    datasets(shop, visits=VISITS)
    try:
        plan = shop.plan("compliance.review-access")
        checked = shop.plan("compliance.check-rules", packs=["gdpr"], values=False)
        outcome = shop.apply(plan)
    finally:
        shop.change(*NO_WAYS)
    found = {(one["role"], one["dataset"], one["through"]): one for one in plan.figures["access"]}
    partitions = found["peeper", "visits", "public.visits_2019, public.visits_2020 (partition)"]
    assert (partitions["reads"], partitions["writes"]) == (True, False)
    assert ("viewer", "visits", "public.visits_2020 (partition)") in found  # as everybody
    assert ("viewer", "customers", "public.second (view)") in found
    heir = found["heir", "customers", "public.customers_old (inherits)"]
    assert (heir["reads"], heir["writes"]) == (False, True)
    assert not any(role == "heir" and "view" in through for role, _, through in found)
    told = {(one.rule, one.subject): one for one in plan.findings}
    assert told["public-can-read", "app: visits"].what == "visits is open to PUBLIC, that is every role: SELECT by public.visits_2020 (partition)."  # fmt: skip
    assert "second (view)" in told["read-by-another-way", "app: customers"].what
    assert checked.figures["rules"]["gdpr/closed-by-default"]["says"] == "fail"
    assert outcome.status == "failed"
    assert "the check failed: the access review has no critical finding" in outcome.parts[0].reason


def test_datasets_of_other_systems_are_looked_at_by_their_files_and_none_goes_missing(shop):
    shop.change("DROP TABLE IF EXISTS gone")
    datasets(shop, copy={"system": "warehouse", "table": "dim_customer", "derived_from": ["customers"]}, gone={"system": "app", "table": "gone", "subject": "customer"},
             sums={"system": "warehouse", "table": "fct_orders", "derived_from": ["customers"], "personal": {"total": "no"}})  # fmt: skip
    (shop.folder / "lake/clicks.jsonl").chmod(0o600)
    plan = shop.plan("compliance.review-access")
    rows = {one["dataset"]: one for one in plan.figures["access"] if one["way"] == "file permissions"}
    assert rows.keys() == {"copy", "warehouse-customers", "warehouse-orders", "events", "clicks", "contacts", "log"}  # fmt: skip
    told = {one.subject: one.what for one in plan.findings if one.rule in ("files-open-to-all", "files-looked-at", "access-not-seen")}  # fmt: skip
    assert "no other account of this machine may" in told["lake: clicks"]
    assert told["gone"].endswith("app has no table gone.")
    assert plan.figures["access_datasets"] == 12
    assert plan.figures["access_not_looked_at"] == 1
    one = shop.plan("compliance.review-access", datasets=["sums"])
    assert one.figures["access_datasets"] == 1
    with pytest.raises(BadInput, match="no dataset 'nothing'"):
        shop.plan("compliance.review-access", datasets=["nothing"])
    register = shop.plan("compliance.register-processing")
    page = next(step.call.arguments["text"] for step in register.steps if step.id.endswith(".md"))
    assert "| copy | warehouse | dim_customer | not named | not said | customers | none |" in page
    assert "| sums | warehouse | fct_orders | not named | none declared | customers |  |" in page
    assert ("not-registered", "copy") in {(one.rule, one.subject) for one in register.findings}
    assert register.figures["register_gaps"] + register.figures["register_notes"] == len(register.findings)
    assert f"{register.figures['register_gaps']} gaps, {register.figures['register_notes']} notes" in register.summary  # fmt: skip


def test_a_review_by_hand_is_a_review_and_one_of_some_datasets_is_not(shop):
    def says():
        return shop.plan("compliance.check-rules", packs=["hipaa"], values=False).figures["rules"]["hipaa/access-reviewed"]["says"]  # fmt: skip

    assert says() == "fail"
    assert shop.apply(shop.plan("compliance.review-access", datasets=["orders"])).status == "done"
    assert says() == "fail"
    outcome = shop.apply(shop.plan("compliance.review-access"))
    assert outcome.status == "done"
    assert outcome.parts[0].steps[0].step == "keep the review"
    assert says() == "pass"


def test_files_that_every_account_may_read_are_not_closed(shop):
    def closed_by_default():
        findings = shop.plan("compliance.check-rules", packs=["gdpr"]).findings
        return next((one.what for one in findings if one.rule == "gdpr-closed-by-default"), "")

    with tempfile.TemporaryDirectory() as made:  # that of a test lies in a folder that is closed
        lake = Path(made)
        shutil.copytree(shop.folder / "lake", lake, dirs_exist_ok=True)
        lake.chmod(0o700)
        shop.save(systems={**shop.estate["systems"], "lake": {"kind": "folder", "path": made}})
        shop.reopen()
        assert "events" not in closed_by_default()
        lake.chmod(0o755)
        told = closed_by_default()
    assert told.startswith("Violated")
    assert "events: every account of this machine may read 2 of 2 files" in told
    assert "keeps no roles" not in told


def test_a_reason_is_said_once_with_all_its_datasets_and_all_rules_are_counted(shop):
    plan = shop.plan("compliance.check-rules", packs=["gdpr"])
    (finding,) = [one for one in plan.findings if "Art. 6(1)" in one.subject]
    assert finding.what.count("no processing gives it a lawful basis") == 1
    assert "events, clicks" in finding.what
    figures = plan.figures
    assert figures["compliance_rules"] == sum(figures[f"compliance_{one}"] for one in ("passed", "violations", "not_run", "not_applicable"))  # fmt: skip
    assert f"{figures['compliance_not_applicable']} do not apply" in plan.summary


def test_critical_violations_fail_the_run_and_what_was_found_stays(shop):
    plan = shop.plan("compliance.check-rules", packs=["gdpr"], values=False)
    assert plan.fingerprint == shop.plan("compliance.check-rules", packs=["gdpr"], values=False).fingerprint
    assert plan.figures["compliance_critical"] > 0
    outcome = shop.apply(plan)
    assert (outcome.status, outcome.parts[0].steps[0].status) == ("failed", "done")
    assert outcome.parts[0].reason.startswith("the check failed: the critical rules of gdpr hold")
    kept = shop.app.ledger.samples("compliance", name="compliance_critical")
    assert [one.value for one in kept] == [plan.figures["compliance_critical"]]
    shop.save(datasets={}, processing={})
    shop.reopen()
    assert shop.apply(shop.plan("compliance.check-rules", packs=["gdpr"], values=False)).status == "done"


def test_a_role_without_rights_on_the_catalog_is_told_what_it_did_not_see(shop):
    shop.change("DROP ROLE IF EXISTS auditor", "CREATE ROLE auditor LOGIN")
    systems = {
        **shop.estate["systems"],
        "app": {"kind": "postgresql", "url": shop.url.replace("postgres@", "auditor@")},
    }
    shop.save(systems=systems)
    shop.reopen()
    try:
        plan = shop.plan("compliance.review-access")
        checked = shop.plan("compliance.check-rules", packs=["pci", "hipaa"], values=False)
    finally:
        shop.app.close()
        shop.change("DROP ROLE auditor")
    assert any(finding.rule == "access-not-seen" and "pg_authid" in finding.what for finding in plan.findings)
    assert checked.figures["rules"]["hipaa/authentication"]["says"] == "not run"


# -- the rules of laws ---------------------------------------------------------------------------------------------------------------------


def test_every_rule_of_every_pack_runs_and_says_something(shop):
    plan = shop.plan("compliance.check-rules", packs=["gdpr", "ccpa", "pci", "hipaa"])
    figures = plan.figures
    assert figures["compliance_rules"] == sum(
        figures[f"compliance_{one}"] for one in ("passed", "violations", "not_run", "not_applicable")
    )
    says = {name: one["says"] for name, one in figures["rules"].items()}
    assert says["gdpr/purposes-registered"] == "fail"
    assert says["gdpr/criminal-data"] == "not applicable"
    assert says["gdpr/restorable"] == "fail"
    assert says["pci/pan-unreadable"] == "not applicable"
    assert says["pci/logs-kept"] == "not run"
    assert says["hipaa/identifier-p"] == "not applicable"
    finding = next(one for one in plan.findings if one.rule == "gdpr-purposes-registered")
    assert finding.subject == "GDPR, Regulation (EU) 2016/679, Art. 5(1)(b)"
    assert "newsletter" in finding.what
    for canary in SECRET_CANARIES:
        assert canary not in plan.model_dump_json()


def test_an_estate_that_is_mended_passes_what_it_failed(shop):
    shop.save(
        processing={
            "sales": {
                "purpose": "to sell",
                "basis": "contract",
                "datasets": list(shop.estate["datasets"]),
                "recipients": ["x"],
                "controller": "Shop",
                "retention_days": 900,
            }
        }
    )
    shop.save(
        datasets={
            name: {**one, "owner": "crm", "encrypted": "at rest", "location": "DE"}
            for name, one in shop.estate["datasets"].items()
        }
    )
    shop.reopen()
    says = {
        name: one["says"]
        for name, one in shop.plan("compliance.check-rules", packs=["gdpr"]).figures["rules"].items()
    }
    assert {
        says[f"gdpr/{rule}"]
        for rule in (
            "purposes-registered",
            "lawful-basis",
            "encrypted",
            "accountable",
            "kept-no-longer",
            "register-controller",
            "within-places",
            "erasure-possible",
            "access-possible",
        )
    } == {"pass"}


def test_clear_card_numbers_and_security_codes_are_found_and_only_counted(shop):
    shop.change(
        "CREATE TABLE cards (customer_id int, pan text, cvv text)",
        "INSERT INTO cards VALUES (1, '4111111111111111', '123'), (2, 'tok_1', NULL), (3, '5500 0000 0000 0004', NULL)",
    )
    datasets(
        shop,
        cards={
            "system": "app",
            "table": "cards",
            "subject": "customer",
            "subject_key": "customer_id",
            "personal": {"pan": "card-number", "cvv": "card-security-code"},
        },
    )
    plan = shop.plan("compliance.check-rules", packs=["pci"])
    says = {name: one["says"] for name, one in plan.figures["rules"].items()}
    assert (
        says["pci/pan-unreadable"],
        says["pci/no-verification-code"],
        says["pci/no-sensitive-authentication-data"],
    ) == ("fail", "fail", "fail")
    found = next(one for one in plan.findings if one.rule == "pci-pan-unreadable")
    assert "cards.pan: 2 of 3 values tried are clear card numbers" in found.what
    assert "4111" not in plan.model_dump_json()


def test_special_categories_need_a_basis_that_article_nine_knows(shop):
    datasets(
        shop,
        health={
            "system": "app",
            "table": "orders",
            "subject": "customer",
            "subject_key": "customer_id",
            "personal": {"note": "health"},
        },
    )
    shop.save(
        processing={"care": {"purpose": "care", "basis": "legitimate interests", "datasets": ["health"]}}
    )
    shop.reopen()
    plan = shop.plan("compliance.check-rules", packs=["gdpr"])
    assert plan.figures["rules"]["gdpr/special-categories"] == {"article": "Art. 9(2)", "says": "fail"}


def test_a_violation_is_watched_and_escalates(shop):
    plan = shop.plan("compliance.check-rules", packs=["gdpr"], watch=True, notify=["file:data/alerts.jsonl"])
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    shop.reopen()
    rule = next(rule for rule in shop.app.estate.alerts if rule.name == "compliance-violation")
    assert (rule.system, rule.sample, rule.escalates_as, rule.notify) == (
        "compliance",
        "compliance_critical",
        "compliance-violation",
        ("file:data/alerts.jsonl",),
    )
    assert shop.app.estate.schedules["watch-compliance"].operation == "compliance.check-rules"
    again = shop.plan("compliance.check-rules", packs=["gdpr"], watch=True, notify=["file:data/alerts.jsonl"])
    assert again.nothing_to_do
    assert again.figures["rules"]["gdpr/breach-told"]["says"] == "pass"
    assert shop.app.undo(outcome.run, by="dba").status == "undone"
    shop.reopen()
    assert shop.app.estate.alerts == ()


def test_a_hold_that_names_nobody_or_an_unknown_dataset_is_refused(shop):
    for inputs in ({"key": "file:key.txt"}, {"subject": "supplier"}, {"datasets": ["nothing"]}):
        with pytest.raises(Exception, match=r"without a subject|No dataset|no dataset"):
            shop.plan("compliance.hold-subject", hold="h", why="w", **inputs)


def test_a_hold_is_placed_and_taken_back(shop):
    plan = shop.plan("compliance.hold-subject", hold="h", subject="customer", key="file:key.txt", why="w")
    outcome = shop.apply(plan)
    assert outcome.status == "done"
    assert shop.plan(
        "compliance.hold-subject", hold="h", subject="customer", key="file:key.txt", why="w"
    ).nothing_to_do
    assert shop.app.undo(outcome.run, by="dba").status == "undone"
    assert "holds" not in (shop.folder / "estate.yaml").read_text()


# -- bad input ---------------------------------------------------------------------------------------------------------------------------


def test_names_that_need_quotes_and_percent_signs_are_names(shop):
    shop.change(
        """CREATE TABLE "Wéird "" % t" ("kéy %s" int, "m;--" text)""", f"""INSERT INTO "Wéird "" % t" VALUES ({SUBJECT}, '{EMAIL}'), ({OTHER}, 'x')""",
        """CREATE TABLE "child %" (k text, "p %" int)""",
    )  # fmt: skip
    found = {
        "system": "app",
        "table": 'public.Wéird "" % t'.replace('""', '"'),
        "subject": "customer",
        "subject_key": "kéy %s",
        "personal": {"m;--": "email"},
    }
    shop.save(datasets={"weird": found}, processing={})
    shop.reopen()
    plan = shop.erasure()
    assert plan.blockers == ()
    outcome = shop.apply(plan)
    assert outcome.status == "done", outcome.parts[0].reason
    assert shop.query(
        """SELECT "m;--" FROM "Wéird "" % t" """.replace("%", "%%")
        if False
        else """SELECT * FROM "Wéird "" % t" """
    ) == [(OTHER, "x")]
    assert shop.plan("compliance.review-access").figures["access_datasets"] == 1


def test_a_system_that_is_down_is_not_a_pass_and_stops_an_erasure(shop):
    shop.save(systems={**shop.estate["systems"], "warehouse": {"kind": "duckdb", "path": "gone.duckdb"}})
    shop.reopen()
    plan = shop.erasure()
    assert plan.steps == ()
    assert any("warehouse does not answer" in blocker for blocker in plan.blockers)
    checked = shop.plan("compliance.check-rules", packs=["gdpr"])
    assert (
        "warehouse-customers: warehouse"
        in next(one for one in checked.findings if one.rule == "gdpr-columns-known").what
        or checked.figures["rules"]["gdpr/columns-known"]["says"] != "pass"
    )


def test_mariadb_is_reviewed_and_exported(shop, mariadb):
    with mariadb.database(
        "CREATE TABLE people (id int, mail text)",
        f"INSERT INTO people VALUES ({SUBJECT}, '{EMAIL}'), ({OTHER}, 'x')",
    ) as url:
        people = {
            "system": "crm",
            "table": "people",
            "subject": "customer",
            "subject_key": "id",
            "personal": {"mail": "email"},
        }
        shop.save(
            systems={**shop.estate["systems"], "crm": {"kind": "mysql", "url": url}},
            datasets={"people": people},
            processing={},
        )
        shop.reopen()
        review = shop.plan("compliance.review-access")
        assert {(one["role"], one["reads"]) for one in review.figures["access"]} >= {("'looker'@'%'", True)}
        plan = shop.plan(
            "compliance.export-subject", subject="customer", key="file:key.txt", path="data/out.zip"
        )
        assert plan.figures["rows_people"] == 1
        assert shop.apply(plan).status == "done"
        with zipfile.ZipFile(shop.folder / "data/out.zip") as packed:
            assert json.loads(packed.read("people.json")) == [{"id": SUBJECT, "mail": EMAIL}]
        assert (
            shop.plan("compliance.check-rules", packs=["gdpr"]).figures["rules"]["gdpr/erasure-possible"][
                "says"
            ]
            == "fail"
        )


def test_an_estate_without_datasets_says_so(shop):
    shop.save(datasets={}, processing={})
    shop.reopen()
    assert shop.plan("compliance.apply-retention").nothing_to_do == "No dataset has retention_days."
    assert shop.plan("compliance.check-rules").summary.startswith("No pack is named")
    assert (
        shop.plan("compliance.check-rules", packs=["gdpr"]).figures["rules"]["gdpr/purposes-registered"][
            "says"
        ]
        == "not applicable"
    )
    assert shop.plan("compliance.review-access").figures["access_datasets"] == 0
