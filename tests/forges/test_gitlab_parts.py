"""Which project a remote means, and which token goes to which host."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.forges.base import ForgeError
from orchestr.forges.gitlab_login import VARIABLES, find_login, find_token_host
from orchestr.forges.gitlab_query import guard_commands, strip_draft, unguard_commands, write_title
from orchestr.forges.gitlab_remote import parse_project_url
from orchestr.git.stated import FORGE_TOKENS
from orchestr.process.redaction import filter_env


@pytest.mark.parametrize(
    ("url", "root", "wanted"),
    [
        ("https://gitlab.com/o/app.git", None, "https://gitlab.com/o/app"),
        ("https://u:p@gitlab.com/o/sub/deep/app/", None, "https://gitlab.com/o/sub/deep/app"),
        ("git@gitlab.example.org:o/sub/app.git", None, "https://gitlab.example.org/o/sub/app"),
        ("ssh://git@altssh.gitlab.com:443/o/app.git", None, "https://gitlab.com/o/app"),
        ("ssh://git@git.example.org:2222/o/app", None, "https://git.example.org/o/app"),
        ("http://localhost:8080/o/app.git", None, "http://localhost:8080/o/app"),
        ("https://x.org/gitlab/o/app.git", "https://x.org/gitlab/", "https://x.org/gitlab/o/app"),
        ("git@ssh.x.org:o/app.git", "https://x.org/gitlab", "https://x.org/gitlab/o/app"),
        ("https://x.org/o/app.git", "https://x.org/gitlab", None),
        ("https://gitlab.com/app.git", None, None),
        ("https://gitlab.com/o/../app.git", None, None),
        ("https://gitlab.com/o/-/app", None, None),
        ("/srv/git/o/app.git", None, None),
    ],
)
def test_the_project_of_a_remote(url: str, root: str | None, wanted: str | None) -> None:
    found = parse_project_url(url, root)
    assert (found.url if found else None) == wanted


def test_sub_groups_are_one_word_of_the_api() -> None:
    project = parse_project_url("git@gitlab.com:o/sub/app.git")
    assert project is not None
    assert (project.api, project.host) == ("/projects/o%2Fsub%2Fapp", "gitlab.com")


CONFIG = """\
host: gitlab.com
hosts:
    gitlab.com:
        token: !!null glpat-ofGlabOfGlabOfGlab
        api_protocol: https
    git.example.org:
        token: oauthOauthOauth
        is_oauth2: "true"
    empty.example.org:
        token: ""
"""


@pytest.fixture
def glab(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config.yml").write_text(CONFIG)
    return {"GLAB_CONFIG_DIR": str(tmp_path)}


def test_a_token_of_the_environment_goes_to_its_host_alone(tmp_path: Path) -> None:
    env = {"GITLAB_TOKEN": "glpat-envEnvEnvEnvEnv0", "GLAB_CONFIG_DIR": str(tmp_path)}
    assert find_token_host(None, env) == "gitlab.com"
    assert find_token_host("https://x.org/gitlab", env) == "x.org"
    assert find_token_host(None, {"GITLAB_HOST": "git.example.org"}) == "git.example.org"
    assert find_token_host(None, {"GITLAB_HOST": "http://h:8080/x"}) == "h:8080"
    login = find_login("gitlab.com", None, env)
    assert login is not None
    assert (login.token, login.source) == (env["GITLAB_TOKEN"], "$GITLAB_TOKEN")
    assert env["GITLAB_TOKEN"] not in repr(login)
    assert find_login("evil.example.org", None, env) is None


def test_the_settings_of_glab_are_read(glab: dict[str, str], tmp_path: Path) -> None:
    plain = find_login("gitlab.com", None, glab)
    oauth = find_login("git.example.org", None, glab)
    assert plain is not None
    assert oauth is not None
    assert (plain.token, plain.is_oauth) == ("glpat-ofGlabOfGlabOfGlab", False)
    assert (oauth.token, oauth.is_oauth) == ("oauthOauthOauth", True)
    assert find_login("empty.example.org", None, glab) is None
    assert find_login("other.example.org", None, glab) is None
    (tmp_path / "config.yml").write_text("hosts: [")
    with pytest.raises(ForgeError, match="no YAML"):
        find_login("gitlab.com", None, glab)


def test_no_agent_gets_the_token() -> None:
    env = {"GITLAB_TOKEN": "glpat-envEnvEnvEnvEnv0", "PATH": "/bin", "GITLAB_HOST": "h"}
    assert "GITLAB_TOKEN" not in filter_env(env, ("PATH",))


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("/close", "\\/close"),
        ("a\n/merge now\r\nb", "a\n\\/merge now\r\nb"),
        ("/usr/bin/env", "/usr/bin/env"),
        ("and /close", "and /close"),
        ("\\/close", "\\\\/close"),
    ],
)
def test_commands_are_guarded_and_read_back(text: str, guarded: str) -> None:
    if not text.startswith("\\"):
        assert guard_commands(text) == guarded
        assert unguard_commands(guarded) == text
    assert guard_commands(unguard_commands(guard_commands(text))) == guard_commands(text)


def test_titles() -> None:
    assert strip_draft("Draft: [draft] (Draft) a") == "a"
    assert write_title("Draft: a", draft=True) == "Draft: a"
    assert write_title("draft:a", draft=False) == "a"


@pytest.mark.parametrize(
    ("url", "root", "wanted"),
    [
        # the address of one GitLab is not that of another
        ("https://gitlab.com/o/app.git", "https://x.org/gitlab", "https://gitlab.com/o/app"),
        ("git@gitlab.com:o/app.git", "https://x.org", "https://gitlab.com/o/app"),
        ("https://y.org/o/app.git", "https://x.org", "https://y.org/o/app"),
        ("https://X.org:8443/o/app.git", "https://x.org", "https://x.org/o/app"),
        # what is no GitLab is none
        ("https://github.com/o/app.git", None, None),
        ("git@github.com:o/app.git", "https://x.org", None),
        # nobody reads a token on the way
        ("http://gitlab.com/o/app.git", None, "https://gitlab.com/o/app"),
        ("http://x.org/o/app.git", "http://x.org", "http://x.org/o/app"),
    ],
)
def test_each_remote_is_at_its_own_gitlab(url: str, root: str | None, wanted: str | None) -> None:
    test_the_project_of_a_remote(url, root, wanted)


@pytest.mark.parametrize(
    "host", ["HTTPS://Git.Example.org:443/x", "git.example.org", "https://me@git.example.org/"]
)
def test_a_host_is_the_same_however_it_is_written(host: str) -> None:
    env = {"GITLAB_HOST": host, "GITLAB_TOKEN": "glpat-envEnvEnvEnvEnv0", "HOME": "/nowhere"}
    assert find_token_host(None, env) == "git.example.org"
    assert find_login("git.example.org", None, env) is not None


def test_no_hook_of_a_repository_gets_a_token() -> None:
    assert set(VARIABLES) <= set(FORGE_TOKENS)
