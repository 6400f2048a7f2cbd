"""The verbs that show: a graph, a transcript that grows, the reason down to the field."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, wait_for


def test_graph_to_the_terminal_and_to_a_file(built: Workspace) -> None:
    text = built.run("graph", "demo", code=0).stdout
    assert "✓ a" in text
    assert text.endswith("✓ 3 done\n")
    done = built.run("graph", "demo", "-o", "demo.svg", code=0)
    assert done.stderr == "wrote demo.svg\n"
    assert (built.root / "demo.svg").read_text().startswith("<svg ")
    refused = built.run("graph", "demo", "--format", "svgg", code=2)
    assert "did you mean 'svg'?" in both(refused)
    assert "cannot be written" in both(built.run("graph", "demo", "-o", "no/such.svg", code=2))
    ascii_only = built.run("graph", "demo", env={"PYTHONIOENCODING": "ascii"}, code=0).stdout
    assert ascii_only.isascii()


def test_logs_follow_over_a_failed_attempt_to_the_end_of_the_run(
    workspace: MakeWorkspace, tmp_path: Path
) -> None:
    ws = workspace(cells={"a": {}})
    go = tmp_path / "go"
    ws.script("a", f"echo begun\nwhile ! [ -e {go} ]; do sleep 0.05; done\necho ended; exit 3\n")
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.journal(kind="attempt.started"), "the agent")
    logs = ws.spawn("logs", "demo:a", "-f")
    wait_for(lambda: "begun" in logs.said(), "its first words")
    assert logs.poll() is None
    go.touch()
    assert run.ended() == 1
    assert logs.ended() == 0
    assert "ended" in logs.said()
    again = ws.run("logs", "demo:a", "--grep", "beg.n", code=0).stdout
    assert [line.split()[-1] for line in again.splitlines()] == ["begun"]
