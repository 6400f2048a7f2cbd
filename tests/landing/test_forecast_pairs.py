"""Which heads are compared, and what is shown of the merges: pure decisions of the forecast."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.landing.forecast import (
    HeadKind,
    HeadPair,
    PairMerge,
    PublishedHead,
    choose_pairs,
    describe_outcome,
    interpret_merges,
)
from orchestr.landing.forecast_cache import HEADS, ForecastCache, rules_digest
from orchestr.landing.ladder import LadderRules
from orchestr.landing.lane import Lane
from orchestr.landing.rung import Rung

MAIN = Lane("app", "main")


def head(name: str, **more: object) -> PublishedHead:
    """A head of `demo`, made on the commit `base`."""
    kinds = {"lane": MAIN, "base": "base", **more}
    return PublishedHead(f"demo:{name}", commit=name, **kinds)  # type: ignore[arg-type]


def target(base: str = "base") -> PublishedHead:
    return PublishedHead("main", MAIN, "tip", base, HeadKind.TARGET)


def names(heads: list[PublishedHead], **paths: frozenset[str] | None) -> list[tuple[str, str]]:
    """The pairs, by commits; ``paths`` of each head."""
    known = {(one.base, one.commit): paths[one.commit] for one in heads if one.commit in paths}
    return [pair.commits for pair in choose_pairs(heads, known)]


A, B = frozenset({"a"}), frozenset({"b"})


def test_only_heads_that_change_the_same_paths_are_compared() -> None:
    assert names([head("x"), head("y"), head("z")], x=A, y=A | B, z=B) == [("x", "y"), ("y", "z")]


def test_too_many_paths_to_name_meet_all_but_what_changes_nothing() -> None:
    found = names([head("x"), head("y"), head("z")], x=None, y=A, z=frozenset())
    assert found == [("x", "y")]


@pytest.mark.parametrize(
    "heads",
    [
        [head("x"), head("y", lane=Lane("web", "main"))],
        [head("x"), head("y", lane=Lane("app", "v1"))],
        [head("x"), head("y", below=frozenset({"demo:x"}))],
        [head("x", asked=False), head("y", asked=False)],
        [head("x"), head("y", base="y")],  # it changes nothing
    ],
)
def test_what_does_not_meet(heads: list[PublishedHead]) -> None:
    assert names(heads, x=A, y=A) == []


def test_a_head_whose_paths_are_unknown_is_left_out() -> None:
    assert names([head("x"), head("y")], x=A) == []


def test_one_that_is_asked_about_is_compared_with_others() -> None:
    assert names([head("x", asked=False), head("y")], x=A, y=A) == [("x", "y")]


def test_targets_come_first_and_meet_what_was_made_on_their_base() -> None:
    heads = [head("x"), head("y"), head("z", base="later"), target(), target("later")]
    known = {("base", "x"): A, ("base", "y"): A, ("later", "z"): A, ("base", "tip"): A}
    found = [pair.commits for pair in choose_pairs(heads, {**known, ("later", "tip"): B})]
    assert found == [("tip", "x"), ("tip", "y"), ("x", "y"), ("x", "z"), ("y", "z")]


def test_what_a_head_inherits_stands_at_what_it_is_built_on() -> None:
    low, high = head("low"), head("high", below=frozenset({"demo:low"}))
    other = head("other")
    merges = [
        (HeadPair(low, other), PairMerge(left=("a",))),
        (HeadPair(high, other), PairMerge(left=("a", "b"))),
        (HeadPair(target(), low), PairMerge(Rung.STRUCTURE, ("c",))),
        (HeadPair(target(), high), PairMerge(Rung.STRUCTURE, ("c",))),
        (HeadPair(other, head("clean")), PairMerge()),
    ]
    found = {one.names: (one.paths, one.left, one.rung) for one in interpret_merges(merges)}
    assert found == {
        ("demo:low", "demo:other"): (("a",), ("a",), Rung.GIT),
        ("demo:high", "demo:other"): (("b",), ("b",), Rung.GIT),
        ("main", "demo:low"): (("c",), (), Rung.STRUCTURE),
    }


@pytest.mark.parametrize(
    ("first", "merge", "has_agent", "words"),
    [
        (head("x"), PairMerge(left=("a",)), True, "its agent will be asked"),
        (head("x"), PairMerge(left=("a",)), False, "a person has to resolve it"),
        (target(), PairMerge(Rung.UNION, ("a",)), True, "lands by union, with the lines of both"),
        (
            PublishedHead("local://app/pull/1", MAIN, "p", "base", HeadKind.PULL_REQUEST),
            PairMerge(left=("a",)),
            True,
            "its agent will be asked if that lands first",
        ),
    ],
)
def test_what_will_happen_is_said(
    first: PublishedHead, merge: PairMerge, has_agent: bool, words: str
) -> None:
    (found,) = interpret_merges([(HeadPair(first, head("y")), merge)])
    assert describe_outcome(found, has_agent=has_agent, has_checks=True) == words
    unseen = describe_outcome(found, has_agent=has_agent, has_checks=False)
    assert (unseen == words) is (merge.rung is not Rung.UNION)


def test_a_conflict_is_known_only_under_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "app.json"
    cache = ForecastCache(path)
    strict, loose = (rules_digest(LadderRules(union=union)) for union in ((), ("*.md",)))
    cache.add_merge(strict, "x", "y", PairMerge(left=("a",)))
    cache.add_merge(strict, "x", "z", PairMerge())
    cache.save()
    known = ForecastCache(path)
    assert known.find_merge("x", "y", lambda: strict) == PairMerge(left=("a",))
    assert known.find_merge("x", "y", lambda: loose) is None
    assert known.find_merge("x", "z", lambda: loose) == PairMerge()  # git alone merges them


def test_a_new_recorded_resolution_is_another_rule(tmp_path: Path) -> None:
    rules = LadderRules(recorded=tmp_path / "resolutions")
    before = rules_digest(rules)
    (tmp_path / "resolutions").mkdir()
    assert rules_digest(rules) != before


def test_the_cache_is_bounded_and_keeps_what_is_used(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    cache = ForecastCache(path)
    for number in range(HEADS):
        cache.add_paths("base", str(number), ("a",))
    cache.save()
    cache = ForecastCache(path)
    assert cache.find_paths("base", "0") == (True, ("a",))
    cache.add_paths("base", "new", ("a",))
    cache.save()
    kept = ForecastCache(path)
    assert [kept.find_paths("base", name)[0] for name in ("0", "1", "new")] == [True, False, True]
