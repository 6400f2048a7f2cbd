"""What an adapter has to do, and the simple kind: one function that runs one hostile program.

To try another tool, write a class with `name`, `walls` and `run_program`, derive it from
`OneByOne`, and add it to `benchmarks.escape.adapters`:

    class MyTool(OneByOne):
        name = "my-tool"

        def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
            done = subprocess.run(["my-tool", "exec", "--", "sh", str(program)], cwd=worktree, ...)
            return Output(done.stdout + done.stderr)

The program is a shell script that needs nothing but its path; `worktree` is a linked worktree of a
clone, in which an agent would work. What the tool reports to its *user* about the program goes
into `Output.reports`; that makes an attempt noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.escape.attempt import Attempt, By, Room
from benchmarks.escape.programs import write_programs
from benchmarks.escape.scene import Scene, git, note_before


@dataclass(frozen=True, slots=True)
class Output:
    """What the program printed, and what the tool reported to its user about it."""

    text: str
    reports: tuple[str, ...] = ()


class Adapter(Protocol):
    """A tool with one or more walls. ``wall`` is one of ``walls``."""

    @property
    def name(self) -> str: ...

    @property
    def walls(self) -> tuple[str, ...]: ...

    def explain_unusable(self, wall: str) -> str | None:
        """Why it cannot run here; None: it can."""

    def can_try(self, attempt: Attempt) -> bool:
        """Whether the attempt means anything for this tool."""

    def run(self, scene: Scene, wall: str) -> Mapping[str, tuple[str, ...]]:
        """Run every attempt of the scene to its end; returns what was reported about each.

        Fills in `scene.worktrees`, `scene.outputs`, and `scene.shown` with what the terminal got.
        """


class OneByOne:
    """A tool that is asked to run one program after the other, each in a worktree of its own."""

    name = ""
    walls: tuple[str, ...] = ("-",)

    def explain_unusable(self, wall: str) -> str | None:
        return None

    def can_try(self, attempt: Attempt) -> bool:
        simple = attempt.by is By.AGENT and not attempt.spec
        return simple and attempt.only in ("", self.name) and attempt.room is not Room.BESIDE

    def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
        """Run one hostile program in the tool's sandbox, wait for its end, and return."""
        raise NotImplementedError

    def run(self, scene: Scene, wall: str) -> Mapping[str, tuple[str, ...]]:
        write_programs(scene)
        note_before(scene)
        reports = {}
        for attempt in scene.attempts:
            place = scene.home / "worktrees" / attempt.name
            words = ("worktree", "add", "--quiet", "-b", f"E-1-{attempt.name}")
            git(scene.clone(attempt.repo), *words, str(place), "main")
            scene.refs[attempt.repo] |= {f"refs/heads/E-1-{attempt.name}": scene.objects["first"]}
            scene.worktrees[attempt.name] = place
            output = self.run_program(scene.hostile / f"{attempt.name}.sh", place, scene)
            scene.outputs[attempt.name] = output.text
            scene.shown += output.text.encode()
            reports[attempt.name] = output.reports
        return reports
