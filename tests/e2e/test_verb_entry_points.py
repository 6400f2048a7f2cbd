"""The verbs of `orchestr` and those of plain `doit` are the same: the files of `commands/`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from orchestr.registry import VERBS

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_plain_doit_has_every_verb() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["doit.COMMAND"]
    assert declared == {
        verb: f"orchestr.commands.{verb}:{VERBS.load(verb).__name__}" for verb in VERBS.own_names
    }
