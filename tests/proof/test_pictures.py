"""Pictures of a cell: in the report, in the pull request, named by the issues of reviewers."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr.state.pictures import is_picture_named, picture_type
from tests.e2e.workspace import FEATURE, Workspace, both
from tests.proof.test_repairs import reviewed, says

Make = Callable[..., Workspace]

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
SHOOT = (
    "import os, pathlib; home = pathlib.Path(os.environ['ORCHESTR_ARTEFACTS']); "
    f"(home / 'page.png').write_bytes({PNG!r}); "
    "(home / 'drawing.svg').write_text('<svg onload=\"alert(1)\"/>'); "
    "(home / 'named.png').write_text('<svg onload=\"alert(2)\"/>'); "
    f"(home / 'large.png').write_bytes({PNG!r} + bytes(3 << 20)); "
    "os.symlink('/etc/passwd', home / 'passwd.png')"
)
ISSUE = {
    "title": "Overlap", "description": "d", "severity": "tech_debt", "places": [], "evidence": "",
    "pictures": ["page.png"],
}  # fmt: skip


def page_of(ws: Workspace) -> str:
    ws.run("report", FEATURE, code=0)
    return (ws.root / ".orchestr" / "reports" / f"{FEATURE}.html").read_text()


def test_a_report_shows_screenshots_and_the_issues_that_name_them(workspace: Make) -> None:
    shot = {"kind": "command", "name": "shot", "run": [sys.executable, "-c", SHOOT]}
    ws = reviewed(workspace, screenshots=[shot])
    says(ws, f"echo '{json.dumps({'summary': 's', 'issues': [ISSUE]})}'")
    ws.run("run", FEATURE, code=0)
    assert not list(ws.root.glob(".orchestr/cells/**/*.corrupt-*"))

    page = page_of(ws)
    assert page.count('<img src="data:image/png;base64,') == 1
    assert "too large for this page" in page
    assert "named by: Overlap (eve)" in page
    for hidden in (b"<svg onload", b"root:x:0"):
        assert base64.b64encode(hidden).decode()[:8] not in page
    assert "data:image/svg" not in page
    body = ws.pr("one")["body"]
    assert "### Pictures" in body and "001-shot/page.png`" in body
    assert "drawing.svg" not in body and str(ws.root) not in body.partition("### Pictures")[2]
    (prompt,) = ws.root.glob(".orchestr/cells/*/one/**/reviews/*/prompt.md")
    assert '"pictures"' in prompt.read_text()


def test_what_a_journey_left_is_shown_too_and_goes_with_its_files(workspace: Make) -> None:
    journey = {"kind": "browser_journey", "run": [sys.executable, "-c", SHOOT],
               "evidence": ["page.png"]}  # fmt: skip
    ws = workspace(cells={"one": {"checks": [journey]}})
    done = ws.run("run", FEATURE, code=0)
    assert "cannot be read" not in both(done)
    assert page_of(ws).count('<img src="data:image/png;base64,') == 1
    for path in ws.root.glob(".orchestr/cells/**/page.png"):
        path.write_text("<svg/>")
    assert "<img" not in page_of(ws)
    assert "### Pictures" not in ws.pr("one")["body"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_the_first_bytes_say_what_a_picture_is(data: bytes, kind: str | None) -> None:
    assert picture_type(data) == kind


def test_reviewers_name_pictures_by_any_end_of_their_paths() -> None:
    path = "cells/f/one/attempts/1/screenshots/a/001-shot/page.png"
    assert is_picture_named(path, "page.png")
    assert is_picture_named(path, str(Path("/ws/.orchestr", path)))
    assert not is_picture_named(path, "age.png")
    assert not is_picture_named(path, "")
