"""The workspaces of `make_workspace.py`: what stands in them, and how it came to stand so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import GLOBAL, git
from tests.crash.house import House, wait_for
from tests.landing.house import CHAIN, Yard

TOP = Path(__file__).parents[2]
# Notes each start; says or plans what its script does, else writes a file named after its cell.
# A gate keeps it at work.
AGENT = """\
if [ -n "$ORCHESTR_PLAN_FILE" ]; then
    echo "plan $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
    echo "## Plan $ORCHESTR_ATTEMPT of $ORCHESTR_CELL"
    echo "- write $ORCHESTR_CELL.txt"
    exit
fi
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
echo "working on $ORCHESTR_CELL"
while [ -e "$AGENT_DIR/$ORCHESTR_CELL.gate" ]; do sleep 0.05; done
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then . "$AGENT_DIR/$ORCHESTR_CELL.sh"
else echo "attempt $ORCHESTR_ATTEMPT" >> "$ORCHESTR_CELL.txt"; fi
echo "end $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""
REVIEWER = """\
echo "$ORCHESTR_REVIEWER $ORCHESTR_CELL" >> "$AGENT_LOG"
if grep -q good state.txt 2>/dev/null; then echo '{"summary": "I read it.", "issues": []}'; exit; fi
echo '{"summary": "I read it.", "issues": [{"title": "It is bad", "description": "See there.",'
echo '"severity": "blocker", "places": [{"path": "state.txt", "line": 1}], "evidence": "line 1"},'
echo '{"title": "Short", "description": "", "severity": "skippable", "places": [],'
echo '"evidence": ""}]}'
"""
LIMITED = (
    'if [ ! -e "$AGENT_DIR/$ORCHESTR_CELL.was" ]; then touch "$AGENT_DIR/$ORCHESTR_CELL.was"\n'
    'echo "come back later"; exit 75; fi\n'
    'echo "after the limit" > "$ORCHESTR_CELL.txt"\n'
)
MENDS = 'if [ -n "$ORCHESTR_ROUND" ]; then echo "{}" > state.txt; else echo "{}" > state.txt; fi\n'
GOOD = {"kind": "command", "name": "state", "run": ["grep", "-q", "fine", "state.txt"]}
HISTORY = 10_000  # lines of the long journal


class Made(House):
    """A workspace whose processes see nothing of this machine but its programs."""

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**neutral(self.root), **(extra or {})}


class Land(Yard):
    """The same for landings."""

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**neutral(self.root), **(extra or {})}


def neutral(root: Path) -> dict[str, str]:
    """An environment without paths and names of this machine; HOME lies in the workspace."""
    home = root / "home"
    config = home / "gitconfig"
    if not config.exists():
        home.mkdir(parents=True, exist_ok=True)
        config.write_text(GLOBAL)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "USER": "tess",
        "LOGNAME": "tess",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DEMO_PAUSE": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(TOP),
    }


def demo(root: Path) -> Made:
    """The demo: six cells of four repositories, built."""
    for name in ("orchestr.toml", "demo/make.py", "demo/agent.py", "demo/reviewer.py",
                 "specs/mlkem.yaml"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TOP / name, root / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TOP / "demo/content", root / "demo/content", ignore=ignored)
    ws = Made(root)
    ws.run("run", "mlkem", code=0)
    ws.run("run", "mlkem", code=0)
    return ws


def house(root: Path) -> Made:
    """A small feature for each thing that can become of a cell."""
    ws = Made.make(root, repos=("app", "web", "tests"), agent=AGENT)
    (root / "reviewer.sh").write_text(REVIEWER)
    env = {"AGENT_LOG": str(ws.log), "AGENT_DIR": str(ws.agents)}
    reader = {"kind": "command", "run": ["sh", "reviewer.sh"], "env": env}
    limited = {"kind": "command", "run": ["sh", "agent.sh"], "env": env, "retry_after": "300s"}
    ws.settings(
        agents={"default": "sh", "eve": reader, "bob": reader, "limited": limited},
        limits={"grace": "0.3s"},
    )
    for make in (_adopted, _mixed, _gates, _proof, _contract, _stopped, _fresh, _limits, _killed):
        make(ws)
    _long(ws)
    return ws


def feature(ws: House, name: str, key: int, cells: Mapping[str, Mapping[str, Any]],
            **top: Any) -> None:  # fmt: skip
    """A spec with a key of its own, so that no two features share a branch."""
    title = f"The {name} feature"
    ws.spec(cells, feature=name, metadata={"name": name, "jira": f"T-{key}", "title": title}, **top)


def _adopted(ws: Made) -> None:
    """One cell adopted from an open pull request, one from a merged one."""
    from orchestr.forges.base import RepoRef
    from orchestr.forges.local import LocalForge

    feature(ws, "adopt", 1, {"opened": {}, "merged": {"repo": "web"}})
    ws.run("run", "adopt", code=0)
    state = ws.root / ".orchestr"
    forge = LocalForge(state / "forge")
    forge.merge(RepoRef("web", ws.repos / "web"), 1)
    ws.run("clean", "adopt", code=0)
    shutil.rmtree(state / "cells" / "adopt")
    (state / "journal" / "adopt.jsonl").unlink()
    ws.run("run", "adopt", code=0)
    assert len(ws.journal("adopt", "cell.adopted")) == 2


def _mixed(ws: Made) -> None:
    """Done, failed, blocked, no_change_needed, ignored, forgotten, pushed by hand."""
    feature(ws, "mixed", 2, {
        "well": {}, "upon": {"depends_on": ["well"]}, "fails": {},
        "after": {"depends_on": ["fails"]}, "nothing": {"owned_paths": ["nothing.txt"]},
        "skipped": {}, "again": {"repo": "web"},
        "hand": {"repo": "tests", "action": "push", "branch": "T-2-by-hand"},
    })  # fmt: skip
    tests = ws.repos / "tests"
    git(tests, "checkout", "--quiet", "-b", "T-2-by-hand")
    (tests / "hand.txt").write_text("of a person\n")
    git(tests, "add", "-A")
    git(tests, "commit", "--quiet", "-m", "test: by hand (T-2)")
    ws.script("fails", 'echo "I cannot"; echo half > fails.txt; exit 3\n')
    ws.script("nothing", 'echo "ORCHESTR no_change_needed: it is there already"\n')
    ws.run("ignore", "mixed:skipped", code=0)
    ws.run("run", "mixed", code=1)
    ws.run("forget", "mixed:again", code=0)


def _gates(ws: Made) -> None:
    """Plans and publications that wait, were approved, were refused."""
    feature(ws, "gates", 3, {
        "planned": {"approve": "plan"}, "behind": {"depends_on": ["planned"]},
        "agreed": {"approve": ["plan", "publish"]}, "replan": {"approve": "plan"},
        "refused": {"approve": "publish"},
        "through": {"approve": ["plan", "publish"], "repo": "web"},
    })  # fmt: skip
    ws.run("run", "gates", code=1)
    no = ("--reject", "--reason", "tests are missing", "--yes")
    ws.run("approve", "gates:agreed", "--yes", code=0)
    ws.run("approve", "gates:through", "--yes", code=0)
    ws.run("approve", "gates:refused", *no, code=0)
    ws.run("run", "gates", code=1)
    ws.run("approve", "gates:through", "--yes", code=0)
    ws.run("run", "gates", code=1)
    ws.run("approve", "gates:replan", *no, code=0)


def _proof(ws: Made) -> None:
    """Repairs of checks and reviews, red that stays, partial, cross checks, ports."""
    feature(ws, "proof", 4, {
        "mended": {"checks": [GOOD], "reviewers": [{"agent": "eve"}, {"agent": "bob"}]},
        "partial": {"checks": [{**GOOD, "run": ["false"]}], "allow_partial": True,
                    "repair": {"checks": 1}},
        "stays": {"repo": "web", "checks": [GOOD], "repair": {"checks": 2}},
        "ports": {"ports": True, "checks": [{"kind": "command", "run": ["test", "-n", "$PORT"]},
                                            {"kind": "tests", "run": ["sh", "-c", TESTS]}]},
    }, cross_checks=[TOGETHER])  # fmt: skip
    ws.script("mended", STEPS)
    ws.script("partial", 'echo "$ORCHESTR_ROUND" > partial.txt\n')
    ws.script("stays", 'echo "bad $ORCHESTR_ROUND" > state.txt\n')
    ws.run("run", "proof", code=1)


TOGETHER = {"kind": "command", "repo": "app", "name": "together", "run": ["true"]}
TESTS = 'echo \'[{"test_name": "adds", "passed": true}]\''
# First nothing that a check or a reviewer likes; the check is mended, then what reviewers found.
STEPS = """\
case "$ORCHESTR_REPAIR" in
    check) echo fine > state.txt ;;
    review) echo "fine and good" > state.txt ;;
    *) echo bad > state.txt ;;
esac
"""


def _contract(ws: Made) -> None:
    """An amendment that nobody has handed over, and one that was; work given back once."""
    owner = 'mkdir -p api; [ -f api/a.txt ] || echo v1 > api/a.txt\nif grep -q "Amend api/a.txt" '
    owner += '"$ORCHESTR_PROMPT_FILE"; then echo v2 >> api/a.txt; fi\n'
    user = 'echo "$ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"\n'
    user += "grep -q v2 api/a.txt || echo v2 >> api/a.txt\n"
    feature(ws, "contract", 5, {
        "api": {"owned_paths": ["api.txt"]},
        "use": {"depends_on": ["api"], "owned_paths": ["use.txt"]},
        "asks": {"depends_on": ["api"], "owned_paths": ["asks.txt"]},
        "back": {"owned_paths": ["back.txt"]},
    }, contracts=[{"path": "api/*.txt", "owner": "api"}])  # fmt: skip
    ws.script("api", owner)
    ws.script("use", user)
    ws.script("asks", 'echo "ORCHESTR amend api/a.txt: it needs v3"\n')
    ws.script("back", "echo back > back.txt; grep -q 'not accepted as it is' "
              '"$ORCHESTR_PROMPT_FILE" && git checkout -q T-5-back~0 -- README.md && '
              "git checkout -q main -- README.md || echo x >> README.md\n")  # fmt: skip
    ws.run("run", "contract", code=1)
    ws.run("amend", "contract:use", code=0)


def _stopped(ws: Made) -> None:
    """Ctrl+C and `abort` while agents work."""
    feature(ws, "stopped", 6, {"first": {}, "second": {"depends_on": ["first"]}, "other": {}})
    ws.close("first", "other")
    run = ws.spawn("run", "stopped")
    wait_for(lambda: {"first 1", "other 1"} <= set(ws.starts()), "the agents")
    ws.run("abort", "stopped:other", code=0)
    run.send_signal(signal.SIGINT)
    run.ended()
    ws.quiet()
    ws.open("first", "other")


def _fresh(ws: Made) -> None:
    """`--force` and `--fresh`, done; attempts with refs that keep the old heads."""
    feature(ws, "fresh", 7, {"base": {}, "next": {"depends_on": ["base"]}})
    ws.script("base", 'echo it > "base-$ORCHESTR_ATTEMPT.txt"\n')
    ws.run("run", "fresh", code=0)
    ws.run("run", "fresh:base", "--force", code=0)
    ws.run("run", "fresh:base", "--fresh", code=0)
    ws.run("run", "fresh", code=0)


def _limits(ws: Made) -> None:
    """Killed while one cell waits for the end of a usage limit."""
    feature(ws, "limits", 8, {"waits": {"agent": "limited"}, "free": {}})
    ws.script("waits", LIMITED)
    run = ws.spawn("run", "limits")
    wait_for(lambda: ws.journal("limits", "attempt.limited"), "the limit")
    wait_for(lambda: ws.states("limits")["free"] == "done", "the other cell")
    run.kill()
    run.ended()
    ws.quiet()


def _killed(ws: Made) -> None:
    """Killed while agents work: one ends by itself, one is killed with its supervisor."""
    feature(
        ws, "killed", 9, {"ends": {}, "lost": {"repo": "web"}, "then": {"depends_on": ["ends"]}}
    )
    ws.close("ends", "lost")
    run = ws.spawn("run", "killed")
    wait_for(lambda: {"ends 1", "lost 1"} <= set(ws.starts()), "the agents")
    run.kill()
    run.ended()
    folder = ws.cell_dir("lost", "killed") / "attempts" / "1"
    presence = json.loads((folder / "supervisor.json").read_text())
    left = [presence["pid"], presence["agent_pid"]]  # of this very attempt: started above
    left += [p.pid for p in psutil.Process(presence["agent_pid"]).children(recursive=True)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    ws.open("ends")
    exit_file = ws.cell_dir("ends", "killed") / "attempts" / "1" / "exit.json"
    wait_for(exit_file.exists, "the end of the agent that nobody waits for")
    ws.quiet()
    ws.open("lost")


def _long(ws: Made) -> None:
    """A feature that was built again and again: its journal has `HISTORY` lines and more.

    Made of the lines of one real run and one real `--force`, an hour earlier each time.
    """
    feature(ws, "long", 10, {"low": {}, "high": {"depends_on": ["low"]}, "far": {"repo": "web"}})
    ws.script("low", "echo low > low.txt\n")
    ws.run("run", "long", code=0)
    ws.run("run", "long", "--force", code=0)
    path = ws.root / ".orchestr" / "journal" / "long.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    copies = HISTORY // len(lines) + 1
    with path.open("w", encoding="utf-8") as stream:
        for copy in range(copies, 0, -1):
            for line in lines:
                event = json.loads(line)
                at = datetime.fromisoformat(event["ts"]) - timedelta(hours=copy)
                event["ts"] = at.isoformat(timespec="milliseconds")
                if "run" in event:
                    event["run"] = f"{event['run'][:-4]}{copy:04x}"
                text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
                stream.write(f"{text}\n")
        stream.writelines(lines)


# A conflict: what it wrote clashes with the work of `low`; asked again, it takes both in.
CLASH = """\
if grep -q "<<<<<<<" low.txt 2>/dev/null; then printf "both\\n" > low.txt
    git commit -qam "merge low (T-1)"
else echo "work of clash" > low.txt; fi
"""


def yard(root: Path) -> Land:
    """Landings: one rolled back, one with a conflict left to a person, one killed half-way."""
    cells = {**CHAIN, "clash": {}}
    made = Land.ready(root, cells, build=False, repos=("app", "web", "lib", "etc"),
                      scripts={"clash": CLASH})  # fmt: skip
    feature(made, "back", 2, {"first": {"repo": "lib"},
                              "second": {"repo": "lib", "depends_on": ["first"]}})  # fmt: skip
    feature(made, "parked", 3, {"one": {"repo": "etc"}, "two": {"repo": "etc"},
                                "three": {"repo": "etc", "approve": "publish"}})  # fmt: skip
    for name in ("one", "two"):
        made.script(name, f"echo {name} > shared.txt\n")
    made.run("run", "demo", code=0)
    made.run("run", "back", code=0)
    made.run("run", "parked", code=1)
    made.run("land", "back", "--yes", code=0)
    made.run("rollback", "back", "--yes", code=0)
    made.script("two", "exit 1\n")
    made.run("land", "parked", "--yes", code=1)
    killed = made.crash("journal:after#land.repair", "land", "demo", "--yes")
    assert killed.returncode == -signal.SIGKILL, killed
    made.quiet()
    return made


def pushed(root: Path) -> Land:
    """A landing that was killed when its first push was at the origin and nobody had noted it."""
    made = Land.ready(root, dict(CHAIN), build=False)
    made.run("run", "demo", code=0)
    killed = made.crash("push:after#1", "land", "demo", "--yes")
    assert killed.returncode == -signal.SIGKILL, killed
    assert made.history() == ["low"] and not made.queue_events("Landed")
    made.quiet()
    return made


HOUSES = {"demo": demo, "house": house, "yard": yard, "pushed": pushed}
FEATURES = {
    "demo": ("mlkem",),
    "house": ("adopt", "mixed", "gates", "proof", "contract", "stopped", "fresh", "limits",
              "killed", "long"),
    "yard": ("demo", "back", "parked"),
    "pushed": ("demo",),
}  # fmt: skip
PYTHON = sys.executable
