"""The real spec, as its owner keeps it, unchanged: validate, plan and a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import both

REAL = Path(__file__).parents[1] / "data" / "mechanism-mlkem.yaml"
SHARED = Path(__file__).parents[3] / "shared" / "data" / REAL.name
FEATURE = "mechanism-mlkem"
REPOS = ("platform", "java-sdk", "web-sdk", "tests")
STUBS = """\
set -e
grep -q "TODO\\|todo\\|Add\\|Implement" "$ORCHESTR_PROMPT_FILE"
mkdir -p service sdk
case "$ORCHESTR_CELL" in
platform-proto) echo 'MLKEM_768 = 13' > service/stub ;;
platform-service) grep 13 service/stub; echo decapsulates > service/kas ;;
platform-go-sdk) grep 13 service/stub; cat service/kas; echo encapsulates > sdk/go ;;
*) grep 13 "$ORCHESTR_UPSTREAM_PLATFORM_PROTO_WORKTREE/service/stub" > "sdk/$ORCHESTR_CELL" ;;
esac
"""


@pytest.mark.skipif(not SHARED.exists(), reason="its source is not beside this checkout")
def test_it_is_the_real_one() -> None:
    assert REAL.read_bytes() == SHARED.read_bytes()


def test_it_validates_and_its_plan_is_what_it_says(workspace: MakeWorkspace) -> None:
    ws = workspace(repos=REPOS)
    (ws.root / "specs" / REAL.name).write_bytes(REAL.read_bytes())
    ws.run("validate", code=0)
    git(ws.repos / "tests", "switch", "--quiet", "-c", "DSPX-2399-tests")
    plan = json.loads(ws.run("plan", FEATURE, "--json", code=0).stdout)
    rows = {c["name"]: (c["wave"], c["repo"], c["branch"], c["base"]) for c in plan["cells"]}
    assert rows == {
        "tests": (1, "tests", "DSPX-2399-tests", None),
        "platform-proto": (1, "platform", "DSPX-2399-platform-proto", None),
        "platform-service": (
            2, "platform", "DSPX-2399-platform-service", "DSPX-2399-platform-proto"),
        "platform-go-sdk": (
            3, "platform", "DSPX-2399-platform-go-sdk", "DSPX-2399-platform-service"),
        "java-sdk": (2, "java-sdk", "DSPX-2399-java-sdk", None),
        "web-sdk": (2, "web-sdk", "DSPX-2399-web-sdk", None),
    }  # fmt: skip


@pytest.mark.slow
def test_a_whole_run_of_it(workspace: MakeWorkspace) -> None:
    ws = workspace(repos=REPOS, agent=STUBS)
    (ws.root / "specs" / REAL.name).write_bytes(REAL.read_bytes())
    tests = ws.repos / "tests"
    git(tests, "switch", "--quiet", "-c", "DSPX-2399-tests")
    (tests / "test_pqc.py").write_text("def test_mlkem768_roundtrip(): ...\n")
    git(tests, "add", "-A")
    git(tests, "commit", "--quiet", "-m", "the tests")
    ws.run("run", f"feature:{FEATURE}", code=0)
    cells = ws.status(FEATURE)
    assert {name: cell["state"] for name, cell in cells.items()} == dict.fromkeys(cells, "done")
    bases = {pr["head"]: (pr["base"], pr["state"], pr["draft"]) for pr in ws.prs().values()}
    assert bases == {
        "DSPX-2399-tests": ("main", "open", True),
        "DSPX-2399-platform-proto": ("main", "open", True),
        "DSPX-2399-platform-service": ("DSPX-2399-platform-proto", "open", True),
        "DSPX-2399-platform-go-sdk": ("DSPX-2399-platform-service", "open", True),
        "DSPX-2399-java-sdk": ("main", "open", True),
        "DSPX-2399-web-sdk": ("main", "open", True),
    }
    for name in ("java-sdk", "web-sdk"):
        origin = ws.repos / f"{name}.git"
        assert git(origin, "show", f"DSPX-2399-{name}:sdk/{name}") == "MLKEM_768 = 13"
    for pr in ws.prs().values():
        assert "xtest/scenarios/mechanism-mlkem.yaml" in pr["body"]
        assert "DSPX-2399" in pr["title"]
    again = ws.run("run", f"feature:{FEATURE}", code=0)
    assert "nothing to be done" in both(again)
