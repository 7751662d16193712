"""What `script/bench gateway` says and refuses to say: without load, on what was answered and counted."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML

BENCH = Path(__file__).parent.parent / "bench"
sys.path.append(str(BENCH))

import gateway  # noqa: E402 - found by the line above
import gateway_litellm as lite  # noqa: E402
import gateway_sides as sides  # noqa: E402
import run  # noqa: E402

PORTS = {"upstream": 1, "paced": 2, "dead": 3}
OK = (200, "{}")


def config(name):
    return YAML(typ="safe").load((BENCH / "gateway" / name).read_text().format(**PORTS))


def top_level(name):
    """What a `.peer` file defines, by name; it runs in LiteLLM's environment, not here."""
    found = {}
    for node in ast.parse((BENCH / "gateway" / f"{name}.peer").read_text()).body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets}
        elif isinstance(node, ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
    return found


def as_litellm(key, kind):
    """As LiteLLM answers where every limit is looked at."""
    return next((found[2:] for found in lite.REFUSED if found[:2] == (key, kind)), OK)


# -- LiteLLM does what it is said to do --------------------------------------------------------------------------------------------


def test_litellm_has_keys_limits_budgets_breaker_and_ledger():
    found = config("litellm.yaml")
    module, function = found["general_settings"]["custom_auth"].split(".")
    assert isinstance(top_level(module)[function], ast.AsyncFunctionDef)
    [callback] = found["litellm_settings"]["callbacks"]
    module, name = callback.split(".")
    assert name in top_level(module)
    assert found["litellm_settings"]["enable_post_custom_auth_checks"] is True
    assert found["router_settings"]["allowed_fails"] == 3
    assert set(found["router_settings"]["provider_budget_config"]) == {"openai", "hosted_vllm"}


def test_every_key_that_must_be_refused_was_issued_with_a_limit_of_its_own():
    issued = ast.literal_eval(top_level("litellm_keys")["ISSUED"])
    assert issued.pop(lite.KEY) == {}
    assert {key for key, *_ in lite.REFUSED} - {lite.KEY, "sk-unknown"} == set(issued)
    assert all(len(limits) == 1 for limits in issued.values())


def test_the_bare_one_has_none_of_it_and_asks_the_same_models():
    found = config("litellm-bare.yaml")
    assert set(found) == {"model_list", "general_settings", "litellm_settings"}
    assert found["general_settings"] == {"master_key": lite.KEY}
    assert {one["model_name"] for one in found["model_list"]} == {"bench", "paced"}


def test_only_the_litellm_whose_ledger_is_checked_asks_with_the_key_that_its_upstreams_count():
    keys = {
        name: {one["litellm_params"]["api_key"] for one in config(name)["model_list"]}
        for name in ("litellm.yaml", "litellm-bare.yaml")
    }
    assert keys == {"litellm.yaml": {"key-bench"}, "litellm-bare.yaml": {"sk-bench"}}


def test_a_litellm_that_refuses_what_it_must_is_taken():
    lite.prove_limits(as_litellm, seconds=0)


@pytest.mark.parametrize("blind", lite.REFUSED, ids=lambda one: f"{one[0]} {one[1]}")
def test_a_litellm_whose_limit_does_not_bite_is_not_measured(blind):
    def ask(key, kind):
        return OK if (key, kind) == blind[:2] else as_litellm(key, kind)

    with pytest.raises(lite.NotTheSame, match=re.escape(f"does not refuse {blind[0]} ({blind[1]})")):
        lite.prove_limits(ask, seconds=0)


def test_a_refusal_by_another_limit_is_not_the_proof_of_this_one():
    def ask(key, kind):
        return (429, "Limit type: requests") if key == "sk-ten-tokens-a-minute" else as_litellm(key, kind)

    with pytest.raises(lite.NotTheSame, match="sk-ten-tokens-a-minute"):
        lite.prove_limits(ask, seconds=0)


def test_a_litellm_that_refuses_the_measured_key_is_not_measured():
    def ask(key, kind):
        return (429, "busy") if (key, kind) == (lite.KEY, "plain") else as_litellm(key, kind)

    with pytest.raises(lite.NotTheSame, match="the key that is measured: 429 busy"):
        lite.prove_limits(ask, seconds=0)


def test_a_breaker_is_one_where_the_dead_provider_is_no_longer_tried():
    answers = iter([{"x-litellm-attempted-fallbacks": "1"}, {**lite.UNTRIED, "date": "now"}])
    lite.prove_breaker(lambda: next(answers), seconds=5)
    with pytest.raises(lite.NotTheSame, match="goes on asking a dead provider"):
        lite.prove_breaker(lambda: {**lite.UNTRIED, "x-litellm-attempted-retries": "1"}, seconds=0)


def working(folder, rows, *asked):
    """LiteLLM with so many answered requests in its ledger, whose upstreams were asked so often."""
    with sqlite3.connect(folder / "ledger.sqlite") as store:
        store.execute("CREATE TABLE usage (status TEXT)")
        store.executemany("INSERT INTO usage VALUES (?)", [("success",)] * rows + [("failure",)] * 5)
    store.close()
    upstreams = tuple(SimpleNamespace(count=lambda one=one: {"asked": one}) for one in asked)
    return lite.Working("litellm", 0, 0, folder=folder, upstreams=upstreams)


def test_its_ledger_is_compared_with_what_its_upstreams_were_asked(tmp_path):
    assert working(tmp_path, 1000, 600, 400).ledger_difference(0) == 0


def test_a_litellm_that_lost_requests_is_not_reported(tmp_path):
    side = working(tmp_path, 900, 600, 400)
    figures, missing = {"datareeve": {"rps": 1.0}, "litellm": {"rps": 1.0}}, {}
    side.ledger_difference = lambda: lite.Working.ledger_difference(side, 0)
    gateway.compare_litellms_ledger({"litellm": side}, figures, missing)
    assert missing == {"litellm": "LiteLLM's usage ledger has 900 rows for 1000 requests that were sent"}
    assert gateway.compared(figures)["rps_ratio_litellm"] is None


# -- what is compared --------------------------------------------------------------------------------------------------------------


def test_each_ratio_is_against_the_side_that_its_name_says():
    speed = {"datareeve": 1000.0, "litellm": 10.0, "litellm bare": 20.0}
    figures = {
        name: {"rps": one, "stream_rps": one / 2, "paced_cpu_us": 1 / one} for name, one in speed.items()
    }
    figures["datareeve"]["cpu_us"] = 120.0
    figures |= {"nginx": {"cpu_us": 40.0}, "nginx kept": {"cpu_us": 10.0}}
    found = gateway.compared(figures)
    assert found["rps_ratio_litellm"] == found["stream_ratio_litellm"] == 100
    assert found["rps_ratio_litellm_bare"] == found["stream_ratio_litellm_bare"] == 50
    assert found["cpu_ratio_nginx"] == 3
    assert found["cpu_ratio_nginx_kept"] == 12


def test_nginx_is_asked_as_proxy_pass_comes_and_the_kept_one_with_its_own_paths():
    values = {"folder": "F", "port": 1, "upstream": 2, "paced": 3, "user": "me"}
    text = (BENCH / "gateway" / "nginx.conf").read_text().format(**values)
    places = dict(re.findall(r"location (\S+) \{([^}]*)\}", text))
    assert {path for path, what in places.items() if "kept.conf" in what} == {"/kept/", "/kept/paced/"}
    asked = {name: {path for path, _ in sides.nginx_kinds(prefix).values()} for name, prefix in sides.NGINX}
    assert asked["nginx"] == {"/v1/chat/completions", "/paced/v1/chat/completions"}
    assert asked["nginx kept"] == {"/kept/v1/chat/completions", "/kept/paced/v1/chat/completions"}


# -- memory ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mb_a_million", "each", "flat", "words"),
    [
        (0.2, 200_000, 1.0, "flat: +0.20 MB"),
        (5, 200_000, 0.0, "not flat: +5.00 MB"),
        (5, 100, None, "too few"),
    ],
)
def test_memory_is_flat_by_its_slope_a_million_requests_after_the_first_fifth(
    mb_a_million, each, flat, words
):
    warming = [gateway.Sample(1, each, 62, 10), gateway.Sample(2, 2 * each, 90, 11)]
    settled = [gateway.Sample(n, n * each, 95 + mb_a_million * n * each / 1e6, 10) for n in range(3, 11)]
    verdict, figures = gateway.grown(60.0, warming + settled)
    assert verdict.startswith(words)
    assert figures["flat"] == flat
    assert (figures["rss_mb_start"], figures["handles_most"]) == (60.0, 11)
    assert figures["rss_mb_a_million"] == pytest.approx(mb_a_million)


# -- the table ---------------------------------------------------------------------------------------------------------------------

MEASURED = {
    "bench": "gateway",
    "figures": {"rps": 4000.0, "cpu_us": 150.25, "rps_ratio_litellm": 83.4, "rss_mb": 85.0, "rss_growth_mb": 0.5},
    "peers": {"nginx": {"rps": 13700.0, "cpu_us": 40.0}, "litellm": {"rps": 48.0, "cpu_us": None}, "litellm bare": "no pip"},
    "notes": {"datareeve": "everything on"},
    "machine": {"cores": 2, "system": "Linux"},
}  # fmt: skip


def test_the_table_for_the_readme_has_a_column_for_each_side_and_says_what_is_missing():
    lines = gateway.markdown(MEASURED).splitlines()
    assert lines[0] == "| 64 connections | datareeve | litellm | nginx |"
    assert "| Requests a second | 4,000 | 48 | 13,700 |" in lines
    assert "| CPU of a request, µs | 150 | - | 40 |" in lines
    assert "| Requests a second, times `litellm`'s | 83.4 |" in lines
    assert "| Memory after a million requests, MB | 85 |" in lines
    assert lines[-2:] == ["- `datareeve`: everything on.", "- `litellm bare`: not measured: no pip."]


def test_a_look_does_not_speak_of_a_million_requests():
    quick = MEASURED | {"figures": {"rps": 1.0, "rss_mb": 85.0, "rss_growth_mb": None}}
    assert "| Memory at the end, MB | 85 |" in gateway.markdown(quick)
    assert "million" not in gateway.markdown(quick)


def test_what_was_measured_before_is_printed_again_as_it_is_asked_for(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "measured.json"
    kept.write_text(json.dumps(MEASURED) + "\n")
    for option, expected in (("--markdown", gateway.markdown(MEASURED)), ("--json", json.dumps(MEASURED))):
        monkeypatch.setattr(sys, "argv", ["bench", option, "--from", str(kept)])
        assert run.main() == 0
        assert capsys.readouterr().out == expected + "\n"


def test_minutes_are_of_a_soak(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "gateway", "--minutes", "3"])
    with pytest.raises(SystemExit):
        run.main()
    assert "--minutes is of --soak" in capsys.readouterr().err
