"""The local forge is followed: the contract, its CI, and what only files go through."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestr.errors import CorruptState
from orchestr.forges.base import ForgeError, PRExists, PRState
from orchestr.forges.comment_files import CommentRow
from orchestr.forges.followed import (
    Dressing,
    StatusState,
    Verdict,
)
from orchestr.forges.local import LocalForge
from orchestr.forges.local_ci import LocalCi
from orchestr.testing.follow_contract import FollowContract
from orchestr.testing.follow_world import FollowWorld, Said
from orchestr.testing.forge_contract import git

from .test_local import LocalWorld, killed_at


class LocalFollowWorld(LocalWorld, FollowWorld):
    """A local forge whose CI says what lies in a file of the commit's name."""

    forge: LocalForge

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answers = folder / "answers"
        self.answers.mkdir()
        self.ci = LocalCi(f'cat "{self.answers}/$ORCHESTR_CI_SHA" 2>/dev/null || true')

    def use(self, command: str, **more: Any) -> None:
        """Another CI."""
        self.ci = LocalCi(command, **more)
        self.forge.__dict__.pop("ci", None)
        self.forge.make_ci = lambda: self.ci

    def say(
        self,
        number: int,
        body: str,
        *,
        author: str = "rita",
        path: str = "",
        line: int = 0,
        thread: str = "",
        is_bot: bool = False,
    ) -> None:
        row = CommentRow(
            author=author, body=body, path=path, line=line, thread=thread, is_bot=is_bot
        )
        self.forge.add_comment(self.repo, number, row)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        row = CommentRow(author=author, body=body, verdict=verdict)
        self.forge.add_comment(self.repo, number, row)

    def resolve(self, number: int, thread: str) -> None:
        self.forge.resolve_thread(self.repo, number, thread)

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        if remove:
            self.forge.remove_label(self.repo, number, name)
        else:
            self.forge.dress_pull_request(self.repo, number, Dressing(labels=(name,)))

    def close_as(self, number: int, author: str) -> None:
        self.forge.close_pull_request(self.repo, number, author=author)

    def reopen(self, number: int) -> None:
        self.forge.reopen_pull_request(self.repo, number)

    def run_ci(self, sha: str, *said: Said) -> None:
        lines: list[str] = []
        for one in said:
            lines += one.log
            if one.place:
                lines.append("::error file={},line={}::{}".format(*one.place))
            lines.append(f"::check {one.name} {one.state}")
        (self.answers / sha).write_text("\n".join(lines) + "\n")
        self.forge.make_ci = lambda: self.ci

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = self.forge.read_commit_statuses(self.repo, sha)
        return {context: (row["state"], row["text"]) for context, row in found.items()}

    def result(self, sha: str) -> dict[str, Any]:
        """The file of a commit's result."""
        path = self.root / "platform" / "ci" / f"{sha}.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture
def world(tmp_path: Path) -> LocalFollowWorld:
    return LocalFollowWorld(tmp_path)


class TestLocalForgeFollowed(FollowContract):
    """The whole contract."""


# --- comments, states, labels: files -------------------------------------------------------------


def test_texts_of_earlier_versions_are_ours(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    path = world.file(number).with_suffix(".comments.json")
    path.write_text(json.dumps({"schema": 1, "comments": ["an old word"]}))
    world.forge.comment_once(world.repo, number, "an old word")
    world.forge.comment_once(world.repo, number, "a new word")
    assert [
        (c.body, c.is_ours, c.author) for t in world.facts(number).threads for c in t.comments
    ] == [
        ("an old word", True, "orchestr"),
        ("a new word", True, "orchestr"),
    ]


def test_fields_of_a_newer_version_stay(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a")
    path = world.file(number).with_suffix(".comments.json")
    table = json.loads(path.read_text())
    table["comments"][0]["mood"] = "curious"
    path.write_text(json.dumps(table))
    with world.file(number).open("a") as file:
        file.write('colour = "red"\n')

    world.resolve(number, "c1")
    world.label(number, "x")

    assert json.loads(path.read_text())["comments"][0]["mood"] == "curious"
    assert tomllib.loads(world.file(number).read_text())["colour"] == "red"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"comments": 3}', '{"comments": [{"body": 1}]}', '{"comments": [null]}']
)
def test_broken_comments_are_set_aside(world: LocalFollowWorld, text: str) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    path = world.file(number).with_suffix(".comments.json")
    path.write_text(text)
    with pytest.raises(CorruptState):
        world.facts(number)
    assert world.facts(number).threads == ()
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


def test_hostile_texts_are_bounded_and_clean(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "a\x00b\x1b[31m\udc80\tc\r\nd")
    path = world.file(number).with_suffix(".comments.json")
    table = json.loads(path.read_text())
    table["comments"].append({"author": "x", "body": "y" * (10 << 20), "thread": "c99"})
    table["comments"].append({"author": "x", "body": "y" * (10 << 20)})
    path.write_text(json.dumps(table))
    threads = world.facts(number).threads
    assert threads[0].comments[0].body == "ab\tc\r\nd"
    assert [len(thread.comments[0].body) for thread in threads[1:]] == [65_536]
    with pytest.raises(ForgeError, match="at most 65,536"):
        world.say(number, "y" * 65_537)
    world.label(number, "\x1b[1m\udc80big\x00 ")
    assert world.facts(number).labels == ("big",)


def test_a_reply_finds_its_thread_or_is_told_which_there_are(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a", line=2)
    world.say(number, "general")
    world.say(number, "so", thread="c1")
    world.say(number, "so", thread="c3")
    assert len(world.thread(number, "a").comments) == 3
    with pytest.raises(ForgeError, match="no thread 'c2'") as refused:
        world.say(number, "x", thread="c2")
    assert refused.value.hint == "its threads: c1"


def test_one_is_opened_again_only_where_that_makes_sense(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    first = world.pull("one")
    world.close_as(first, "rita")
    second = world.pull("one")
    with pytest.raises(PRExists, match=f"pull/{second}"):
        world.reopen(first)
    world.close_as(second, "rita")
    git(world.clone, "push", "-q", "origin", ":one")
    with pytest.raises(ForgeError, match="no branch one"):
        world.reopen(first)
    git(world.clone, "push", "-q", "origin", "one")
    for _ in range(2):
        world.reopen(first)
    assert world.states("one") == [(second, PRState.CLOSED), (first, PRState.OPEN)]
    world.merge(first)
    with pytest.raises(ForgeError, match="is merged"):
        world.reopen(first)
    with pytest.raises(ForgeError, match="be marked as ready"):
        world.forge.mark_ready(world.repo, second)


def test_a_milestone_that_is_there_stays(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    assert not world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v1"))
    (word,) = world.forge.dress_pull_request(world.repo, number, Dressing(milestone="v2"))
    assert "has v1 already" in word


def test_a_status_is_short_and_only_of_a_commit(world: LocalFollowWorld) -> None:
    sha = world.branch("one", "a")
    for _ in range(2):
        world.forge.set_commit_status(world.repo, sha, "x/y", StatusState.PENDING, "w" * 500)
    assert world.statuses(sha)["x/y"] == ("pending", "w" * 140)
    with pytest.raises(ForgeError, match="not the id of a commit"):
        world.forge.set_commit_status(world.repo, "../x", "x/y", StatusState.PENDING, "")


@pytest.mark.slow
def test_a_kill_at_any_line_of_answering_leaves_one_answer(world: LocalFollowWorld) -> None:
    world.branch("one", "a")
    number = world.pull("one")
    world.say(number, "why?", path="a")
    thread = world.thread(number, "a")

    def answer() -> None:
        world.forge.answer_once(world.repo, number, thread, "because", "k")

    line = 0
    while killed_at(line, answer):
        line += 7
    answer()
    assert len(world.thread(number, "a").comments) == 2
