"""docs/agents.md names every variable that a command agent finds, and no other one.

Real attempts of every sort write down the names that they see: a first one, one with an upstream
and ports, a plan, a repair, a review, an audit.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeWorkspace

DOCS = Path(__file__).parents[2] / "docs" / "agents.md"
OURS = re.compile(r"(ORCHESTR_|PORT_RANGE_)\w+|(BACKEND|FRONTEND)_PORT")
AGENT = """\
env | cut -d= -f1 > "$SEEN/$ORCHESTR_CELL.${ORCHESTR_ROLE:-author}.$$"
if [ -n "${ORCHESTR_STATEMENTS:-}" ]; then
    echo '{"findings": [{"statement": "1", "state": "passed", "evidence": "I looked"}]}'
elif [ "${ORCHESTR_ROLE:-}" = reviewer ]; then
    echo '{"issues": []}'
elif [ -n "${ORCHESTR_PLAN_FILE:-}" ]; then
    echo "Change a file." > "$ORCHESTR_PLAN_FILE"
else
    echo "${ORCHESTR_ROUND:-0}" > "$ORCHESTR_CELL.txt"
fi
"""


def documented() -> set[str]:
    """The names in the first column of the table; ``_BRANCH`` goes on with the name before it."""
    text = DOCS.read_text().partition("### Any other program: `command`")[2]
    table = [line for line in text.splitlines() if line.startswith("| `")]
    found: set[str] = set()
    for line in table:
        if "ORCHESTR_" not in line:
            break
        stem = ""
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
            if name == "_9":
                found |= {f"ORCHESTR_PORT_{n}" for n in range(10)}
            elif name.startswith("_"):
                found.add(stem + name)
            else:
                found.add(name)
                stem = name.rpartition("_")[0]
    return found


@pytest.mark.slow
def test_the_table_names_what_attempts_of_every_sort_see(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={
            "low": {"approve": "plan"},
            "high-up": {
                "depends_on": ["low"],
                "ports": True,
                "model": "large",
                "options": {
                    "implement": {
                        "effort": "high",
                        "fallback_model": "small",
                        "max_turns": 9,
                        "mcp": ["docs"],
                    }
                },
                "checks": [{"kind": "command", "run": ["grep", "-q", "1", "high-up.txt"]}],
                "reviewers": [{"agent": "sh"}],
            },
        },
        agent=AGENT,
        auditors=[{"agent": "sh"}],
    )
    seen = ws.root / "seen"
    seen.mkdir()
    ws.settings(
        agents={"sh": {"env": {"SEEN": str(seen)}}}, mcp={"docs": {"url": "http://127.0.0.1:9"}}
    )
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:low", "--yes", code=0)
    ws.run("run", "demo", code=0)
    kinds = {path.name.rpartition(".")[0]: 0 for path in seen.iterdir()}
    for path in seen.iterdir():
        kinds[path.name.rpartition(".")[0]] += 1
    assert kinds == {
        "low.author": 2, "high-up.author": 2, "high-up.reviewer": 1, "audit.reviewer": 1,
    }  # fmt: skip
    names = {name for path in seen.iterdir() for name in path.read_text().split()}
    names = {name.replace("_LOW_", "_<CELL>_") for name in names if OURS.fullmatch(name)}
    assert names == documented()
