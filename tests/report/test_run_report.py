"""The report of a run: what it says of a journal, and the same as Markdown, JSON, HTML and YAML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestr.agents.events import make_line_parser
from orchestr.agents.kinds.claude import Claude
from orchestr.settings.loader import load_settings
from orchestr.spec.reader import read_all_specs
from orchestr.state.events import Event, EventKind
from orchestr.state.run_activity import is_idle
from orchestr.state.timeline import make_timeline
from orchestr.views.html.run_page import run_report_html
from orchestr.views.query import run_events
from orchestr.views.query.denied_actions import list_denied_actions, read_last_message
from orchestr.views.query.follow_ups import OPEN_WORK
from orchestr.views.query.run_list import rows_of_journal
from orchestr.views.query.run_report import redact_report
from orchestr.views.run_report.follow_ups import NOTHING, follow_ups_yaml
from orchestr.views.run_report.json_form import report_values
from orchestr.views.run_report.listing import RunRow, row_values, runs_text
from orchestr.views.run_report.markdown import report_markdown
from orchestr.views.run_report.model import (
    CellReport,
    CheckLine,
    CostFigure,
    CrossCheckLine,
    FeatureReport,
    FollowUp,
    PullRequestLine,
    ReviewIssueLine,
    ReviewLine,
    RunReport,
    WorkLine,
    outcome_word,
    sum_costs,
)
from tests.report.stories import at, built, run

EVIL = "<script>alert(1)</script> | @root `x` <!-- \u202e"
START, END = "2026-05-18T12:00:00.000+00:00", "2026-05-18T12:01:00.000+00:00"
GOOD = CellReport(
    "a", "app", "done", "done", head="a" * 40, tree="b" * 40, branch="T-1-a", base="main",
    pr=PullRequestLine("https://forge.example/app/pull/1", "open", True, "created"),
    worktree="/w/a", worktree_origin="recreated",
    checks=(CheckLine("unit", "passed", "3 passed", 1.5),), checks_in="clean checkout",
    reviews=(ReviewLine("eve", "1 other", "fine", "a" * 40,
                        (ReviewIssueLine("tech_debt", "two copies", ("a.py:3",)),)),),
    works=(WorkLine("attempt", "attempt 1", 1, "done", "claude", "opus", "", 9.0, 0.5, 0.5),),
    costs=(CostFigure("implement", "attempt", 1, 9.0, 0.5, 0.5, (100, 40, 20)),),
    denied=("tool Bash: git push origin main",), outvoted=("a race",),
)  # fmt: skip
BAD = CellReport("b", "app", "failed", "failed", phase="check", reason=EVIL, branch="T-1-b",
                 costs=(CostFigure("implement", "attempt", 1, 2.0, None, 0.1),), open=True,
                 next="orchestr run demo:b")  # fmt: skip
FOLLOW_UPS = (
    FollowUp("tech_debt", "a", "app", ("two copies (a.py:3)",), "review by eve"),
    FollowUp("last_words", "a", "app", (f"Left to do: {EVIL}\x07\nand more: yes",), "its agent"),
    FollowUp("skipped", "d", "web", ("Write the manual", "[a] {b}: #c")),
)


def report(*cells: CellReport, code: int = 1, **more: object) -> RunReport:
    feature = FeatureReport("demo", f"The demo {EVIL}", "T-1", "failed", cells,
                            follow_ups=FOLLOW_UPS, **more)  # type: ignore[arg-type]  # fmt: skip
    return RunReport("20260518T120000Z-abcd", "run", "orchestr run demo", START, END, 60.0, code,
                     outcome_word("run", code, [cell.state for cell in cells]), "1.0",
                     (feature,))  # fmt: skip


# ---- what follows from the record ----------------------------------------------------------------


def test_the_token_is_done_or_the_next_command_of_each_open_cell() -> None:
    assert report(GOOD, code=0).token == "done"
    assert report_values(report(GOOD, code=0))["next"] == "done"
    both = report(GOOD, BAD, replace(BAD, name="c", next="orchestr run demo --failed"))
    assert both.token == "next: orchestr run demo:b; orchestr run demo --failed"
    assert report_values(both)["next"] == [
        {"cell": "demo:b", "command": "orchestr run demo:b"},
        {"cell": "demo:c", "command": "orchestr run demo --failed"},
    ]


def test_red_cross_checks_are_no_end() -> None:
    red = report(GOOD, cross_checks=(CrossCheckLine("app", False, "1 of 1 is red"),))
    assert red.token == "next: orchestr run demo"


def test_a_run_that_ended_badly_is_never_done() -> None:
    assert report(GOOD, code=1).token == "next: orchestr status demo"


@pytest.mark.parametrize(
    ("verb", "code", "states", "word"),
    [
        ("run", 0, (), "done"),
        ("land", 0, (), "landed"),
        ("rollback", 0, (), "rolled back"),
        ("run", 130, (), "aborted"),
        ("run", 1, ("done", "failed", "approval"), "failed"),
        ("run", 1, ("done", "approval"), "waits for approval"),
        ("run", 3, (), "fault"),
    ],
)
def test_outcomes_have_words(verb: str, code: int, states: tuple[str, ...], word: str) -> None:
    assert outcome_word(verb, code, states) == word


def test_an_unknown_cost_is_never_nothing() -> None:
    whole = sum_costs([*GOOD.costs, *BAD.costs])
    assert (whole.cost_usd, whole.cost_known_usd, whole.tokens) == (None, 0.6, (100, 40, 20))
    assert sum_costs([]).works == 0
    values = report_values(report(GOOD, BAD))
    assert (values["cost_usd"], values["cost_known_usd"]) == (None, 0.6)
    assert values["counts"] == {"done": 1, "failed": 1}


# ---- renderers -----------------------------------------------------------------------------------


def test_markdown_shows_all_and_runs_nothing() -> None:
    text = report_markdown(report(GOOD, BAD))
    for words in (
        "# Run 20260518T120000Z-abcd: failed",
        "- cells: 1 done, 1 failed",
        "- cost: $0.60 + unknown; 120 tokens",
        "| a | ✓ done | aaaaaaaaaa | https://forge.example/app/pull/1 (draft, created) |",
        "- worktree: `/w/a` (recreated)",
        "- check unit: passed (3 passed)",
        "- checks ran in a clean checkout",
        "  - tech debt: two copies (a.py:3)",
        "| attempt 1 | claude opus | done | 9.0 s | $0.50 |",
        "By phase: implement: $0.50.",
        "- tool Bash: git push origin main",
        "**Follow-ups** (3 items",
    ):
        assert words in text, words
    assert "<script>" not in text
    assert "<!--" not in text
    assert "\u202e" not in text
    assert text.splitlines()[-1] == "next: orchestr run demo:b"


def test_the_page_holds_no_script_and_escapes_everything() -> None:
    page = run_report_html(report(GOOD, BAD))
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "default-src &#39;none&#39;" in page
    assert 'href="https://forge.example/app/pull/1"' in page
    bad = replace(GOOD, pr=PullRequestLine("javascript:alert(1)", "open", None, "adopted"))
    assert 'href="javascript' not in run_report_html(report(bad))


def test_json_holds_every_field_of_the_record() -> None:
    values = json.loads(json.dumps(report_values(report(GOOD, BAD))))
    assert (values["v"], values["run"], values["exit"]) == (1, "20260518T120000Z-abcd", 1)
    assert values["prs"] == ["https://forge.example/app/pull/1"]
    (feature,) = values["features"]
    assert feature["cells"][0]["worktree_origin"] == "recreated"
    assert feature["cells"][0]["reviews"][0]["issues"][0]["severity"] == "tech_debt"


def test_secrets_are_hidden_in_every_text() -> None:
    hidden = redact_report(
        report(replace(GOOD, denied=("echo hunter2",), reason="hunter2")),
        lambda text: text.replace("hunter2", "***"),
    )
    assert "hunter2" not in json.dumps(report_values(hidden))
    assert hidden.features[0].cells[0].denied == ("echo ***",)


# ---- follow-ups ----------------------------------------------------------------------------------


def read_as_spec(root: Path, text: str) -> dict[str, tuple[str, ...]]:
    """Cell -> todo, as the spec reader reads it, without an error or a warning."""
    (root / "specs").mkdir()
    (root / "orchestr.toml").write_text("[agents.sh]\nkind = 'command'\nrun = ['true']\n")
    (root / "specs" / "demo-follow-ups.yaml").write_text(text)
    found = read_all_specs(load_settings(root, {}))
    assert [str(problem) for problem in (*found.problems, *found.warnings)] == []
    (feature,) = found.features.values()
    return {cell.name: cell.todo for cell in feature.cells}


def test_follow_ups_are_a_spec(tmp_path: Path) -> None:
    text = follow_ups_yaml([("demo", item) for item in FOLLOW_UPS], "demo")
    assert yaml.safe_load(text)["metadata"]["name"] == "demo-follow-ups"
    todo = read_as_spec(tmp_path, text)
    assert todo["a"][0] == "two copies (a.py:3) [review by eve]"
    assert todo["a"][1].startswith("its agent:\nLeft to do: <script>alert(1)</script> | @root")
    assert todo["d"] == ("Write the manual", "[a] {b}: #c")
    assert not {"\x07", "\u202e"} & set(text)


def test_follow_ups_of_several_features_have_cells_of_both_names(tmp_path: Path) -> None:
    text = follow_ups_yaml([("demo", FOLLOW_UPS[0]), ("other_one", FOLLOW_UPS[0])], "")
    assert set(read_as_spec(tmp_path, text)) == {"demo-a", "other-one-a"}
    assert follow_ups_yaml([], "demo") == NOTHING


@pytest.mark.parametrize(
    ("words", "names_work"),
    [
        ("Done. TODO: the retry", True),
        ("The retry is not yet implemented.", True),
        ("I could not run the tests", True),
        ("Next steps: document it", True),
        ("All done, tests are green.", False),
    ],
)
def test_last_words_that_name_open_work(words: str, names_work: bool) -> None:
    assert bool(OPEN_WORK.search(words)) is names_work


# ---- what journals and records say ---------------------------------------------------------------


def test_how_worktrees_and_pull_requests_came_about() -> None:
    url = "local://app/pull/1"
    first = [at(1, EventKind.WORKTREE_ADDED, "a", run="r1", path="/w"),
             at(2, EventKind.PR_OPENED, "a", run="r1", url=url)]  # fmt: skip
    again = [*first, at(9, EventKind.WORKTREE_ADDED, "a", run="r2", path="/w")]
    worktree, pull = run_events.find_worktree_origin, run_events.find_pull_request_origin
    assert (worktree(first, "a", "r1"), pull(first, "a", "r1", url)) == ("created", "created")
    assert (worktree(first, "a", "r2"), pull(first, "a", "r2", url)) == ("reused", "reused")
    assert worktree(again, "a", "r2") == "recreated"
    assert (worktree([], "a", "r1"), pull([], "a", "r1", url)) == ("adopted", "adopted")
    taken = [at(1, EventKind.CELL_ADOPTED, "a", run="r1", url=url)]
    assert pull(taken, "a", "r1", url) == "a person's"


def test_costs_are_those_of_the_run_and_by_phase() -> None:
    events = [
        *run(built("a", 1, 10), end=12, name="r1"),
        *run(built("a", 21, 10, attempt=2, run="r2", cost=None), begin=20, end=32, name="r2"),
    ]
    line = make_timeline(events)
    works = run_events.select_works(line, "a", events[-1].ts[:17] + "20.000+00:00", events[-1].ts)
    (figure,) = run_events.sum_by_phase(works, 0.0)
    assert (figure.phase, figure.what, figure.works) == ("implement", "attempt", 1)
    assert (figure.cost_usd, figure.cost_known_usd) == (None, 0.1)
    assert figure.tokens == (100, 40, 20)


def test_a_run_that_only_looked_is_idle() -> None:
    looked = run(
        [at(1, EventKind.PR_SEEN, "a"), at(2, EventKind.PHASE_DONE, "a", made=False)], 0, 3
    )
    assert is_idle(looked)
    assert not is_idle([*looked, at(4, EventKind.CELL_WARNED, "a", reason="x")])


def test_what_an_agent_was_not_let_do(tmp_path: Path) -> None:
    """The tools that its end lists, and the hosts that the proxy refused."""
    folder = tmp_path / "attempts" / "1"
    folder.mkdir(parents=True)
    denied = {"tool_name": "Bash", "tool_input": {"command": "git push origin main"}}
    lines = [
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "denied? no"}]}},
        {"type": "result", "subtype": "success", "is_error": False, "result": "Left: the docs",
         "permission_denials": [denied, denied]},
    ]  # fmt: skip
    (folder / "transcript.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = {"time": 1.0, "host": "evil.example", "port": 443, "reason": "no", "count": 1}
    (folder / "refused-hosts.1.jsonl").write_text(json.dumps(refused) + "\n")
    parse = make_line_parser(Claude.translate_record)
    found = list_denied_actions(tmp_path, [1], parse)
    assert found == ["tool Bash: git push origin main", "network evil.example:443: no"]
    words = read_last_message(folder / "transcript.jsonl", parse)
    assert words == "Left: the docs"


# ---- the list ------------------------------------------------------------------------------------


def rows(events: list[Event], live: bool = False) -> list[tuple[str, str, str, int | None]]:
    found = rows_of_journal("demo", events, live=live)
    return [(row.run, row.verb, row.outcome, row.exit) for row in found]


def test_runs_are_read_from_a_journal() -> None:
    killed = run(built("a", 21, 5, attempt=2, run="r2"), 20, name="r2")
    events = [
        *run(built("a", 1, 10), end=12, name="r1"),
        *killed,
        at(40, EventKind.CELL_FORGOTTEN, "a", run=""),
        at(50, EventKind.LAND_DONE, "a", run="l1", target="main", commit="c" * 40),
        *run([], 60, 61, name="r3"),
        *run([], 70, name="r4"),
    ]
    told = [
        ("r1", "run", "done", 0),
        ("r2", "run", "interrupted", None),
        ("l1", "land", "landed", None),
        ("r3", "run", "up to date", 0),
    ]
    assert rows(events) == [*told, ("r4", "run", "interrupted", None)]
    assert rows(events, live=True) == [*told, ("r4", "run", "running", None)]
    first = rows_of_journal("demo", events, live=False)[0]
    assert (dict(first.counts), first.cost_usd, first.seconds) == ({"done": 1}, 0.5, 12.0)


def test_the_list_as_a_table_and_for_programs() -> None:
    counts = {"done": 2, "failed": 1, "ignored": 1}
    row = RunRow("r1", "run", "orchestr run demo", ("demo",), START, END, 60.0, 1, "failed",
                 counts, 2, 1, 3, None, 0.6, "/s/reports/runs/r1")  # fmt: skip
    header, line = runs_text([row]).splitlines()
    assert header.split() == ["RUN", "STARTED", "TOOK", "OUTCOME", "CELLS", "COST", "REPORT",
                              "COMMAND"]  # fmt: skip
    assert "✗ failed (1)  2 done, 1 failed, 1 other  $0.60 + unknown  yes" in line
    values = row_values(row)
    assert (values["done"], values["failed"], values["cost_usd"]) == (2, 1, None)
    assert runs_text([]) == "no run yet\n"
