"""Real agents as a user configures them: what the matrix of docs/agents.md is recorded with.

Programs are found in `$ORCHESTR_TEST_AGENTS` (folders, separated like PATH), else on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.conformance.connect import find_connection
from orchestr.conformance.request import Request
from orchestr.process.run import run_command

PROGRAMS = "ORCHESTR_TEST_AGENTS"
PROMPT = '"$(cat "$ORCHESTR_PROMPT_FILE")"'


def shell(words: str) -> list[str]:
    """A command of kind `command` that has the prompt among its words."""
    return ["sh", "-c", f"exec {words}"]


@dataclass(frozen=True)
class Known:
    """``program`` is what has to be installed, ``table`` its `[agents.NAME]`."""

    program: str
    table: Mapping[str, Any]

    @property
    def how(self) -> str:
        """Its kind, in the words of the settings."""
        return f"`{self.table['kind']}`"

    @property
    def has_tools(self) -> bool:
        """Whether its model can run a command."""
        connect = find_connection(self.table["kind"], (*self.table.get("run", ()), self.program))
        return connect is not None and not connect("").prose


def known_cli(kind: str) -> Known:
    """An agent with an adapter of its own."""
    return Known(kind, {"kind": kind})


AGENTS: Mapping[str, Known] = {
    **{kind: known_cli(kind) for kind in ("claude", "codex", "gemini", "opencode")},
    "claude-agent-acp": Known("claude-agent-acp", {"kind": "acp", "run": ["claude-agent-acp"]}),
    "codex-acp": Known("codex-acp", {"kind": "acp", "run": ["codex-acp"]}),
    "qwen": Known("qwen", {"kind": "acp", "run": ["qwen", "--acp"]}),
    "copilot": Known("copilot", {"kind": "acp", "run": ["copilot", "--acp"]}),
    # By ACP it offers nothing but its own logins.
    "cline": Known("cline", {
        "kind": "command", "run": shell(f"cline -P openai-compatible {PROMPT}"),
    }),
    "aider": Known("aider", {
        "kind": "command",
        "run": shell('aider --message-file "$ORCHESTR_PROMPT_FILE" --model "$ORCHESTR_MODEL" '
                     "--yes-always --no-auto-commits --no-gitignore --no-check-update "
                     "--analytics-disable"),
    }),
    "mini": Known("mini", {
        "kind": "command",
        "run": shell(f'mini -t {PROMPT} -y --exit-immediately '
                     '-o "${ORCHESTR_PROMPT_FILE%.md}.traj.json"'),
    }),
}  # fmt: skip


def find_program(name: str) -> str | None:
    """Where the program of an agent is."""
    return shutil.which(name, path=os.environ.get(PROGRAMS) or None)


def make_request(name: str) -> Request:
    """What to try with an agent that is installed."""
    known = AGENTS[name]
    program = find_program(known.program)
    assert program is not None, f"{known.program} is not installed"
    path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"
    return Request(name, dict(known.table), path)


def ask_version(name: str) -> str | None:
    """What its `--version` says."""
    program = find_program(AGENTS[name].program)
    assert program is not None
    done = run_command((program, "--version"), cwd=Path("/"), env=os.environ, timeout=60,
                       check=False)  # fmt: skip
    said = done.text + done.err.decode("utf-8", "replace")
    found = re.search(r"\d+\.\d+(?:\.\d+)?[\w.+-]*", said)
    return found[0].rstrip(".") if found else None
