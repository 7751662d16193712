"""Canaries stand in every personal column. After each operation, also one that fails midway, not a byte of them is in what Datareeve keeps or says.

What is looked at: every file below the state folder as bytes (the ledger's SQLite with its WAL among them), proofs, register, plans as JSON,
outcomes, errors as text, log records. The one file that may hold them is the person's own bundle.
"""

from __future__ import annotations

import contextlib
import logging

import pytest
from test_compliance_lives import AGED, VISITS

import subject_rig
from datareeve.core.errors import DatareeveError
from subject_rig import SECRET_CANARIES, SUBJECT

RAISES = (
    "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'row of % is %', TG_TABLE_NAME, row_to_json(OLD) USING DETAIL = OLD::text; END $$",
)
EXPORT = ("compliance.export-subject", {"subject": "customer", "key": "file:key.txt"})
ERASE = ("compliance.erase-subject", {"subject": "customer", "key": "file:key.txt"})
HOLD = ("compliance.hold-subject", {"hold": "h", "subject": "customer", "key": "file:key.txt", "why": "w"})
RETENTION = ("compliance.apply-retention", {})
REGISTER = ("compliance.register-processing", {})
CHECK = ("compliance.check-rules", {"packs": ["gdpr", "ccpa", "pci", "hipaa"]})
REVIEW = ("compliance.review-access", {})


def raising(table):
    return (
        *RAISES,
        f"CREATE TRIGGER tell BEFORE DELETE OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION tell()",
    )


MIDWAY = {
    "export: a table is gone": (EXPORT, ("DROP TABLE newsletter",)),
    "export: a column is gone": (EXPORT, ("ALTER TABLE newsletter DROP COLUMN address",)),
    "erase: a trigger tells the row": (ERASE, raising("orders")),
    "erase: a constraint tells the row": (ERASE, ("ALTER TABLE invoices ALTER customer_id SET NOT NULL", "ALTER TABLE invoices ALTER billing_name SET NOT NULL")),
    "erase: somebody refers to the customer": (ERASE, ("CREATE TABLE late (c int REFERENCES customers)", f"INSERT INTO late VALUES ({SUBJECT})")),
    "erase: a table is gone": (ERASE, ("DROP TABLE newsletter",)),
    "retention: a trigger tells the row": (RETENTION, raising("visits_now")),
    "check: a table is gone": (CHECK, ("DROP TABLE newsletter",)),
}  # fmt: skip


@pytest.fixture
def shop(tmp_path, pg18, caplog):
    caplog.set_level(logging.DEBUG)
    with subject_rig.shop(tmp_path / "shop", pg18) as made:
        made.change(*AGED)
        made.save(datasets={**made.estate["datasets"], "visits": VISITS})
        made.reopen()
        yield made


def run(shop, operation):
    """Plan and apply; gives everything that was said."""
    name, inputs = operation
    said = []
    try:
        plan = shop.plan(name, **inputs)
        said.append(plan.model_dump_json())
        outcome = shop.apply(plan)
        said += [
            outcome.model_dump_json(),
            *(check.model_dump_json() for check in shop.app.recheck(outcome.run)),
        ]
    except DatareeveError as error:
        said += [str(error), repr(error), str(error.as_json())]
    return said


def assert_no_canary(shop, said, caplog):
    whole = shop.told() + "\n".join([*said, caplog.text]).encode()
    register = shop.folder / "data/compliance"
    whole += b"".join(path.read_bytes() for path in register.glob("*")) if register.exists() else b""
    for canary in SECRET_CANARIES:
        assert canary.encode() not in whole
        assert canary.lower().encode() not in whole.lower()
    return whole


def test_not_a_byte_of_a_canary_is_kept_or_said_by_operations_that_go_well(shop, caplog):
    said = []
    for operation in (EXPORT, CHECK, REVIEW, REGISTER, RETENTION, HOLD):
        said += run(shop, operation)
        assert_no_canary(shop, said, caplog)
    bundle = next((shop.folder / "data/subject-access").glob("*.zip"))
    assert bundle.stat().st_mode & 0o777 == 0o600
    shop.reopen()
    assert "Legal hold" in run(shop, ERASE)[0]
    shop.save(holds={})
    shop.reopen()
    said += run(shop, ERASE)
    assert shop.plan(ERASE[0], **ERASE[1]).nothing_to_do, "it was erased"
    whole = assert_no_canary(shop, said, caplog)
    assert len(whole) > 100_000, "the ledger was looked at"
    assert list((shop.folder / "data/subject-access").iterdir()) == [], (
        "the person's bundle went with the rest"
    )


@pytest.mark.parametrize("case", MIDWAY)
def test_nor_by_one_that_fails_midway(shop, caplog, case):
    operation, breaks = MIDWAY[case]
    name, inputs = operation
    plan = shop.plan(name, **inputs)
    assert plan.blockers == (), plan.blockers
    shop.change(*breaks)
    said = [plan.model_dump_json()]
    with contextlib.suppress(DatareeveError):
        try:
            outcome = shop.apply(plan)
            said.append(outcome.model_dump_json())
            assert name == "compliance.check-rules" or outcome.status in ("failed", "undone")
        except DatareeveError as error:
            said += [str(error), str(error.as_json())]
            raise
    said += run(shop, operation)
    assert_no_canary(shop, said, caplog)


def test_the_database_s_own_log_is_not_given_the_key_where_we_may_say_so(tmp_path, caplog):
    import servers  # noqa: PLC0415 - a server whose log tells all

    with servers.server(log_statement="all", log_min_duration_statement="0") as server, subject_rig.shop(tmp_path / "shop", server) as shop:  # fmt: skip
        start = server.local.log.stat().st_size
        assert shop.apply(shop.erasure()).status == "done"
        log = server.local.log.read_bytes()[start:]
        assert b"DELETE FROM" in log
        erasing = [line for line in log.split(b"\n") if b"DELETE FROM" in line or b'UPDATE "public"' in line]
        assert erasing
        assert not [line for line in erasing if b"4711" in line or b"quetzalcoatl" in line.lower()]
