"""The demo's drafting agent: asks, forgets checks, and then drafts what the rules take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.draft.answer import parse_answer
from orchestr.draft.repo_map import RepoFacts
from orchestr.draft.rules import DraftRules, read_drafted_spec
from orchestr.errors import SpecError

DRAFTER = Path(__file__).parents[2] / "demo" / "drafter.py"
FACTS = {name: RepoFacts(name, "1" * 40) for name in ("platform", "java-sdk", "web-sdk", "tests")}


def ask(folder: Path, prompt: str) -> str:
    place = folder / "prompt.md"
    place.write_text(prompt)
    env = {**os.environ, "ORCHESTR_PROMPT_FILE": str(place), "ORCHESTR_FEATURE": "sdk-version",
           "DEMO_PAUSE": "0.01"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(DRAFTER)], env=env, cwd=folder, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


def test_the_demo_asks_forgets_and_drafts(tmp_path: Path) -> None:
    rules = DraftRules("sdk-version", tmp_path, "draft", ("scripted", "auditor"), FACTS)
    question = parse_answer(ask(tmp_path, "# Draft"))
    assert [part.key for part in question.question] == ["sdks"]

    answered = "## Answers\n- sdks: java and web\n"
    careless = parse_answer(ask(tmp_path, answered)).spec
    with pytest.raises(SpecError, match=r"cells\.web-sdk: has no checks"):
        read_drafted_spec(careless, rules)

    spec = parse_answer(ask(tmp_path, f"{answered}\ncells.web-sdk: has no checks")).spec
    feature = read_drafted_spec(spec, rules)
    assert [cell.repo for cell in feature.cells] == ["tests", "java-sdk", "web-sdk"]
