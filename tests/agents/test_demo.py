"""The demo's feature with the real claude and the real codex side by side, as a user runs it.

The model's script is the demo's own agent, run as a command: what it does is real work of the
demo's kind, done through the programs' tools and permissions.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.agents.conftest import MakeHouse, program
from tests.agents.house import CODEX
from tests.agents.model_server import Run, Say

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
OF_CODEX = ("java-sdk", "web-sdk")


def test_the_demo_with_claude_and_codex(house: MakeHouse) -> None:
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
    # The demo's agent commits, which codex' sandbox would refuse.
    text += f"""
[agents.claude]
kind = "claude"
program = "{program("claude")}"
model = "sonnet"

[agents.codex]
kind = "codex"
program = "{codex}"
sandbox = "danger-full-access"
price_input_usd = 1.25
price_output_usd = 10.0
"""
    (ws.root / "orchestr.toml").write_text(text)
    (ws.home / ".codex").mkdir()
    (ws.home / ".codex" / "config.toml").write_text(CODEX.format(url=ws.model.url))
    ws.keys["OPENAI_API_KEY"] = "sk-other"

    done = ws.run("run", "mlkem", "--yes", code=0)

    assert "6 done, 0 failed; cost $0.03; 10k tokens" in done.stdout
    cells = ws.status("mlkem")
    agents = {name: cell["agent"] for name, cell in cells.items()}
    assert agents == {
        "tests": None, "platform-proto": "claude", "platform-service": "claude",
        "platform-go-sdk": "claude", "java-sdk": "codex", "web-sdk": "codex",
    }  # fmt: skip
    assert len({cell["pr"]["url"] for cell in cells.values()}) == 6
    assert cells["java-sdk"]["cost_usd"] == pytest.approx(2000 * 1.25e-6 + 100 * 10e-6)
    for name in ("platform-go-sdk", "java-sdk"):
        said = ws.run("logs", f"mlkem:{name}", code=0).stdout
        assert "demo/agent.py" in said
        assert "All is done." in said
    assert "edit " in ws.run("logs", "mlkem:platform-proto", code=0).stdout
    asked = len(ws.model.asked)
    assert "nothing to be done" in ws.run("run", "mlkem", "--yes", code=0).stdout
    assert len(ws.model.asked) == asked
    assert ws.processes() == []
