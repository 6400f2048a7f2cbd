"""The demo's feature with the real claude and the real codex side by side, as a user runs it.

The model's script is the demo's own agent, run as a command: what it does is real work of the
demo's kind, done through the programs' tools and permissions. codex works in its default sandbox,
where it cannot commit. Once with pull requests on this disk, once at the GitHub stub through the
real `gh`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.agents.conftest import MakeHouse, program
from tests.agents.house import CODEX, AgentHouse
from tests.agents.model_server import Run, Say
from tests.conftest import git
from tests.forges.github_stub import GH, HOST, NO_GH, GitHub

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
OF_CODEX = ("java-sdk", "web-sdk")
REPO_OF = {
    "tests": "tests", "platform-proto": "platform", "platform-service": "platform",
    "platform-go-sdk": "platform", "java-sdk": "java-sdk", "web-sdk": "web-sdk",
}  # fmt: skip


def demo(house: MakeHouse) -> AgentHouse:
    """A workspace with the demo, its cells given to claude and codex."""
    codex = program("codex")
    ws = house("claude", [Say("to be replaced")])
    ws.model.script = [Run(f"python3 {ws.root}/demo/agent.py"), Say("All is done.")]
    ignored = shutil.ignore_patterns("repos", "__pycache__")
    shutil.copytree(ROOT / "demo", ws.root / "demo", ignore=ignored)
    (ws.root / "specs" / "demo.yaml").unlink()
    spec = (ROOT / "specs" / "mlkem.yaml").read_text().replace("agent: scripted", "agent: claude")
    for name in OF_CODEX:
        spec = spec.replace(f"    repo: {name}\n", f"    repo: {name}\n    agent: codex\n")
    (ws.root / "specs" / "mlkem.yaml").write_text(spec)
    text = (ROOT / "orchestr.toml").read_text()
    text = re.sub(r"(\[repos\.[\w-]+\]\n)", r'\1tools = ["python3"]\n', text)
    text += f"""
[agents.claude]
kind = "claude"
program = "{program("claude")}"
model = "sonnet"

[agents.codex]
kind = "codex"
program = "{codex}"
price_input_usd = 1.25
price_output_usd = 10.0
"""
    (ws.root / "orchestr.toml").write_text(text)
    (ws.home / ".codex").mkdir()
    (ws.home / ".codex" / "config.toml").write_text(CODEX.format(url=ws.model.url))
    ws.keys["OPENAI_API_KEY"] = "sk-other"
    return ws


def at_github(ws: AgentHouse) -> GitHub:
    """The demo's repositories, made as its first run does, with their origins at the stub."""
    github = GitHub(ws.root)
    repos = ws.root / "demo" / "repos"
    for name in dict.fromkeys(REPO_OF.values()):
        make = [sys.executable, "demo/make.py", name, "demo/repos"]
        subprocess.run(make, cwd=ws.root, check=True, capture_output=True)
        github.add(f"o/{name}", repos / "origins" / f"{name}.git", repos / name)
    path = ws.root / "orchestr.toml"
    local, real = 'kind = "local"', 'kind = "github"\npatience = "5s"'
    lines = path.read_text().replace(local, real).splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("ci = ")))
    return github


def check_status(cells: Mapping[str, Mapping[str, Any]]) -> None:
    """Who did what, what it took and cost."""
    agents = {name: cell["agent"] for name, cell in cells.items()}
    assert agents == {
        "tests": None, "platform-proto": "claude", "platform-service": "claude",
        "platform-go-sdk": "claude", "java-sdk": "codex", "web-sdk": "codex",
    }  # fmt: skip
    assert len({cell["pr"]["url"] for cell in cells.values()}) == 6
    assert cells["java-sdk"]["cost_usd"] == pytest.approx(2000 * 1.25e-6 + 100 * 10e-6)
    for name in ("platform-proto", "java-sdk"):
        assert cells[name]["tokens"] == {"input": 2000, "cached": 400, "output": 100}


def check_transcripts(ws: AgentHouse) -> None:
    for name in ("platform-go-sdk", "java-sdk"):
        said = ws.run("logs", f"mlkem:{name}", code=0).stdout
        assert "demo/agent.py" in said
        assert "All is done." in said
    # What a command said: the demo's agent tells its edits.
    for name in ("platform-proto", "web-sdk"):
        assert "edit " in ws.run("logs", f"mlkem:{name}", code=0).stdout


def check_nothing_more(ws: AgentHouse) -> None:
    """The same command again asks no model, and nothing is left alive."""
    asked = len(ws.model.asked)
    assert "nothing to be done" in ws.run("run", "mlkem", "--yes", code=0).stdout
    assert len(ws.model.asked) == asked
    assert ws.processes() == []


def test_the_demo_with_claude_and_codex(house: MakeHouse) -> None:
    ws = demo(house)
    done = ws.run("run", "mlkem", "--yes", code=0)
    assert "6 done, 0 failed; cost $0.03 + unknown; 10k tokens" in done.stdout
    check_status(ws.status("mlkem"))
    check_transcripts(ws)
    check_nothing_more(ws)


@pytest.mark.skipif(GH is None, reason=NO_GH)
def test_the_demo_with_claude_and_codex_at_github(house: MakeHouse) -> None:
    """Commits, linked draft pull requests, costs, transcripts: all of it with real programs."""
    ws = demo(house)
    with at_github(ws) as github:
        ws.keys |= github.env()
        done = ws.run("run", "mlkem", "--yes", code=0)
        assert "6 done, 0 failed; cost $0.03 + unknown; 10k tokens" in done.stdout

        cells = ws.status("mlkem")
        check_status(cells)
        shown = ws.run("status", "mlkem", code=0).stdout
        assert "  6 cells: 6 done; cost $0.03 + unknown; 10k tokens\n" in shown
        assert re.search(r"java-sdk +✓ done +✓✓✓✓✓ +1 .* under \$0.01 +2100 +https:", shown)
        pulls = {f"https://{HOST}/{p['slug']}/pull/{p['number']}": p for p in github.every()}
        assert set(pulls) == {cell["pr"]["url"] for cell in cells.values()}
        for name, cell in cells.items():
            pull = pulls[cell["pr"]["url"]]
            assert (pull["slug"], pull["head"]) == (f"o/{REPO_OF[name]}", cell["branch"])
            assert (pull["state"], pull["draft"]) == ("open", True)
            bare = github.repos[pull["slug"]]
            assert git(bare, "rev-parse", cell["branch"]) == pull["head_sha"] == cell["head"]
            others = {c["pr"]["url"] for c in cells.values()} - {cell["pr"]["url"]}
            assert [url for url in others if url not in pull["body"]] == []
        stacked = pulls[cells["platform-service"]["pr"]["url"]]
        assert stacked["base"] == cells["platform-proto"]["branch"]
        # What claude committed itself, and what codex could not.
        subjects = {
            name: git(github.repos[f"o/{REPO_OF[name]}"], "log", "--format=%s",
                      f"main..{cells[name]['branch']}").splitlines()
            for name in ("platform-proto", "java-sdk")
        }  # fmt: skip
        assert (
            "feat(policy): name ML-KEM-768 in KasPublicKeyAlgEnum (DSPX-2399)"
            in subjects["platform-proto"]
        )
        assert len(subjects["java-sdk"]) == 1
        assert "(DSPX-2399)" in subjects["java-sdk"][0]
        jdk = git(github.repos["o/java-sdk"], "show", f"{cells['java-sdk']['branch']}:"
                  "sdk/src/KeyType.java")  # fmt: skip
        assert "MLKEM_768" in jdk
        check_transcripts(ws)
        # No agent was told the token, and none had a login.
        assert not [a for a in ws.model.asked if github.env()["GH_TOKEN"] in a.text]
        check_nothing_more(ws)
