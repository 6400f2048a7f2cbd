"""What a stub run changes of the settings, which path its agent may change, what it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.agents.stub_program import make_least_value
from orchestr.cell.agent.verdict import SCHEMA, parse_opinion
from orchestr.cell.ownership import PathClaims, judge_paths
from orchestr.files import encode_json
from orchestr.run.stub_settings import (
    TRAILER,
    choose_stub_path,
    make_stub_settings,
    without_settings_variables,
)
from orchestr.spec.records import Contract

RAW = {
    "workspace": {"specs": "s", "state": "/x", "repos": "..", "prompt": "../p.j2"},
    "repos": {
        "app": {"url": "https://github.com/o/app", "setup": ["make"], "land": "push"},
        "own": {"trailers": ["A: b"]},
        "other": {"url": "https://github.com/o/other"},
    },
    "agents": {"default": "claude", "claude": {
        "kind": "claude", "program": "c", "model": "m", "args": ["--x"], "env": {"KEY": "secret"},
        "pass_env": ["TOKEN"], "price_input_usd": 3.0, "price_output_usd": 4.0}},
    "forge": {"kind": "github", "program": "gh", "draft": False, "ci": "x"},
    "landing": {"land": "api", "window": 3},
    "limits": {"jobs": 7},
}  # fmt: skip


def test_only_agents_and_what_they_could_reach_change() -> None:
    made = make_stub_settings(RAW, root=Path("/w"), specs="s", clones={
        "app": "repos/app", "own": "repos/own"}, program=("py", "stub.py"),
        env={"STUB_PATHS": "/p"})  # fmt: skip
    assert made["agents"] == {
        "default": "claude",
        "claude": {"kind": "command", "run": ["py", "stub.py"], "env": {"STUB_PATHS": "/p"},
                   "paid": False, "model": "m"},
    }  # fmt: skip
    assert made["repos"] == {
        "app": {"setup": ["make"], "path": "repos/app"},
        "own": {"trailers": ["A: b", TRAILER], "path": "repos/own"},
    }
    assert made["forge"] == {"kind": "local", "draft": False}
    assert made["landing"] == {"window": 3}
    assert made["limits"] == {"jobs": 7}
    assert made["workspace"] == {"specs": "s", "prompt": "/p.j2", "trailers": [TRAILER]}
    assert RAW["landing"] == {"land": "api", "window": 3}, "the user's table is not changed"


@pytest.mark.parametrize(
    ("owned", "path"),
    [
        ([], "orchestr-stub-a.txt"),
        (["src/**"], "src/orchestr-stub-a.txt"),
        (["src/"], "src/orchestr-stub-a.txt"),
        (["src/**/*.go"], "src/orchestr-stub-a.go"),
        (["*.proto"], "orchestr-stub-a.proto"),
        (["api/key.proto"], "api/key.proto"),
        (["api/key.proto", "gen/**"], "gen/orchestr-stub-a.txt"),
    ],
)
def test_the_stub_changes_what_its_cell_owns(owned: list[str], path: str) -> None:
    claims = PathClaims("a", tuple(owned))
    assert choose_stub_path(claims) == path
    assert judge_paths(claims, [path]).paths == ()


@pytest.mark.parametrize(
    ("owned", "only", "path"),
    [
        ([], ["docs/**"], "docs/orchestr-stub-a.txt"),
        (["src/", "docs/**"], ["docs/**"], "docs/orchestr-stub-a.txt"),
        (["docs/"], ["**/*.md"], "docs/orchestr-stub-a.md"),
        (["src/"], ["docs/**"], ""),
    ],
)
def test_in_a_phase_of_ones_own_it_keeps_to_the_paths_of_both(
    owned: list[str], only: list[str], path: str
) -> None:
    assert choose_stub_path(PathClaims("a", tuple(owned)), only) == path


def test_another_cells_contract_is_left_alone() -> None:
    claims = PathClaims("a", ("api/**",), (), (Contract("api/*.txt", "b"),))
    assert choose_stub_path(claims) == "api/orchestr-stub-a"


def test_its_answers_find_nothing_wrong() -> None:
    opinion = parse_opinion("r", encode_json(make_least_value(SCHEMA)).decode())
    assert opinion.issues == ()
    schema = {"type": "object", "required": ["v", "n", "b", "l"], "properties": {
        "v": {"enum": ["failed", "passed"]}, "n": {"type": "integer", "minimum": 2},
        "b": {"type": ["boolean", "null"]}, "l": {"type": "array", "minItems": 1,
                                                  "items": {"const": "x"}}}}  # fmt: skip
    assert make_least_value(schema) == {"v": "passed", "n": 2, "b": True, "l": ["x"]}


def test_variables_of_the_settings_are_kept_away() -> None:
    names = ["PATH", "ORCHESTR_HOME", "ORCHESTR_SET_FORGE_KIND", "ORCHESTR_INSIDE"]
    assert without_settings_variables(names) == names[1:3]
