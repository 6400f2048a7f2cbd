"""Paths of others, contracts and amendments, through the program."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

TOLD = 'grep -q "not accepted as it is" "$ORCHESTR_PROMPT_FILE"'
CONTRACT = [{"path": "api/*.txt", "owner": "api"}]
CELLS = {
    "api": {"owned_paths": ["api.txt"]},
    "use": {"depends_on": ["api"], "owned_paths": ["use.txt"]},
    "other": {},
}
OWNER = """\
mkdir -p api
echo "v1" > api/a.txt
if grep -q 'Amend api/a.txt' "$ORCHESTR_PROMPT_FILE"; then echo v2 >> api/a.txt; fi
"""
USER = """\
if grep -q '^v2' api/a.txt; then cp api/a.txt use.txt; exit 0; fi
echo use > use.txt
"""


def house(root: Path, **more: object) -> Workspace:
    ws = Workspace.make(root / "w", cells=CELLS, contracts=CONTRACT)
    ws.script("api", OWNER)
    return ws


def test_paths_of_others_go_back_once_and_the_mended_work_is_taken(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "w", cells={"one": {"owned_paths": ["one.txt"]}})
    ws.script(
        "one",
        f"""\
echo one > one.txt
if {TOLD}; then
    sed -n 's/^    git restore/git restore/p' "$ORCHESTR_PROMPT_FILE" > "$AGENT_DIR/cure"
    . "$AGENT_DIR/cure"
    exit 0
fi
echo mine >> README.md
mkdir -p "a b"
echo new > "a b/new'file.txt"
git add README.md
git commit -qm 'touch it (T-1)'
""",
    )
    done = ws.run("run", FEATURE, code=0)
    assert "attempt 1 given back to its agent: changed outside owned_paths: README.md, a b/" in (
        both(done)
    )
    assert ws.starts() == ["one 1", "one 1"]
    assert [e["attempt"] for e in ws.journal(kind="attempt.given-back")] == [1]
    base = git(ws.repos / "app", "rev-parse", "main")
    changed = git(ws.repos / "app.git", "diff", "--name-only", base, ws.head("one"))
    assert changed.split() == ["one.txt"]
    assert "closed, given back once" in ws.run("logs", f"{FEATURE}:one", code=0).stdout
    nothing_to_do(ws)


def test_who_does_not_mend_it_fails_and_the_next_attempt_is_told(tmp_path: Path) -> None:
    cells = {"one": {"owned_paths": ["one.txt"], "shared_paths": ["shared/"]}}
    ws = Workspace.make(tmp_path / "w", cells=cells)
    ws.script(
        "one", "mkdir -p shared; echo s > shared/s; echo one > one.txt; echo x >> README.md\n"
    )
    done = ws.run("run", FEATURE, code=1)
    assert "changed outside owned_paths: README.md (after it was given back once)" in both(done)
    assert ws.starts() == ["one 1", "one 1"]
    assert ws.prs() == {}
    assert "given back once" in ws.run("explain", f"{FEATURE}:one", code=0).stdout
    ws.script("one", f"! {TOLD} && git checkout -q main -- README.md; echo two > one.txt\n")
    ws.run("run", FEATURE, code=0)
    assert ws.starts()[2:] == ["one 2"]
    nothing_to_do(ws)


def test_a_changed_contract_fails_with_an_amendment_that_amend_hands_over(tmp_path: Path) -> None:
    ws = house(tmp_path)
    ws.script("use", USER + "echo v2 >> api/a.txt\n")
    spec = ws.root / "specs" / f"{FEATURE}.yaml"
    spec.write_text(f"# of people\n{spec.read_text()}")
    old = spec.read_text()
    done = ws.run("run", FEATURE, code=1)
    assert "changed a contract that only cell api may change: api/a.txt" in both(done)
    assert f"orchestr amend {FEATURE}:use" in both(done)
    assert ws.starts("use") == ["use 1", "use 1"]
    record = tomllib.loads((ws.cell_dir("use") / "amendment.toml").read_text())
    item = record["items"][0]
    assert (item["owner"], item["contract"]) == ("api", "api/*.txt")
    assert "+v2" in (ws.cell_dir("use") / item["diff"]).read_text()

    # Without the amendment no further agent is paid for the same work.
    again = ws.run("run", FEATURE, code=1)
    assert f"orchestr amend {FEATURE}:use" in both(again)
    assert ws.starts("use") == ["use 1", "use 1"]

    shown = ws.run("amend", f"{FEATURE}:use", "--dry-run", code=0)
    assert "+    - " in shown.stdout
    assert spec.read_text() == old
    ws.run("amend", f"{FEATURE}:use", code=0)
    new = spec.read_text().splitlines()
    assert [line for line in new if line not in old.splitlines()] == [
        f'    - "{item["todo"]}"',
    ]
    assert len(new) == len(old.splitlines()) + 1
    assert "amended already" in both(ws.run("amend", f"{FEATURE}:use", code=0))
    assert [e["data"]["owner"] for e in ws.journal(kind="cell.amended")] == ["api"]
    assert ws.states()["use"] == "pending"

    ws.run("run", FEATURE, code=0)
    assert ws.starts("api") == ["api 1", "api 2"]
    assert ws.starts("use")[2:] == ["use 2"]
    assert ws.starts("other") == ["other 1"]
    assert ws.show("use", "use.txt") == ws.show("api", "api/a.txt")
    assert not (ws.cell_dir("use") / "amendment.toml").exists()
    prompt = (ws.cell_dir("api") / "attempts" / "2" / "prompt.md").read_text()
    assert "Cell `use` needs `api/*.txt` amended" in prompt
    assert "+v2" in prompt
    nothing_to_do(ws)


def test_an_agent_may_ask_for_an_amendment_without_touching_it(tmp_path: Path) -> None:
    ws = house(tmp_path)
    ws.script("use", USER + "echo 'ORCHESTR amend api/a.txt: a second version'\n")
    done = ws.run("run", FEATURE, code=1)
    assert "needs a change of api/a.txt, which only cell api may make: a second version" in (
        both(done)
    )
    assert ws.starts("use") == ["use 1"]
    ws.run("amend", f"{FEATURE}:use", code=0)
    assert (
        "Amend api/a.txt for cell use: a second version"
        in (ws.root / "specs" / f"{FEATURE}.yaml").read_text()
    )
    ws.run("run", FEATURE, code=0)
    assert ws.starts("use") == ["use 1", "use 2"]
    nothing_to_do(ws)


def test_amendments_that_change_nothing_end_after_the_second(tmp_path: Path) -> None:
    ws = house(tmp_path)
    ws.script("use", "echo use > use.txt; echo 'ORCHESTR amend api/a.txt: more'\n")
    for number in (1, 2):
        ws.run("run", FEATURE, code=1)
        ws.run("amend", f"{FEATURE}:use", code=0)
        assert len(ws.journal(kind="cell.amended")) == number
    done = ws.run("run", FEATURE, code=1)
    assert "was amended 2 times for it already, a person has to decide" in both(done)
    starts = ws.starts()
    assert "amended 2 times" in both(ws.run("amend", f"{FEATURE}:use", code=1))
    ws.run("run", FEATURE, code=1)
    assert ws.starts() == starts


def test_amend_refuses_what_would_not_help(tmp_path: Path) -> None:
    ws = house(tmp_path)
    ws.script("other", "echo o > other.txt; echo 'ORCHESTR amend api/a.txt: more'\n")
    ws.script("use", USER + "echo 'ORCHESTR amend use.txt: more'\n")
    done = ws.run("run", FEATURE, code=1)
    assert "asks for a change of use.txt, which is no contract of another cell" in both(done)
    assert "waits for no amendment" in both(ws.run("amend", f"{FEATURE}:use", code=1))
    refused = ws.run("amend", f"{FEATURE}:other", code=1)
    assert "it does not depend on api" in both(refused)
    assert "add api to `depends_on` of other" in both(refused)
    ws.run("amend", code=2)
    ws.run("amend", FEATURE, code=2)


def test_force_asks_the_agent_again_without_an_amendment(tmp_path: Path) -> None:
    ws = house(tmp_path)
    ws.script("use", USER + "echo 'ORCHESTR amend api/a.txt: more'\n")
    ws.run("run", FEATURE, code=1)
    ws.script("use", "echo without > use.txt\n")
    ws.run("run", FEATURE, code=1)
    ws.run("run", "--force", f"{FEATURE}:use", code=0)
    assert ws.starts("use") == ["use 1", "use 2"]
