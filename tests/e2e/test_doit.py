"""Plain `doit`: with our two lines the same verbs; in anybody else's dodo exactly stock doit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import DODO, Workspace, both

CELLS = {"a": {}, "b": {"depends_on": ["a"]}}
MINE = (
    DODO
    + """
def task_mytask():
    "says something"
    def act(words):
        with open("mytask.log", "a") as log:
            log.write(" ".join(["ran", *(words or [])]) + "\\n")
    return {"actions": [act], "pos_arg": "words"}

def task_bad():
    return {"actions": ["false"]}

def task_group():
    for name in ("one", "two"):
        yield {"name": name, "actions": [f"echo {name} >> group.log"]}
"""
)


def log(ws: Workspace, name: str = "mytask.log") -> list[str]:
    path = ws.root / name
    return path.read_text().splitlines() if path.exists() else []


# ---- our dodo -------------------------------------------------------------------------------


def test_doit_runs_a_feature_and_orchestr_finds_it_done(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS)
    first = ws.doit("run", "feature:demo", code=0)
    assert ws.starts() == ["a 1", "b 1"]
    assert "2 done" in first.stdout
    for program in (ws.run, ws.doit):
        again = program("run", "feature:demo", code=0)
        assert again.stdout == "nothing to be done: 2 cells are up to date\n"
    ws.doit("forget", "feature:demo:b", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "b 1", "b 2"]


@pytest.mark.parametrize(
    "words",
    [
        "list", "list --all", "list --all --status demo:a", "info demo:a", "info feature:demo",
        "ignore demo:a", "ignore demo:a --undo", "clean demo --dry-run", "clean demo",
        "forget demo:a", "forget demo:a:check demo:b", "plan demo", "plan demo --json",
        "status demo --json", "explain demo:a", "run demo", "run demo:b --dry-run",
        "run nothing", "run demo:x", "forget nothing", "info", "list nothing", "run --jobs 0 demo",
        "validate", "run demo --only zzz", "info demo:a:check", "ignore demo:a:check",
    ],
)  # fmt: skip
def test_doit_and_orchestr_answer_alike(
    built: Workspace, pristine: tuple[Path, Path], words: str
) -> None:
    one = built.run(*words.split())
    shutil.rmtree(built.root)
    shutil.copytree(pristine[1], built.root, symlinks=True)
    two = built.doit(*words.split())
    for done in (one, two):  # a hint names the program that was typed
        done.stdout = re.sub(r"\S+ -m doit (?=[a-z])", "orchestr ", done.stdout)
        done.stderr = re.sub(r"\S+ -m doit (?=[a-z])", "orchestr ", done.stderr)
    answers = [
        (done.returncode, done.stdout, re.sub(r"[\d:]{8} run \S+ .*\n", "", done.stderr))
        for done in (one, two)
    ]
    assert answers[1] == answers[0]


def test_a_failure_has_the_exit_code_of_the_table(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS)
    ws.script("a", "exit 3")
    assert ws.doit("run", "demo").returncode == ws.run("run", "demo").returncode == 1


def test_bare_doit_builds_nothing_and_says_what_to_do(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS, dodo=MINE)
    for args in ((), ("run",)):
        done = ws.doit(*args, code=2)
        assert "which feature?" in done.stderr and "features: demo" in done.stderr
    assert (ws.starts(), log(ws)) == ([], [])


def test_own_tasks_beside_features(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS, dodo=MINE)
    ws.doit("run", "mytask", code=0)
    ws.doit("mytask", code=0)
    ws.doit("mytask", "some", "words", code=0)
    ws.doit("run", "group:one", code=0)
    ws.doit("run", "group", code=0)
    assert log(ws) == ["ran", "ran", "ran some words"]
    assert sorted(log(ws, "group.log")) == ["one", "one", "two"]
    assert ws.doit("run", "bad").returncode == 1
    assert ws.starts() == []
    listed = ws.doit("list", "--all", code=0).stdout
    assert "mytask" in listed and "feature:demo:a" in listed and "group:one" in listed
    assert "says something" in ws.doit("info", "mytask").stdout


def test_own_tasks_and_features_in_one_command(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=CELLS, dodo=MINE)
    ws.doit("run", "group:two", "feature:demo:a", "mytask", code=0)
    assert (ws.starts(), log(ws), log(ws, "group.log")) == (["a 1"], ["ran"], ["two"])
    done = ws.doit("run", "feature:demo", "bad", code=1)
    assert ws.starts() == ["a 1", "b 1"] and "bad" in both(done)
    assert ws.doit("run", "nosuchtask", "mytask").returncode == 2


def test_own_tasks_that_wait_for_a_feature(workspace: MakeWorkspace) -> None:
    after = MINE + (
        "\ndef task_after():\n"
        "    return {'actions': ['echo after >> after.log'], 'task_dep': ['feature:demo']}\n"
    )
    ws = workspace(cells=CELLS, dodo=after)
    ws.doit("run", "after", code=0)
    assert (ws.starts(), log(ws, "after.log")) == (["a 1", "b 1"], ["after"])


def test_own_tasks_are_forgotten_and_cleaned(workspace: MakeWorkspace) -> None:
    once = DODO + (
        "\ndef task_once():\n"
        "    return {'actions': ['echo x >> once.log'], 'targets': ['once.log'],\n"
        "            'uptodate': [True], 'clean': True}\n"
    )
    ws = workspace(cells=CELLS, dodo=once)
    ws.doit("run", "once", code=0)
    ws.doit("run", "once", code=0)
    assert log(ws, "once.log") == ["x"]
    ws.doit("clean", "once", code=0)
    assert log(ws, "once.log") == []
    ws.doit("run", "once", code=0)
    assert log(ws, "once.log") == ["x"]
    ws.doit("ignore", "once", code=0)
    ws.doit("forget", "once", code=0)
    assert ws.starts() == []


def test_run_json_is_json_only_under_doit_too(built: Workspace) -> None:
    done = built.doit("run", "demo", "--json", code=0)
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()][-1] == "run.finished"


def test_a_dodo_in_another_folder(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace(cells=CELLS)
    done = ws.doit("-f", str(ws.root / "dodo.py"), "run", "demo", cwd=tmp_path)
    assert done.returncode in (0, 2), both(done)
    done = ws.doit("run", "-f", str(ws.root / "dodo.py"), "demo", cwd=tmp_path, code=0)
    assert ws.starts() == ["a 1", "b 1"]


# ---- somebody else's dodo -------------------------------------------------------------------

FOREIGN = '''\
DOIT_CONFIG = {"default_tasks": ["one", "sub"]}

def task_one():
    """makes one"""
    return {"actions": ["echo one > one.txt"], "targets": ["one.txt"], "file_dep": ["in.txt"],
            "clean": True}

def task_sub():
    """has subtasks"""
    for name in ("x", "y"):
        yield {"name": name, "actions": [f"echo {name} >> sub.log"], "verbosity": 2}

def task_bad():
    return {"actions": ["echo bad >> order.log; false"]}

def task_later():
    return {"actions": ["echo later >> order.log"]}

def task_args():
    return {"actions": ["echo %(flag)s %(words)s >> args.log"], "pos_arg": "words",
            "params": [{"name": "flag", "short": "f", "default": "none"}]}

def task__private():
    return {"actions": None}
'''

# stock doit: the same program with no entry points
STOCK = """\
import sys
sys.argv[0] = "-m"
import doit.doit_cmd as doit_cmd
import doit.plugin as plugin
plugin.PluginDict._from_entry_points = lambda self, category: {}
sys.exit(doit_cmd.DoitMain().run(sys.argv[1:]))
"""

SCRIPTS = [
    ["run"],
    [""],
    ["run", "run"],
    ["run one sub:x", "list --all --status", "run one"],
    ["run bad later"],
    ["run --continue bad later"],
    ["run -n 2 -P thread one"],
    ["-n 2 one"],
    ["list"],
    ["list --all --private --deps --status"],
    ["list sub"],
    ["list --all sub"],
    ["list -q"],
    ["list --sort definition --template {name}"],
    ["run", "clean one", "list --status"],
    ["run", "clean --dry-run"],
    ["run", "clean -a"],
    ["run", "forget one", "list --status", "run"],
    ["run", "forget", "list --status"],
    ["run", "forget --all", "list --status"],
    ["ignore one", "run", "list --status", "forget one", "run"],
    ["ignore sub", "run"],
    ["ignore"],
    ["info one"],
    ["info --no-status one"],
    ["info"],
    ["info nothing"],
    ["run nothing"],
    ["list nothing"],
    ["forget nothing"],
    ["clean nothing"],
    ["run args -f yes a b"],
    ["args -f yes a b", "args"],
    ["run --reporter json one"],
    ["run -s one"],
    ["run -v 2 -o out.txt one"],
    ["run --db-file other.json --backend json one", "list --db-file other.json --status"],
    ["run --verbosity=9 one"],
    ["run --nosuchoption"],
    ["list --nosuchoption"],
    ["help one"],
    ["run -f sub/dodo.py"],
    ["-f sub/dodo.py list"],
    ["list -f sub/dodo.py"],
    ["run -f sub/dodo.py -d sub", "clean -f sub/dodo.py -d sub"],
    ["info -f sub/dodo.py deep"],
    ["forget -f nothere.py"],
    ["run --seek-file"],
    ["run -f named.py status", "-f named.py status", "status -f named.py", "-f named.py plan"],
    ["nosuchcommand"],
    ["tabcompletion"],
    ["tabcompletion --shell zsh"],
    ["tabcompletion --hardcode-tasks"],
    ["tabcompletion --shell fish"],
    ["run", "dumpdb --db-file nothere.db"],
    ["reset-dep", "run"],
    ["strace nothing"],
]


def make_foreign(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dodo.py").write_text(FOREIGN)
    (folder / "in.txt").write_text("in\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "dodo.py").write_text(
        "def task_deep():\n    return {'actions': ['echo deep > deep.txt'], "
        "'targets': ['deep.txt'], 'clean': True, 'uptodate': [True]}\n"
    )
    (folder / "named.py").write_text(
        "def task_status():\n    return {'actions': ['echo mine'], 'verbosity': 2}\n"
        "def task_plan():\n    return {'actions': ['echo plan > plan.txt']}\n"
    )
    return folder


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stock") / "stock.py"
    path.write_text(STOCK)
    return path


def untimed(text: str) -> str:
    """Without the times of doit's JSON reporter."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d*\.\d+", "T", text)


def plain(text: str) -> str:
    """A traceback of doit's own by its last line: the frames above it are not its answer."""
    return text.strip().splitlines()[-1] if "Traceback" in text else text


def listing(folder: Path) -> dict[str, str]:
    """Every text file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".txt", ".log")
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=["; ".join(s) or "bare" for s in SCRIPTS])
def test_a_foreign_dodo_sees_stock_doit(tmp_path: Path, stock: Path, script: list[str]) -> None:
    place = tmp_path / "project"
    answers = []
    for program in ([str(stock)], ["-m", "doit"]):
        make_foreign(place)
        said = []
        for line in script:
            done = subprocess.run(
                [sys.executable, *program, *line.split()],
                cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            # The completion scripts name the program, which is a file here and `-m` there.
            out = untimed(done.stdout).replace("__main__.py", "-m")
            said.append((done.returncode, out, plain(done.stderr)))
        # Ours reads the dodo.py where stock sees a wrong option first: Python's folder may differ.
        # An index of Python's dumbdbm is written whenever its object is freed, if at all.
        names = sorted(
            p.name for p in place.iterdir() if p.name not in ("__pycache__", ".doit.db.dir")
        )
        answers.append((said, listing(place), names))
        shutil.rmtree(place)
    assert answers[1] == answers[0]


def test_stock_is_stock(stock: Path, tmp_path: Path) -> None:
    """The comparison above would prove nothing if both sides had our commands."""
    make_foreign(tmp_path / "p")
    done = subprocess.run(
        [sys.executable, str(stock), "help"], cwd=tmp_path / "p", capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "-m run" in done.stdout and "doctor" not in done.stdout
