"""Agents that print more than anybody can read: memory stays small, the transcript whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace

pytestmark = pytest.mark.slow

MB = 1 << 20
LINES = """\
import sys
line = b"x" * 199 + b"\\n"
for _ in range(300 * 1024 * 1024 // len(line) // 1000):
    sys.stdout.buffer.write(line * 1000)
open("a", "w").write("x")
"""
ONE_LINE = """\
import sys
for _ in range(100):
    sys.stdout.buffer.write(b"y" * (1 << 20))
sys.stdout.buffer.write(b"\\nafter\\n")
open("a", "w").write("x")
"""


def peak(ws: Workspace, *args: str) -> tuple[int, int]:
    """Exit code and the peak memory of `orchestr ARGS`, of itself and not of its children."""
    out = (ws.root / "out.txt").open("wb")
    child = psutil.Popen([sys.executable, "-m", "orchestr", *args], cwd=ws.root, env=ws.env(),
                         stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
    most = 0
    status = Path(f"/proc/{child.pid}/status")
    while child.poll() is None:
        try:
            text = status.read_text()
        except OSError:
            break
        high = next((line for line in text.splitlines() if line.startswith("VmHWM")), None)
        most = max(most, int(high.split()[1]) * 1024 if high else 0)
        time.sleep(0.05)
    out.close()
    return child.wait(), most


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads peaks from /proc")
@pytest.mark.parametrize(("script", "size"), [(LINES, 300), (ONE_LINE, 100)])
def test_memory_stays_small(workspace: MakeWorkspace, script: str, size: int) -> None:
    ws = workspace(cells={"a": {}})
    (ws.agents / "much.py").write_text(script)
    ws.script("a", f'{sys.executable} "$AGENT_DIR/much.py"')
    code, most = peak(ws, "run", "demo")
    assert code == 0, (ws.root / "out.txt").read_text()
    assert most < 120 * MB
    transcript = ws.cell_dir("a") / "transcript.jsonl"
    assert transcript.stat().st_size > size * MB
    with transcript.open("rb") as lines:
        first = json.loads(next(lines))
        lines.seek(-4096, os.SEEK_END)
        last = json.loads(lines.read().splitlines()[-1])
    assert first
    assert last
    for args in (("logs", "demo:a"), ("status", "demo"), ("explain", "demo:a")):
        code, most = peak(ws, *args)
        assert code == 0
        assert most < 120 * MB
