"""What the verbs that are called all the time do not load: each of these modules costs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

REPO = Path(__file__).parents[2]
# Parsers, time zones, the merge queue, what drafts, MCP and hosted forges need.
HEAVY = {
    "mcp", "pydantic", "yaml", "zoneinfo", "orchestr.draft.rules", "orchestr.forges.forgejo",
    "orchestr.forges.github", "orchestr.forges.gitlab", "orchestr.landing.candidates",
    "orchestr.landing.resolve",
}  # fmt: skip


@pytest.mark.parametrize("args", [("status",), ("list",), ("run", "demo")])
def test_a_verb_with_nothing_to_do_loads_nothing_heavy(
    built: Workspace, args: tuple[str, ...]
) -> None:
    script = (
        "import sys\n"
        "from orchestr.cli import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit: pass\n"
        "found = sorted(set(sys.argv[1].split()) & sys.modules.keys())\n"
        "print('LOADED', *found, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, " ".join(HEAVY), *args],
        cwd=built.root,
        env={**built.env(), "PYTHONPATH": str(REPO)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "LOADED"
