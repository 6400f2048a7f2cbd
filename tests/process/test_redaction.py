"""What is hidden, and what stays readable."""

from __future__ import annotations

import pytest

from orchestr.process.run import filter_env, redact, secret_values


@pytest.mark.parametrize(
    "name", ["GH_TOKEN", "ANTHROPIC_API_KEY", "apikey", "AWS_SECRET", "DB_PASSWORD", "GITHUB_PAT"]
)
def test_names_that_look_secret(name: str) -> None:
    assert secret_values({name: "abcdefgh"}) == {"abcdefgh"}


@pytest.mark.parametrize(
    "name", ["PATH", "KEYBOARD", "GIT_CONFIG_KEY_0", "HOME", "PATIENCE", "ORCHESTR_KEY"]
)
def test_names_that_do_not(name: str) -> None:
    assert secret_values({name: "abcdefgh"}) == set()


def test_short_values_would_hide_everything() -> None:
    assert secret_values({"USE_TOKEN": "1", "A_KEY": ""}) == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key abcdef-long abcdef", "key *** ***"),
        ("https://user:pass@host/r.git", "https://***@host/r.git"),
        ("https://ghp_x@host/r.git", "https://***@host/r.git"),
        ("https://u:p@ss@host/r", "https://***@host/r"),
        ("http://host/a@b", "http://host/a@b"),
        ("ssh://git@host/r.git", "ssh://git@host/r.git"),
        ("ssh://git:pw@host/r.git", "ssh://git:***@host/r.git"),
        ("git@host:o/r.git", "git@host:o/r.git"),
        ("Authorization: Basic Zm9v x", "Authorization: Basic *** x"),
        ("it is gho_abcdefgh12345678, or github_pat_11AA_bb22cc", "it is ***, or ***"),
        ("ghost_writer_of_texts", "ghost_writer_of_texts"),
        ("authorization: Zm9v", "authorization: ***"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text, {"abcdef", "abcdef-long", ""}) == shown


def test_an_allow_list_of_variables() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "LC_CTYPE": "C", "GH_TOKEN": "x", "path": "y"}
    assert filter_env(environ, ("PATH", "LC_*", "ABSENT")) == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "LC_CTYPE": "C",
    }
