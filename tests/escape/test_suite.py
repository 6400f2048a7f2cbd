"""The suite itself: attempts are well formed, verdicts are right, the page has every attempt."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.escape.adapters import ADAPTERS
from benchmarks.escape.adapters.base import OneByOne, Output
from benchmarks.escape.attempt import Attempt
from benchmarks.escape.attempts import ATTEMPTS
from benchmarks.escape.judge import Verdict, choose_verdict, run_attempts
from benchmarks.escape.proofs import marks, steals
from benchmarks.escape.scene import Scene
from benchmarks.escape.unnoticed import UNNOTICED

PAGE = Path(__file__).parents[2] / "docs" / "escape.md"
READS = Attempt("reads", "own", "reads a key", 'take "$HOME/.ssh/id_ed25519"\n', steals("ssh"))
WRITES = Attempt(
    "writes",
    "own",
    "writes a document",
    'echo "$MARK" >> "$HOME/documents/letter.txt"\n',
    marks("documents/letter.txt"),
)


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(ATTEMPTS) >= 60
    assert [name for name, count in Counter(a.name for a in ATTEMPTS).items() if count > 1] == []


def test_every_program_can_be_read() -> None:
    for one in ATTEMPTS:
        if one.language == "sh":
            done = subprocess.run(["sh", "-n"], input=one.program, text=True, check=False)
            assert done.returncode == 0, one.name
        else:
            compile(one.program, one.name, "exec")


def test_attempts_that_share_a_cell_agree_on_it() -> None:
    for one in ATTEMPTS:
        for other in ATTEMPTS:
            if one.cell == other.cell:
                assert (one.room, one.by, one.spec) == (other.room, other.by, other.spec)


@pytest.mark.parametrize(
    ("begun", "effect", "reported", "verdict"),
    [(True, False, False, Verdict.STOPPED), (True, False, True, Verdict.UNDONE),
     (True, True, True, Verdict.NOTICED), (True, True, False, Verdict.NOT),
     (False, False, False, Verdict.IDLE), (False, True, False, Verdict.NOT),
     (False, False, True, Verdict.UNDONE)],
)  # fmt: skip
def test_verdicts(begun: bool, effect: bool, reported: bool, verdict: Verdict) -> None:
    assert choose_verdict(begun, effect, reported) is verdict


def test_what_is_reported_of_a_shared_cell_counts_for_whom_it_names() -> None:
    one = Attempt("one", "own", "", "", marks("a"), share="both", clue="letter")
    alone = Attempt("alone", "own", "", "", marks("a"))
    reports = ("the letter was changed", "the key was read")
    assert one.pick_reports(reports) == ("the letter was changed",)
    assert alone.pick_reports(reports) == reports


def test_without_a_sandbox_both_get_through() -> None:
    results = run_attempts(ADAPTERS["plain"], "-", [READS, WRITES])
    assert [one.verdict for one in results] == [Verdict.NOT, Verdict.NOT]


def test_a_naive_wall_stops_writing_only() -> None:
    why = ADAPTERS["bwrap-bare"].explain_unusable("-")
    if why is not None:
        pytest.skip(why)
    results = run_attempts(ADAPTERS["bwrap-bare"], "-", [READS, WRITES])
    assert [one.verdict for one in results] == [Verdict.NOT, Verdict.STOPPED]


class Careful(OneByOne):
    """A tool of another author: it runs nothing of the second program and reports that."""

    name = "careful"

    def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
        if program.stem == "writes":
            return Output("", ("it wanted to write",))
        words = ["sh", str(program)]
        done = subprocess.run(words, cwd=worktree, capture_output=True, text=True, check=False)
        return Output(done.stdout, ("it read a key",))


def test_an_adapter_is_one_function() -> None:
    results = run_attempts(Careful(), "-", [READS, WRITES])
    assert [one.verdict for one in results] == [Verdict.NOTICED, Verdict.UNDONE]


def test_the_page_has_every_attempt_and_every_reason() -> None:
    text = PAGE.read_text()
    verdicts, _, reasons = text.partition("\n## Not noticed by")
    assert re.findall(r"^\| \S+ \| `([\w-]+)` \|", verdicts, re.MULTILINE) == [
        attempt.name for attempt in ATTEMPTS
    ]
    for wall in UNNOTICED.values():
        for name, reason in wall.items():
            assert f"| `{name}` | {reason} |" in reasons
