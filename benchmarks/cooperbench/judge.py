"""What a landing came to, judged by its final `main` alone, for every engine alike."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import git
from benchmarks.cooperbench.dataset import Patch, Task
from benchmarks.cooperbench.engines import Outcome
from benchmarks.cooperbench.scene import Scene, run_shell


@dataclass(frozen=True, slots=True)
class Verdict:
    """``tests``, ``suite``: whether the tests and the repository's own suite are green on the final
    `main`; ``wrong``: landed patches whose tests, as their author wrote them, are red there.
    """

    tests: bool
    suite: bool
    wrong: tuple[str, ...]

    @property
    def green(self) -> bool:
        """Nothing of what landed is red."""
        return self.tests and self.suite and not self.wrong


def judge_landing(task: Task, scene: Scene, outcome: Outcome) -> Verdict:
    """Test the final `main` as it is, then once for each landed patch with that patch's own files
    of tests: a merge that lost or bent a test is seen by its author's version of it.
    """
    place = scene.make_checkout("final")
    tests = run_shell(task.tests, place, scene.folder / "final-tests.log")
    suite = tests if task.suite == task.tests else run_shell(
        task.suite, place, scene.folder / "final-suite.log"
    )  # fmt: skip
    wrong = []
    for patch in task.patches:
        if patch.name in outcome.landed and patch.tests.exists():
            git("reset", "--quiet", "--hard", cwd=place)
            git("clean", "--quiet", "-dffx", cwd=place)
            _put_tests(patch, scene, place)
            if not run_shell(task.tests, place, scene.folder / f"final-{patch.name}.log"):
                wrong.append(patch.name)
    shutil.rmtree(place)
    return Verdict(tests, suite, tuple(wrong))


def _put_tests(patch: Patch, scene: Scene, place: Path) -> None:
    """The patch's files of tests as they are on its branch."""
    branch = f"origin/{scene.branch_of(patch.name)}"
    words = " ".join(map(shlex.quote, _paths(patch)))
    run_shell(
        f'for path in {words}; do git checkout --quiet {branch} -- "$path" || rm -f "$path"; done',
        place,
    )


def _paths(patch: Patch) -> Iterable[str]:
    """The files that a patch's tests are in, from the heads of its diff."""
    for line in patch.tests.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("diff --git a/"):
            yield line.rpartition(" b/")[2]
