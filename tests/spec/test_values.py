"""Durations, names and patterns; branch names against git itself."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.spec.field_types import (
    BadValue,
    check_branch,
    check_cell_name,
    check_feature_name,
    check_glob,
    check_ref,
    check_repo_name,
    check_word,
    nearest_name,
    parse_duration,
    suggest_name,
)
from orchestr.spec.own_phases import parse_phases
from orchestr.spec.path_patterns import check_path_pattern
from orchestr.spec.phases import Phase


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("2h", 7200.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("45", 45.0),
        (45, 45.0),
        ("30d", 2592000.0),
    ],
)
def test_durations_are_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "m", "30 m", "-5s", "0", "0s", 0, -1, True, None, 1.5, [], "1e3", "31d", "30M", "٣m",
     "5m!", 10**400, "9" * 5000],
)  # fmt: skip
def test_what_is_no_duration_says_how_to_write_one(written: object) -> None:
    with pytest.raises(BadValue) as caught:
        parse_duration(written)
    assert caught.value.hint == "write it like 90s, 30m, 2h or 500ms, or as whole seconds"


@given(st.integers(1, 2_592_000))
def test_whole_seconds_are_themselves(seconds: int) -> None:
    assert parse_duration(seconds) == parse_duration(f"{seconds}s") == parse_duration(str(seconds))


PIECES = st.sampled_from(
    ["a", "B", "1", "-", "_", ".", "..", "/", "//", "@", "@{", "{", "}", "~", "^", ":", "?", "*",
     "[", "]", "\\", " ", "\t", "\x7f", ".lock", "HEAD", "refs/heads/", "é", "x.y"]
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_branches_follow_gits_own_rules(name: str) -> None:
    """What we take git takes; what we refuse and git takes, we refuse on purpose."""
    git = subprocess.run(
        ["git", "check-ref-format", f"refs/heads/{name}"], check=False, stdin=subprocess.DEVNULL
    )
    try:
        check_branch(name)
        ours = True
    except BadValue:
        ours = False

    if ours:
        assert git.returncode == 0
    elif git.returncode == 0:
        on_purpose = (
            not name.isascii()
            or name.startswith(("-", "refs/", "orchestr"))
            or name in ("HEAD", "@")
        )
        assert on_purpose


@pytest.mark.parametrize("name", ["orchestr", "orchestr/integ", "orchestr/integ/x", "0" * 40, ""])
def test_branches_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(BadValue):
        check_branch(name)


@pytest.mark.parametrize("name", ["DSPX-2399-web-sdk", "feature/x", "a.b", "orchestr/y", "x@y"])
def test_usual_branches_are_taken(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize("name", ["main", "origin/main", "refs/heads/main", "v1.2", "0" * 40])
def test_usual_bases_are_taken(name: str) -> None:
    assert check_ref(name) == name


EVIL = ["", "../x", "-b", "a/b", "a b", "a\nb", "a\0b", ".", "..", "a..b", "x.lock", "@{",
        "ｆoo", "fоo", "a\u200bb", "$(x)", "~", "a" * 101, "x\n"]  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_paths_options_and_look_alikes_are_no_names(name: str) -> None:
    for check in (check_feature_name, check_cell_name, check_repo_name):
        with pytest.raises(BadValue):
            check(name)


@pytest.mark.parametrize("name", ["-m", "a b", "", "a\nb", "--model=x", "$x"])
def test_a_model_cannot_be_an_option(name: str) -> None:
    with pytest.raises(BadValue):
        check_word(name)


def test_usual_names_are_taken() -> None:
    assert check_feature_name("mechanism-mlkem_2") == "mechanism-mlkem_2"
    assert check_cell_name("platform-go-sdk") == "platform-go-sdk"
    assert check_repo_name("My.repo_1") == "My.repo_1"
    assert check_word("anthropic/claude-sonnet-4.5:beta") == "anthropic/claude-sonnet-4.5:beta"


@pytest.mark.parametrize("pattern", ["src/**", "*.go", "docs/", "a/b.txt", "**/x", "[ab].c", "**"])
def test_patterns_inside_the_repository_are_taken(pattern: str) -> None:
    assert check_glob(pattern) == check_path_pattern(pattern) == pattern


def test_a_path_of_the_repository_may_be_anchored_a_place_of_the_worktree_not() -> None:
    assert check_path_pattern("/web/") == "/web/"
    with pytest.raises(BadValue):
        check_glob("/web/")


@pytest.mark.parametrize(
    "pattern", ["../x", "a/../b", "..", "~/x", "C:/x", "!x", "#x", ".git/x", "./x", "a//b",
                "a\\b", "", " ", "a\nb", ".", "/"],
)  # fmt: skip
def test_patterns_that_leave_it_are_refused(pattern: str) -> None:
    for check in (check_glob, check_path_pattern):
        with pytest.raises(BadValue):
            check(pattern)


def test_phases_keep_their_order_and_worktree_is_implied() -> None:
    assert parse_phases(["worktree", "implement", "publish"]) == (Phase.IMPLEMENT, Phase.PUBLISH)


def test_suggestions_are_the_nearest_name_else_all_of_them() -> None:
    known = ["depends_on", "owned_paths", "todo"]

    assert nearest_name("dependsOn", known) == "depends_on"
    assert suggest_name("DEPENDS-ON", known) == "did you mean `depends_on`?"
    assert suggest_name("zzz", known) == "known: depends_on, owned_paths, todo"
    assert suggest_name("zzz", []) is None
