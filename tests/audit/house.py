"""A feature of two repositories whose fault shows in one and is caused in the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.crash.house import House

SITE, CORE = "site", "core"
CELLS: Mapping[str, Mapping[str, Any]] = {
    CORE: {"repo": "lib", "owned_paths": ["greeting.txt"]},
    SITE: {"repo": "app", "depends_on": [CORE], "owned_paths": ["page.txt"]},
}
# The first work of `core` is wrong; a repair of it is right.
AGENT = """\
echo "$ORCHESTR_CELL ${ORCHESTR_ROUND:-first}" >> "$AGENT_LOG"
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then . "$AGENT_DIR/$ORCHESTR_CELL.sh"; fi
"""
WORK = {
    CORE: 'if [ -z "$ORCHESTR_ROUND" ]; then echo moin; else echo hello; fi > greeting.txt\n',
    SITE: "echo page > page.txt\n",
}
GREETS = "the page greets with hello"
AUDITOR = 'echo "audit by $ORCHESTR_REVIEWER" >> "$AGENT_LOG"\n. "$AGENT_DIR/auditor.sh"\n'
CROSS = {
    "kind": "command",
    "repo": "app",
    "name": "greets",
    "run": [
        "sh", "-c",
        'grep -q hello "$ORCHESTR_CELL_CORE_WORKTREE/greeting.txt" || '
        '{ echo "error: $ORCHESTR_CELL_CORE_WORKTREE/greeting.txt: no hello"; exit 1; }',
    ],
}  # fmt: skip


def finding(state: str, *places: tuple[str, str], evidence: str = "cat says moin") -> str:
    """An auditor's whole answer about statement 1."""
    listed = [{"repo": repo, "path": path, "line": None} for repo, path in places]
    row = {"statement": "1", "state": state, "detail": "", "evidence": evidence, "places": listed}
    return json.dumps({"summary": "", "findings": [row]})


def judge(bad: str) -> str:
    """The script of an auditor: passed where the greeting is right, else the answer ``bad``."""
    good = finding("passed", evidence="")
    return f"if grep -q hello lib/greeting.txt; then echo '{good}'; else echo '{bad}'; fi\n"


BAD = finding("failed", ("lib", "greeting.txt"))


def audited(
    root: Path,
    *,
    auditor: str = judge(BAD),
    work: Mapping[str, str] = WORK,
    cells: Mapping[str, Mapping[str, Any]] = CELLS,
    **top: Any,
) -> House:
    """A workspace whose feature ends with an audit by `eve`, or by cross checks alone."""
    house = House.build(
        root, cells, agent=AGENT, repos=sorted({cell["repo"] for cell in cells.values()})
    )
    env = {"AGENT_LOG": str(house.log), "AGENT_DIR": str(house.agents)}
    table = {"kind": "command", "run": ["sh", "auditor.sh"], "env": env}
    house.settings(agents={"default": "sh", "eve": table}, limits={"grace": "0.3s"})
    (house.root / "auditor.sh").write_text(AUDITOR)
    (house.agents / "auditor.sh").write_text(auditor)
    for cell, text in work.items():
        house.script(cell, text)
    top = {"auditors": [{"agent": "eve"}], "done_means": [GREETS], **top}
    house.spec(cells, **{name: value for name, value in top.items() if value is not None})
    return house


def read_record(house: House) -> dict[str, Any]:
    """`audit.json`."""
    path = house.root / ".orchestr" / "cells" / "demo" / "audit.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found
