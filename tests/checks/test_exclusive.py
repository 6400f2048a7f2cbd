"""Checks that run alone on this host: over processes, one after the other, free after a kill."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from orchestr.checks.suite import SuiteRequest, run_suite
from orchestr.errors import Interrupted
from orchestr.spec.checks import CheckDef, check_from_row, check_to_row
from tests.checks.conftest import define, sh

HOLDER = """\
import sys, threading
from orchestr.state.host_turn import hold_host_turn
with hold_host_turn("shop:web, check e2e", threading.Event(), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def request_at(tmp_path: Path) -> SuiteRequest:
    (tmp_path / "tree").mkdir()
    return SuiteRequest(
        worktree=tmp_path / "tree", head="1" * 40, tree="2" * 40, folder=tmp_path / "round",
        marker=f"exclusive/{tmp_path.name}", env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this user in which an exclusive check runs."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    yield other
    other.communicate()


def test_a_check_waits_for_another_workspace_and_a_killed_holder_frees_it(
    request_at: SuiteRequest, holder: subprocess.Popen[bytes]
) -> None:
    said: list[str | None] = []

    def tell(reason: str | None) -> None:
        said.append(reason)
        if reason is not None:
            holder.kill()

    request = replace(request_at, tell_wait=tell)
    plain, alone = define(kind="command", run=["true"]), exclusive("true")
    results = run_suite([plain, alone], request)

    assert [result.passed for result in results] == [True, True]
    words = f"another exclusive check runs on this host: shop:web, check e2e (pid {holder.pid})"
    assert said == [words, None]


def test_two_exclusive_checks_never_overlap(request_at: SuiteRequest, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/busy && sleep 0.02 && rmdir {tmp_path}/busy"
    found: list[bool] = []

    def run(number: int) -> None:
        request = replace(request_at, folder=tmp_path / f"round-{number}", marker=f"m{number}")
        found.extend(result.passed for result in run_suite([exclusive(script)] * 3, request))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 9


def test_a_wait_can_be_stopped_and_holds_no_slot(
    request_at: SuiteRequest, holder: subprocess.Popen[bytes]
) -> None:
    stop, slots = threading.Event(), list[str]()

    def take_slot() -> AbstractContextManager[None]:
        slots.append("taken")
        return nullcontext()

    request = replace(request_at, stop=stop, tell_wait=lambda _: stop.set())
    with pytest.raises(Interrupted):
        run_suite([exclusive("true")], request, slot=take_slot)
    assert slots == []


def test_without_a_folder_for_its_lock_it_is_not_evaluated(
    request_at: SuiteRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (result,) = run_suite([exclusive("true")], request_at)
    assert result.unavailable
    assert result.detail.startswith("it cannot run alone on this host: ")


def test_a_check_without_the_field_keeps_its_row() -> None:
    plain, alone = define(kind="command", run=["true"]), exclusive("true")
    both = define(kind="command", run=["true"], exclusive=True, reads=["a"])
    assert len(check_to_row(alone)) == len(check_to_row(plain)) + 1
    assert check_to_row(both)[-1] == {"reads": ["a"], "exclusive": True}
    assert [check_from_row(check_to_row(c)) for c in (plain, alone, both)] == [plain, alone, both]


def exclusive(script: str) -> CheckDef:
    return define(kind="command", run=sh(script), exclusive=True)
