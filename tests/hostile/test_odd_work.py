"""Agents that do their work, and odd things beside it: one run of all of them, and it ends well."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.conftest import Sandbox, git
from tests.e2e.workspace import Workspace, both
from tests.hostile.bystander import Bystander

pytestmark = pytest.mark.slow

DAEMON = """\
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for fd in range(64):
    try: os.close(fd)
    except OSError: pass
os.chdir("/")
os.execve("/bin/sh", ["sh", "-c", "sleep 987 & exec sleep 987", sys.argv[1]], {})
"""
SCRIPTS: Mapping[str, str] = {
    "config": "echo x > a; git config user.email evil@example.org;"
              "git config core.hooksPath /nowhere; git config branch.main.note mine",
    "broken-config": 'echo x > a; echo "[" >> "$(git rev-parse --git-common-dir)/config"',
    "hooks": 'echo x > a; h=$(git rev-parse --git-common-dir)/hooks; mkdir -p $h;'
             'printf "#!/bin/sh\\ntouch $AGENT_DIR/ran-a-hook\\n" > $h/pre-commit;'
             'cp $h/pre-commit $h/pre-push; chmod +x $h/pre-commit $h/pre-push',
    "pushes": "echo x > a; git add a; git commit -qm a; git push; git push -f origin HEAD:main;"
              'git push -f "$(git config remote.origin.url)" HEAD:main;'
              'git push -f "file://$(git config remote.origin.url)" HEAD:main',
    "pushes-own": "echo x > a; git add a; git commit -qm a; u=$(git config remote.origin.url);"
                  "env -i PATH=$PATH HOME=$HOME git push -q $u HEAD:$ORCHESTR_BRANCH",
    "claims-and-changes": "echo x > a; echo 'ORCHESTR no_change_needed: looks fine to me'",
    "no-change": "echo 'ORCHESTR no_change_needed: it is there already'",
    "daemon": 'echo x > a; python3 "$AGENT_DIR/daemon.py" "$AGENT_DIR" ; setsid sleep 986 &',
    "names": "printf 1 > \"$(printf 'new\\nline')\"; printf 2 > 'quo\"te'; printf 3 > ./-dash;"
             "printf 4 > 'sp ace '; printf 5 > ':(top)x'; printf 6 > '*'; "
             "printf 7 > \u00fcml\u00e4ut;"
             "printf 8 > \"$(printf 'not\\377utf8')\"",
    "links": "ln -s /etc/passwd out; ln -s ../../../.. up; ln -s nowhere dangling; echo x > a",
    "empty-inner": "git init -q inner; echo x > a",
    "huge": "head -c 20000000 /dev/zero > huge.bin; echo x > a",
    "noise": "echo x > a; printf '\\033[2J\\033]0;title\\007\\033[31mred\\033[0m\\n\\000nul"
             " \\377\\376"
             " \\302\\2339 bell\\007 back\\b\\b\\b\\r over\\n'",
    "env": "env | sort > \"$AGENT_DIR/env.txt\"; echo x > a;"
           "if [ -t 0 ] || [ -t 1 ]; then echo tty; fi > \"$AGENT_DIR/tty.txt\";"
           "cat > \"$AGENT_DIR/stdin.txt\"; cmp \"$ORCHESTR_PROMPT_FILE\" \"$AGENT_DIR/stdin.txt\"",
    "fake-pr": "echo x > a; echo 'PR: local://r-fake-pr/pull/99 https://forge.example/pull/1'",
    "stashes": "echo x > a; git stash -qu; git stash pop -q",
    "hides": "echo x > a; echo more >> README.md; git update-index --skip-worktree README.md",
    "own-config": 'echo x > a; rm -rf "$ORCHESTR_PROMPT_FILE"',
}  # fmt: skip
SECRETS = {
    "GH_TOKEN": "gho_s3cret", "GITHUB_TOKEN": "ghp_s3cret", "ANTHROPIC_API_KEY": "sk-s3cret",
    "OPENAI_API_KEY": "sk-s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret", "SSH_AUTH_SOCK": "/s3cret",
    "MY_PASSWORD": "s3cret",
}  # fmt: skip


@dataclass
class Story:
    """One run, and what it left."""

    ws: Workspace
    said: str
    states: dict[str, str]
    before: dict[str, Bystander]
    after: dict[str, Bystander]

    def repo(self, cell: str) -> Sandbox:
        return sandbox(self.ws, cell)

    def files(self, cell: str) -> list[str]:
        """The paths of the branch at the origin."""
        args = ("ls-tree", "-r", "-z", "--name-only", f"T-1-{cell}")
        return git(self.ws.repos / f"r-{cell}.git", *args).rstrip("\0").split("\0")


def sandbox(ws: Workspace, cell: str) -> Sandbox:
    return Sandbox(ws.repos / f"r-{cell}", ws.repos / f"r-{cell}.git")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    ws = Workspace.make(
        tmp_path_factory.mktemp("odd") / "ws",
        repos=[],
        cells={name: {"repo": f"r-{name}"} for name in SCRIPTS},
        settings={"limits": {"jobs": 8}},
    )
    (ws.agents / "daemon.py").write_text(DAEMON)
    before = {}
    for name, script in SCRIPTS.items():
        repo = ws.repo(f"r-{name}")
        Bystander.furnish(repo)
        before[name] = Bystander.of(repo)
        ws.script(name, f"{script}\n:\n" if "no_change" not in script else f"{script}\n")
    try:
        said = both(ws.run("run", "demo", env=SECRETS))
        after = {}
        for name in SCRIPTS:
            after[name] = Bystander.of(sandbox(ws, name))
        yield Story(ws, said, ws.states(), before, after)
    finally:
        ws.end()


@pytest.mark.parametrize("name", [n for n in SCRIPTS if n != "empty-inner"])
def test_it_ends_well(story: Story, name: str) -> None:
    assert story.states[name] == "done", story.said


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_else_is_harmed(story: Story, name: str) -> None:
    assert story.after[name] == story.before[name]


def test_what_git_was_told_not_to_look_at_is_committed(story: Story) -> None:
    shown = git(story.ws.repos / "r-hides.git", "show", "T-1-hides:README.md")
    assert shown.endswith("more")  # the file that the checks have judged


def test_changed_settings_are_put_back_and_told(story: Story) -> None:
    kept = story.ws.cell_dir("config") / "attempts/1/changed/config"
    told = [
        e["data"]["reason"] for e in story.ws.journal(kind="cell.warned") if e["cell"] == "config"
    ]
    assert len(told) == 1
    assert "(core.hookspath, user.email)" in told[0]
    assert str(kept) in told[0]
    assert "evil@example.org" in kept.read_text()
    assert f"warning: {told[0]}" in story.said


def test_planted_hooks_never_run_and_are_kept(story: Story) -> None:
    assert not (story.ws.agents / "ran-a-hook").exists()
    kept = story.ws.cell_dir("hooks") / "attempts/1/changed/hooks"
    assert sorted(p.name for p in kept.iterdir()) == ["pre-commit", "pre-push"]


def test_a_push_does_not_get_out(story: Story) -> None:
    assert story.ws.heads("r-pushes")["main"] == story.before["pushes"].main
    assert story.files("pushes") == ["README.md", "a"]


def test_a_branch_the_agent_pushed_itself_gets_its_pull_request(story: Story) -> None:
    assert story.ws.pr("pushes-own")["head_sha"] == story.ws.heads("r-pushes-own")["T-1-pushes-own"]


def test_a_change_counts_whatever_the_agent_claims(story: Story) -> None:
    assert story.ws.pr("claims-and-changes")["state"] == "open"
    assert story.ws.result("no-change", "pr-url") == "none"
    assert "it is there already" in story.ws.result("no-change", "implement.toml")
    assert "T-1-no-change" not in story.ws.heads("r-no-change")


def test_no_process_is_left(story: Story) -> None:
    assert story.ws.processes() == []


def test_file_names_survive(story: Story) -> None:
    names = [
        "*",
        "-dash",
        ":(top)x",
        "new\nline",
        "not\udcffutf8",
        'quo"te',
        "sp ace ",
        "\u00fcml\u00e4ut",
    ]
    repo = story.ws.repos / "r-names.git"
    out = subprocess.check_output(
        ["git", "-C", str(repo), "ls-tree", "-rz", "--name-only", "T-1-names"]
    )
    found = [os.fsdecode(name) for name in out.rstrip(b"\0").split(b"\0")]
    assert sorted(found) == sorted(["README.md", *names])


def test_links_are_links(story: Story) -> None:
    lines = git(story.ws.repos / "r-links.git", "ls-tree", "T-1-links").splitlines()
    modes = {line.split("\t")[1]: line.split()[0] for line in lines}
    assert modes == {"README.md": "100644", "a": "100644", "dangling": "120000",
                     "out": "120000", "up": "120000"}  # fmt: skip


def test_an_empty_repository_inside_is_named(story: Story) -> None:
    assert story.states["empty-inner"] == "failed"
    assert "inner" in story.ws.status()["empty-inner"]["reason"]


def test_no_control_character_reaches_a_terminal(story: Story) -> None:
    raw = (story.ws.cell_dir("noise") / "transcript.jsonl").read_text()
    assert "bell" in raw
    for shown in (
        story.said, *(both(story.ws.run(*args)) for args in
                      (("logs", "demo:noise"), ("status", "demo"), ("explain", "demo:noise"))),
    ):  # fmt: skip
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert "red" in story.ws.run("logs", "demo:noise").stdout


def test_its_environment_holds_no_secret(story: Story) -> None:
    text = (story.ws.agents / "env.txt").read_text()
    assert "s3cret" not in text
    names = {line.split("=")[0] for line in text.splitlines()}
    assert {"PATH", "HOME", "ORCHESTR_PROMPT_FILE", "ORCHESTR_ATTEMPT_ID"} <= names
    assert not names & set(SECRETS)
    assert (story.ws.agents / "tty.txt").read_text() == ""
    assert "do env" in (story.ws.agents / "stdin.txt").read_text()


def test_a_printed_address_is_not_believed(story: Story) -> None:
    assert story.ws.result("fake-pr", "pr-url") == "local://r-fake-pr/pull/1"
