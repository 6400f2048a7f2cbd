"""A whole workspace in a temporary folder, used as a person uses it: through the program.

Real repositories with bare origins, real processes, the command agent, the local forge. The
default agent notes its start in `agent.log` (outside every worktree) and writes one file named
after its cell; `say` gives a cell its content, `script` replaces what the cell's agent does.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psutil
import tomli_w
import yaml

from tests.conftest import Sandbox, git, without_our_variables, write
from tests.fork_server import Process, run_process

T = TypeVar("T")
FEATURE = "demo"
JIRA = "T-1"
PATIENCE = 120.0  # s; what is waited for in a test happens long before

AGENT = """\
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
echo "working on $ORCHESTR_CELL"
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then
    . "$AGENT_DIR/$ORCHESTR_CELL.sh"
elif [ -f "$AGENT_DIR/$ORCHESTR_CELL.in" ]; then
    cp "$AGENT_DIR/$ORCHESTR_CELL.in" "$ORCHESTR_CELL.txt"
else
    echo "attempt $ORCHESTR_ATTEMPT" >> "$ORCHESTR_CELL.txt"
fi
"""
DODO = "from orchestr.dodo import *  # noqa: F403\n\nTHIS_IS = 'a workspace'\n"


class Spawned(Process):
    """A program at work; what it says goes to the files ``out`` and ``err``."""

    out: Path
    err: Path

    def said(self) -> str:
        """Both streams so far."""
        return self.out.read_text() + self.err.read_text()

    def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit code, waited for."""
        return self.wait(timeout)


COMMENTS = "# a comment\n" * 10_000


class Workspace:
    """The paths and the hands of a test. Make one with `Workspace.make`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repos = root / "repos"
        self.log = root / "agent.log"
        self.agents = root / "agents"
        self._spawned: list[Spawned] = []

    # ---- making ---------------------------------------------------------------------------

    @classmethod
    def make(
        cls,
        root: Path,
        *,
        repos: Sequence[str] = ("app",),
        cells: Mapping[str, Mapping[str, Any]] | None = None,
        spec: str | None = None,
        agent: str = AGENT,
        settings: Mapping[str, Any] | None = None,
        dodo: str | None = DODO,
        **top: Any,
    ) -> Workspace:
        """A workspace with ``repos`` and one feature `demo`, from ``cells`` or the text ``spec``.

        ``settings`` is merged into `orchestr.toml`, ``top`` into the spec (`defaults=...`).
        """
        made = cls(root)
        root.mkdir(parents=True, exist_ok=True)
        made.agents.mkdir()
        (root / "specs").mkdir()
        for name in repos:
            made.repo(name)
        (root / "agent.sh").write_text(agent)
        if dodo is not None:
            (root / "dodo.py").write_text(dodo)
        made.settings(**(settings or {}))
        if spec is not None:
            (root / "specs" / f"{FEATURE}.yaml").write_text(spec)
        elif cells is not None:
            made.spec(cells, **top)
        return made

    def repo(self, name: str, files: Mapping[str, str | bytes] | None = None) -> Sandbox:
        """A new repository `repos/NAME` with one commit on main, and its origin `NAME.git`."""
        path, bare = self.repos / name, self.repos / f"{name}.git"
        shutil.copytree(template() / "one", path)
        shutil.copytree(template() / "one.git", bare)
        config = path / ".git" / "config"
        config.write_text(config.read_text().replace(str(template() / "one.git"), str(bare)))
        sandbox = Sandbox(path, bare)
        if files:
            sandbox.commit(files, "its files", push=True)
        return sandbox

    def settings(self, **tables: Any) -> None:
        """Write `orchestr.toml`: small limits, one agent `sh`; ``tables`` are merged in."""
        value: dict[str, Any] = {
            "workspace": {"repos": "repos"},
            "agents": {
                "sh": {
                    "kind": "command",
                    "run": ["sh", "agent.sh"],
                    "env": {"AGENT_LOG": str(self.log), "AGENT_DIR": str(self.agents)},
                }
            },
            "limits": {"jobs": 4, "timeout": "60s", "idle_timeout": "60s", "grace": "1s"},
            "forge": {"kind": "local"},
            # Behind a wall a test's agent still notes its starts, and tests speak to it by files.
            "sandbox": {"write": [str(self.log), str(self.agents)]},
        }
        self.log.touch()
        (self.root / "orchestr.toml").write_text(tomli_w.dumps(merged(value, tables)))

    def spec(
        self,
        cells: Mapping[str, Mapping[str, Any]],
        *,
        feature: str = FEATURE,
        while_agents_work: bool = False,
        **top: Any,
    ) -> None:
        """Write `specs/FEATURE.yaml`. A cell needs nothing: repository `app`, a todo of its own.

        ``while_agents_work``: so much is written, and not at the end, that an agent cannot have
        done it in the time of a look at it, however seldom a busy machine looks.
        """
        full = {name: {"repo": "app", "todo": [f"do {name}"], **cell}
                for name, cell in cells.items()}  # fmt: skip
        value = {
            "apiVersion": "orchestr/v1",
            "kind": "Feature",
            "metadata": {"name": feature, "jira": JIRA, "title": f"The {feature}"},
            **merged({"defaults": {"agent": "sh"}}, top),
            "cells": full,
        }
        text = (COMMENTS if while_agents_work else "") + yaml.safe_dump(value, sort_keys=False)
        (self.root / "specs" / f"{feature}.yaml").write_text(text)

    def edit_spec(
        self, old: str, new: str, *, feature: str = FEATURE, while_agents_work: bool = False
    ) -> None:
        """Replace ``old``, which must be there, once; ``while_agents_work``: see `spec`."""
        path = self.root / "specs" / f"{feature}.yaml"
        text = path.read_text()
        assert old in text, f"{old!r} is not in {text}"
        more = COMMENTS if while_agents_work else ""
        path.write_text(more + text.replace(old, new, 1))

    def say(self, cell: str, text: str) -> None:
        """What the default agent writes into `CELL.txt` from now on."""
        (self.agents / f"{cell}.in").write_text(text)

    def script(self, cell: str, text: str | None) -> None:
        """What the agent of ``cell`` does instead (sh; None: the default again)."""
        path = self.agents / f"{cell}.sh"
        if text is None:
            path.unlink()
        else:
            path.write_text(text)

    # ---- the program ----------------------------------------------------------------------

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The test's environment (HOME is a temporary folder already) without our variables."""
        ours = without_our_variables(os.environ)
        kept = {k: v for k, v in ours.items() if not k.startswith("AGENT_")}
        kept.pop("NO_COLOR", None)
        return {**kept, "PYTHONWARNINGS": "default", **(extra or {})}

    def run(
        self, *args: str, env: Mapping[str, str] | None = None, stdin: str | None = None,
        code: int | None = None, module: str = "orchestr", cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """`orchestr ARGS`, to its end. With ``code`` its exit code must be that."""
        done = run_process(
            [sys.executable, "-m", module, *args],
            cwd=cwd or self.root,
            env=self.env(env),
            stdin=subprocess.DEVNULL,
            input=stdin,
            text=True,
            timeout=PATIENCE * 2,
        )
        if code is not None:
            assert done.returncode == code, (
                f"exit {done.returncode}: {' '.join(args)}\n{both(done)}"
            )
        assert "Traceback" not in both(done), both(done)
        return done

    def doit(self, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Plain `doit ARGS` with the workspace's `dodo.py`."""
        return self.run(*args, module="doit", **more)

    def spawn(self, *args: str, env: Mapping[str, str] | None = None) -> Spawned:
        """`orchestr ARGS`, not waited for. `end` (the fixture) kills what is left."""
        number = len(self._spawned)
        out, err = self.root / f"spawned-{number}.out", self.root / f"spawned-{number}.err"
        with out.open("wb") as one, err.open("wb") as two:
            child = Spawned(
                [sys.executable, "-m", "orchestr", *args],
                cwd=self.root, env=self.env(env), stdin=subprocess.DEVNULL, stdout=one, stderr=two,
            )  # fmt: skip
        child.out, child.err = out, err
        self._spawned.append(child)
        return child

    def end(self) -> None:
        """Kill what this workspace started and is still there."""
        for child in self._spawned:
            if child.poll() is None:
                child.kill()
            child.wait()
        for process in self.processes():
            with_suppressed(process.kill)

    def processes(self) -> list[psutil.Process]:
        """Supervisors and agents of this workspace that live."""
        mine = str(self.root)
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values()]
                dead = process.status() == psutil.STATUS_ZOMBIE
            except (psutil.Error, OSError):
                continue
            ours = any(word.startswith((f"{mine}/.orchestr/", f"{mine}/agent")) for word in words)
            if ours and not dead and process.pid != os.getpid():
                found.append(process)
        return found

    # ---- what came out --------------------------------------------------------------------

    def cell_dir(self, cell: str, feature: str = FEATURE) -> Path:
        return self.root / ".orchestr" / "cells" / feature / cell

    def worktree(self, cell: str, feature: str = FEATURE) -> Path:
        return self.root / ".orchestr" / "worktrees" / feature / cell

    def starts(self, cell: str | None = None) -> list[str]:
        """`CELL ATTEMPT` for every process of the default agent so far, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if cell is None or line.split()[0] == cell]

    def journal(self, feature: str = FEATURE, kind: str | None = None) -> list[dict[str, Any]]:
        """The events of a feature, all or of one kind."""
        path = self.root / ".orchestr" / "journal" / f"{feature}.jsonl"
        text = path.read_text() if path.exists() else ""
        events = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [event for event in events if kind in (None, event["kind"])]

    def last_run(self, feature: str = FEATURE) -> list[str]:
        """`CELL:PHASE` of what the newest run made, sorted."""
        events = self.journal(feature)
        run = next(e["run"] for e in reversed(events) if e["kind"] == "run.started")
        return sorted(
            f"{e['cell']}:{e['phase']}"
            for e in events
            if e.get("run") == run and e["kind"] == "phase.done" and e.get("data", {}).get("made")
        )

    def prs(self, repo: str | None = None) -> dict[str, dict[str, Any]]:
        """Every pull request by its address."""
        files = sorted((self.root / ".orchestr" / "forge").glob(f"{repo or '*'}/[0-9]*.toml"))
        found = [tomllib.loads(path.read_text()) for path in files]
        for pr in found:
            pr.pop("base_sha", None)  # where the forge saw the base, its own affair
        return {pr["url"]: pr for pr in found}

    def pr(self, cell: str, feature: str = FEATURE) -> dict[str, Any]:
        """The pull request of a cell, by its `pr-url`."""
        return self.prs()[self.result(cell, "pr-url", feature)]

    def result(self, cell: str, name: str, feature: str = FEATURE) -> str:
        """A result file's text, stripped."""
        return (self.cell_dir(cell, feature) / name).read_text().strip()

    def heads(self, repo: str = "app") -> dict[str, str]:
        """Branch -> commit at the origin."""
        lines = git(self.repos / f"{repo}.git", "for-each-ref", "refs/heads",
                    "--format=%(refname:lstrip=2) %(objectname)").splitlines()  # fmt: skip
        return dict(line.split() for line in lines)

    def branch(self, cell: str) -> str:
        return f"{JIRA}-{cell}"

    def head(self, cell: str, repo: str = "app") -> str:
        """The cell's head at the origin."""
        return self.heads(repo)[self.branch(cell)]

    def show(self, cell: str, path: str, repo: str = "app") -> str:
        """A file of the cell's branch at the origin."""
        return git(self.repos / f"{repo}.git", "show", f"{self.branch(cell)}:{path}")

    def status(self, feature: str = FEATURE) -> dict[str, dict[str, Any]]:
        """`status --json`: the cells of a feature by name."""
        value = json.loads(self.run("status", feature, "--json", code=0).stdout)
        return {cell["name"]: cell for f in value["features"] for cell in f["cells"]}

    def states(self, feature: str = FEATURE) -> dict[str, str]:
        """Cell -> state."""
        return {name: cell["state"] for name, cell in self.status(feature).items()}


def both(done: subprocess.CompletedProcess[str]) -> str:
    """stdout and stderr, for messages."""
    return f"{done.stdout}{done.stderr}"


def nothing_to_do(ws: Workspace, *args: str) -> None:
    """The next run starts no agent, makes nothing, pushes nothing, and says so."""
    starts, heads, prs = ws.starts(), ws.heads(), ws.prs()
    done = ws.run("run", FEATURE, *args, code=0)
    assert done.stdout.startswith("nothing to be done: "), both(done)
    assert (ws.starts(), ws.heads(), ws.prs(), ws.last_run()) == (starts, heads, prs, [])


def leave_agent_at_work(ws: Workspace, cell: str = "a") -> Path:
    """The run is killed, the cell's agent works on; it ends when the file is there."""
    gate = ws.agents / "go"
    ws.script(cell, f'while [ ! -e "{gate}" ]; do sleep 0.05; done; echo x > {cell}.txt\n')
    run = ws.spawn("run", FEATURE)
    wait_for(lambda: ws.starts() or None, "its start")
    run.kill()
    run.wait()
    return gate


def wait_for(look: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
    """Poll until ``look`` gives something true."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout:g} s for {what}")


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``more`` over ``base``, table by table."""
    both_have = {
        key: merged(base[key], value) if isinstance(base.get(key), Mapping) else value
        for key, value in more.items()
        if isinstance(value, Mapping)
    }
    return {**base, **more, **both_have}


def with_suppressed(call: Callable[[], Any]) -> None:
    """Call it; a process that ended meanwhile is no error."""
    try:
        call()
    except psutil.Error:
        return


@cache
def template() -> Path:
    """One repository and its origin, made once; tests get copies."""
    folder = Path(tempfile.mkdtemp(prefix="orchestr-e2e-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, bare = folder / "one", folder / "one.git"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main", "--template=")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare))
    write(path, {"README.md": "# a repository\n"})
    git(path, "add", "-A")
    git(path, "commit", "--quiet", "-m", "first")
    git(path, "remote", "add", "origin", str(bare))
    git(path, "push", "--quiet", "origin", "main")
    git(path, "fetch", "--quiet", "origin")
    git(path, "remote", "set-head", "origin", "main")
    return folder
