"""Cells that may change the same file without knowing of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.plan.dag import find_overlaps, overlap_severity
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.plan.path_overlap import can_overlap
from orchestr.spec.path_patterns import match_paths, parse_glob
from orchestr.spec.phases import Delivery
from orchestr.spec.records import Cell, Feature


def cells(*owned: tuple[str, ...], edges: Mapping[int, tuple[int, ...]] | None = None) -> Feature:
    edges = edges or {}
    return Feature(
        "f",
        "f",
        "f",
        tuple(
            Cell(
                f"c{i}",
                "r",
                f"b{i}",
                owned_paths=patterns,
                depends_on=tuple(f"c{j}" for j in edges.get(i, ())),
            )
            for i, patterns in enumerate(owned)
        ),
    )


@pytest.mark.parametrize(
    ("a", "b", "meet"),
    [
        ("sdk/go/**", "sdk/java/**", False),
        ("sdk/**", "sdk/java/pom.xml", True),
        ("sdk/java", "sdk/java/pom.xml", True),
        ("sdk/java/", "sdk/java/pom.xml", True),
        ("sdk/*.go", "sdk/a/b.go", False),
        ("sdk/**/*.go", "sdk/a/b.go", True),
        ("*.go", "service/kas.go", True),
        ("*.go", "service/kas.proto", False),
        ("*.go", "service/", True),
        ("/main.go", "cmd/main.go", False),
        ("main.go", "cmd/main.go", True),
        ("docs/*_test.md", "docs/test_*", True),
        ("docs/a*c", "docs/b*c", False),
        ("docs/?.md", "docs/ab.md", False),
        ("docs/[ab].md", "docs/a.md", True),
        (r"docs/\*.md", "docs/a.md", False),
        ("**", "x", True),
        ("/", "x", True),
        ("!x", "x", False),
        ("", "x", False),
        ("/lib", "/library", False),
        ("lib", "library", False),  # library/lib, which nobody means
        ("web/", "server/", False),
        ("web/", "/api/", False),
        ("web/", "server/**", False),
        ("web/", "server/web/", True),
        ("web/", "/web/", True),
        ("web/", "web/**", True),
        ("web/", "server/*/index.html", False),
        ("web/", "server/w*/index.html", True),
        ("web/", "**/dist/", True),
        ("web/", "*.md", True),
        ("README.md", "server/", False),
        ("README.md", "*.md", True),
        ("src/", "src/api/", True),
        ("/src/", "/src/api/", True),
        ("/web/", "/server/", False),
        ("conf.d", "etc/conf.d/x", True),
        ("*.d", "etc/conf.d/x", True),
        ("*.go", "*.proto", False),
        ("conf.d/", "etc/conf.d", True),
    ],
)
def test_two_patterns_meet_when_one_path_matches_both(a: str, b: str, meet: bool) -> None:
    for one, two in ((a, b), (b, a)):
        left, right = parse_glob(one), parse_glob(two)
        assert (left is not None and right is not None and can_overlap(left, right)) == meet


def test_an_overlap_names_both_cells_and_both_patterns() -> None:
    found = find_overlaps(cells(("service/**",), ("*.proto", "/docs/"), ("docs/**",)))
    assert found == (
        ("c0", "c1", "service/**", "*.proto"),
        ("c1", "c2", "*.proto", "docs/**"),
        ("c1", "c2", "/docs/", "docs/**"),
    )


def test_cells_with_a_way_between_them_may_share_paths() -> None:
    chain = {1: (0,), 2: (1,)}
    assert find_overlaps(cells(("a",), ("b",), ("a",), edges=chain)) == ()


def test_other_repositories_and_silent_cells_do_not_overlap() -> None:
    feature = Feature(
        "f",
        "f",
        "f",
        (
            Cell("a", "r", "a", owned_paths=("x",)),
            Cell("b", "s", "b", owned_paths=("x",)),
            Cell("c", "r", "c"),
        ),
    )
    assert find_overlaps(feature) == ()


SEGMENT = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "?", "**"])
PATTERN = st.builds(
    lambda parts, head, tail: head + "/".join(parts) + tail,
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
    st.sampled_from(["", "/"]),
)
PATHS = [
    "/".join(parts)
    for one in ("a", "b", "ab", "")
    for two in ("a", "b", "ab", "")
    for three in ("a", "ab", "bb", "x")
    if (parts := [p for p in (one, two, three) if p])
]


@given(PATTERN, PATTERN)
def test_no_common_path_is_ever_missed(a: str, b: str) -> None:
    left, right = parse_glob(a), parse_glob(b)
    assert left is not None and right is not None
    ours, theirs = match_paths([a]), match_paths([b])
    assert can_overlap(left, right) == can_overlap(right, left)
    common = [path for path in PATHS if ours(path) and theirs(path)]
    for floating, other in ((left, right), (right, left)):
        if floating.floating and floating.floating not in other.segments:
            # A plain name is looked for at the top only.
            common = [path for path in common if path.split("/")[0] == floating.floating]
    assert not common or can_overlap(left, right)


def _naive(feature: Feature) -> set[tuple[str, str, str, str]]:
    found = set()
    for i, one in enumerate(feature.cells):
        for two in feature.cells[i + 1 :]:
            for p in one.owned_paths:
                for q in two.owned_paths:
                    left, right = parse_glob(p), parse_glob(q)
                    assert left and right
                    if can_overlap(left, right):
                        found.add((one.name, two.name, p, q))
    return found


@given(st.lists(st.lists(PATTERN, max_size=3).map(tuple), max_size=6))
def test_the_index_finds_what_comparing_all_pairs_finds(owned: list[tuple[str, ...]]) -> None:
    feature = cells(*owned)
    assert set(find_overlaps(feature)) == _naive(feature)


@pytest.mark.parametrize(
    ("delivery", "severity"), [(Delivery.PR, "warning"), (Delivery.MERGE, "error")]
)
def test_an_overlap_is_an_error_where_a_merge_queue_would_meet_it(
    delivery: Delivery, severity: str
) -> None:
    assert overlap_severity(replace(cells(("x",), ("x",)), delivery=delivery)) == severity


def test_the_edge_is_for_the_later_wave_with_what_it_waits_for_already(tmp_path: Path) -> None:
    feature = cells(("a",), (), ("a",), edges={0: (1,)})  # c0 is in the second wave, c2 is not
    (problem,) = overlap_problems(replace(feature, path="f"), tmp_path)
    assert problem.hint == "write `depends_on: [c1, c2]` in c0 (f), or narrow owned_paths"
    (problem,) = overlap_problems(replace(cells(("a",), ("a",)), path="f"), tmp_path)
    assert problem.hint == "write `depends_on: [c0]` in c1 (f), or narrow owned_paths"
