"""What is asked of a workspace, by who made it and by who reads it later: the program alone.

Paths of the workspace are `PLACE` in all answers. Nothing here calls into the package.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.compat.archive import PLACE
from tests.e2e.workspace import Workspace


def ask(ws: Workspace, features: Iterable[str]) -> dict[str, Any]:
    """All answers of verbs that only read, by feature and cell."""
    told: dict[str, Any] = {"status": {}, "plan": {}, "explain": {}, "logs": {}, "list": {}}
    for feature in features:
        told["status"][feature] = status(ws, feature)
        told["plan"][feature] = json.loads(said(ws, "plan", feature, "--json", code=None))
        told["list"][feature] = said(ws, "list", "-s", f"feature:{feature}").splitlines()
        for cell in told["status"][feature]["cells"]:
            name = f"{feature}:{cell['name']}"
            told["explain"][name] = said(ws, "explain", name).splitlines()
            if cell["attempt"] and cell["attempt"] > 0:
                told["logs"][name] = said(ws, "logs", name).splitlines()
    return told


def said(ws: Workspace, *words: str, code: int | None = 0) -> str:
    """The answer on stdout, without the workspace's path and without how long ago it was."""
    text = ws.run(*words, code=code).stdout.replace(str(ws.root), PLACE)
    return re.sub(r"\b\d+ (second|minute|hour|day|month|year)s? ago\b", "AGO", text)


def status(ws: Workspace, feature: str) -> dict[str, Any]:
    """`status --json` of one feature."""
    (found,) = json.loads(said(ws, "status", feature, "--json"))["features"]
    assert isinstance(found, dict)
    return found


def goes_on(ws: Workspace, feature: str, *, land: bool = False) -> dict[str, Any]:
    """What comes of the same command once more: `run`, or `land`."""
    before, opened = starts(ws, feature), set(ws.prs())
    known = len(ws.journal(feature))
    done = ws.run("land", feature, "--yes") if land else ws.run("run", feature)
    fresh = ws.journal(feature)[known:]
    return {
        "code": done.returncode,
        "nothing": done.stdout.startswith("nothing to be done"),
        "starts": sorted((starts(ws, feature) - before).elements()),
        "states": {c["name"]: c["state"] for c in status(ws, feature)["cells"]},
        "attempts": {c["name"]: c["attempt"] for c in status(ws, feature)["cells"]},
        "opened": sorted(set(ws.prs()) - opened),
        "started": sum(e["kind"] == "attempt.started" for e in fresh),
        "made": sorted(f"{e['cell']}:{e['phase']}" for e in fresh
                       if e["kind"] == "phase.done" and e["data"].get("made")),
    }  # fmt: skip


def starts(ws: Workspace, feature: str) -> Counter[str]:
    """What the agents noted themselves of their starts; the demo's do not, their transcripts do."""
    lines = ws.log.read_text().splitlines() if ws.log.exists() else []
    found = Counter(line for line in lines if not line.startswith("end "))
    for path in transcripts(ws.root, feature):
        found[f"{path.parent.parent.parent.name} said something"] += path.stat().st_size
    return found if not lines else Counter({k: n for k, n in found.items() if "said" not in k})


def transcripts(root: Path, feature: str) -> list[Path]:
    """What agents of a feature said."""
    return sorted((root / ".orchestr" / "cells" / feature).glob("*/attempts/*/transcript.jsonl"))
