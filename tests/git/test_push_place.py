"""Where pushes go, whether they are taken, and whether commits can be signed: asked beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.git.push_place import find_other_push_place, is_same_repository, try_push
from orchestr.git.repo import Branch, Repo
from orchestr.git.sign_trial import explain_unsigned
from tests.conftest import MakeRepo, Sandbox, git


@pytest.fixture
def sandbox(make_repo: MakeRepo) -> Sandbox:
    return make_repo("app")


def origin_of(sandbox: Sandbox) -> Path:
    assert sandbox.origin is not None
    return sandbox.origin


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://github.com/o/r.git", "git@github.com:o/r", True),
        ("https://github.com/o/r", "ssh://git@ssh.github.com:443/O/R.git", True),
        ("git@work:o/r.git", "https://token@github.com/o/r", True),
        ("https://gitlab.com/group/sub/r.git", "git@gitlab.com:group/sub/r.git", True),
        ("https://github.com/o/r", "https://github.com/fork/r", False),
        ("https://github.com/o/r", "git@gitlab.com:o/r.git", False),
        ("https://git.example.org:8443/o/r", "ssh://git@git.example.org:2222/o/r", True),
        ("/a/r.git", "file:///a/r.git", True),
        ("/a/r.git", "/a/fork.git", False),
        ("../r.git", "https://github.com/o/r.git", False),
    ],
)
def test_two_urls_of_one_repository(one: str, other: str, same: bool, tmp_path: Path) -> None:
    assert is_same_repository(one, other, tmp_path) is same
    assert is_same_repository(other, one, tmp_path) is same


def test_a_folder_is_known_by_every_name_that_git_takes(sandbox: Sandbox, tmp_path: Path) -> None:
    bare = origin_of(sandbox).rename(tmp_path / "other.git")
    (tmp_path / "link").symlink_to(bare)
    names = [str(bare), f"file://{bare}", "../other", str(tmp_path / "link")]
    assert all(is_same_repository(str(bare), name, sandbox.path) for name in names)
    assert not is_same_repository(str(bare), str(sandbox.path), sandbox.path)


def test_a_push_url_elsewhere(sandbox: Sandbox, tmp_path: Path) -> None:
    repo = Repo(sandbox.path)
    assert find_other_push_place(repo) is None
    fork = tmp_path / "fork.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(origin_of(sandbox)), str(fork))
    sandbox.git("config", "--add", "remote.origin.pushurl", str(fork))
    assert find_other_push_place(repo) == str(fork)
    sandbox.git("config", "--add", "remote.origin.pushurl", str(origin_of(sandbox)))
    assert find_other_push_place(repo) is None  # the fork is a mirror beside it
    sandbox.git("config", "--unset-all", "remote.origin.pushurl")
    sandbox.git("config", f"url.{fork}.pushInsteadOf", str(origin_of(sandbox)))
    assert find_other_push_place(repo) == str(fork)


def test_a_trial_pushes_nothing_and_runs_no_hook(sandbox: Sandbox) -> None:
    hook = sandbox.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    repo, before = Repo(sandbox.path), git(origin_of(sandbox), "for-each-ref")
    head = repo.require_head()
    trial = try_push(repo, {Branch("new"): head, Branch("main"): head}, timeout=60)
    assert (trial.refused, trial.away) == ("", "")
    assert git(origin_of(sandbox), "for-each-ref") == before
    assert not (sandbox.path / "ran").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("remote.origin.mirror", "true", "--mirror can't be combined with refspecs"),
        ("remote.origin.pushurl", "/nowhere", "'/nowhere' does not appear to be a git repository"),
    ],
)
def test_a_trial_tells_what_git_says(sandbox: Sandbox, key: str, value: str, words: str) -> None:
    sandbox.git("config", key, value)
    repo = Repo(sandbox.path)
    trial = try_push(repo, {Branch("new"): repo.require_head()}, timeout=60)
    assert words in trial.refused
    assert trial.away == ""


def test_a_network_that_is_not_there_refuses_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:ssh")
    ssh = sandbox.path.parent / "ssh.sh"
    ssh.write_text("#!/bin/sh\necho 'ssh: Could not resolve hostname x: unknown' >&2\nexit 255\n")
    ssh.chmod(0o755)
    sandbox.git("config", "core.sshCommand", str(ssh))
    sandbox.git("config", "remote.origin.pushurl", "git@x:o/r")
    repo = Repo(sandbox.path)
    trial = try_push(repo, {Branch("new"): repo.require_head()}, timeout=60)
    assert trial.refused == ""
    assert "Could not resolve hostname x" in trial.away


def test_a_signature_is_tried_and_leaves_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    signer = tmp_path / "signer.sh"
    repo = Repo(sandbox.path)
    assert explain_unsigned(repo) is None  # no signature is asked for
    sandbox.git("config", "commit.gpgSign", "true")
    sandbox.git("config", "gpg.program", str(signer))
    objects = git(sandbox.path, "count-objects", "-v")
    for script, words in [
        ("cat > /dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho signature\n", None),
        ("echo 'no pinentry' >&2\nexit 2\n", "gpg failed to sign the data"),
        ("sleep 100\n", "the program that signs waits for something, it gave no answer in 0.5 s"),
    ]:
        signer.write_text(f"#!/bin/sh\n{script}")
        signer.chmod(0o755)
        why = explain_unsigned(Repo(sandbox.path), timeout=60 if words is None else 0.5)
        assert why is None if words is None else why is not None and words in why, why
    assert git(sandbox.path, "count-objects", "-v") == objects
