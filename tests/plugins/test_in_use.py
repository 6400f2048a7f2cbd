"""Broken packages beside a workspace: shown by `info` and `doctor`, in the way of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, both
from tests.plugins.packages import install_package

CHECK = """\
from dataclasses import dataclass
from typing import ClassVar
from orchestr.checks.definition import CheckDefinition

@dataclass(frozen=True, slots=True, kw_only=True)
class Odd(CheckDefinition):
    kind: ClassVar[str] = "odd"
    usual_timeout: ClassVar[float] = 1.0
    what: "NoSuchType"
"""
VERB = """\
from orchestr.commands.base.verb import PlainVerb

class Hello(PlainVerb):
    doc_purpose = "say hello"
    doc_usage = ""
    needs_workspace = False

    def run_verb(self, session, params, args):
        print("hello")
        return 0
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good package and several broken ones."""
    site = tmp_path_factory.mktemp("site")
    good = {"orchestr.commands": {"hello": "plug_verb:Hello"}}
    install_package(site, "pkg-verb", good, {"plug_verb": VERB}, version="2.1")
    bad = {
        "orchestr.agents": {"gone": "plug_gone:KIND"},
        "orchestr.forges": {"gone": "plug_gone:K"},
    }
    install_package(site, "pkg-gone", bad, {"plug_gone": "import no_such_thing\n"})
    odd = {"orchestr.checks": {"odd": "plug_odd:Odd", "command": "plug_odd:Odd"}}
    install_package(site, "pkg-odd", odd, {"plug_odd": CHECK})
    new = {"orchestr.forges": {"newer": "plug_new:KIND"}}
    install_package(site, "pkg-new", new, {"plug_new": ""}, requires=["orchestr>=99"])
    return site


@pytest.fixture
def ws(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of our kinds alone, beside them."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return Workspace.make(
        tmp_path / "ws", cells={"a": {"checks": [{"kind": "command", "run": ["true"]}]}}
    )


def test_info_and_doctor_name_packages_and_what_is_wrong(ws: Workspace) -> None:
    said = ws.run("info", code=0).stdout
    lines = said.splitlines()
    assert "package    pkg-gone 1.0: agent gone, forge gone" in lines
    assert "package    pkg-odd 1.0: check command, check odd" in lines
    assert "package    pkg-verb 2.1: verb hello" in lines
    for text in (
        "warning: package pkg-gone: the agent kind 'gone' (plug_gone:KIND) cannot be loaded",
        "check command of the package pkg-odd is the name of one of ours, which counts",
        "check kind `odd` of the package pkg-odd cannot be used: NameError",
        "it needs orchestr >=99, and this is",
        "pip uninstall pkg-new",
    ):
        assert text in said
    looked = ws.run("doctor", code=0).stdout
    assert [line for line in lines if line.startswith("package")] == [
        line for line in looked.splitlines() if line.startswith("package")
    ]
    assert "No module named 'no_such_thing'" in looked


def test_verbs_that_do_not_need_a_broken_package_do_not_see_it(ws: Workspace) -> None:
    assert "good: feature demo" in ws.run("validate", code=0).stdout
    ws.run("run", "demo", code=0)
    assert ws.states() == {"a": "done"}
    assert ws.run("hello", code=0).stdout == "hello\n"
    ws.edit_spec("kind: command", "kind: odd")
    said = both(ws.run("validate", code=2))
    assert "demo.yaml:" in said and "of the package pkg-odd cannot be used: NameError" in said
    ws.settings(forge={"kind": "newer"})
    said = both(ws.run("list", code=2))
    assert "it needs orchestr >=99" in said and "uninstall the package pkg-new" in said
