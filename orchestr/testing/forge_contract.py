"""What every forge must do, as tests: subclass `ForgeContract` and give it a ``world`` fixture.

A world is a real clone with a real bare origin, a forge that looks at it, and the four things
that people do on a forge's page. Tests of an optional Protocol are skipped for a forge without it
(`orchestr.forges.capabilities`); everything else every forge does. Needs pytest and git.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from orchestr.forges.base import (
    ClosingForge,
    Forge,
    ForgeAway,
    ForgeError,
    ListingForge,
    MergeMethod,
    MergingForge,
    PRExists,
    PRState,
    RepoRef,
)
from orchestr.forges.capabilities import list_half_done

_ENV = {
    "PATH": os.environ["PATH"],
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": "2026-01-02T03:04:05+00:00" for who in ("AUTHOR", "COMMITTER")},
}


def git(where: Path, *args: str) -> str:
    """Git in a test's repository, as a person would run it."""
    done = subprocess.run(
        ["git", "-C", str(where), *args], env=_ENV, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@cache
def _make_template() -> Path:
    """An origin and a clone of it with one commit on main, copied for every world: seven programs
    less a test."""
    folder = Path(tempfile.mkdtemp(prefix="orchestr-forge-contract-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    origin, clone = folder / "origin.git", folder / "clone"
    git(folder, "init", "-q", "--bare", "-b", "main", str(origin))
    git(folder, "clone", "-q", str(origin), str(clone))
    git(clone, "checkout", "-q", "-B", "main")
    (clone / "README").write_text("README of main\n")
    git(clone, "add", "README")
    git(clone, "commit", "-q", "-m", "README on main")
    git(clone, "push", "-q", "origin", "main")
    return folder


class World(ABC):
    """A clone, its origin and the forge; ``commit`` works in the clone, ``push`` publishes."""

    forge: Forge

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin.git"
        self.clone = folder / "clone"
        made = _make_template()
        shutil.copytree(made / "origin.git", self.origin)
        shutil.copytree(made / "clone", self.clone)
        config = self.clone / ".git" / "config"
        config.write_text(config.read_text().replace(str(made / "origin.git"), str(self.origin)))
        self.repo = RepoRef("platform", self.clone)

    def branch(self, name: str, file: str, *, start: str | None = "main") -> str:
        """A commit on a branch (made from ``start`` if it is new), pushed. Its id."""
        known = git(self.clone, "for-each-ref", f"refs/heads/{name}")
        if start and not known:
            git(self.clone, "checkout", "-q", "-b", name, start)
        elif known:
            git(self.clone, "checkout", "-q", name)
        else:
            git(self.clone, "checkout", "-q", "-B", name)
        (self.clone / file).write_text(f"{file} of {name}\n")
        git(self.clone, "add", file)
        git(self.clone, "commit", "-q", "-m", f"{file} on {name}")
        git(self.clone, "push", "-q", "-f", "origin", name)
        return git(self.clone, "rev-parse", "HEAD")

    def pull(self, head: str, base: str = "main", **more: str) -> int:
        """Open a draft; its number."""
        title, body = more.get("title", "a title"), more.get("body", "a body")
        opened = self.forge.open_pull_request(
            self.repo, head=head, base=base, title=title, body=body, draft=True
        )
        return opened.number

    def states(self, head: str) -> list[tuple[int, PRState]]:
        """What the forge shows for a branch."""
        return [
            (pr.number, pr.state) for pr in self.forge.find_pull_requests(self.repo, [head])[head]
        ]

    @abstractmethod
    def close(self, number: int) -> None:
        """A person closes it."""

    @abstractmethod
    def merge(self, number: int) -> None:
        """A person merges it."""

    @abstractmethod
    def comments(self, number: int) -> list[str]:
        """What stands under it."""

    @abstractmethod
    def go_away(self) -> None:
        """The forge or the origin stops answering."""

    @abstractmethod
    def count_queries(self, act: Callable[[], object]) -> int:
        """How often the network is asked while ``act`` runs."""


def require(world: World, wanted: type[Any]) -> Any:
    """The forge of a world as ``wanted``, an optional Protocol; skips the test where it is none."""
    if not isinstance(world.forge, wanted):
        pytest.skip(f"the forge {world.forge.kind} is no {wanted.__name__}")
    return world.forge


class ForgeContract:
    """The contract. Subclasses define the fixture ``world``."""

    def test_a_branch_without_a_pull_request_has_none(self, world: World) -> None:
        world.branch("one", "a")
        assert world.forge.find_pull_requests(world.repo, ["one", "not-even-a-branch"]) == {
            "one": (),
            "not-even-a-branch": (),
        }

    def test_opening_shows_it_as_asked(self, world: World) -> None:
        sha = world.branch("one", "a")

        made = world.forge.open_pull_request(
            world.repo, head="one", base="main", title="T ü", body="B\r\n\n<x>\n", draft=True
        )

        assert (made.title, made.body, made.head, made.base) == (
            "T ü",
            "B\r\n\n<x>\n",
            "one",
            "main",
        )
        assert (made.head_sha, made.draft, made.state) == (sha, True, PRState.OPEN)
        assert datetime.fromisoformat(made.created_at).utcoffset() is not None
        assert world.forge.find_pull_requests(world.repo, ["one"]) == {"one": (made,)}

    def test_a_ready_one_is_not_a_draft(self, world: World) -> None:
        world.branch("one", "a")
        made = world.forge.open_pull_request(
            world.repo, head="one", base="main", title="t", body="", draft=False
        )
        assert made.draft is False

    def test_a_second_open_one_of_a_branch_is_refused_with_the_first(self, world: World) -> None:
        world.branch("one", "a")
        number = world.pull("one")

        with pytest.raises(PRExists) as refused:
            world.pull("one")

        assert refused.value.pr.number == number
        assert world.states("one") == [(number, PRState.OPEN)]

    def test_every_state_is_found_the_newest_first(self, world: World) -> None:
        world.branch("one", "a")
        first = world.pull("one")
        world.close(first)
        second = world.pull("one")
        world.merge(second)
        world.branch("one", "b")
        third = world.pull("one")

        assert world.states("one") == [
            (third, PRState.OPEN),
            (second, PRState.MERGED),
            (first, PRState.CLOSED),
        ]

    def test_an_unpushed_branch_cannot_be_opened(self, world: World) -> None:
        with pytest.raises(ForgeError, match="nowhere"):
            world.pull("nowhere")

    def test_a_base_that_is_not_there_is_refused(self, world: World) -> None:
        world.branch("one", "a")
        with pytest.raises(ForgeError, match="nowhere"):
            world.pull("one", "nowhere")

    def test_a_branch_without_commits_beyond_its_base_is_refused(self, world: World) -> None:
        git(world.clone, "push", "-q", "origin", "main:refs/heads/empty")
        with pytest.raises(ForgeError, match=r"[Nn]o commits"):
            world.pull("empty")
        assert world.states("empty") == []

    def test_editing_changes_only_what_is_given(self, world: World) -> None:
        world.branch("one", "a")
        number = world.pull("one", title="old title", body="old body")

        body = world.forge.edit_pull_request(world.repo, number, body="new body")
        assert (body.title, body.body, body.base) == ("old title", "new body", "main")
        title = world.forge.edit_pull_request(world.repo, number, title="new title")
        assert (title.title, title.body, title.base) == ("new title", "new body", "main")
        empty = world.forge.edit_pull_request(world.repo, number, body="")
        assert (empty.title, empty.body) == ("new title", "")
        assert world.forge.find_pull_requests(world.repo, ["one"])["one"] == (empty,)

    def test_editing_what_is_not_there_is_an_error(self, world: World) -> None:
        with pytest.raises(ForgeError):
            world.forge.edit_pull_request(world.repo, 99, title="x")

    def test_the_base_can_move(self, world: World) -> None:
        world.branch("low", "a")
        world.branch("high", "b", start="low")
        number = world.pull("high", "low")

        moved = world.forge.edit_pull_request(world.repo, number, base="main")

        assert moved.base == "main"
        assert world.states("high") == [(number, PRState.OPEN)]

    def test_the_head_follows_pushes_also_forced_ones(self, world: World) -> None:
        world.branch("one", "a")
        world.pull("one")
        second = world.branch("one", "b")
        assert world.forge.find_pull_requests(world.repo, ["one"])["one"][0].head_sha == second

        git(world.clone, "reset", "-q", "--hard", "main")
        third = world.branch("one", "c")
        assert world.forge.find_pull_requests(world.repo, ["one"])["one"][0].head_sha == third

    def test_a_merge_by_push_is_seen(self, world: World) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")
        git(world.clone, "push", "-q", "origin", "one:main")

        assert world.states("one") == [(number, PRState.MERGED)]
        assert world.forge.find_pull_requests(world.repo, ["one"])["one"][0].head_sha == sha

    def test_a_stacked_one_is_not_merged_with_its_base_still_growing(self, world: World) -> None:
        world.branch("low", "a")
        world.branch("high", "b", start="low")
        low, high = world.pull("low"), world.pull("high", "low")
        world.branch("low", "c")
        assert world.states("high") == [(high, PRState.OPEN)]

        world.merge(low)
        assert world.states("low") == [(low, PRState.MERGED)]
        assert world.states("high") == [(high, PRState.OPEN)]

    def test_an_away_origin_is_not_none(self, world: World) -> None:
        world.branch("one", "a")
        world.go_away()

        with pytest.raises(ForgeAway):
            world.forge.find_pull_requests(world.repo, ["one"])
        with pytest.raises(ForgeAway):
            world.pull("one")

    def test_one_query_however_many_branches(self, world: World) -> None:
        names = [f"b{n}" for n in range(5)]
        for name in names:
            world.branch(name, name)
            world.pull(name)
        assert world.count_queries(lambda: world.forge.find_pull_requests(world.repo, names)) == 1

    def test_of_many_that_open_at_once_one_wins(self, world: World) -> None:
        world.branch("one", "a")

        def attempt(_: int) -> int | PRExists:
            try:
                return world.pull("one")
            except PRExists as error:
                return error

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(attempt, range(4)))

        numbers = [r for r in results if isinstance(r, int)]
        assert len(numbers) == 1
        assert {r.pr.number for r in results if isinstance(r, PRExists)} == set(numbers)
        assert world.states("one") == [(numbers[0], PRState.OPEN)]

    # --- optional: `ClosingForge`, `ListingForge`, `MergingForge` --------------------------------

    def test_closing_leaves_the_branch_and_may_be_repeated(self, world: World) -> None:
        forge = require(world, ClosingForge)
        head = world.branch("high", "high.txt")
        number = world.pull("high")
        for _ in range(2):
            closed = forge.close_pull_request(world.repo, number)
            assert (closed.state, closed.head_sha) == (PRState.CLOSED, head)
        assert world.states("high") == [(number, PRState.CLOSED)]
        assert git(world.origin, "rev-parse", "high") == head

    def test_what_is_merged_cannot_be_closed(self, world: World) -> None:
        forge = require(world, ClosingForge)
        world.branch("one", "a")
        number = world.pull("one")
        world.merge(number)
        with pytest.raises(ForgeError, match="merged"):
            forge.close_pull_request(world.repo, number)

    def test_open_ones_for_a_base_are_known(self, world: World) -> None:
        forge = require(world, ClosingForge)
        world.branch("low", "low.txt")
        world.branch("high", "high.txt", start="low")
        high = world.pull("high", base="low")
        assert forge.has_open_into(world.repo, "low")
        assert not forge.has_open_into(world.repo, "x&y")
        forge.close_pull_request(world.repo, high)
        assert not forge.has_open_into(world.repo, "low")

    def test_what_others_want_to_merge_is_listed(self, world: World) -> None:
        forge = require(world, ListingForge)
        world.branch("low", "low.txt")
        head = world.branch("high", "high.txt", start="low")
        high = world.pull("high", base="low")
        (listed,) = forge.list_open_into(world.repo, "low")
        assert (listed.number, listed.head, listed.head_sha) == (high, "high", head)
        assert forge.list_open_into(world.repo, "x&y") == ()
        git(world.clone, "fetch", "-q", str(world.origin), listed.head_ref)
        assert git(world.clone, "rev-parse", "FETCH_HEAD") == head

    def test_landing_merges_the_given_head_with_our_words(self, world: World) -> None:
        forge = require(world, MergingForge)
        sha = world.branch("one", "a")
        number = world.pull("one")
        asked = {"method": MergeMethod.SQUASH, "title": "Our title", "message": "Our words"}
        with pytest.raises(ForgeError):
            forge.land_pull_request(world.repo, number, sha="1" * 40, **asked)
        for _ in range(2):
            landed = forge.land_pull_request(world.repo, number, sha=sha, **asked)
            assert (landed.state, landed.head_sha) == (PRState.MERGED, sha)
        assert git(world.origin, "log", "-1", "--format=%s%n%b", "main") == "Our title\nOur words"
        assert git(world.origin, "rev-list", "--count", "--first-parent", "main") == "2"

    def test_a_comment_is_said_once(self, world: World) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        for text in ("hello ü", "hello ü", "bye\n\nnow"):
            world.forge.comment_once(world.repo, number, text)
        assert world.comments(number) == ["hello ü", "bye\n\nnow"]

    def test_only_the_given_head_is_merged(self, world: World) -> None:
        first = world.branch("one", "a")
        number = world.pull("one")
        second = world.branch("one", "b")

        with pytest.raises(ForgeError, match=first[:12]):
            world.forge.merge_pull_request(world.repo, number, sha=first)
        assert world.states("one") == [(number, PRState.OPEN)]

        merged = world.forge.merge_pull_request(world.repo, number, sha=second)
        assert (merged.state, merged.head_sha) == (PRState.MERGED, second)
        assert (
            world.forge.merge_pull_request(world.repo, number, sha=second).state is PRState.MERGED
        )
        assert git(world.origin, "rev-parse", "main^2") == second

    def test_a_conflict_is_not_merged(self, world: World) -> None:
        sha = world.branch("one", "same")
        world.branch("main", "same")
        number = world.pull("one")
        with pytest.raises(ForgeError):
            world.forge.merge_pull_request(world.repo, number, sha=sha, method=MergeMethod.MERGE)
        assert world.states("one") == [(number, PRState.OPEN)]

    def test_no_optional_part_is_half_there(self, world: World) -> None:
        assert list_half_done(world.forge) == ()

    def test_it_is_ready(self, world: World) -> None:
        assert world.forge.explain_unusable() is None
        assert world.forge.explain_unusable([world.repo]) is None
        assert world.forge.explain_unusable([world.repo], ask=True) is None
