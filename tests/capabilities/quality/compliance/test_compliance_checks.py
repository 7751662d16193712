"""Rules that can fail, and that never pass what they did not look at."""

import re
from pathlib import Path

import pytest

from datareeve import capabilities
from datareeve.capabilities.quality.compliance.access import AccessFacts, Role, SystemAccess
from datareeve.capabilities.quality.compliance.checks import CHECKS
from datareeve.capabilities.quality.compliance.facts import ComplianceFacts
from datareeve.capabilities.quality.compliance.places import Surroundings, find
from datareeve.capabilities.quality.compliance.retention import RetentionFacts
from datareeve.core.estate_data import DataSettings

CARDS = {"system": "app", "table": "cards", "subject": "customer", "subject_key": "id"}
CVV = {"category": "card-security-code"}


def facts(datasets, processing=None, **seen):
    declared = DataSettings.model_validate({"datasets": datasets, "processing": processing or {}})
    given = {"retention": RetentionFacts(day="2026-11-23"), "access": AccessFacts(), **seen}
    return ComplianceFacts(declared=declared, **given)


def server(**seen):
    return AccessFacts(systems=(SystemAccess(system="app", datasets=("cards",), **{"kind": "postgresql", **seen}),))  # fmt: skip


@pytest.mark.parametrize(
    ("personal", "seen", "says", "why"),
    [
        ({}, {"columns": {"cards": ("id", "cvv2", "note")}}, "fail", "cvv2: of that kind by the name"),
        ({"cvv2": "no"}, {"columns": {"cards": ("id", "cvv2")}}, "pass", ""),
        ({"x": "card-security-code"}, {"columns": {"cards": ("x",)}}, "fail", "it holds x"),
        ({"pan": "card-number"}, {"columns": {"cards": ("id", "pan")}}, "pass", ""),
        ({}, {"not_seen": {"cards": "app does not answer"}}, "not run", "does not answer"),
        ({}, {"columns": {"cards": ()}}, "not run", "not known"),
        ({}, {"columns": {"cards": ("id",)}, "elsewhere": {"app:public.old": ("n", "card_cvc")}}, "fail", "card_cvc"),
    ],
)  # fmt: skip
def test_a_security_code_is_looked_for_in_names_that_nobody_declared(personal, seen, says, why):
    found = CHECKS["absent"](facts({"cards": {**CARDS, "personal": personal}}, **seen), **CVV)
    assert found.says == says
    assert why in " ".join([*found.failing.values(), *found.not_run.values()])


def test_an_account_that_sees_its_own_rights_alone_says_nothing_of_others():
    mine = {"cards": {**CARDS, "encrypted": "at rest", "personal": {"pan": "card-number"}}}
    blind = facts(mine, access=server(kind="mysql", sees_all=False))
    seeing = facts(mine, access=server(kind="mysql"))
    for name, more in (("closed_to_public", {}), ("few_readers", {"most": 3}), ("guarded", {})):
        assert CHECKS[name](blind, **more).not_run["cards"].startswith("our account sees"), name
    assert CHECKS["closed_to_public"](seeing).says == "pass"


def test_a_limit_of_the_processing_alone_is_not_looked_at_and_says_so():
    sales = {"purpose": "p", "basis": "contract", "datasets": ["cards"], "retention_days": 30}
    found = CHECKS["retention_applied"](facts({"cards": CARDS}, {"sales": sales}))
    assert (found.says, "limits it to 30 days" in found.not_run["cards"]) == ("not run", True)


def test_rows_that_nobody_declared_and_an_erasure_leaves_have_no_law():
    column = {"type": "int", "nullable": True, "generated": False}
    key = {"columns": ["card"], "table": "public.cards", "references": ["id"], "on_delete": "no action"}
    about = {"source": "s", "kind": "r", "columns": {"id": column, "card": column}, "triggers": []}
    tables = {"public.cards": {**about, "keys": []}, "public.uses": {**about, "keys": [key]}}
    one = facts({"cards": CARDS})
    places = find(one.declared, Surroundings(kinds={"app": "postgresql"}, tables={"app": tables}), "customer")
    found = CHECKS["kept_for_a_law"](one.model_copy(update={"places": {"customer": places}}))
    assert list(found.failing) == ["app:public.uses"]


@pytest.mark.parametrize(
    ("line", "md5", "says"),
    [
        ({"type": "local", "method": "trust"}, 0, "fail"),
        ({"type": "local", "method": "peer"}, 0, "pass"),
        ({"type": "hostssl", "method": "md5"}, 0, "pass"),
        ({"type": "hostssl", "method": "md5"}, 2, "fail"),
        ({"type": "hostssl", "method": "md5"}, None, "not run"),
        ({"type": "hostssl", "method": "scram-sha-256"}, None, "pass"),
        ({"type": "host", "method": "trust"}, None, "fail"),
    ],
)
def test_what_a_way_in_asks_for(line, md5, says):
    seen = server(hba=({"line": 1, "address": "", **line},), md5=md5)
    assert CHECKS["strong_login"](facts({"cards": CARDS}, access=seen)).says == says


@pytest.mark.parametrize(("addresses", "says"), [(0, "not run"), (1, "pass"), (2, "fail")])
def test_accounts_are_looked_at_while_somebody_is_logged_in(addresses, says):
    seen = server(roles=(Role(name="a", login=True, addresses=addresses),))
    assert CHECKS["no_shared_accounts"](facts({"cards": CARDS}, access=seen)).says == says


@pytest.mark.parametrize(
    ("location", "transfers", "says"),
    [
        ("DE", [], "not applicable"),
        ("de", [], "not applicable"),
        ("UK", [], "pass"),
        ("CH", [], "pass"),
        ("US", [], "fail"),
        ("US", ["US: standard contractual clauses"], "pass"),
        ("eu-central-1", [], "not run"),
        ("Germany", [], "not run"),
        ("DE", ["JP"], "pass"),
        ("DE", ["IN"], "fail"),
    ],
)
def test_a_safeguard_is_asked_for_where_chapter_five_does(location, transfers, says):
    sales = {"purpose": "p", "basis": "contract", "datasets": ["cards"], "transfers": transfers}
    asked = facts({"cards": {**CARDS, "location": location}}, {"sales": sales})
    assert CHECKS["transfer_guarded"](asked).says == says


SAID = re.compile(r"\b((?:databases|ai|quality|compliance)\.[a-z]+(?:-[a-z]+)+)\b")
CODE = re.compile(
    r'(?:BadInput|Failed|Refused|Unreachable)\(\s*"([a-z.-]+)"'
)  # of an error: it looks like an operation's name
SLICES = Path(capabilities.__file__).parent


@pytest.mark.parametrize("slice_", ["quality", "databases", "ai"])
def test_every_operation_that_is_named_is_there(slice_):
    """In findings, remedies, packs and pages: whatever is advised can be run."""
    files = [path for path in (SLICES / slice_).rglob("*") if path.suffix in (".py", ".yaml", ".j2")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    known = {*capabilities.operations(), *(code for text in texts.values() for code in CODE.findall(text))}
    assert [(where, name) for where, text in texts.items() for name in SAID.findall(text) if name not in known] == []  # fmt: skip
