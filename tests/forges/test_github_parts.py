"""The parts of the GitHub forge that need no gh: whose repository, and how fast."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import graphql
import pytest

from orchestr.errors import Interrupted
from orchestr.forges.base import ForgeAway
from orchestr.forges.github_facts import (
    BaseQuestion,
    BehindQuestion,
    PageKind,
    PageQuestion,
    PullQuestion,
    build_query,
)
from orchestr.forges.github_query import (
    COMMENTS,
    ENQUEUE,
    QUEUED,
    REVIEWERS,
    UNDRAFT,
    build_branches_query,
    build_rights_query,
)
from orchestr.forges.github_remote import RepoSlug, parse_remote_url
from orchestr.forges.github_said import GENERAL, IN_THREAD
from orchestr.forges.rate_limit import RequestPacer, Retry
from orchestr.forges.remote_urls import resolve_ssh_host

EXCERPT = Path(__file__).parent / "github_stub" / "schema.graphql"
WHOLE = "ORCHESTR_TEST_GITHUB_SCHEMA"  # a file with GitHub's whole public schema


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("work", "ghe.corp.example"),
        ("github.com-work", "ghe.corp.example"),  # no host is called so, many aliases are
        ("git.corp.xn--p1ai", "git.corp.xn--p1ai"),
        ("github.com", "github.com"),
        ("ghe.corp.example:8443", "ghe.corp.example:8443"),
    ],
)
def test_the_host_behind_an_alias_of_ssh(
    host: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho user git\necho hostname ghe.corp.example\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert resolve_ssh_host(host) == found


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://github.com/opentdf/platform.git", "github.com opentdf/platform"),
        ("https://github.com/opentdf/platform", "github.com opentdf/platform"),
        ("https://github.com/opentdf/platform/", "github.com opentdf/platform"),
        ("https://me:secret@github.com/o/r.git", "github.com o/r"),
        ("http://github.localhost/o/r.git", "github.localhost o/r"),
        ("https://GitHub.com/Open-TDF/web.sdk.git", "github.com Open-TDF/web.sdk"),
        ("git@github.com:o/r.git", "github.com o/r"),
        ("git@github.com:/o/r.git", "github.com o/r"),
        ("github.com:o/r", "github.com o/r"),
        ("ssh://git@github.com/o/r.git", "github.com o/r"),
        ("ssh://git@ssh.github.com:443/o/r.git", "github.com o/r"),
        ("ssh://git@ghe.corp.example:2222/o/r.git", "ghe.corp.example o/r"),
        ("org-123@ghe.corp.example:team/tool.git", "ghe.corp.example team/tool"),
        ("https://ghe.corp.example:8443/o/r.git", "ghe.corp.example:8443 o/r"),
        ("https://ghe.corp.example:443/o/r.git", "ghe.corp.example o/r"),
        ("git://github.com/o/r.git", "github.com o/r"),
        ("https://www.github.com/o/r", "github.com o/r"),
        ("https://github.com/o/r.git.git", "github.com o/r.git"),
        ("/srv/git/o/r.git", None),
        ("../o/r.git", None),
        ("./host:o/r", None),
        ("file:///srv/o/r.git", None),
        ("https://github.com/o", None),
        ("https://gitlab.example/group/sub/r.git", None),
        ("https://github.com/o/..", None),
        ("https://github.com/o/r?x=1", None),
        ("ext::sh -c x/y", None),
        ("", None),
    ],
)
def test_the_repository_that_a_url_names(url: str, slug: str | None) -> None:
    found = parse_remote_url(url)
    assert (f"{found.host} {found}" if found else None) == slug


def test_a_slug_knows_its_page() -> None:
    assert RepoSlug("ghe.example", "o", "r").url == "https://ghe.example/o/r"


# --- the queries are GitHub's ----------------------------------------------------------------


def queries() -> list[str]:
    many, _ = build_branches_query("o", "r", dict.fromkeys(f"b{n}" for n in range(50)))
    slug = RepoSlug("github.com", "o", "r")
    pages = [PageQuestion("x", kind, None, number) for kind in PageKind for number in (0, 7)]
    pages = [page for page in pages if not page.number or page.kind is PageKind.CONTEXTS]
    pulls = [PullQuestion(slug, n) for n in (1, 2)]
    rest = [
        BaseQuestion(slug),
        BaseQuestion(slug, "main"),
        BehindQuestion(slug, "main", "one"),
        *pages,
    ]
    facts = [build_query(each)[0] for each in ([*pulls, *rest], pulls, rest)]
    fixed = [COMMENTS, QUEUED, UNDRAFT, ENQUEUE, REVIEWERS, GENERAL, IN_THREAD]
    return [many, build_rights_query(0), build_rights_query(3), *fixed, *facts]


def test_the_queries_fit_the_schema() -> None:
    schema = graphql.build_schema(EXCERPT.read_text())
    for query in queries():
        assert graphql.validate(schema, graphql.parse(query)) == []


@pytest.mark.skipif(WHOLE not in os.environ, reason=f"${WHOLE} names no copy of the whole schema")
def test_the_excerpt_says_what_the_whole_schema_says() -> None:
    text = Path(os.environ[WHOLE]).read_text()
    whole = graphql.build_schema(text, assume_valid=True, assume_valid_sdl=True)
    for name, ours in graphql.build_schema(EXCERPT.read_text()).type_map.items():
        theirs = whole.type_map[name]
        if isinstance(ours, graphql.GraphQLEnumType):
            assert isinstance(theirs, graphql.GraphQLEnumType)
            assert set(ours.values) == set(theirs.values)
        for field, what in getattr(ours, "fields", {}).items():
            there = getattr(theirs, "fields")[field]  # noqa: B009
            assert str(what.type) == str(there.type), f"{name}.{field}"
            mine, its = (getattr(x, "args", {}) for x in (what, there))
            assert {k: str(v.type) for k, v in mine.items()} == {
                k: str(v.type) for k, v in its.items()
            }, f"{name}.{field}"
    for query in queries():
        assert graphql.validate(whole, graphql.parse(query)) == []


# --- the lane --------------------------------------------------------------------------------


class World:
    """A clock that only waits move."""

    def __init__(self, host: str = "github.com", patience: float = 300) -> None:
        self.waits: list[float] = []
        self.lane = RequestPacer(host, patience, clock=lambda: 50 + sum(self.waits), wait=self.wait)

    def wait(self, seconds: float, stop: threading.Event | None) -> bool:
        self.waits.append(seconds)
        return stop is not None and stop.is_set()

    def send(self, *outcomes: Retry | str, writes: bool = False, again: bool = True) -> str:
        left = list(outcomes)

        def request() -> str:
            outcome = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(outcome, Retry):
                raise outcome
            return outcome

        return self.lane.send_with_retries(request, writes=writes, again=again)


def test_a_burst_is_free_then_writing_goes_by_the_second() -> None:
    world = World()
    for _ in range(20):
        world.send("ok", writes=True)
    assert world.waits == []
    for _ in range(5):
        world.send("ok", writes=True)
    assert world.waits == pytest.approx([1] * 5)
    world.send("ok")
    assert len(world.waits) == 5, "reading has its own bucket"


def test_never_more_than_eighty_in_a_minute() -> None:
    world = World()
    at = []
    for _ in range(200):
        world.send("ok", writes=True)
        at.append(sum(world.waits))
    assert max(sum(start <= t < start + 60 for t in at) for start in at) <= 80


def test_a_development_server_on_this_machine_is_not_paced() -> None:
    world = World("github.localhost")
    for _ in range(500):
        world.send("ok", writes=True)
    assert world.waits == []


def test_waits_double_within_the_patience() -> None:
    random.seed(1)  # each wait is a random half to the whole of its step
    world = World()
    world.send("ok")
    with pytest.raises(ForgeAway, match="no answer"):
        world.send(Retry("no answer"))
    assert 150 < sum(world.waits) <= 300
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(world.waits))


@pytest.mark.parametrize("after", [0, 0.0, 1, 60])
def test_a_host_that_always_says_later_is_bounded(after: float) -> None:
    world = World()
    with pytest.raises(ForgeAway, match="busy"):
        world.send(Retry("busy", after=after))
    assert sum(world.waits) <= 300
    assert len(world.waits) < 20


def test_what_one_was_told_counts_for_the_next() -> None:
    world = World()
    with pytest.raises(ForgeAway, match="until"):
        world.send(Retry("busy", after=400))
    assert world.waits == []
    with pytest.raises(ForgeAway, match="until"):
        world.send("ok")
    world.waits.append(200)  # time goes by
    assert world.send("ok") == "ok"
    assert 200 <= world.waits[-1] < 202


def test_a_request_that_may_be_done_is_not_repeated_when_asked_so() -> None:
    world = World()
    with pytest.raises(ForgeAway, match="not known"):
        world.send(Retry("dropped", done=True), "ok", again=False)
    assert world.send(Retry("refused"), "ok", again=False) == "ok"


def test_a_stop_ends_a_wait_but_no_request() -> None:
    world, stop = World(), threading.Event()
    stop.set()
    asked: list[int] = []
    assert world.lane.send_with_retries(lambda: asked.append(1), writes=False, stop=stop) is None

    def busy() -> None:
        asked.append(2)
        raise Retry("busy", after=5)

    with pytest.raises(Interrupted):
        world.lane.send_with_retries(busy, writes=False, stop=stop)
    assert asked == [1, 2]


def test_one_at_a_time() -> None:
    lane, at_work, most = RequestPacer("github.localhost"), 0, 0

    def request() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        at_work -= 1

    threads = [
        threading.Thread(target=lambda: lane.send_with_retries(request, writes=False))
        for _ in range(8)
    ]
    run_all(threads, threading.Thread.start)
    run_all(threads, threading.Thread.join)
    assert most == 1


def run_all(threads: list[threading.Thread], what: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        what(thread)
