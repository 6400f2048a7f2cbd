"""`amend: auto`: the owner of a contract changes it in the same run, and the cell goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.house import House, at_each
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

CONTRACT = [{"path": "api/*.txt", "owner": "api", "amend": "auto"}]
CELLS: dict[str, dict[str, Any]] = {
    "api": {"owned_paths": ["api.txt", "extra.txt"]},
    "use": {"depends_on": ["api"], "owned_paths": ["use.txt"]},
}
MORE: dict[str, dict[str, Any]] = {"more": {"depends_on": ["use"]}, "other": {}}
CURE = """\
if grep -q "not accepted as it is" "$ORCHESTR_PROMPT_FILE"; then
    sed -n 's/^    git restore/git restore/p' "$ORCHESTR_PROMPT_FILE" | sh
fi
"""
OWNER = """\
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_DIR/book"
mkdir -p api
[ -f api/a.txt ] || echo "v1" > api/a.txt
if grep -q 'change only `api/\\*.txt`' "$ORCHESTR_PROMPT_FILE"; then
    grep -q v2 api/a.txt || echo v2 >> api/a.txt
fi
"""
ASKS = """\
if grep -q '^v2' api/a.txt; then cp api/a.txt use.txt; exit 0; fi
echo 'ORCHESTR amend api/a.txt: a second line'
"""
CHANGES = """\
if grep -q '^v2' api/a.txt; then cp api/a.txt use.txt; exit 0; fi
echo v2 >> api/a.txt
"""


def house(
    root: Path,
    make: Callable[..., Workspace] = Workspace.make,
    *,
    lean: bool = False,
    **cells: Any,
) -> Workspace:
    ws = make(
        root,
        cells={**CELLS, **cells},
        contracts=CONTRACT,
        defaults={"phases": ["implement"]} if lean else {},
    )
    ws.script("api", OWNER)
    ws.script("use", ASKS)
    return ws


@pytest.mark.parametrize(("script", "more"), [(ASKS, MORE), (CHANGES, {})])
def test_the_owner_amends_it_in_the_same_run_and_all_go_on(
    tmp_path: Path, script: str, more: dict[str, Any]
) -> None:
    ws = house(tmp_path / "w", **more)
    ws.script("use", script)
    done = both(ws.run("run", FEATURE, code=0))
    assert "amendment handed to api" in done
    assert "FAILED" not in done
    assert set(ws.states().values()) == {"done"}
    assert ws.show("use", "use.txt") == ws.show("api", "api/a.txt") == "v1\nv2"
    assert len(ws.prs()) == 2 + len(more)
    assert ws.starts("other") == ["other 1"] * bool(more)
    outcomes = [e["data"]["outcome"] for e in ws.journal(kind="attempt.closed")]
    assert outcomes.count("blocked") == 1
    assert not ws.journal(kind="phase.failed")
    if more:
        nothing_to_do(ws)


def test_what_is_not_the_contract_is_refused_and_each_ends_honestly(tmp_path: Path) -> None:
    ws = house(tmp_path / "w")
    ws.script("api", f"{OWNER}echo $ORCHESTR_ATTEMPT >> extra.txt\n")
    done = both(ws.run("run", FEATURE, code=1))
    assert "changed outside owned_paths: extra.txt (after it was given back once)" in done
    assert ws.states() == {"api": "failed", "use": "blocked"}
    assert ws.show("api", "extra.txt") == "1"

    ws.script("api", OWNER + CURE)  # the refused commits are still on its branch
    done = both(ws.run("run", FEATURE, code=0))
    assert "given back to its agent" in done
    assert ws.show("api", "extra.txt") == "1"
    assert ws.show("use", "use.txt") == "v1\nv2"
    nothing_to_do(ws)


def test_an_amendment_that_does_not_help_ends_after_two(tmp_path: Path) -> None:
    ws = house(tmp_path / "w")
    ws.script("api", "mkdir -p api; echo $ORCHESTR_ATTEMPT >> api/a.txt\n")
    done = both(ws.run("run", FEATURE, code=1))
    assert "api/*.txt was amended 2 times for it already, a person has to decide" in done
    assert len(ws.journal(kind="cell.amended")) == 2
    assert ws.states() == {"api": "done", "use": "failed"}


def test_a_cell_that_failed_is_not_tried_again_in_the_next_round(tmp_path: Path) -> None:
    ws = house(tmp_path / "w", other={})
    ws.script("other", "exit 3\n")
    ws.run("run", FEATURE, code=1)
    assert ws.starts("other") == ["other 1"]
    assert ws.states() == {"api": "done", "use": "done", "other": "failed"}
    assert ws.show("use", "use.txt") == "v1\nv2"


def test_alone_it_is_blocked_and_says_on_what(tmp_path: Path) -> None:
    ws = house(tmp_path / "w")
    ws.run("run", f"{FEATURE}:api", code=0)
    ws.run("run", FEATURE, "--only", "use", code=1)
    text = ws.run("status", FEATURE, code=0).stdout
    assert "blocked (amendment)" in text
    assert "amendment of api/*.txt (a second line): waits for api" in text
    assert ws.states()["use"] == "blocked"
    ws.run("run", FEATURE, code=0)
    assert ws.show("use", "use.txt") == "v1\nv2"


@pytest.mark.slow
def test_a_kill_anywhere_amends_once(tmp_path: Path) -> None:
    def act(ws: House, at: str) -> None:
        assert ws.crash(at, "run", FEATURE).returncode == -9
        ws.run("run", FEATURE, code=0)
        assert len(ws.journal(kind="cell.amended")) == 1
        assert (ws.agents / "book").read_text() == "api 1\napi 2\n"
        assert (ws.worktree("use") / "use.txt").read_text() == "v1\nv2\n"

    def build(root: Path, **_: Any) -> House:
        made = house(root, House.make, lean=True)
        assert isinstance(made, House)
        return made

    cases = ["write:after#amendment.toml", "journal:before#cell.blocked"]
    cases += [f"write:{when}#granted.toml" for when in ("before", "after")]
    cases += ["journal:after#cell.amended", "write:after#bound.toml"]
    at_each(cases, tmp_path, act, make=build)
