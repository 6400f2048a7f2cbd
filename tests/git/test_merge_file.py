"""Regions of a three-way merge, as git sees them."""

from __future__ import annotations

from orchestr.git.merge_file import ConflictRegion, StableRegion, read_merge_regions


def test_what_git_merges_and_what_it_does_not() -> None:
    base = "a\nb\nc\nd\ne\n"
    ours = "a\nb1\nc\nd\ne\nf\n"
    theirs = "z\na\nb2\nc\nd\ne\n"
    assert read_merge_regions(base, ours, theirs) == (
        StableRegion(("z", "a")),
        ConflictRegion(("b",), ("b1",), ("b2",)),
        StableRegion(("c", "d", "e", "f")),
    )


def test_both_added_a_file_that_looks_like_a_conflict() -> None:
    ours, theirs = "<" * 32 + " a\n", "=" * 70 + "\n"
    (region,) = read_merge_regions("", ours, theirs)
    assert region == ConflictRegion((), (ours.strip("\n"),), (theirs.strip("\n"),))


def test_nothing_conflicts() -> None:
    assert read_merge_regions("a\n", "a\n", "b\n") == (StableRegion(("b",)),)
    assert read_merge_regions("a\n", "", "") == ()
