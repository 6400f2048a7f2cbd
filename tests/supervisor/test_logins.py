"""A login that an agent renews reaches the user's own file, however it is written; nothing else."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from attempts import Attempt, eventually

from orchestr.supervisor import client

OLD, NEW = {"login": {"token": "old"}}, {"login": {"token": "new"}}
IN_PLACE = 'cat ../new > "$COPY"'
BY_RENAME = 'cp ../new "$COPY.tmp" && mv "$COPY.tmp" "$COPY"'
WAIT = "touch up; while [ ! -e go ]; do sleep 0.05; done"


class Logins:
    """The user's file and the place of its copy, for an attempt's agent."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        root = attempt.work.parent
        (root / "new").write_text(json.dumps(NEW))
        self.own = root / "home" / "login.json"
        self.own.parent.mkdir()
        self.own.write_text(json.dumps(OLD))
        self.own.chmod(0o640)
        os.utime(self.own, (1, 1))
        self.copy = attempt.dir / "config-0" / "login.json"
        self.copy.parent.mkdir()

    def script(self, script: str) -> None:
        env = {"PATH": os.environ["PATH"], "COPY": str(self.copy), "OWN": str(self.own)}
        self.attempt.sh(script, env=env, logins=[[str(self.copy), str(self.own)]])

    def read(self) -> object:
        return json.loads(self.own.read_text())


@pytest.fixture
def logins(attempt: Attempt) -> Logins:
    return Logins(attempt)


@pytest.mark.parametrize("renew", [IN_PLACE, BY_RENAME])
def test_a_renewed_login_reaches_the_users_own_file(logins: Logins, renew: str) -> None:
    logins.script(f'cp "$COPY" was; {renew}')
    logins.attempt.run()
    assert json.loads((logins.attempt.work / "was").read_text()) == OLD
    assert logins.read() == NEW
    assert logins.own.stat().st_mode & 0o777 == 0o640
    assert not logins.copy.exists()  # no key is left behind


@pytest.mark.parametrize("renew", [IN_PLACE, BY_RENAME])
def test_it_does_so_while_the_agent_works(logins: Logins, renew: str) -> None:
    """The person, and other agents, need it before this one has ended."""
    logins.script(f"{renew}; {WAIT}")
    logins.attempt.start()
    eventually(lambda: logins.read() == NEW)
    assert logins.attempt.survivors()


def test_what_the_user_renews_reaches_the_agent(logins: Logins) -> None:
    logins.script(f'{WAIT}; cp "$COPY" seen')
    child = logins.attempt.start()
    eventually(lambda: logins.attempt.has("up"))
    other = logins.own.with_name("other")
    other.write_text(json.dumps(NEW))
    other.replace(logins.own)
    eventually(lambda: json.loads(logins.copy.read_text()) == NEW)
    (logins.attempt.work / "go").touch()
    assert client.wait_for_exit(logins.attempt.dir, child=child, stop=threading.Event())
    assert json.loads((logins.attempt.work / "seen").read_text()) == NEW
    assert logins.read() == NEW


@pytest.mark.parametrize(
    "harm",
    [
        'rm "$COPY"',
        ': > "$COPY"',
        'echo "{torn" > "$COPY"',
        'echo "[]" > "$COPY"',
        'rm "$COPY"; mkfifo "$COPY"',
        'rm "$COPY"; ln -s ../../../new "$COPY"',
        'rm "$COPY"; mkdir "$COPY"',
        'head -c 2000000 /dev/zero > "$COPY"',
    ],
)
def test_what_is_no_login_does_not(logins: Logins, harm: str) -> None:
    before = time.monotonic()
    logins.script(harm)
    logins.attempt.run()
    assert logins.read() == OLD
    assert time.monotonic() - before < 30  # a pipe is not waited for


def test_a_link_in_its_place_is_not_written_through(logins: Logins) -> None:
    """The user renews the login, and the agent has put a link in the copy's place."""
    victim = logins.own.with_name("victim")
    victim.write_text("mine")
    logins.script(f'rm "$COPY"; ln -s "{victim}" "$COPY"; {WAIT}')
    child = logins.attempt.start()
    eventually(lambda: logins.attempt.has("up"))
    logins.own.write_text(json.dumps(NEW))
    time.sleep(2.5)  # more than two looks
    (logins.attempt.work / "go").touch()
    client.wait_for_exit(logins.attempt.dir, child=child, stop=threading.Event())
    assert victim.read_text() == "mine"
    assert logins.read() == NEW


def test_a_login_is_returned_when_the_supervisor_was_killed(logins: Logins) -> None:
    logins.script(f"{WAIT}; {BY_RENAME}; touch done; sleep 300")
    child = logins.attempt.start()
    eventually(lambda: logins.attempt.has("up"))
    child.kill()
    child.wait()
    (logins.attempt.work / "go").touch()
    eventually(lambda: logins.attempt.has("done"))
    assert logins.read() == OLD
    client.end_leftovers(logins.attempt.dir, logins.attempt.marker)
    assert logins.read() == NEW
    assert not logins.copy.exists()


def test_a_file_that_the_user_has_not_is_not_made(logins: Logins, tmp_path: Path) -> None:
    logins.own.unlink()
    logins.script(IN_PLACE)
    logins.attempt.run()
    assert not logins.own.exists()
