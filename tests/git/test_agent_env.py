"""An agent's git can read, commit and fetch; it can neither push nor leave its worktree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestr.git.agent_environment import agent_git_env, exclude_config
from orchestr.git.repo import Branch, Repo
from orchestr.git.worktrees import add_worktree
from tests.conftest import MakeRepo, Sandbox, git, write


class Agent:
    """A worktree, and git as an agent there would run it."""

    def __init__(self, box: Sandbox, tmp: Path) -> None:
        self.box, self.excludes = box, tmp / "state" / "git" / "excludes"
        self.repo = Repo(box.path)
        self.tree = tmp / "trees" / "cell"
        add_worktree(
            self.repo, self.tree, Branch("feat"), self.repo.require_head(), locks=tmp / "locks"
        )

    def git(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        ours = agent_git_env(self.repo, self.tree, self.excludes, patterns=["/node_modules"])
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **ours}
        return subprocess.run(
            ["git", *args], cwd=cwd or self.tree, env=env, text=True, capture_output=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def agent(make_repo: MakeRepo, tmp_path: Path) -> Agent:
    return Agent(make_repo(files={"a.txt": "a\n"}), tmp_path)


def refused(agent: Agent, *args: str) -> None:
    assert agent.box.origin is not None
    before = git(agent.box.origin, "for-each-ref")
    done = agent.git("push", *args)
    assert done.returncode != 0, done.stderr
    assert git(agent.box.origin, "for-each-ref") == before


def test_it_commits_and_fetches_but_does_not_push(agent: Agent) -> None:
    config = (agent.box.path / ".git/config").read_bytes()
    write(agent.tree, {"new.txt": "work"})
    assert agent.git("add", "-A").returncode == 0
    assert agent.git("commit", "-m", "work").returncode == 0
    assert agent.git("fetch", "origin").returncode == 0
    refused(agent, "origin", "HEAD")
    refused(agent, "--force", "origin", "HEAD:main")
    refused(agent, "--mirror", "origin")
    refused(agent, str(agent.box.origin), "HEAD:main")
    refused(agent, f"file://{agent.box.origin}", "HEAD:main")
    refused(agent)
    assert (agent.box.path / ".git/config").read_bytes() == config


def test_a_users_own_push_rewriting_is_no_way_round(agent: Agent) -> None:
    agent.box.git("config", f"url.{agent.box.origin}.pushInsteadOf", "short:")
    agent.box.git("config", "--add", f"url.{agent.box.origin}.pushInsteadOf", "/")
    agent.box.git("remote", "add", "named", "short:")
    refused(agent, "origin", "HEAD:main")
    refused(agent, "named", "HEAD:main")


def test_an_explicit_push_url_is_no_way_round(agent: Agent) -> None:
    agent.box.git("config", "remote.origin.pushurl", str(agent.box.origin))
    refused(agent, "origin", "HEAD:main")
    assert agent.git("fetch", "origin").returncode == 0


def test_without_its_git_file_it_is_in_no_repository(make_repo: MakeRepo, tmp_path: Path) -> None:
    box = make_repo("outer")
    agent = Agent(box, box.path)
    (agent.tree / ".git").unlink()
    assert agent.git("rev-parse", "--show-toplevel").returncode != 0


def test_below_the_worktree_git_still_finds_it(agent: Agent) -> None:
    below = agent.tree / "x" / "y"
    below.mkdir(parents=True)
    assert agent.git("rev-parse", "--show-toplevel", cwd=below).stdout.strip() == str(agent.tree)


def test_linked_folders_and_our_files_are_ignored_and_so_are_the_users(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    write(tmp_path / "xdg" / "git", {"ignore": "*.swp"})
    (tmp_path / "modules").mkdir()
    (agent.tree / "node_modules").symlink_to(tmp_path / "modules")
    write(agent.tree, {"x.swp": "", ".orchestr/x": "", ".ports.env": "", "seen.txt": ""})
    assert agent.git("status", "--porcelain").stdout == "?? seen.txt\n"
    ours = exclude_config(agent.repo, agent.excludes, ["/node_modules"])
    assert Repo(agent.tree, config=ours).dirty_paths() == ["seen.txt"]
    assert Path(ours["core.excludesFile"]).read_text().startswith("*.swp\n")


def test_a_configured_excludes_file_is_taken_along(agent: Agent, tmp_path: Path) -> None:
    write(tmp_path, {"mine": "*.bak\n"})
    agent.box.git("config", "core.excludesFile", str(tmp_path / "mine"))
    write(agent.tree, {"x.bak": "", "y.txt": ""})
    assert agent.git("status", "--porcelain").stdout == "?? y.txt\n"


def test_a_user_without_identity_can_commit(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    agent.repo = Repo(agent.box.path)
    done = agent.git("commit", "--allow-empty", "-m", "work")
    assert done.returncode == 0, done.stderr
    assert git(agent.tree, "log", "-1", "--format=%an") == "orchestr"


def test_it_commits_as_the_user_whom_the_environment_names_and_gets_no_login(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ann@corp.example")
    given = {
        "user.email": "cid@corp.example",
        "http.https://example.org/.extraheader": "AUTHORIZATION: secret",
    }
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(given)))
    for number, (key, value) in enumerate(given.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    write(agent.tree, {"new.txt": "work"})
    agent.git("add", "-A")
    agent.git("commit", "-qm", "work")
    shown = agent.git("log", "-1", "--format=%an <%ae> <%ce>").stdout
    assert shown == "Ann <cid@corp.example> <ann@corp.example>\n"
    assert "secret" not in str(agent_git_env(agent.repo, agent.tree, agent.excludes))
    refused(agent, "origin", "HEAD")
