"""The matrix of docs/agents.md is what the generator writes for the recorded results."""

from __future__ import annotations

from orchestr.conformance.promises import PROMISES
from orchestr.conformance.table import render_matrix
from orchestr.conformance.trials import TRIALS
from tests.conformance.matrix import PAGE, read_record, write_page


def test_the_page_has_the_table_of_the_record() -> None:
    assert write_page(read_record()) == PAGE.read_text(encoding="utf-8")


def test_the_record_names_known_promises_only_and_at_least_eight_agents() -> None:
    agents = read_record()["agents"]
    known = {promise.name for promise in PROMISES}
    assert all(set(agent["findings"]) <= known for agent in agents.values())
    assert len(agents) >= 8


def test_every_trial_is_of_a_promise() -> None:
    assert {promise.trial for promise in PROMISES} == set(TRIALS)


def test_a_table_of_two() -> None:
    findings = {"work": [True, ""], "push": [False, "it pushed | a branch"], "cut": [None, "why"]}
    same = {"push": [False, "it pushed | a branch"]}
    text = render_matrix({
        "date": "2026-01-02",
        "agents": {"a": {"version": "1.0", "how": "`acp`", "findings": findings},
                   "b": {"version": None, "how": "`command`", "findings": same}},
    })  # fmt: skip
    assert "| version | 1.0 | ? |" in text
    assert "| its work arrives, once and whole | yes |  |" in text
    assert "| it cannot push | **no** (1) | **no** (1) |" in text
    assert "| kept | 1 of 3 | 0 of 1 |" in text
    assert text.endswith("1. it pushed \\| a branch\n2. why\n")


def test_figures_of_the_demo_stand_below_the_promises() -> None:
    figures = {"cells": 5, "done": 4, "seconds": 29.6, "answers": 10, "ledger": None,
               "billed": 10500}  # fmt: skip
    of = {"version": "1.0", "how": "`acp`", "findings": {}}
    text = render_matrix({"date": "2026-01-02", "agents": {"a": {**of, "demo": figures}, "b": of}})
    assert "| the demo's feature: cells done | 4 of 5 | – |" in text
    assert "| … time | 30 s | – |" in text
    assert "| … tokens, the server's count | 10,500 | – |" in text
    assert "| … tokens, the ledger's | unknown | – |" in text


def test_eight_agents_built_the_demo_and_their_ledgers_are_right() -> None:
    demos = [agent["demo"] for agent in read_record()["agents"].values() if "demo" in agent]
    assert len(demos) >= 8
    assert all(demo["done"] == demo["cells"] for demo in demos)
    assert all(demo["ledger"] in (None, demo["billed"]) for demo in demos)
