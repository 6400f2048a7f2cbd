"""`draft`, `run spec:NAME`, `approve spec:NAME` with real repositories and a scripted agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from orchestr.audit.record import AuditRecord, write_audit
from orchestr.codec import decode
from orchestr.commands.base.approve_draft import approve_draft
from orchestr.errors import UsageError
from orchestr.run.workspace import Session
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, wait_for

GOOD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: keys, title: Keys}
cells:
  app:
    repo: app
    owned_paths: ["app.txt"]
    checks: [{kind: command, name: there, run: [test, -s, app.txt]}]
    todo: [Write app.txt]
  web:
    repo: web
    owned_paths: ["web.txt"]
    checks: [{kind: command, name: there, run: [test, -s, web.txt]}]
    todo: [Write web.txt]
"""
QUESTION = 'kind: Question\nquestions:\n  - {key: scope, ask: "Which?", options: [all, one]}\n'
# A drafter answers with `draft.<n>` at its n-th start; the last one again and again.
AGENT = """\
if [ "$ORCHESTR_ROLE" = drafter ]; then
    echo "draft $ORCHESTR_ROUND" >> "$AGENT_LOG"
    cp "$ORCHESTR_PROMPT_FILE" "$AGENT_DIR/prompt.$ORCHESTR_ROUND"
    ls > "$AGENT_DIR/seen"
    [ ! -f "$AGENT_DIR/drafter.sh" ] || . "$AGENT_DIR/drafter.sh"
    while [ -e "$AGENT_DIR/drafter.gate" ]; do sleep 0.05; done
    n=$ORCHESTR_ROUND
    while [ ! -f "$AGENT_DIR/draft.$n" ]; do n=$((n - 1)); done
    cat "$AGENT_DIR/draft.$n"
    exit
fi
echo "$ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
echo work > "$ORCHESTR_CELL.txt"
"""


def fenced(text: str) -> str:
    return f"```yaml\n{text}```\n"


def make(root: Path, *answers: str) -> Workspace:
    ws = Workspace.make(
        root, repos=("app", "web"), agent=AGENT, settings={"repos": {"app": {}, "web": {}}}
    )
    for number, answer in enumerate(answers, 1):
        (ws.agents / f"draft.{number}").write_text(answer)
    return ws


def folder(ws: Workspace) -> Path:
    return ws.root / ".orchestr/drafts/keys"


def test_from_words_to_pull_requests(tmp_path: Path) -> None:
    """A question, an answer with two faults, a draft; approved and run."""
    wrong = GOOD.replace("title:", "titel:").replace(
        "    checks: [{kind: command, name: there, run: [test, -s, web.txt]}]\n", ""
    )
    ws = make(tmp_path, fenced(QUESTION), fenced(wrong), fenced(GOOD))

    asked = ws.run("draft", "keys", "Keys", "for all", code=2)
    assert "scope: Which? (all, one)" in asked.stderr
    assert "hint: orchestr draft keys --answer=scope=TEXT" in asked.stderr
    assert (tmp_path / "specs/keys.md").read_text() == "---\n---\n\nKeys for all\n"
    assert (ws.agents / "seen").read_text().split() == ["app", "web"]

    said = ws.run("draft", "keys", "--answer=scope=all", code=0)
    assert "drafted keys by sh, sent back once" in said.stdout
    again = (ws.agents / "prompt.3").read_text()
    assert "draft:3:24: error: metadata.titel: unknown field" in again
    assert "- scope: all" in again
    assert "error: cells.web: has no checks" not in again  # the reader's errors come first
    assert not (tmp_path / "specs/keys.yaml").exists()

    ws.run("draft", "keys", code=0)
    assert "keys" in ws.run("run", "spec:keys", code=0).stdout
    assert ws.starts() == ["draft 1", "draft 2", "draft 3"]

    shown = ws.run("approve", "spec:keys", "--yes", code=0).stdout
    assert "2 cells in 1 wave" in shown
    assert "+  web:" in shown
    spec = (tmp_path / "specs/keys.yaml").read_text()
    assert spec == "# yaml-language-server: $schema=orchestr.schema.json\n" + GOOD
    assert (tmp_path / "specs/keys.lock.toml").is_file()
    assert "is that draft already" in ws.run("approve", "spec:keys", "--yes", code=0).stdout

    ws.run("run", "keys", code=0)
    assert sorted(ws.starts()[3:]) == ["app 1", "web 1"]


BAD = {
    "prose": f"Here it is:\n{fenced(GOOD)}",
    "no YAML": fenced("cells: [\n"),
    "unknown field": fenced(GOOD.replace("todo:", "tasks:")),
    "cycle": fenced(
        GOOD.replace("repo: app\n", "repo: app\n    depends_on: [web]\n").replace(
            "repo: web\n", "repo: web\n    depends_on: [app]\n"
        )
    ),
    "hostile name": fenced(GOOD.replace("  web:\n", "  '../../../etc/\\e[31m':\n")),
    "no checks": fenced(
        GOOD.replace("    checks: [{kind: command, name: there, run: [test, -s, web.txt]}]\n", "")
    ),
    "nothing": "",
}


def test_bad_drafts_end_at_the_bound_and_are_kept(tmp_path: Path) -> None:
    """Each sort goes back; after the bound it is one clear error."""
    ws = make(tmp_path, *list(BAD.values())[:4])
    done = ws.run("draft", "keys", "words", code=1)
    assert "error: the draft of keys failed: it is still not valid, after it was sent back 3" in (
        done.stderr
    )
    assert "cells wait for each other" in done.stderr
    assert f"its text is kept in {folder(ws)}/refused.md" in done.stderr
    kept = (folder(ws) / "refused.md").read_text()
    assert "depends_on: [web]" in kept
    assert ws.starts() == [f"draft {n}" for n in (1, 2, 3, 4)]
    assert not (folder(ws) / "spec.yaml").exists()
    assert "there is no draft of keys" in ws.run("approve", "spec:keys", code=2).stderr
    for number, text in enumerate([*list(BAD.values())[4:], fenced(GOOD)], 1):
        (ws.agents / f"draft.{number}").write_text(text)
    good = ws.run("draft", "keys", code=0)
    assert "\x1b" not in good.stderr
    assert "sent back 3 times" in good.stdout
    assert not (folder(ws) / "refused.md").exists()


def test_a_second_question_ends_it(tmp_path: Path) -> None:
    ws = make(tmp_path, fenced(QUESTION))
    done = ws.run("draft", "keys", "words", "--answer=scope=all", code=1)
    assert "its scope is not clear, and one question was answered: Which?" in done.stderr
    assert ws.starts() == ["draft 1", "draft 2"]


def test_what_a_person_wrote_is_not_written_over(tmp_path: Path) -> None:
    ws = make(tmp_path, fenced(GOOD))
    ws.run("draft", "keys", "words", code=0)
    refused = ws.run("draft", "keys", "other words", code=2)
    assert "specs/keys.md says something else already" in refused.stderr
    mine = GOOD.replace("Write web.txt", "Write web.txt well")
    (tmp_path / "specs/keys.yaml").write_text(mine)

    stale = ws.run("approve", "spec:keys", "--yes", code=2)
    assert "specs/keys.yaml was edited since the draft" in stale.stderr
    assert "-    todo: [Write web.txt well]" in stale.stdout
    assert (tmp_path / "specs/keys.yaml").read_text() == mine

    (ws.root / "repos/app/README.md").write_text("mine\n")
    assert "forgot spec:keys: its draft" in ws.run("forget", "spec:keys", code=0).stdout
    assert "there is no draft of keys" in ws.run("approve", "spec:keys", code=2).stderr
    (ws.agents / "drafter.sh").write_text(f"echo evil > {ws.root}/repos/web/README.md\n")
    harmed = ws.run("run", "spec:keys", code=0)
    assert "the clone of web was changed" in harmed.stderr
    assert "the clone of app" not in harmed.stderr
    assert "Write web.txt well" in (ws.agents / "prompt.1").read_text()
    ws.run("approve", "spec:keys", "--yes", code=0)
    assert (tmp_path / "specs/keys.yaml").read_text().endswith(GOOD)

    intent = tmp_path / "specs/keys.md"
    intent.write_text(intent.read_text() + "\nand more\n")
    assert "out of date: its intent changed" in ws.run("approve", "spec:keys", code=2).stderr


def test_from_issues_and_reviews(tmp_path: Path) -> None:
    ws = make(tmp_path, fenced(GOOD))
    (tmp_path / "bug.md").write_text("# The key is lost\n\nAfter a restart.\n")
    ws.run("draft", "keys", "--issue", "bug.md", "--product", "cli", "--repo", "app", "--repo",
           "web", code=0)  # fmt: skip
    intent = (tmp_path / "specs/keys.md").read_text()
    assert "issues:\n- bug.md\nproduct: cli\nrepositories:\n- app\n- web\n" in intent
    assert "## The key is lost\n\nIssue: bug.md\n\nAfter a restart.\n" in intent
    ws.run("approve", "spec:keys", "--yes", code=0)

    assert (
        "there is nothing to answer" in ws.run("draft", "keys", "--from", "review", code=1).stderr
    )
    review = tmp_path / ".orchestr/cells/keys/web/review.json"
    review.parent.mkdir(parents=True)
    issue = {"title": "Too slow", "description": "A second.", "severity": "blocker",
             "places": ["web.txt:1"], "evidence": "x"}  # fmt: skip
    review.write_text(json.dumps({"items": [{"reviewer": "eve", "issues": [issue]}]}))
    (ws.agents / "draft.1").write_text(fenced(GOOD.replace("Write web.txt", "Write it fast")))

    ws.run("draft", "keys", "--from", "review", code=0)
    assert (
        "Too slow (web.txt:1), blocker, by eve: A second." in (ws.agents / "prompt.1").read_text()
    )
    shown = ws.run("approve", "spec:keys", "--yes", code=0).stdout
    assert "-    todo: [Write web.txt]\n+    todo: [Write it fast]" in shown
    assert "next: orchestr run keys" in shown
    assert "is up to date" in ws.run("draft", "keys", code=0).stdout
    audit = {"key": "k", "verdict": "failed", "findings": [
        {"source": "eve", "statement": "keys last", "state": "failed", "evidence": "they do not",
         "places": [{"repo": "web", "path": "web.txt"}]},
        {"source": "eve", "statement": "keys open", "state": "passed"},
    ]}  # fmt: skip
    write_audit(Session(tmp_path).load_run("keys"), decode(audit, AuditRecord))
    ws.run("draft", "keys", "--from", "audit", code=0)
    prompt = (ws.agents / "prompt.1").read_text()
    assert "> ## keys last\n>\n> failed, by eve\n>\n> Where: web/web.txt\n" in prompt
    assert "keys open" not in prompt
    (tmp_path / "bug.md").write_text("# The key is lost\n\nAlways.\n")
    ws.run("draft", "keys", "--from", "issues", code=0)
    assert "> Always." in (ws.agents / "prompt.1").read_text()
    (ws.agents / "draft.1").write_text(fenced(GOOD.replace("test, -s, web.txt", "test, -n, x")))
    ws.run("draft", "keys", "--force", code=0)
    assert "next: orchestr amend keys" in ws.run("approve", "spec:keys", "--yes", code=0).stdout


def test_without_an_agent(tmp_path: Path) -> None:
    ws = make(tmp_path)
    listed = ws.run("draft", "keys", "--no-agent", code=2)
    assert "sdk-matrix" in listed.stderr
    asked = ws.run("draft", "keys", "--no-agent", "--template", "sweep", code=2)
    assert "hint: orchestr draft keys --set=repos=VALUE --set=change=VALUE" in asked.stderr
    ws.run("draft", "keys", "--set=repos=app, web", "--set=change=Add a licence", code=0)
    assert "Add a licence" in ws.run("approve", "spec:keys", "--yes", code=0).stdout
    assert ws.starts() == []


@pytest.mark.slow
def test_stopped_busy_and_adopted(tmp_path: Path) -> None:
    """Ctrl+C ends the agent; a second command is refused; after `kill -9` it is adopted."""
    ws = make(tmp_path, fenced(GOOD))
    gate = ws.agents / "drafter.gate"
    gate.touch()
    first = ws.spawn("draft", "keys", "words")
    wait_for(lambda: ws.starts() == ["draft 1"], "the drafting agent")
    busy = ws.run("draft", "keys", code=4)
    assert "draft keys words" in busy.stderr
    first.send_signal(signal.SIGINT)
    assert first.ended() == 130, first.said()
    assert "error: stopped\nhint: orchestr draft keys\n" in first.said()
    wait_for(lambda: not ws.processes(), "the end of the agent", timeout=10)

    second = ws.spawn("draft", "keys")
    wait_for(lambda: ws.starts() == ["draft 1"] * 2, "the drafting agent")
    (tmp_path / "specs/keys.yaml").write_text(GOOD)  # a draft of a feature that is there
    assert "nothing is wrong" in ws.run("doctor").stdout  # its command lives
    second.kill()
    second.ended()
    assert "the agent that drafts keys is at work without its command" in ws.run("doctor").stdout
    assert "left behind" not in ws.run("doctor").stdout
    gate.unlink()
    ws.run("draft", "keys", code=0)
    assert ws.starts() == ["draft 1"] * 2


def test_a_new_draft_that_was_begun_goes_on(tmp_path: Path) -> None:
    """`--force` asked something: the answer reaches it, and the former draft, edited, is kept."""
    ws = make(tmp_path, fenced(GOOD))
    ws.run("draft", "keys", "words", code=0)
    spec = folder(ws) / "spec.yaml"
    spec.write_text(GOOD.replace("Write web.txt", "Mine"))
    (ws.agents / "draft.1").write_text(fenced(QUESTION))
    (ws.agents / "draft.2").write_text(fenced(GOOD))
    ws.run("draft", "keys", "--force", code=2)
    assert "+    todo: [Mine]" in ws.run("approve", "spec:keys", code=2).stdout  # it still counts
    said = ws.run("draft", "keys", "--answer=scope=all", code=0)
    assert "keys: a new draft was begun" in said.stderr
    assert spec.read_text() == GOOD
    assert ws.starts() == ["draft 1", "draft 1", "draft 2"]
    (kept,) = folder(ws).glob("spec.edited-*.yaml")
    assert "Mine" in kept.read_text()
    assert str(kept) in said.stderr

    spec.write_text("")
    assert "there is no draft of keys" in ws.run("approve", "spec:keys", code=2).stderr


def test_a_spec_edited_while_the_question_stands_is_kept(tmp_path: Path) -> None:
    ws = make(tmp_path, fenced(GOOD))
    ws.run("draft", "keys", "words", code=0)
    mine = tmp_path / "specs/keys.yaml"

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> str:
            mine.write_text("# mine\n" + GOOD)
            return "y\n"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", Terminal())
        with pytest.raises(UsageError, match=r"specs/keys\.yaml was edited meanwhile"):
            approve_draft(Session(tmp_path), "keys", yes=False)
    assert mine.read_text().startswith("# mine")
    assert not (tmp_path / "specs/keys.lock.toml").exists()

    mine.unlink()
    reader, writer = os.pipe()
    os.close(reader)  # as `| head -1` does: a yes that was given is carried out
    done = subprocess.run([sys.executable, "-m", "orchestr", "approve", "spec:keys", "--yes"],
                          cwd=tmp_path, env=ws.env(), stdout=writer, check=False)  # fmt: skip
    os.close(writer)
    assert done.returncode == 0
    assert mine.exists()


def test_a_revision_makes_no_lock(tmp_path: Path) -> None:
    """Else the removal of a lock and a revision would be a way past its amendments."""
    ws = make(tmp_path, fenced(GOOD))
    ws.run("draft", "keys", "words", code=0)
    ws.run("approve", "spec:keys", "--yes", code=0)
    lock = tmp_path / "specs/keys.lock.toml"
    lock.unlink()
    (ws.agents / "draft.1").write_text(fenced(GOOD.replace("test, -s, web.txt", "test, -n, x")))
    ws.run("draft", "keys", "--force", code=0)
    ws.run("approve", "spec:keys", "--yes", code=0)
    assert not lock.exists()


@pytest.mark.slow
def test_forgetting_a_draft_ends_its_agent(tmp_path: Path) -> None:
    ws = make(tmp_path, fenced(GOOD))
    (ws.agents / "drafter.gate").touch()
    first = ws.spawn("draft", "keys", "words")
    wait_for(lambda: ws.starts() == ["draft 1"], "the drafting agent")
    first.kill()
    first.ended()
    assert "forgot spec:keys: its draft" in ws.run("forget", "spec:keys", code=0).stdout
    wait_for(lambda: not ws.processes(), "the end of the agent", timeout=10)
    assert not (folder(ws) / "plans/1/tree").exists()
    (ws.agents / "drafter.gate").unlink()
    ws.run("draft", "keys", code=0)
    assert ws.starts() == ["draft 1"] * 2


def test_what_cannot_be_drafted_costs_nothing(tmp_path: Path) -> None:
    """Refused before an agent starts and before an intent is left: another feature's file, a
    source or a spec that is not there, an issue that cannot be read to its end."""
    ws = make(tmp_path, fenced(GOOD))
    (tmp_path / "specs").mkdir(exist_ok=True)
    (tmp_path / "specs/keys.yaml").write_text(GOOD.replace("name: keys", "name: locks"))
    taken = ws.run("draft", "keys", "words", code=2)
    assert "specs/keys.yaml is the spec of the feature 'locks'" in taken.stderr
    assert "hint: orchestr draft locks" in taken.stderr
    (tmp_path / "specs/keys.yaml").unlink()
    assert "--from takes" in ws.run("draft", "keys", "w", "--from", "hope", code=2).stderr
    assert "no feature 'keys'" in ws.run("draft", "keys", "w", "--from", "review", code=2).stderr
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in ws.run("draft", "keys", "--issue", "pipe", code=2).stderr
    assert not (tmp_path / "specs/keys.md").exists()

    away = ws.root / "repos/web/.git"
    away.rename(away.with_name("git"))
    failed = ws.run("draft", "keys", "words", code=1)
    assert "transcript" not in failed.stderr  # nothing has started
    away.with_name("git").rename(away)

    (ws.agents / "draft.1").write_text(fenced(QUESTION))
    (ws.agents / "draft.2").write_text(fenced(GOOD))
    ws.run("draft", "keys", code=2)
    (heads,) = folder(ws).glob("plans/*/heads.json")
    heads.write_text("")
    ws.run("draft", "keys", "--answer=scope=all", code=0)
    assert ws.starts() == ["draft 1", "draft 2"]


def test_a_verb_for_features_names_what_a_draft_is_for(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    for verb in ("status", "explain", "logs", "plan", "abort", "land"):
        done = ws.run(verb, "spec:later", code=2)
        assert "error: spec:later is the draft of a spec, and no feature yet\n" in done.stderr
        assert "orchestr approve spec:later" in done.stderr
