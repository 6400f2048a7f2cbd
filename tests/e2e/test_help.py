"""Help that teaches, and completion as a shell asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from orchestr.commands.base.help import GROUPS, purpose_of
from orchestr.registry import VERBS
from tests.e2e.workspace import Workspace, both


def test_every_verb_has_examples_that_begin_with_it() -> None:
    for verb in VERBS.own_names:
        declared = VERBS.load(verb)
        assert declared.examples
        assert declared.help_group in GROUPS
        assert purpose_of(declared)
        assert all(
            verb in typed.split()[:1] or f"orchestr {verb}" in typed
            for typed, _ in declared.examples
        )


def test_help_fits_and_has_no_noise(built: Workspace) -> None:
    for verb in ("run", "logs", "clean", "completion"):
        said = built.run("help", verb, code=0).stdout
        assert f"  orchestr {verb}" in said
        assert "examples\n" in said
        assert "config:" not in said
        assert max(map(len, said.splitlines())) <= 96
        assert said == built.run(verb, "--help", code=0).stdout


def test_help_of_a_word_that_is_no_verb_is_an_error(built: Workspace) -> None:
    for words in (("help", "lnad"), ("lnad", "--help")):
        done = built.run(*words, code=2)
        assert done.stdout == ""
        assert "there is no verb 'lnad'" in done.stderr and "orchestr land" in done.stderr
    assert built.run("help", "help", code=0).stdout == built.run("help", code=0).stdout


def test_words_of_any_kind_reach_the_verb(built: Workspace) -> None:
    assert "there is no feature ''" in both(built.run("run", "", code=2))
    assert built.run("logs", "demo:a", "--grep", "a=b", code=0).stdout == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["expl"], ["explain"]),
        (["run", "d"], ["demo"]),
        (["run", "demo:"], ["demo:a", "demo:b", "demo:c"]),
        (["run", "feature:demo:a:im"], ["feature:demo:a:implement"]),
        (["logs", "demo:a:"], []),
        (["graph", "demo:"], []),
        (["explain", "demo:b", "--if-changed", ""], ["a", "b", "c"]),
        (["graph", "--format", "s"], ["svg"]),
        (["run", "--dry"], ["--dry-run"]),
        (["run", "demo", "--agent", ""], ["sh"]),
        (["run", "nothing:"], []),
        (["frobnicate", ""], []),
    ],
)
def test_what_fits(built: Workspace, words: list[str], found: list[str]) -> None:
    said = built.run("completion", "--words", "--", *words, code=0).stdout
    assert [line.split("\t")[0] for line in said.splitlines()] == found


def test_a_tab_outside_a_workspace_is_silent(built: Workspace) -> None:
    done = built.run("completion", "--words", "--", "run", "", cwd=built.root.parent, code=0)
    assert both(done) == ""
    assert "bash, zsh, fish" in both(built.run("completion", "tcsh", code=2))


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_names_with_colons(built: Workspace) -> None:
    program = built.root / "bin" / "orchestr"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestr "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(orchestr completion bash)"\n'
        'COMP_LINE="orchestr run demo:a:im" COMP_POINT=22; _orchestr; echo "${COMPREPLY[@]}"\n'
        'COMP_LINE="orchestr run demo:" COMP_POINT=18; _orchestr; echo "${COMPREPLY[@]}"\n'
        'COMP_LINE="orchestr expl" COMP_POINT=13; _orchestr; echo "${COMPREPLY[@]}."\n'
        'COMP_WORDBREAKS=" "; COMP_LINE="orchestr run demo:" COMP_POINT=18; _orchestr\n'
        'echo "${COMPREPLY[@]}"\n'
    )
    env = built.env({"PATH": f"{program.parent}:{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=built.root, env=env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["implement", "a b c", "explain .", "demo:a demo:b demo:c"]
