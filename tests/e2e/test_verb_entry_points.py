"""The verbs of `orchestr` and those of plain `doit` are the same: the files of `commands/`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from orchestr.registry import VERBS

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_plain_doit_has_every_verb() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["doit.COMMAND"]
    doits_own = {name for name, place in declared.items() if ".tasks.doit_commands:" in place}
    assert doits_own == {"dumpdb", "reset-dep", "tabcompletion"}
    assert {verb: declared[verb] for verb in declared if verb not in doits_own} == {
        verb: f"orchestr.commands.{verb}:{VERBS.load(verb).__name__}" for verb in VERBS.own_names
    }
