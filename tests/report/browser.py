"""A real headless Chromium, driven over its debugging pipe: no port, no further package.

`chromium()` names the program; tests that need it are skipped with a reason where it is missing.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 30.0
PAGE = "document.body.innerText.slice(0, 500) + document.body.innerText.slice(-500)"


def chromium() -> str | None:
    """The browser's program, or None."""
    names = (os.environ.get("ORCHESTR_TEST_CHROMIUM", ""), "chromium", "chromium-browser")
    return next((found for name in names if name and (found := shutil.which(name))), None)


needs_chromium = pytest.mark.skipif(
    chromium() is None, reason="no Chromium here: apt-get install chromium"
)


class Browser:
    """One window. Use it in ``with``."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="orchestr-chromium-")
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        program = chromium()
        assert program is not None

        # Chromium reads its descriptor 3 and writes to 4: a shell puts ours there.
        script = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        words = ["bash", "-c", script, "-", program, *FLAGS,
                 f"--user-data-dir={self._profile}", "about:blank"]  # fmt: skip
        self._child = subprocess.Popen(
            words, pass_fds=(to_child, from_child), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_child)
        os.close(from_child)
        self._rest = b""
        self._number = 0
        self.said: list[dict[str, Any]] = []  # events: console, requests, ...
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._call("Browser.close", {})
            self._child.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._child.kill()
            self._child.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the debugging protocol to the window."""
        return self._call(method, params, self._session)

    def _call(self, method: str, params: dict[str, Any], session: str = "") -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._read(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self.said.append(answer)
        raise AssertionError(f"Chromium did not answer {method}")

    def _read(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(end - time.monotonic(), 0))
            assert ready, "Chromium says nothing"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium is gone"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def open(self, address: str) -> None:
        """Load a page and wait for it."""
        self.ask("window.before = true")
        went = self.call("Page.navigate", url=address)
        assert "errorText" not in went, went
        self.wait("!window.before && document.readyState === 'complete'")

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str) -> Any:
        """Until an expression is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := self.ask(script):
                    return found
            except AssertionError as error:  # the page is being exchanged
                if "Cannot find context" not in str(error):
                    raise
            time.sleep(0.05)
        raise AssertionError(f"waited for {script}; the page: {self.ask(PAGE)}")

    def look(self, *, width: int = 1200, dark: bool = False, media: str = "") -> None:
        """The size of the window, light or dark, screen or print."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path, *, height: int | None = None) -> None:
        """All of the page as a PNG, or its first ``height`` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"],
                "height": min(size["height"], height or size["height"]), "scale": 1}  # fmt: skip
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it is printed."""
        done = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(done["data"]))

    def errors(self) -> list[str]:
        """What the console complained of, and requests that left the page."""
        self.ask("1")
        found = []
        for event in self.said:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """The address of everything that was asked for."""
        self.ask("1")
        return [e["params"]["request"]["url"] for e in self.said
                if e.get("method") == "Network.requestWillBeSent"]  # fmt: skip
