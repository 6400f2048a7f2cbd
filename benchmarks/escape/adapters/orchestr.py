"""orchestr itself: one workspace, a cell for each attempt, one real run of all of them.

What the run reported is read as its user would: warnings and failures of the attempt's cell in the
journal, beside a cell `honest` of which nothing may be reported.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tomli_w
import yaml

from benchmarks.escape.adapters.programs import explain_bwrap
from benchmarks.escape.attempt import Attempt, By, Room
from benchmarks.escape.programs import write_programs
from benchmarks.escape.scene import MOST, Scene, note_before
from benchmarks.escape.terminal import run_on_terminal
from orchestr.settings.sections import KEYS

FEATURE = "escape"
GREEN = {"kind": "command", "name": "green", "run": ["true"]}
AGENT = """\
SUPERVISOR=$PPID; export SUPERVISOR
list="{hostile}/$ORCHESTR_CELL.list"
[ -s "$list" ] && [ -n "{beside}" ] && until [ -e "{home}/canaries/works" ]; do sleep 0.1; done
for name in $(cat "$list" 2>/dev/null); do
    timeout -k 1 25 sh "{hostile}/$name.sh" < /dev/null 2>&1
    case $? in 98) exit 1 ;; 99) exit 0 ;; esac  # these words are to be its last
done
if [ "$ORCHESTR_CELL" = worker ]; then
    echo "at work"
    until [ -e "{home}/canaries/go" ]; do sleep 0.1; done
fi
echo "$ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"
"""
REVIEWER = """\
for name in {reviewed}; do
    [ "$ORCHESTR_CELL" = "$name" ] && sh "{hostile}/$name.sh" < /dev/null 2>&1
done
echo '{{"summary": "fine", "issues": []}}'
"""
REFUSES = """\
echo '{"summary": "no", "issues": [{"title": "no", "description": "no", "severity": "blocker", \
"places": [], "evidence": "seen"}]}'
"""
# Pages that a person looks at afterwards, for what reaches the terminal.
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x07]")
PAGES = {"output-escapes": "logs", "reason-escapes": "explain"}  # of which cell


class Orchestr:
    """The program of this repository, with each of its walls."""

    name = "orchestr"
    walls = ("none", "bwrap", "srt")

    def explain_unusable(self, wall: str) -> str | None:
        match wall:
            case "bwrap":
                return explain_bwrap()
            case "srt":
                return None if shutil.which("srt") else "srt is not on PATH"
        return None

    def can_try(self, attempt: Attempt) -> bool:
        return attempt.only in ("", self.name)

    def run(self, scene: Scene, wall: str) -> Mapping[str, tuple[str, ...]]:
        beside = any(attempt.room is Room.BESIDE for attempt in scene.attempts)
        write_workspace(scene, beside=beside)
        env = scene.environment()
        if "sandbox" in KEYS:
            env["ORCHESTR_SET_SANDBOX_MODE"] = wall
        with run_on_terminal(scene, env) as terminal:
            scene.terminal = terminal.name
            write_programs(scene)
            note_before(scene)
            with open_gate(scene, beside=beside):
                scene.run_code = terminal.run(
                    [sys.executable, "-m", "orchestr", "run", FEATURE, "--yes"]
                )
            for words in list_pages(scene):
                terminal.run([sys.executable, "-m", "orchestr", *words])
        for attempt in scene.attempts:
            folder = scene.workspace / ".orchestr"
            scene.worktrees[attempt.name] = folder / "worktrees" / FEATURE / attempt.cell
            scene.outputs[attempt.name] = read_cell_texts(scene, attempt.cell)
        reports = read_reports(scene)
        if reports.get("honest") and not any(a.room is Room.ALONE for a in scene.attempts):
            raise RuntimeError(f"something was reported of the honest cell: {reports['honest']}")
        return {
            a.name: (
                *a.pick_reports(reports.get(a.cell, ())),
                *(reports.get("worker", ()) if beside else ()),
                *a.pick_reports(read_warnings(scene), shared=True),
                *report_run_end(scene, a),
            )
            for a in scene.attempts
        }


def list_pages(scene: Scene) -> Iterator[list[str]]:
    """What the user looks at afterwards."""
    if {"terminal", "state"} & {attempt.group for attempt in scene.attempts}:
        yield ["status", FEATURE]
    for attempt in scene.attempts:
        if attempt.name in PAGES:
            yield [PAGES[attempt.name], f"{FEATURE}:{attempt.cell}"]


def write_workspace(scene: Scene, *, beside: bool) -> None:
    """Settings, the spec, the programs of agents and reviewers."""
    root, hostile = scene.workspace, scene.hostile
    (root / "specs").mkdir()
    (hostile / "agent.sh").write_text(
        AGENT.format(hostile=hostile, home=scene.home, beside="yes" if beside else "")
    )
    reviewed = " ".join(a.name for a in scene.attempts if a.by is By.REVIEWER) or "''"
    (hostile / "reviewer.sh").write_text(REVIEWER.format(reviewed=reviewed, hostile=hostile))
    (hostile / "refuses.sh").write_text(REFUSES)
    for shared in {a.cell for a in scene.attempts}:
        names = [a.name for a in scene.attempts if a.cell == shared and a.by is By.AGENT]
        (hostile / f"{shared}.list").write_text("\n".join(names))
    setups: dict[str, dict[str, list[str]]] = {}
    for a in scene.attempts:
        if a.by is By.SETUP:
            found = setups.setdefault(a.repo, {"setup": []})
            found["setup"].append(f"sh {hostile}/{a.name}.sh")
    agents = {name: {"kind": "command", "run": ["sh", f"{hostile}/{name}.sh"]}
              for name in ("agent", "reviewer", "refuses")}  # fmt: skip
    settings: dict[str, Any] = {
        "workspace": {"repos": "repos"},
        "agents": agents,
        "repos": setups,
        "limits": {"jobs": 2 if beside else 1, "timeout": "5m", "idle_timeout": "5m",
                   "grace": "1s", "memory": "400M", "pids": 150, "disk": "60M"},
        "forge": {"kind": "local"},
    }  # fmt: skip
    (root / "orchestr.toml").write_text(tomli_w.dumps(settings))
    cells: dict[str, dict[str, Any]] = {
        "honest": {"repo": "app"},
        "neighbour": {"repo": "app", "checks": [GREEN]},
    }
    for attempt in scene.attempts:
        if "$GATE" in attempt.program:  # a cell that waits for a person
            cells[f"gate-{attempt.name}"] = {"repo": "app", "approve": "publish"}
        if "$UPSTREAM" in attempt.program:  # a cell that it builds on
            cells[f"upstream-{attempt.name}"] = {"repo": attempt.repo}
    if beside:
        cells["worker"] = {"repo": "app"}
    for name in dict.fromkeys(attempt.cell for attempt in scene.attempts):
        cells[name] = describe_cell(scene, [a for a in scene.attempts if a.cell == name])
    for name, fields in cells.items():
        fields["todo"] = [f"do {name}"]
    spec = {
        "apiVersion": "orchestr/v1",
        "kind": "Feature",
        "metadata": {"name": FEATURE, "jira": "E-1", "title": "Escapes"},
        "defaults": {"agent": "agent", "repair": {"checks": 0, "reviews": 0}},
        "cells": cells,
    }
    (root / "specs" / f"{FEATURE}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def describe_cell(scene: Scene, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The cell of attempts that share it in the spec."""
    first = attempts[0]
    cell: dict[str, Any] = {"repo": first.repo, **first.spec}
    if first.room is Room.TOGETHER:
        gates = [f"gate-{a.name}" for a in attempts if "$GATE" in a.program]
        cell["depends_on"] = ["neighbour", *gates]
    if "$UPSTREAM" in first.program:
        cell["depends_on"] = [f"upstream-{first.name}"]
    if first.by is By.CHECK:
        cell["checks"] = [
            {"kind": "command", "name": a.name, "run": ["sh", str(scene.hostile / f"{a.name}.sh")]}
            for a in attempts
        ]
    if first.by is By.REVIEWER:
        cell["reviewers"] = [{"name": "hostile", "agent": "reviewer"}]
    return cell


@contextmanager
def open_gate(scene: Scene, *, beside: bool) -> Iterator[None]:
    """Let the others begin when the agent of `worker` works, and that one end after them."""
    over = threading.Event()

    def watch() -> None:
        names = {attempt.cell for attempt in scene.attempts}
        while not over.wait(0.1):
            events = read_journal(scene)
            if "at work" in read_cell_texts(scene, "worker"):
                (scene.home / "canaries/works").touch()
            ended = {e.get("cell") for e in events if e["kind"] == "phase.failed"
                     or (e["kind"] == "phase.done" and e.get("phase") == "implement")}  # fmt: skip
            if names <= ended:
                (scene.home / "canaries/go").touch()
                return

    thread = threading.Thread(target=watch, daemon=True)
    if beside:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if beside:
            thread.join()


def read_journal(scene: Scene) -> list[dict[str, Any]]:
    """Every event that can be read."""
    path = scene.workspace / ".orchestr/journal" / f"{FEATURE}.jsonl"
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "kind" in event:
            found.append(event)
    return found


def read_reports(scene: Scene) -> dict[str, tuple[str, ...]]:
    """Cell -> its warnings and failures."""
    reports: dict[str, list[str]] = {}
    for event in read_journal(scene):
        reason = event.get("data", {}).get("reason") or event.get("data", {}).get("error")
        if event["kind"] in ("cell.warned", "phase.failed", "attempt.given-back") and reason:
            reports.setdefault(event.get("cell") or "", []).append(str(reason))
    return {cell: tuple(dict.fromkeys(reasons)) for cell, reasons in reports.items()}


def read_warnings(scene: Scene) -> tuple[str, ...]:
    """What was reported of no cell: the warnings that the terminal showed."""
    lines = CONTROLS.sub("\n", scene.shown.decode(errors="replace")).splitlines()
    found = (line.strip() for line in lines)
    return tuple(dict.fromkeys(line for line in found if line.startswith("warning: ")))


def report_run_end(scene: Scene, attempt: Attempt) -> tuple[str, ...]:
    """What the end of the run shows of an attempt that had the run to itself."""
    if attempt.room is not Room.ALONE or scene.run_code in (0, 1):
        return ()
    last = scene.shown.decode(errors="replace").strip().splitlines()[-1:]
    return (f"the run ended with {scene.run_code}: {' '.join(last)}",)


def read_cell_texts(scene: Scene, cell: str) -> str:
    """All texts of the cell's folder: transcripts, logs of checks and set-up, answers."""
    folder = scene.workspace / ".orchestr/cells" / FEATURE / cell
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.stat().st_size < MOST]
    return "\n".join(file.read_text(errors="replace") for file in files)
