"""`shows`: what speaks of each item of `done_means`."""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestr.spec.checks import check_from_row, check_to_row
from orchestr.spec.lock_values import describe_check, is_stricter
from orchestr.views.html.model import CapabilityLine, Witness
from tests.checks.conftest import define
from tests.e2e.workspace import FEATURE, Workspace, both

Make = Callable[..., Workspace]
ITEMS = ["keys are read", "old keys stay", "it is fast", "it is small"]


def command(name: str, *words: str, shows: list[str]) -> dict[str, object]:
    return {"kind": "command", "name": name, "run": list(words), "shows": shows}


def test_the_report_says_what_speaks_of_each_item(workspace: Make) -> None:
    ws = workspace()
    unit = command("unit", "true", shows=["keys are read", "it is fast"])
    missing = command("speed", "no-such-program", shows=["it is fast"])
    crossed = {**command("trip", "false", shows=["old keys stay"]), "repo": "app"}
    cells = {"one": {"checks": [unit]}}
    ws.spec(cells, done_means=ITEMS, cross_checks=[crossed])
    ws.run("run", FEATURE, code=1)
    ws.spec({"one": {"checks": [unit, missing]}}, done_means=ITEMS, cross_checks=[crossed])

    ws.run("report", FEATURE, code=0)
    page = (ws.root / ".orchestr" / "reports" / f"{FEATURE}.html").read_text()
    section = page.partition('<section id="done">')[2].partition("</section>")[0]
    found = [re.sub(r"<[^>]+>", "|", li) for li in re.findall(r"<li.*?</li>", section, re.DOTALL)]
    assert [re.sub(r"\|+", "|", one).strip("|") for one in found] == [
        "shown| keys are read|passed: one: check unit",
        "red| old keys stay|failed: app: cross check trip",
        "open| it is fast|passed: one: check unit|not evaluated: one: check speed",
        "open| it is small|no check, cross check or auditor speaks of it",
    ]


def test_what_is_no_item_is_an_error_with_its_line(workspace: Make) -> None:
    ws = workspace(cells={"one": {}})
    check = command("unit", "true", shows=["keys are raed"])
    ws.spec({"one": {"checks": [check]}}, done_means=ITEMS)
    said = both(ws.run("validate", FEATURE, code=2))
    assert "shows[0]: `keys are raed` is no item of `done_means`" in said
    assert "did you mean `keys are read`?" in said
    ws.spec({"one": {}})
    ws.settings(repos={"app": {"checks": [check]}})
    assert "a check of every feature shows none" in both(ws.run("plan", FEATURE, code=2))


def test_one_no_outweighs_every_yes() -> None:
    def state(*states: str) -> str:
        return CapabilityLine("x", tuple(Witness("w", one) for one in states)).state

    assert state("passed", "passed") == "shown"
    assert state("passed", "not evaluated") == "open"
    assert state("passed", "failed", "not evaluated") == state("partial") == "red"
    assert state() == "open"


def test_a_check_that_shows_nothing_keeps_its_row_and_more_is_stricter() -> None:
    plain = define(kind="command", run=["true"])
    row = check_to_row(plain)
    shown = check_from_row([*row, {"shows": ["a"]}])
    assert shown.shows == ("a",) and check_to_row(shown) == [*row, {"shows": ["a"]}]
    old, new = describe_check(plain), describe_check(shown)
    assert is_stricter(old, new) and not is_stricter(new, old)
