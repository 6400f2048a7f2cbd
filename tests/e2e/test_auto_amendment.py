"""`amend: auto`: the owner of a contract changes it in the same run, and the cell goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
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
    lean: bool = True,
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


def made(ws: Workspace, cell: str, path: str) -> str:
    """A file as the head of a cell has it."""
    head = (ws.cell_dir(cell) / "tree").read_text().split()[0]
    return git(ws.repos / "app", "show", f"{head}:{path}") + "\n"


@pytest.mark.parametrize(("script", "more"), [(ASKS, MORE), (CHANGES, {})])
def test_the_owner_amends_it_in_the_same_run_and_all_go_on(
    tmp_path: Path, script: str, more: dict[str, Any]
) -> None:
    ws = house(tmp_path / "w", lean=not more, **more)
    ws.script("use", script)
    done = both(ws.run("run", FEATURE, code=0))
    assert "amendment handed to api" in done
    assert "FAILED" not in done
    assert set(ws.states().values()) == {"done"}
    assert made(ws, "use", "use.txt") == made(ws, "api", "api/a.txt") == "v1\nv2\n"
    assert len(ws.prs()) == (2 + len(more) if more else 0)
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
    assert made(ws, "api", "extra.txt") == "1\n"

    ws.script("api", OWNER + CURE)  # the refused commits are still on its branch
    done = both(ws.run("run", FEATURE, code=0))
    assert "given back to its agent" in done
    assert made(ws, "api", "extra.txt") == "1\n"
    assert made(ws, "use", "use.txt") == "v1\nv2\n"
    nothing_to_do(ws)


def test_an_owner_that_waits_for_a_yes_to_publish_amends_first(tmp_path: Path) -> None:
    ws = house(tmp_path / "w", lean=False, api={**CELLS["api"], "approve": ["publish"]})
    ws.run("run", FEATURE, code=1)
    assert made(ws, "use", "use.txt") == made(ws, "api", "api/a.txt") == "v1\nv2\n"
    assert ws.states()["api"] == "approval"


def test_an_amendment_that_does_not_help_ends_after_two(tmp_path: Path) -> None:
    ws = house(tmp_path / "w")
    ws.script("api", "mkdir -p api; echo $ORCHESTR_ATTEMPT >> api/a.txt\n")
    done = both(ws.run("run", FEATURE, code=1))
    assert "api/*.txt was amended 2 times for it already, a person has to decide" in done
    assert len(ws.journal(kind="cell.amended")) == 2
    assert ws.states() == {"api": "done", "use": "failed"}


def test_alone_it_is_blocked_and_what_failed_is_not_tried_in_the_next_round(tmp_path: Path) -> None:
    ws = house(tmp_path / "w", other={})
    ws.script("other", 'echo "$ORCHESTR_ATTEMPT" >> "$AGENT_DIR/tries"; exit 3\n')
    ws.run("run", f"{FEATURE}:api", code=0)
    ws.run("run", FEATURE, "--only", "use", code=1)
    text = ws.run("status", FEATURE, code=0).stdout
    assert "blocked (amendment)" in text
    assert "amendment of api/*.txt (a second line): waits for api" in text
    assert ws.states()["use"] == "blocked"
    ws.run("run", FEATURE, "--force", code=1)
    assert (ws.agents / "tries").read_text() == "1\n"
    assert ws.states() == {"api": "done", "use": "done", "other": "failed"}
    assert made(ws, "use", "use.txt") == "v1\nv2\n"


@pytest.mark.slow
def test_a_kill_anywhere_amends_once(tmp_path: Path) -> None:
    def act(ws: House, at: str) -> None:
        assert ws.crash(at, "run", FEATURE).returncode == -9
        ws.run("run", FEATURE, code=0)
        assert len(ws.journal(kind="cell.amended")) == 1
        assert (ws.agents / "book").read_text() == "api 1\napi 2\n"
        assert made(ws, "use", "use.txt") == "v1\nv2\n"

    def build(root: Path, **_: Any) -> House:
        made = house(root, House.make)
        assert isinstance(made, House)
        return made

    cases = [f"write:after#{name}.toml" for name in ("amendment", "granted", "bound")]
    at_each(cases, tmp_path, act, make=build)
