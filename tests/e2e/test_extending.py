"""A package of another author adds one of each kind: docs/plugins.md, installed.

The package is made of the examples on that page and installed by pip, without the network, into a
folder that is on PYTHONPATH. Nothing of ours is changed for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, both

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
EXAMPLE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAM = """\
#!/bin/sh
if [ "$1" = --version ]; then echo "toy 1.0"; exit 0; fi
cat > /dev/null
echo '{"say": "I look around"}'
echo '{"tool": "write", "input": "hello.txt"}'
echo hello > hello.txt
echo '{"type": "message", "say": "I am done"}'
echo '{"end": "ok", "read": 1200, "written": 34}'
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package of the page was installed into."""
    source = tmp_path_factory.mktemp("source")
    for name, text in EXAMPLE.findall(PAGE.read_text()):
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (source / "orchestr_toy" / "__init__.py").touch()
    return install(source, tmp_path_factory.mktemp("installed"))


def install(source: Path, target: Path) -> Path:
    """Install the package in ``source`` into ``target``, by pip."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--target", str(target), str(source)],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def toys(tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that uses the package's agent and forge."""
    monkeypatch.setenv("PYTHONPATH", str(packages))
    ws = Workspace.make(
        tmp_path / "ws",
        cells={
            "a": {
                "agent": "helper",
                "checks": [{"kind": "toy_lines", "files": ["hello.txt"], "most": 1}],
            }
        },
        settings={
            "agents": {"helper": {"kind": "toy", "program": "tools/toy", "paid": False}},
            "forge": {"kind": "toy"},
        },
    )
    program = ws.root / "tools" / "toy"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return ws


def test_a_feature_is_built_with_kinds_of_another_package(toys: Workspace) -> None:
    done = toys.run("run", "demo", code=0)
    assert "the pull requests are in .orchestr/toy-forge/pulls.json" in both(done)
    (pull,) = json.loads((toys.root / ".orchestr/toy-forge/pulls.json").read_text())["app"]
    assert (pull["number"], pull["state"]) == (1, "open")
    assert (toys.cell_dir("a") / "pr-url").read_text().strip() == "toy://app/1"
    (cell,) = json.loads(toys.run("status", "--json", code=0).stdout)["features"][0]["cells"]
    assert (cell["state"], cell["pr"]["url"]) == ("done", "toy://app/1")
    before = toys.journal(kind="agent_started")
    toys.run("run", "demo", code=0)
    assert toys.journal(kind="agent_started") == before
    assert cell["head"] == pull["head_sha"]


def test_logs_tell_its_events(toys: Workspace) -> None:
    toys.run("run", "demo", code=0)
    told = toys.run("logs", "demo:a", code=0).stdout.splitlines()
    assert [line for line in told if not line.startswith("==")][:4] == [
        "I look around",
        "▸ write hello.txt",
        "I am done",
        "= ended, 1200 tokens in, 34 tokens out",
    ]


def test_a_verb_of_another_package(toys: Workspace) -> None:
    assert "orchestr toycells [FEATURE]" in toys.run("help", code=0).stdout
    assert "count a feature's cells" in toys.run("help", "toycells", code=0).stdout
    assert toys.run("toycells", "demo", "--names", code=0).stdout == "demo: 1 cells, a\n"
    assert toys.doit("toycells", code=0).stdout == "demo: 1 cells\n"
    assert "toycells" in toys.run("completion", "--words", "--", "toy", code=0).stdout
    assert "did you mean `orchestr toycells`" in both(toys.run("toycell", code=2))
    assert "there is no feature 'x'" in both(toys.run("toycells", "x", code=2))


def test_a_check_of_another_package(toys: Workspace) -> None:
    spec = next((toys.root / "specs").glob("demo.y*ml"))
    toys.run("run", "demo", code=0)
    (result,) = json.loads((toys.cell_dir("a") / "checks.json").read_text())["items"]
    assert (result["kind"], result["passed"], result["detail"]) == (
        "toy_lines", True, "1 files read",
    )  # fmt: skip
    assert "toy_lines" in toys.run("schema", code=0).stdout
    spec.write_text(spec.read_text().replace("most: 1", "most: none"))
    assert "most" in both(toys.run("validate", code=2))


def test_an_unknown_kind_is_refused_with_the_known_ones(toys: Workspace) -> None:
    text = (toys.root / "orchestr.toml").read_text()
    (toys.root / "orchestr.toml").write_text(text.replace('kind = "toy"', 'kind = "zzz"'))
    said = both(toys.run("list", code=2))
    assert "there is no agent kind `zzz`" in said
    assert "known: acp, claude, codex, command, gemini, opencode, toy" in said
    assert "known: forgejo, gitea, github, gitlab, local, toy" in said


def test_a_package_that_cannot_be_imported_is_named(
    toys: Workspace, tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    (broken / "orchestr_toy").mkdir(parents=True)
    for name in ("agent", "forge", "toycells"):
        (broken / "orchestr_toy" / f"{name}.py").write_text("import no_such_module\n")
    (broken / "orchestr_toy" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{broken}{os.pathsep}{packages}")
    said = both(toys.run("list", code=2))
    assert "the agent kind 'toy' (orchestr_toy.agent:KIND) cannot be loaded" in said
    assert "repair or uninstall the package orchestr-toy" in said
    helped = toys.run("help", code=0).stdout
    assert "orchestr plan" in helped
    assert "the verb 'toycells' (orchestr_toy.toycells:Toycells) cannot be loaded" in helped


BOX = Path(__file__).parents[1] / "data" / "forge_package"


@pytest.mark.slow
def test_a_forge_of_another_package_keeps_the_contract_and_serves_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole package: its own tests run the contract, a workspace uses it by its name."""
    source = shutil.copytree(BOX, tmp_path / "box")
    installed = install(source, tmp_path / "installed")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
         "-rs", "--rootdir", str(source), str(source / "test_box.py")],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\d\d passed, \d+ skipped", done.stdout)
    assert "the forge box is no ClosingForge" in done.stdout

    ws = Workspace.make(tmp_path / "ws", cells={"a": {}}, settings={"forge": {"kind": "box"}})
    said = both(ws.run("run", "demo", code=0))
    assert "the pull requests are in .orchestr/box/pulls.json" in said
    (pull,) = json.loads((ws.root / ".orchestr/box/pulls.json").read_text())["app"]
    assert (pull["url"], pull["state"]) == ("box://app/1", "open")

    # Half of an optional part is none of it, and `doctor` says so.
    module = installed / "orchestr_box.py"
    half = "    def is_queued(self, repo: Any, number: int) -> bool:\n        return False\n\n"
    cut = "    def explain_unusable"
    module.write_text(module.read_text().replace(cut, half + cut))
    told = both(ws.run("doctor"))
    assert "it lacks merge: enqueue_pull_request, merge: land_pull_request" in told
