"""`report` and `export` from the command line, on a feature that went half wrong."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, wait_for
from tests.report.conftest import EVIL, SECRET


class Reader(HTMLParser):
    """Tags, their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_tells_what_happened_and_what_to_do(page: Path) -> None:
    text = Reader(page).text
    for words in (
        "1 of 4", "1 pending, 1 failed, 1 blocked", "Needs attention", "exit 3: broken: ***",
        "orchestr explain demo:c", "orchestr run demo:c", "waits for c (failed)",
        "local://app/pull/1", "T-1-b → T-1-a (stacked: the one above lands first)",
        "1 of 3 failed", "test_rewrap · tests/test_a.py", "pytest tests/test_a.py::test_rewrap",
        "x<i>.txt:3", "a secret", "sha256 ", "apiVersion: orchestr/v1", "+3002",
    ):  # fmt: skip
        assert words in text, words
    assert re.search(r"FAILED \*\*\*", text), "the end of the red check's log"
    assert "I said" in text, "the end of the transcript"


def test_what_others_wrote_is_text_and_nothing_else(page: Path) -> None:
    found = Reader(page)
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "link"}
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert found.text.count(EVIL) >= 6, "title, todo, diff, check, review, transcript"
    assert "\u202e" not in found.text and "‹U+202E›" in found.text


def test_the_page_needs_nothing_from_anywhere(page: Path) -> None:
    found = Reader(page)
    links = [v for _, attrs in found.tags for k, v in attrs.items() if k in ("href", "src")]
    assert links and all(str(link).startswith("#") for link in links)
    assert "url(" not in page.read_text().replace("url(#arrow", "")
    policy = [a["content"] for _, a in found.tags if a.get("http-equiv")]
    assert policy and str(policy[0]).startswith("default-src 'none'")


def test_no_secret_is_on_the_page(page: Path) -> None:
    assert SECRET not in page.read_text()
    assert "***" in page.read_text()


def test_long_patches_are_cut_and_say_where_the_rest_is(page: Path) -> None:
    text = Reader(page).text
    assert "line 10 " in text and "line 2999 " not in text
    assert re.search(r"cut here; all of it: git -C \S+ diff \w{12} \w{12} -- big/file\.txt", text)
    assert page.stat().st_size < 300_000


def test_a_page_is_written_where_one_wants_it(once: Workspace, tmp_path: Path) -> None:
    one = tmp_path / "sub" / "page.html"
    assert once.run("report", "demo", "-o", str(one), code=0).stdout == f"{one}\n"
    assert one.read_text().startswith("<!doctype html>")
    assert once.run("report", "demo", "-o", "-", code=0).stdout.startswith("<!doctype html>")
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = once.run("report", "demo", "-o", str(blocked / "page.html"), code=1)
    assert "cannot write" in done.stderr and "-o FILE" in done.stderr
    assert "did you mean 'demo'" in once.run("report", "dem", code=2).stderr


def test_the_proof_packet_has_the_evidence_and_what_it_does_not_show(once: Workspace) -> None:
    text = once.run("report", "demo", "--json", code=0).stdout
    packet = json.loads(text)
    assert SECRET not in text and "***" in text
    (cell,) = [cell for cell in packet["cells"] if cell["name"] == "a"]
    passed = {row.get("name"): row.get("passed") for row in cell["evidence"]["checks"]}
    assert (passed["unit"], passed["lint"]) == (False, True)
    assert cell["evidence"]["changes"]["added"] > 3000
    assert cell["evidence"]["of_this_head"] is True
    assert [limit for limit in packet["limits"] if limit.startswith("c: failed: exit 3: broken")]
    assert packet["spec"]["digest"] and packet["landings"] == []


def test_the_page_says_what_the_feature_is_for(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}}, intent="Sign <b>everything</b>",
                        done_means=["all is signed"], non_goals=["speed"])  # fmt: skip
    page = Reader(Path(ws.run("report", "demo", code=0).stdout.strip()))
    for words in ("Sign <b>everything</b>", "all is signed", "Not wanted", "speed"):
        assert words in page.text
    packet = json.loads(ws.run("report", "demo", "--json", code=0).stdout)
    assert (packet["intent"], packet["non_goals"]) == ("Sign <b>everything</b>", ["speed"])


def test_a_feature_that_never_ran_has_a_page(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}, "b": {"depends_on": ["a"]}})
    text = Reader(Path(ws.run("report", "demo", code=0).stdout.strip())).text
    assert "Nothing has run yet." in text and "waits for a (pending)" in text


def test_a_running_feature_has_a_page(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}})
    ws.script("a", "echo x > a.txt; git add a.txt; git commit -qm x; touch $AGENT_DIR/there; "
                   "while [ ! -e $AGENT_DIR/go ]; do sleep 0.05; done")  # fmt: skip
    try:
        child = ws.spawn("run", "demo")
        wait_for((ws.agents / "there").exists, "the agent")
        text = Reader(Path(ws.run("report", "demo", code=0).stdout.strip())).text
        assert "running now (PID" in text and "implement" in text
        assert "a.txt" in text, "what its branch holds already"
        (ws.agents / "go").write_text("")
        assert child.ended() == 0
    finally:
        ws.end()


def test_transcripts_are_never_read_whole(once: Workspace) -> None:
    """A terabyte of hole, and real lines at its end: only the end can have been read."""
    path = once.cell_dir("b") / "attempts" / "1" / "transcript.jsonl"
    before = path.read_bytes()
    try:
        with path.open("r+b") as stream:
            stream.seek(1 << 40)
            stream.write(b'\n{"ts": "2026-05-18T12:00:00+00:00", "text": "the last words"}\n')
        text = Reader(Path(once.run("report", "demo", code=0).stdout.strip())).text
        assert "the last words" in text and "of 1.0 TB" in text
    except OSError as error:
        pytest.skip(f"no file with a hole of that size here: {error}")
    finally:
        with path.open("wb") as stream:
            stream.write(before)


def test_logs_outside_the_cell_are_not_shown(once: Workspace, tmp_path: Path) -> None:
    path = once.cell_dir("b") / "checks.json"
    before = path.read_text()
    (tmp_path / "private").write_text("not for the page\n")
    link = once.cell_dir("b") / "link.log"
    link.symlink_to(tmp_path / "private")
    try:
        for log in (str(tmp_path / "private"), str(link), "../../../../agent.sh", "/dev/zero"):
            items = [{"name": "odd", "passed": False, "log": log}]
            path.write_text(json.dumps({**json.loads(before), "items": items}))
            text = Reader(Path(once.run("report", "demo", code=0).stdout.strip())).text
            assert "odd" in text and "not for the page" not in text and "AGENT_LOG" not in text
    finally:
        link.unlink()
        path.write_text(before)


@pytest.mark.parametrize(("name", "begin"), [("chrome-trace", "{"), ("csv", "feature,run"),
                                             ("otel", "{")])  # fmt: skip
def test_export_writes_each_format(once: Workspace, name: str, begin: str) -> None:
    out = once.run("export", "demo", "--format", name, code=0).stdout
    assert out.startswith(begin) and SECRET not in out and "implement" in out
    done = once.run("export", "demo", "--format", "pdf", code=2)
    assert "formats: chrome-trace, csv, otel" in done.stderr


def test_board_without_uvicorn_says_what_to_do(once: Workspace, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError('not here')\n")
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = once.run("board", env=env, code=2)
    assert "needs uvicorn" in done.stderr and "pip install" in done.stderr
