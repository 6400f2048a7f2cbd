"""Which forge an address is for, by settings and by its host, and that no token goes elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.errors import OrchestrError
from orchestr.forges import make_forge
from orchestr.forges.base import ForeignAddress
from orchestr.forges.forgejo import ForgejoForge
from orchestr.forges.forgejo_api import ForgejoApi
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.repo_refs import find_forge_url, make_repo_ref
from orchestr.forges.routed import RoutedForge
from orchestr.forges.usual_hosts import guess_forge_kind, read_forge_host
from orchestr.settings.loader import load_settings
from tests.conftest import git


def clone(folder: Path, name: str, url: str) -> None:
    git(folder, "init", "-q", str(folder / name))
    git(folder / name, "remote", "add", "origin", url)


def test_two_hosts_of_two_kinds_and_two_of_one_kind_each_have_their_address(tmp_path: Path) -> None:
    clone(tmp_path, "lab", "ssh://git@ssh.a.org:2222/group/sub/lab.git")
    clone(tmp_path, "tea", "https://b.org/forge/team/tea.git")
    clone(tmp_path, "berg", "git@codeberg.org:o/berg.git")
    clone(tmp_path, "own", "git@ssh.c.org:o/own.git")
    (tmp_path / "orchestr.toml").write_text(
        '[workspace]\nrepos = "."\n[forge]\nkind = "github"\n'
        '[repos.lab]\nforge = "gitlab"\nforge_url = "https://a.org/gitlab/"\n'
        '[repos.tea]\nforge = "forgejo"\nforge_url = "https://b.org/forge"\n'
        '[repos.berg]\nforge = "forgejo"\n'
        '[repos.own]\nforge = "forgejo"\nforge_url = "https://c.org:8443"\n'
    )
    settings = load_settings(tmp_path, {})
    forge = make_forge(settings)
    assert isinstance(forge, RoutedForge)
    lab = make_repo_ref(settings, "lab")
    assert forge.forge_for(lab).project_for(lab).url == "https://a.org/gitlab/group/sub/lab"
    tea = forge.forge_for(make_repo_ref(settings, "tea"))
    assert isinstance(tea, ForgejoForge)
    assert [tea.path_for(make_repo_ref(settings, name)).url for name in ("tea", "berg", "own")] == [
        "https://b.org/forge/team/tea",
        "https://codeberg.org/o/berg",
        "https://c.org:8443/o/own",
    ]
    assert tea.known_roots == (None, "https://b.org/forge", "https://c.org:8443")


def test_a_kind_without_an_address_refuses_one(tmp_path: Path) -> None:
    text = '[repos.app]\nforge_url = "https://git.example.org"\n[forge]\nkind = "github"\n'
    (tmp_path / "orchestr.toml").write_text(text)
    with pytest.raises(OrchestrError, match=r"kind `github`, which has no address"):
        load_settings(tmp_path, {})


def test_an_issue_of_another_host_is_not_read_at_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGEJO_TOKEN", "t")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    for name in ("FORGEJO_URL", "GITEA_URL", "GITEA_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    forge = ForgejoForge("https://git.corp.org/forge")
    for address in ("https://evil.org/o/n/issues/1", "https://git.corp.org.evil.org/o/n/issues/1"):
        with pytest.raises(ForeignAddress):
            forge.read_issue(address)
    known = (None, "https://a.org", "https://b.org/x")
    assert find_forge_url("https://b.org/x/o/n", known) == "https://b.org/x"
    assert find_forge_url("https://b.org/xy/o/n", known) is None


def test_a_remote_does_not_make_a_token_go_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    monkeypatch.setenv("FORGEJO_TOKEN", "t")
    plain, tls = RepoPath("http://git.lan", "o", "n"), RepoPath("https://git.lan", "o", "n")
    for named in ("https://git.lan", "git.lan"):
        monkeypatch.setenv("FORGEJO_URL", named)
        assert ForgejoApi().find_login(plain) is None
        assert ForgejoApi().find_login(tls) is not None
        assert "FORGEJO_URL=http://git.lan" in ForgejoApi().explain_login(plain)
    monkeypatch.setenv("FORGEJO_URL", plain.root)
    assert ForgejoApi().find_login(plain) is not None


def test_the_kind_of_a_host_is_known_or_said_by_the_user(tmp_path: Path) -> None:
    env = {
        "HOME": str(tmp_path),
        "GITEA_URL": "https://tea.corp.org",
        "GITLAB_HOST": "lab.corp.org",
    }
    config = tmp_path / ".config/tea/config.yml"
    config.parent.mkdir(parents=True)
    config.write_text("logins: [{url: 'https://logged.org', token: t}]\n")
    hosts = ["github.com", "altssh.gitlab.com", "codeberg.org", "gitea.com", "tea.corp.org",
             "lab.corp.org", "logged.org", "codeberg.org.evil.org", ""]  # fmt: skip
    assert [guess_forge_kind(host, env) for host in hosts] == [
        "github", "gitlab", "forgejo", "gitea", "gitea", "gitlab", "forgejo", "", "",
    ]  # fmt: skip
    config.write_text("logins: [")
    assert guess_forge_kind("logged.org", env) == ""
    assert [read_forge_host(url) for url in ("git@codeberg.org:o/n.git", "../x.git", "")] == [
        "codeberg.org", "", "",
    ]  # fmt: skip
