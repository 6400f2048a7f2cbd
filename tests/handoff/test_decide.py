"""When a feature can be handed over, what may be chosen, and which calls come of it."""

from __future__ import annotations

import dataclasses

import pytest

from orchestr.codec import replace
from orchestr.errors import UsageError
from orchestr.forges.base import PRState, PullRequest
from orchestr.handoff.choose import Choices, format_for_editor, parse_edited, read_flags, read_line
from orchestr.handoff.decide import digest_seen, find_change_since, list_actions
from orchestr.handoff.readiness import CellReadiness, find_obstacles
from orchestr.handoff.records import ActionKind, Choice, HandoffAction, PullRequestText

HEAD, URL, AT = "a" * 40, "local://app/pull/1", "2026-01-01T00:00:00+00:00"
PR = PullRequest(1, URL, "t", "b", "F-1-a", "main", HEAD, True, PRState.OPEN, AT, AT)
GREEN = CellReadiness("f:a", head=HEAD, published=HEAD, url=URL, pr=PR)
TEXT = PullRequestText("a", "app", 1, URL, HEAD, "main", "t", "new", True, digest_seen(PR))


def change(**values: object) -> PullRequest:
    return dataclasses.replace(PR, **values)  # type: ignore[arg-type]


def test_green_is_green_merged_too_and_so_is_a_cell_without_a_pull_request() -> None:
    merged = dataclasses.replace(GREEN, pr=change(state=PRState.MERGED, head_sha="b" * 40))
    for cells in ([GREEN], [merged], [GREEN, CellReadiness("f:n", head=HEAD, published=HEAD)]):
        assert find_obstacles("f", cells) == []
    pending = dataclasses.replace(GREEN, pr=change(checks="pending"))
    assert find_obstacles("f", [pending]) == []


@pytest.mark.parametrize(
    ("values", "why", "command"),
    [
        ({"is_ignored": True}, "it is ignored", "orchestr ignore --undo f:a"),
        ({"head": None}, "no result yet", "orchestr run f:a"),
        ({"stale": ("check: changed",)}, "not up to date: check: changed", "orchestr run f:a"),
        ({"needs_person": "a conflict"}, "needs a person: a conflict", "orchestr explain f:a"),
        ({"is_green": False}, "stayed red", "orchestr explain f:a"),
        ({"published": "b" * 40}, "an older head", "orchestr run f:a"),
        ({"away": "no network"}, "could not be asked", "orchestr status f --fetch"),
        ({"pr": None}, "is gone", "orchestr run f:a"),
        ({"pr": change(state=PRState.CLOSED)}, "closed without a merge", "orchestr run f:a"),
        ({"pr": change(head_sha="b" * 40)}, "shows bbbbbbbbbbbb, proved is", "orchestr run f"),
        ({"pr": change(checks="failure")}, "CI of local", "orchestr follow f --once"),
    ],
)
def test_what_is_not_green_has_a_way_back(
    values: dict[str, object], why: str, command: str
) -> None:
    cell = dataclasses.replace(GREEN, **values)  # type: ignore[arg-type]
    [found] = find_obstacles("f", [cell])
    assert why in found.why and found.command == command and found.cell == "f:a"


def test_cross_checks_and_nothing_at_all_are_obstacles_of_the_feature() -> None:
    [red] = find_obstacles("f", [GREEN], ["cross checks in app: red"])
    assert (red.cell, red.command) == ("", "orchestr run f")
    [none] = find_obstacles("f", [CellReadiness("f:n", head=HEAD, published=HEAD)])
    assert none.why == "none of its cells has a pull request"


def test_only_what_differs_is_done_in_merge_order() -> None:
    other = replace(TEXT, cell="b", url=f"{URL}2", body="b", title="T")
    prs = {URL: PR, f"{URL}2": change(url=f"{URL}2", draft=False)}
    edits = [HandoffAction(ActionKind.EDIT, "a", URL, ("body",)),
             HandoffAction(ActionKind.EDIT, "b", f"{URL}2", ("title",))]  # fmt: skip
    ready = HandoffAction(ActionKind.READY, "a", URL)
    assert list_actions([TEXT, other], prs, Choice.LEAVE) == edits
    assert list_actions([TEXT, other], prs, Choice.READY) == [edits[0], ready, edits[1]]
    land = list_actions([TEXT, other], prs, Choice.LAND)
    assert land == [edits[0], ready, edits[1], HandoffAction(ActionKind.LAND)]
    done = {URL: change(body="new\r\n", draft=False)}
    assert list_actions([TEXT], done, Choice.READY) == []
    assert list_actions([TEXT], {URL: change(state=PRState.MERGED)}, Choice.LAND) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, None),
        ({"draft": False}, None),
        ({"body": "new"}, None),  # ours, sent before a kill
        ({"body": "new\r\n"}, None),
        ({"body": "theirs"}, "body of local"),
        ({"title": "theirs", "base": "next"}, "title and base of local"),
        ({"head_sha": "b" * 40}, "another head, bbbbbbbbbbbb"),
        ({"state": PRState.CLOSED}, "was closed"),
        ({"state": PRState.MERGED, "head_sha": "b" * 40}, None),
    ],
)
def test_what_changed_while_a_person_read_is_noticed(
    values: dict[str, object], told: str | None
) -> None:
    found = find_change_since(TEXT, change(**values))
    assert (found is None) if told is None else (found is not None and told in found)


CELLS = ("core", "app")


def test_flags_and_lines_choose_the_same() -> None:
    by_flags = read_flags([Choice.READY], ["core"], ["app=release-2"], CELLS)
    by_lines = Choices()
    for line in (" skip core ", "base app=release-2", "ready"):
        by_lines = read_line(by_lines, line, CELLS)
    assert by_flags == by_lines == Choices(Choice.READY, ("core",), {"app": "release-2"})


@pytest.mark.parametrize(
    "line", ["", "redy", "skip", "skip nope", "base app", "base app=a..b", "ready now", "land x"]
)
def test_a_line_that_means_nothing_is_refused(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_line(Choices(), line, CELLS)
    assert caught.value.hint


def test_choices_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="is skipped, and is to get another base"):
        read_flags([Choice.LEAVE], ["app"], ["app=next"], CELLS)
    for skipped, bases in ((["app"], []), ([], ["app=next"])):
        with pytest.raises(UsageError, match="land as a whole"):
            read_flags([Choice.LAND], skipped, bases, CELLS)


def test_an_edited_text_has_a_title() -> None:
    assert parse_edited(format_for_editor(TEXT)) == ("t", "new")
    assert parse_edited("\n\n new  title \r\n\r\nbody\r\n") == ("new title", "body")
    for data in ("", "\n", "<!-- orchestr:handoff -->\nx", "x" * 251):
        with pytest.raises(UsageError):
            parse_edited(data)
