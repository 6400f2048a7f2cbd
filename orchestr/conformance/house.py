"""A temporary workspace with a home of its own, in which one agent is tried once.

Real git, real processes, the local forge. Nothing of the user goes in: its environment is made
anew, its home is empty but for what leads the agent to the scripted model, its keys are fake, and
the only proxy that it knows is the scripted model itself, which lets nothing through.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from orchestr.conformance.connect import Connection
from orchestr.conformance.evidence import Evidence
from orchestr.conformance.judges import SECRET
from orchestr.conformance.trials import FILES, Play, Trial, write_spec
from orchestr.errors import OrchestrError
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT
from orchestr.process.run import kill_marked, run_command
from orchestr.process.tree import WORKTREE, list_attempt_processes, read_command_line
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.replay import replay

FEATURE, CELL, REPO = "trial", "a", "app"
TRIAL_SECONDS = 150.0  # of one `orchestr run`
SETTLE = 3.0  # seconds in which processes may end after the run
LISTED = ("a.txt", "env.txt")
LINGER = """\
#!/bin/sh
case " $* " in *" --version "*) exec "$@" ;; esac
"$@"
code=$?
sleep 600
exit $code
"""
IDENTITY = {"user.name": "Trial", "user.email": "trial@localhost", "commit.gpgSign": "false"}

Runner = Callable[[Sequence[str], Path, Mapping[str, str], float], tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The agent that is tried: its table of `orchestr.toml`, with what it needs of the machine.

    ``table`` is `[agents.NAME]` as a user has it, without keys; words of its command are absolute
    where they are files. ``connect`` leads it to the model at an address, ``path`` is the PATH that
    its program is found on.
    """

    name: str
    table: Mapping[str, Any]
    connect: Callable[[str], Connection]
    path: str


def run_orchestr(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, str]:
    """`orchestr ARGV` to its end: exit code and text. At its limit it is ended with all of it."""
    words = (sys.executable, "-m", "orchestr", *argv)
    try:
        done = run_command(words, cwd=cwd, env=env, timeout=timeout, check=False)
    except OrchestrError as error:
        return 124, error.message
    return done.code, done.text + done.err.decode("utf-8", "replace")


class House:
    """One workspace below ``root``, with one agent and the cell of one trial."""

    def __init__(self, root: Path, subject: Subject, trial: Trial, play: Play) -> None:
        self.root = root
        self.subject = subject
        self.trial = trial
        self.play = play
        self.connection = subject.connect(play.model.url)
        self.layout = WorkspaceLayout(root, root / ".orchestr", root / ".orchestr" / "worktrees")
        self.origin = Repo(root / "repos" / f"{REPO}.git")

    def build(self) -> None:
        """The repository with its origin, the settings, the spec, the home."""
        for name in ("repos", "specs", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.make_home()
        (self.root / "linger.sh").write_text(LINGER, encoding="utf-8")
        (self.root / "linger.sh").chmod(0o755)
        self._make_repository()
        (self.root / "orchestr.toml").write_text(tomli_w.dumps(self.make_settings()))
        spec = write_spec(self.trial, self.subject.name)
        (self.root / "specs" / f"{FEATURE}.yaml").write_text(spec, encoding="utf-8")

    def make_home(self) -> None:
        """A home with an identity for git, and what leads the agent to the model."""
        files = {
            ".gitconfig": "[user]\n\tname = Trial\n\temail = trial@localhost\n",
            **self.connection.files,
        }
        for name, text in files.items():
            target = self.root / "home" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def _make_repository(self) -> None:
        place = self.root / "repos" / REPO
        place.mkdir()
        clone = Repo(place, config=IDENTITY)
        clone.run_git("init", "--quiet", "--template=", "--initial-branch=main")
        for name, text in {**FILES, **self.trial.files}.items():
            (place / name).write_text(text, encoding="utf-8")
        clone.run_git("add", "--all")
        clone.run_git("commit", "--quiet", "-m", "first")
        Repo(self.root).run_git("clone", "--quiet", "--bare", str(place), str(self.origin.path))
        clone.run_git("remote", "add", "origin", str(self.origin.path))
        clone.run_git("fetch", "--quiet", "origin")
        clone.run_git("remote", "set-head", "origin", "main")

    def make_settings(self) -> dict[str, Any]:
        """The tables of `orchestr.toml`."""
        agent = self.make_agent()
        if self.trial.lingers:
            agent |= self._linger(agent)
        limits = {"jobs": 1, "timeout": "120s", "idle_timeout": "60s", "grace": "2s",
                  **self.trial.limits}  # fmt: skip
        return {
            "workspace": {"repos": "repos"},
            "agents": {"default": self.subject.name, self.subject.name: agent},
            "repos": {REPO: {"tools": ["sh"]}},
            "limits": limits,
            "forge": {"kind": "local"},
            "sandbox": {"mode": "none"},
        }

    def make_agent(self) -> dict[str, Any]:
        """The agent's table, led to the model, free, with short waits."""
        agent = dict(self.subject.table)
        env = {**agent.get("env", {}), **self.connection.env}
        agent |= {"env": env, "paid": False, "retry_after": "1s", "retry_max": "2s"}
        if self.connection.model and "model" not in agent:
            agent["model"] = self.connection.model
        return agent

    def _linger(self, agent: Mapping[str, Any]) -> dict[str, Any]:
        """The same agent, whose program stays for ten minutes after its end."""
        wrapper = str(self.root / "linger.sh")
        if "run" in agent:
            return {"run": [wrapper, *agent["run"]]}
        program = str(agent.get("program") or agent["kind"])
        found = shutil.which(program, path=self.subject.path) or program
        own = self.root / "lingering"
        own.write_text(f'#!/bin/sh\nexec "{wrapper}" "{found}" "$@"\n', encoding="utf-8")
        own.chmod(0o755)
        return {"program": str(own)}

    def make_env(self) -> dict[str, str]:
        """The environment of `orchestr run`: nothing of the user's but PATH and the language."""
        server = self.play.model.url
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        kept = {k: os.environ[k] for k in ("LANG", "LC_ALL", "USER", "PYTHONPATH")
                if k in os.environ}  # fmt: skip
        return {
            **kept,
            **dict.fromkeys(names, server),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            "PATH": self.subject.path,
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GH_TOKEN": SECRET,
            "GITHUB_TOKEN": SECRET,
        }

    # ---- what came of it -----------------------------------------------------------------------

    def gather(self, code: int, seconds: float, output: str) -> Evidence:
        """The evidence, after the last run."""
        model = self.play.model
        journal = Journal(self.layout.journal_file(FEATURE))
        events = tuple(journal.read())
        cell = replay(events).cell(CELL)
        refs = set(self.origin.list_refs("refs/heads/"))
        branches = frozenset(ref.removeprefix("refs/heads/") for ref in refs)
        own = next((name for name in sorted(branches) if name not in ("main", "stray")), None)
        transcript = self.layout.cell_dir(FEATURE, CELL) / "transcript.jsonl"
        return Evidence(
            code=code,
            seconds=seconds,
            state=str(cell.state),
            reason=cell.reason or "",
            tokens=cell.tokens_total,
            files=dict(self._read_files(own)) if own else {},
            branches=branches,
            events=tuple({"kind": str(e.kind), "attempt": e.attempt, "data": dict(e.data)}
                         for e in events),
            asked=tuple(model.asked),
            other=tuple(model.other),
            strays=tuple(model.tunnels),
            billed=model.tokens,
            answers=model.answers,
            refused=self.play.refused,
            survivors=tuple(self.find_survivors()),
            output=output,
            transcript=transcript.stat().st_size if transcript.exists() else 0,
        )  # fmt: skip

    def _read_files(self, branch: str) -> Iterator[tuple[str, str]]:
        ref = f"refs/heads/{branch}"
        for name in LISTED:
            found = self.origin.run_git("cat-file", "blob", f"{ref}:{name}", answers=ANY_EXIT)
            if found.code == 0:
                yield name, found.text
        yield "log", self.origin.run_git("log", "--format=%s", ref).text

    def find_survivors(self) -> list[str]:
        """What still lives of the attempt, `PID COMMAND` each, after a short while."""
        end = time.monotonic() + SETTLE
        while True:
            left = [pid for pid, _, place in list_attempt_processes() if self._is_inside(place)]
            if not left or time.monotonic() > end:
                return [f"{pid} {' '.join(read_command_line(pid))[:60]}" for pid in left]
            time.sleep(0.1)

    def _is_inside(self, place: str) -> bool:
        return place.startswith(f"{self.root}{os.sep}")

    def end(self) -> None:
        """End what is left of the attempt; the folder is the caller's."""
        for place in {place for _, _, place in list_attempt_processes() if self._is_inside(place)}:
            with suppress(OSError):
                kill_marked(place, variable=WORKTREE)
