"""Plain `doit`: its options and its other commands do what they say of a feature, or refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.registry import VERBS
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_doit import MINE, STOCK
from tests.e2e.workspace import Workspace

CELLS = {"a": {}, "b": {"depends_on": ["a"]}, "c": {}}


def letters(ws: Workspace, *words: str) -> dict[str, str]:
    """Task -> the letter of `list -s`, through both programs."""
    found = []
    for program in (ws.doit, ws.run):
        lines = program("list", "--status", *words, code=0).stdout.splitlines()
        found.append({line.split()[1]: line.split()[0] for line in lines})
    assert found[0] == found[1]
    return found[0]


def expected(ws: Workspace) -> dict[str, str]:
    """The letters that `plan` and `status` imply."""
    would = {
        cell["name"]: cell["would"]
        for cell in json.loads(ws.run("plan", "demo", "--json").stdout)["cells"]
    }
    (feature,) = json.loads(ws.run("status", "demo", "--json").stdout)["features"]
    ignored = {cell["name"] for cell in feature["cells"] if cell["state"] == "ignored"}
    cells = {
        f"feature:demo:{name}": "I" if name in ignored else "U" if answer == "up-to-date" else "R"
        for name, answer in would.items()
    }
    return {"feature:demo": "R" if "R" in cells.values() else "U", **cells}


def test_list_says_what_plan_says(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS)
    seen = []

    def look() -> None:
        found = letters(ws, "demo")
        assert found == expected(ws)
        seen.append("".join(found[f"feature:demo:{cell}"] for cell in "abc"))

    look()
    ws.doit("run", "demo", code=0)
    look()
    ws.doit("forget", "demo:b", code=0)
    look()
    ws.doit("run", "demo", code=0)
    ws.spec({**CELLS, "c": {"todo": ["something else"]}})
    look()
    (ws.root / ".doit.db").unlink()
    look()
    ws.doit("run", "demo", code=0)
    ws.doit("ignore", "demo:b", code=0)
    look()
    assert seen == ["RRR", "UUU", "URU", "UUR", "UUR", "UIU"]


def test_list_says_it_of_each_phase(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.run("forget", "demo:a:publish", code=0)
    found = letters(ws, "--all", "demo:a")
    assert {name.split(":")[-1]: letter for name, letter in found.items()} == {
        "a": "R", "worktree": "U", "implement": "U", "check": "U", "review": "U", "publish": "R",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-a", "--force"),
        ("--no-continue", "behind a failed one"),
        ("-s", "--ignore-deps"),
        ("-r json", "--json"),
        ("-o out.txt", "> FILE"),
        ("-P thread", "-j N"),
        ("-v 2", "logs"),
        ("--failure-verbosity 2", "logs"),
        ("--pdb", "traceback"),
        ("--auto-delayed-regex", "delayed"),
        ("-n 0", "from 1 up"),
    ],
)
def test_an_option_that_means_nothing_to_a_feature_is_refused(
    built: Workspace, words: str, says: str
) -> None:
    before = built.starts()
    for program in (built.doit, built.run):
        done = program("run", *words.split(), "demo", code=2)
        assert says in done.stderr
    assert built.starts() == before


def test_options_count_for_a_task_of_the_dodo(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS, dodo=MINE)
    done = ws.doit("run", "-a", "-v", "2", "-r", "json", "mytask", code=0)
    assert '"name": "mytask"' in done.stdout


def test_a_number_of_processes_is_a_number_of_jobs(workspace: MakeWorkspace) -> None:
    """One job in the settings; the two agents wait for each other."""
    ws = workspace(cells={"a": {}, "b": {}}, settings={"limits": {"jobs": 1, "timeout": "20s"}})
    for cell, other in (("a", "b"), ("b", "a")):
        ws.script(
            cell,
            f'touch "$AGENT_DIR/at-{cell}"; while [ ! -e "$AGENT_DIR/at-{other}" ]; do '
            f"sleep 0.1; done; echo {cell} > {cell}.txt",
        )
    ws.doit("run", "-n", "2", "demo", code=0)


@pytest.mark.parametrize(
    "words",
    ["clean -c demo", "clean -a demo", "clean --forget demo", "forget -s demo:b",
     "forget --disable-default demo:b"],
)  # fmt: skip
def test_options_of_other_verbs_are_refused(built: Workspace, words: str) -> None:
    verb, *rest = words.split()
    for program in (built.doit, built.run):
        assert "has no effect on a feature" in program(verb, *rest, code=2).stderr


def test_list_sorts_as_it_is_asked_to(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"z": {}, "a": {"depends_on": ["z"]}})
    for program in (ws.doit, ws.run):
        plain = program("list", "-q", "demo", code=0).stdout.split()
        assert plain == ["feature:demo", "feature:demo:z", "feature:demo:a"]
        sorted_ = program("list", "-q", "--sort", "name", "demo", code=0).stdout.split()
        assert sorted_ == sorted(plain)


def test_no_other_command_starts_the_work_of_a_feature(workspace: MakeWorkspace) -> None:
    """`strace` is doit's only other command that executes tasks; packages add more."""
    ws = workspace(cells=CELLS, settings={"agents": {"sh": {"paid": True}}}, dodo=MINE)
    for task in ("feature:demo:a:implement", "feature:demo:a", "feature:demo"):
        done = ws.doit("strace", task)
        assert done.returncode != 0
        assert "only `run` starts the work of a feature" in done.stdout + done.stderr
    assert ws.starts() == []
    assert not (ws.root / ".orchestr" / "worktrees").exists()


def test_dumpdb_prints_the_rows(built: Workspace) -> None:
    done = built.doit("dumpdb", code=0)
    assert "DBM type is 'sqlite3'" in done.stdout
    assert "feature:demo:a:implement -> {" in done.stdout
    (built.root / ".doit.db").unlink()
    nothing = built.doit("dumpdb")
    assert "there is no .doit.db yet" in nothing.stderr and "Traceback" not in nothing.stderr


def test_reset_dep_does_not_call_an_edited_cell_done(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, dodo=MINE)
    ws.doit("run", "demo", code=0)
    ws.spec({"a": {"todo": ["something else"]}})
    done = ws.doit("reset-dep", "feature:demo:a:implement")
    assert done.returncode != 0 and "doit plan FEATURE" in done.stderr
    ws.doit("reset-dep", "mytask", code=0)
    ws.doit("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 2"]


# ---- a project of somebody else -----------------------------------------------------------------


def test_the_listing_of_a_foreign_project_describes_doits_commands(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text("def task_x():\n    return {'actions': ['echo hi']}\n")
    stock = tmp_path / "stock.py"
    stock.write_text(STOCK)
    answers = []
    for program in ([str(stock)], ["-m", "doit"]):
        for word in ("help", "--help"):
            done = subprocess.run(
                [sys.executable, *program, word],
                cwd=tmp_path, capture_output=True, text=True, check=True,
            )  # fmt: skip
            answers.append({line.split("-m ", 1)[-1] for line in done.stdout.splitlines()})
    assert answers[0] <= {line.replace("__main__.py", "-m") for line in answers[2]} | answers[2]
    assert answers[1] <= answers[3]


def test_the_scripts_of_a_workspace_complete_features(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS)
    bash = ws.doit("tabcompletion", code=0).stdout
    for verb in ("run", "plan", "explain"):
        arm = bash.split(f"        {verb})", 1)[1].split(";;", 1)[0]
        assert '-W "${tasks}"' in arm
    zsh = ws.doit("tabcompletion", "--shell", "zsh", code=0).stdout
    purposes = zsh.split("commands=(", 1)[1].split("\n    )", 1)[0]
    assert "'plan: show order" in purposes
    shell = f"commands=({purposes}\n); printf '%s\\n' \"${{#commands[@]}}\""
    counted = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True
    ).stdout  # an array is written alike for both shells
    assert int(counted) == len(purposes.strip().splitlines()) >= len(VERBS.own_names)
