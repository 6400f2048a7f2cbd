"""The pages in a real Chromium: nothing runs that should not, the actions act, it fits a phone."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, wait_for
from tests.report.browser import Browser, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]
pytest.importorskip("uvicorn", reason="the board needs uvicorn: pip install 'uvicorn>=0.23'")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as window:
        yield window


def test_the_report_is_quiet_and_fits(page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.look()
    browser.open(page.as_uri())
    assert browser.ask("document.title") == "✗ demo: failed"
    assert browser.requests() == [page.as_uri()]
    assert browser.errors() == []
    light = browser.ask("getComputedStyle(document.body).backgroundColor")
    browser.look(dark=True)
    assert browser.ask("getComputedStyle(document.body).backgroundColor") != light
    for width in (390, 768, 1200):
        browser.look(width=width)
        assert browser.ask("document.documentElement.scrollWidth") <= width
    # On paper colours are those of the light page, whatever the screen is.
    browser.look(dark=True, media="print")
    paper = "rgb(255, 255, 255)"
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == paper
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_the_board_is_live_and_acts(tmp_path: Path, browser: Browser) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}, "b": {"depends_on": ["a"]}})
    hold = "echo x > a.txt; while [ ! -e $AGENT_DIR/go ]; do sleep 0.05; done"
    child = ws.spawn("board")
    try:
        wait_for(lambda: "token=" in child.out.read_text(), "the board's address")
        address = child.out.read_text().strip()
        browser.open(address)
        assert browser.ask("location.search") == "", "the token left the address bar"
        browser.open(f"{address.partition('/?')[0]}/f/demo")
        browser.wait("document.getElementById('link').textContent === 'live'")
        assert "0 of 2" in browser.ask("document.querySelector('.tiles').innerText")

        click(browser, "force", "a")
        browser.wait("document.getElementById('toast').textContent.startsWith('started')")
        browser.wait("document.querySelector('.tiles').innerText.includes('1 of 2')")
        assert ws.starts() == ["a 1"]

        ws.script("a", hold)
        click(browser, "force", "a")
        browser.wait("document.getElementById('toast').textContent.startsWith('started')")
        browser.wait("document.querySelector('header .badge').innerText.includes('running')")
        browser.wait("document.querySelector('button[data-do=abort][data-cell=\"\"]') !== null")
        click(browser, "abort", "")
        browser.wait("document.getElementById('toast').textContent.includes('Aborted 1 cell')")
        browser.wait("document.querySelector('header .badge').innerText.includes('aborted')")
        assert ws.states() == {"a": "aborted", "b": "pending"}

        # The same request from the page of another origin, with the cookie that the browser has.
        (ws.root / "other.html").write_text("<p>another site")
        browser.open((ws.root / "other.html").as_uri())
        target = address.partition("/?")[0] + "/f/demo/do"
        browser.ask(
            f"fetch('{target}', {{method: 'POST', mode: 'no-cors', credentials: 'include', "
            'body: \'{"action": "force", "cell": "a"}\'}).catch(() => 0).then(() => 0)'
        )
        assert ws.states()["a"] == "aborted"
        child.send_signal(signal.SIGINT)
        assert child.ended(10) == 0, child.said()
        assert "Traceback" not in child.said()
    finally:
        ws.end()


def test_a_person_approves_what_the_page_shows(tmp_path: Path, browser: Browser) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {"approve": "publish"}, "b": {}})
    ws.run("run", "demo", code=1)
    child = ws.spawn("board")
    try:
        wait_for(lambda: "token=" in child.out.read_text(), "the board's address")
        address = child.out.read_text().strip()
        home = address.partition("/?")[0]
        browser.open(address)
        browser.open(f"{home}/f/demo")
        browser.wait("document.getElementById('link').textContent === 'live'")
        assert browser.ask("document.querySelectorAll('[data-do=approve]').length") == 2
        assert (
            browser.ask("document.querySelectorAll('[data-do=approve][data-cell=b]').length") == 0
        )
        seen = browser.ask("document.querySelector('[data-do=approve]').dataset.seen")

        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def post(origin: str, token: str, digest: str) -> str:
            """The answer to a request with the cookie of this browser, from a program."""
            body = json.dumps({"action": "approve", "cell": "a", "seen": digest}).encode()
            value = address.partition("token=")[2]
            port = home.rpartition(":")[2]
            request = urllib.request.Request(f"{home}/f/demo/do", body, {
                "Cookie": f"orchestr_board_{port}={value}", "Origin": origin,
                "Content-Type": "application/json", "X-Orchestr-Token": token,
            })  # fmt: skip
            try:
                with direct.open(request, timeout=30) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError as refused:
                return f"{refused.code} {refused.read().decode()}"

        token = browser.ask("document.getElementById('board').dataset.token")
        assert post("http://evil.example", token, seen).startswith("403")
        assert post(home, "", seen).startswith("403")
        assert post(home, "guessed", seen).startswith("403")
        assert "has changed since" in post(home, token, "0" * 20)
        assert "has changed since" in post(home, token, "")
        assert not ws.journal(kind="approval.given"), "none of them approved anything"

        click(browser, "approve", "a")
        browser.wait("document.getElementById('toast').textContent.includes('orchestr run demo')")
        (given,) = ws.journal(kind="approval.given")
        assert (given["cell"], given["data"]["digest"]) == ("a", seen)
        browser.wait("document.querySelectorAll('[data-do=approve]').length === 0")
        ws.run("run", "demo", code=0)
        assert ws.pr("a")["state"] == "open"
        child.send_signal(signal.SIGINT)
        assert child.ended(10) == 0, child.said()
    finally:
        ws.end()


def click(browser: Browser, action: str, cell: str) -> None:
    """Press a button and say yes."""
    browser.ask("document.getElementById('toast').textContent = ''")
    # Found and pressed in one step: the page is exchanged while a run goes on.
    button = f"document.querySelector('button[data-do={action}][data-cell=\"{cell}\"]')"
    browser.wait(f"(one => one && (one.click(), true))({button})")
    browser.wait("document.getElementById('ask').open")
    browser.ask("document.getElementById('yes').click()")
