"""A feature with a good, a failed and a blocked cell; its agent writes what it should not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

SECRET = "hush-hush-123456"
EVIL = '<script>document.title="owned"</script><img src=x onerror=alert(1)>'
GOOD_AGENT = f"""\
cat > 'x<i>.txt' <<'E'
{EVIL}
token {SECRET} and \u202e turned around
E
printf 'a\\0b' > bin.dat
mkdir -p big
i=0
while [ $i -lt 3000 ]; do echo "line $i {SECRET} {EVIL}"; i=$((i+1)); done > big/file.txt
echo 'I said {EVIL} {SECRET}'
"""
CHECKS = [
    {
        "name": "unit", "kind": "pytest", "passed": False, "detail": "1 of 3 failed", "exit": 1,
        "seconds": 3.2, "failures": [{"name": "test_rewrap", "file": "tests/test_a.py",
        "message": f"got {EVIL} {SECRET}", "command": "pytest tests/test_a.py::test_rewrap"}],
    },
    {"name": "lint", "kind": "command", "passed": True, "detail": "exit 0"},
    17,
    {"x": [1, {"y": None}]},
]  # fmt: skip
REVIEWS = [
    {"reviewer": "claude", "verdict": "reject", "summary": f"no {EVIL}",
     "findings": [{"severity": "blocker", "file": "x<i>.txt", "line": 3, "body": "a secret"}]},
]  # fmt: skip


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("report")
    ws = Workspace.make(
        folder / "ws",
        cells={
            "a": {"todo": [EVIL, "</script></style>"]},
            "b": {"depends_on": ["a"]},
            "c": {},
            "d": {"depends_on": ["c"]},
        },
        settings={"agents": {"sh": {"env": {"MY_API_TOKEN": SECRET}}}},
    )
    ws.edit_spec("title: The demo", f"title: {json.dumps(EVIL)}")
    ws.script("a", GOOD_AGENT)
    ws.script("c", f"echo 'broken: {SECRET} {EVIL}' >&2; exit 3")
    ws.run("run", "demo", code=1)
    # As a version of before wrote it, without digests: what is written by hand here then counts.
    journal = ws.root / ".orchestr" / "journal" / "demo.jsonl"
    lines = [line for line in journal.read_text().splitlines(True) if "result.written" not in line]
    journal.write_text("".join(lines))
    # Evidence that changes after it was published makes `a` pending: its pull request tells of it.
    for name, items in (("checks.json", CHECKS), ("review.json", REVIEWS)):
        path = ws.cell_dir("a") / name
        value = json.loads(path.read_text())
        unit = dict(items[0]) if isinstance(items[0], dict) else {}
        if name == "checks.json":
            log = ws.cell_dir("a") / "checks" / "unit.log"
            log.parent.mkdir()
            log.write_text(f"collected 3\nFAILED {SECRET} {EVIL}\n")
            unit["log"] = str(log)
        path.write_text(json.dumps({**value, "items": [unit, *items[1:]]}))
    yield ws
    ws.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def page(once: Workspace) -> Path:
    """The report of that feature, written by the program."""
    done = once.run("report", "demo", code=0)
    path = Path(done.stdout.strip())
    assert path == once.root / ".orchestr" / "reports" / "demo.html"
    return path
