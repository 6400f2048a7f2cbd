"""The answers on stdout: summary, status, plan, explain. Whole texts, times in UTC."""

from __future__ import annotations

from datetime import timedelta

from render_stories import (
    ALL_DONE,
    FEATURE,
    FINISHED,
    MIDDLE,
    NOW,
    PLAN,
    STARTED,
    URL,
    event,
    status,
)

from orchestr.plan.dag import forecast_run
from orchestr.spec.phases import LISTED, Phase
from orchestr.state.events import Event, EventKind
from orchestr.state.states import CellState
from orchestr.views.model import CellFacts, FeatureStatus
from orchestr.views.terminal.explain import blocked_chain, explain_text
from orchestr.views.terminal.plan import DiskSpace, plan_json, plan_text
from orchestr.views.terminal.status import status_json, status_text
from orchestr.views.terminal.summary import summary_text

LOG = ".orchestr/cells/mlkem/java-sdk/attempts/2/transcript.jsonl"
FACTS = {
    "java-sdk": CellFacts(base="main", worktree="wt/java-sdk", log=LOG),
    "platform-proto": CellFacts(base="main", head="c0ffee", tree="7ee", pr_url=URL),
}
FORECASTS = forecast_run(PLAN, {"java-sdk": {Phase.IMPLEMENT: "its last attempt failed"}})


def trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_summary_of_a_run_that_failed() -> None:
    assert trimmed(summary_text([status(*MIDDLE, facts=FACTS)])) == [
        "CELL              STATE      TRY  TIME        BRANCH                      PULL REQUEST",
        "platform-proto    ✓ done     1    1 min 00 s  DSPX-2399-platform-proto    " + URL,
        "platform-service  ▶ running  1    -           DSPX-2399-platform-service",
        "java-sdk          ✗ failed   2    9.0 s       DSPX-2399-java-sdk",
        "xtest             ⊘ blocked  -    -           DSPX-2399-xtest",
        "",
        "✗ mlkem:java-sdk failed in implement: exit code 2",
        f"    log:   {LOG}",
        "    next:  orchestr logs mlkem:java-sdk",
        "",
        "1 done, 1 failed, 1 blocked, 1 still running; cost $0.25 + unknown",
        "next: orchestr run mlkem --failed",
    ]


def test_the_summary_of_a_run_that_went_well_asks_for_nothing() -> None:
    text = summary_text([status(*ALL_DONE, FINISHED)])
    assert text.endswith("\n\n4 done, 0 failed; cost $1.00\n")


def test_a_run_that_had_nothing_to_do_says_so_in_one_line() -> None:
    again = Event(EventKind.RUN_STARTED, STARTED.ts, "r2", "mlkem")
    done = status(*ALL_DONE, FINISHED, again)
    assert summary_text([done]) == "nothing to be done: 4 cells up to date\n"
    some = summary_text([done], selected={("mlkem", "xtest")})
    assert some == "nothing to be done: 1 cell up to date\n"


def test_an_aborted_run_names_the_command_that_goes_on() -> None:
    text = summary_text([status(*MIDDLE[:3], event(EventKind.RUN_FINISHED, exit=130))])
    assert text.endswith("0 done, 0 failed, 1 aborted, 3 pending\nnext: orchestr run mlkem\n")


def test_colours_only_when_asked_for() -> None:
    done = status(*ALL_DONE)
    assert "\x1b" not in summary_text([done]) + status_text([done], NOW)
    assert "\x1b[32m✓ done\x1b[0m" in summary_text([done], colour=True)
    assert "\x1b[32m✓ done\x1b[0m" in status_text([done], NOW, colour=True)


def test_status_for_people() -> None:
    assert trimmed(status_text([status(*MIDDLE, facts=FACTS)], NOW)) == [
        "mlkem: running  Pure ML-KEM-768",
        "  CELL              STATE      PHASE  TRY  TIME        COST     PULL REQUEST",
        f"  platform-proto    ✓ done     ✓✓✓✓✓  1    1 min 00 s  $0.25    {URL} (draft)",
        "  platform-service  ▶ running  ✓▶···  1    4 min 00 s  -",
        "  java-sdk          ✗ failed   ✓✗···  2    9.0 s       unknown",
        "  xtest             ⊘ blocked  ⊘····  -    -           -",
        "  ✗ java-sdk: exit code 2",
        f"    log:  {LOG}",
        "    hint: orchestr logs mlkem:java-sdk",
        "    next: orchestr run mlkem:java-sdk",
        "  ⊘ xtest: upstream java-sdk failed",
        "  4 cells: 1 running, 1 failed, 1 blocked, 1 done; cost $0.25 + unknown",
    ]


def test_status_of_an_empty_workspace_names_the_next_command() -> None:
    assert "orchestr init" in status_text([], NOW)


def test_status_json_has_the_documented_fields() -> None:
    whole = status_json([status(*MIDDLE, facts=FACTS)])
    (feature,) = whole["features"]
    assert (feature["name"], feature["state"]) == ("mlkem", "running")
    cells = {cell["name"]: cell for cell in feature["cells"]}
    documented: dict[str, object] = {
        "name": "platform-proto",
        "repo": "platform",
        "branch": "DSPX-2399-platform-proto",
        "base": "main",
        "head": "c0ffee",
        "tree": "7ee",
        "worktree": None,
        "state": "done",
        "attempt": 1,
        "upstreams": [],
        "phases": {p.value: "done" for p in LISTED},
        "pr": {"url": URL, "state": "open", "draft": True, "checks": None, "review": None},
        "cost_usd": 0.25,
        "started_at": "2026-05-18T12:00:00+00:00",
        "finished_at": "2026-05-18T12:01:00+00:00",
        "reason": None,
    }
    assert documented.items() <= cells["platform-proto"].items()
    assert cells["java-sdk"]["reason"] == "exit code 2\n\x1b[31mmvn: not found\x1b[0m"
    assert (cells["java-sdk"]["cost_usd"], cells["java-sdk"]["pr"]) == (None, None)
    assert cells["xtest"]["upstreams"] == ["java-sdk"]


def test_the_files_outrank_the_journal() -> None:
    seen = {"xtest": CellFacts(state=CellState.DONE, phases={p.value: "done" for p in LISTED})}
    found = status_json([status(*MIDDLE, facts=seen)])["features"][0]["cells"][3]
    assert (found["state"], found["phases"]["publish"]) == ("done", "done")


def test_a_cell_without_a_pull_request_says_why() -> None:
    nothing = event(EventKind.PHASE_DONE, "xtest", "publish", outcome="no_change_needed")
    facts = {"xtest": CellFacts(pr_url="none")}
    found = status(nothing, facts=facts)
    assert "no change needed" in status_text([found], NOW)
    assert "no change needed" in summary_text([found])
    assert status_json([found])["features"][0]["cells"][3]["pr"] is None


def test_the_plan_for_people() -> None:
    text = plan_text(
        FEATURE,
        PLAN,
        FORECASTS,
        FACTS,
        claims=["specs/mlkem.yaml:9:5: warning: a and b may change them\n  hint: an edge"],
        jobs=3,
        resources=DiskSpace(disk_wanted=300 << 20, disk_free=12 << 30),
        timed=True,
    )
    assert text.splitlines() == [
        "mlkem: Pure ML-KEM-768",
        "4 cells in 3 waves",
        "",
        "wave 1 (1 cell)",
        f"  platform-proto  [PR EXISTS: {URL}]",
        "    repo      platform, branch DSPX-2399-platform-proto",
        "    base      main",
        "    up to date",
        "",
        "wave 2 (2 cells)",
        "  platform-service",
        "    repo      platform, branch DSPX-2399-platform-service",
        "    base      stacked on platform-proto",
        "    after     platform-proto",
        "    up to date",
        "  java-sdk",
        "    repo      java-sdk, branch DSPX-2399-java-sdk",
        "    base      main",
        "    after     platform-proto",
        "    worktree  wt/java-sdk",
        "    would run: its last attempt failed (implement, check, review, publish)",
        "",
        "wave 3 (1 cell)",
        "  xtest",
        "    repo      tests, branch DSPX-2399-xtest",
        "    base      the default branch",
        "    after     java-sdk",
        "    may run: java-sdk runs first (its tree may change)",
        "",
        "critical path: platform-proto > java-sdk > xtest (about 3.0 s)",
        "specs/mlkem.yaml:9:5: warning: a and b may change them",
        "  hint: an edge",
        "agents: 3 at once, the widest wave has 2 cells",
        "disk: about 300 MB for worktrees, 12 GB free",
        "",
        "1 would run, 1 may run, 2 up to date",
    ]


def test_plan_json_has_the_documented_fields() -> None:
    found = plan_json(PLAN, FORECASTS, FACTS)
    assert found["feature"] == "mlkem"
    assert found["critical_path"] == ["platform-proto", "java-sdk", "xtest"]
    documented: dict[str, object] = {
        "name": "java-sdk",
        "wave": 2,
        "repo": "java-sdk",
        "branch": "DSPX-2399-java-sdk",
        "base": "main",
        "upstreams": ["platform-proto"],
        "would": "run",
        "why": "its last attempt failed",
        "pr": None,
    }
    assert documented.items() <= found["cells"][2].items()
    assert found["cells"][0]["pr"] == URL


def explained(found: FeatureStatus, name: str) -> list[str]:
    return explain_text(found, name, NOW, {f.name: f for f in FORECASTS}).splitlines()


def test_a_failed_cell_explained() -> None:
    assert explained(status(*MIDDLE, facts=FACTS), "java-sdk") == [
        "mlkem:java-sdk failed in implement",
        "  repository java-sdk, branch DSPX-2399-java-sdk, attempt 2 by codex",
        "  started 12:01:00, took 9.0 s",
        "  phases: worktree done, implement failed, check pending, review pending, publish pending",
        "",
        "because",
        "  - exit code 2",
        "    mvn: not found",
        "  - the next run does implement, check, review, publish: its last attempt failed",
        f"  log: {LOG}",
        "",
        "look: orchestr logs mlkem:java-sdk",
        "next: orchestr run mlkem:java-sdk",
    ]


def test_a_blocked_cell_leads_to_the_one_that_failed() -> None:
    found = status(*MIDDLE)
    assert blocked_chain(found, "xtest") == ("xtest", "java-sdk")
    lines = explained(found, "xtest")
    assert "  - upstream java-sdk failed: exit code 2" in lines
    assert lines[-2:] == ["look: orchestr logs mlkem:java-sdk", "next: orchestr run mlkem --failed"]


def test_cells_at_rest_and_at_work_explained() -> None:
    found = status(*MIDDLE)
    assert explained(found, "platform-proto")[-1] == "next: nothing to be done"
    assert explained(found, "platform-service")[-1] == (
        "next: orchestr logs mlkem:platform-service -f"
    )
    until = (NOW + timedelta(minutes=5)).isoformat()
    waiting = status(
        *MIDDLE, event(EventKind.ATTEMPT_LIMITED, "java-sdk", agent="claude", until=until)
    )
    assert "  - usage limit of claude, until 12:10:00; it goes on by itself" in explained(
        waiting, "java-sdk"
    )
    assert "  - upstream platform-proto is pending" in explained(status(), "java-sdk")


def test_every_state_can_be_shown() -> None:
    for state in CellState:
        found = status(facts={c.name: CellFacts(state=state) for c in PLAN.cells})
        for text in (
            summary_text([found]),
            status_text([found], NOW),
            explain_text(found, "java-sdk", NOW),
        ):
            assert "None" not in text
