"""Ways to a repository that run a command or wait for ever are refused, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.errors import SpecError
from orchestr.git.config import Branch, CommitId
from orchestr.git.errors import ProtocolRefused
from orchestr.git.repo import Repo
from orchestr.settings.loader import load_settings
from tests.conftest import MakeRepo

BAD = ["fd::17", "ext::sh -c touch% RAN", "EXT::x", "http://h/p", "git://h/p", "ftp://h/p", "-x"]
GOOD = ["https://h/p", "ssh://git@h/p", "git@h:o/r.git", "h:o/r", "file:///p", "../p", "/p", "p"]


@pytest.mark.parametrize("url", BAD)
def test_no_clone_from_there(url: str, tmp_path: Path) -> None:
    (tmp_path / "orchestr.toml").write_text(f'[repos.app]\nurl = "{url}"\n')
    with pytest.raises(SpecError, match="is no address that repositories are cloned from"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize("url", GOOD)
def test_clones_from_there(url: str, tmp_path: Path) -> None:
    (tmp_path / "orchestr.toml").write_text(f'[repos.app]\nurl = "{url}"\n')
    assert load_settings(tmp_path, {}).repo_settings("app").url == url


@pytest.mark.parametrize("allowed", [None, "file:https:ext:fd"])
@pytest.mark.parametrize("place", ["url", "pushurl"])
@pytest.mark.parametrize("how", ["ext", "fd"])
def test_no_remote_and_no_push_place_runs_a_command(
    how: str, place: str, allowed: str | None, tmp_path: Path, make_repo: MakeRepo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("GIT_ALLOW_PROTOCOL", raising=False)
    if allowed is not None:
        monkeypatch.setenv("GIT_ALLOW_PROTOCOL", allowed)
    sandbox, ran = make_repo(), tmp_path / "ran"
    url = {"ext": f"ext::sh -c touch% {ran}", "fd": "fd::17"}[how]
    sandbox.git("config", f"remote.origin.{place}", url)
    repo = Repo(sandbox.path)
    head = CommitId(sandbox.git("rev-parse", "HEAD"))
    with pytest.raises(ProtocolRefused, match=f"reached by {how}, which is refused") as refused:
        if place == "url":
            repo.ls_remote("origin")
        else:
            repo.push("origin", head, Branch("new"))
    assert "remote set-url origin https://HOST/PATH" in (refused.value.hint or "")
    assert not ran.exists()
