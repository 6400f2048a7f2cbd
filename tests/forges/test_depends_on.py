"""`Depends-On` lines: which a body has, and what is read of a body that anybody wrote."""

from __future__ import annotations

import dataclasses

import pytest

from orchestr.forges.base import PRState
from orchestr.forges.body import PRLink, render_block
from orchestr.forges.depends_on import (
    list_depends_on,
    parse_address,
    read_depends_on,
    render_depends_on,
)
from orchestr.spec.records import Cell, Feature

FEATURE = Feature(
    "f",
    "F-1",
    "A feature",
    (
        Cell("proto", "platform", "F-1-proto"),
        Cell("service", "platform", "F-1-service", depends_on=("proto",)),
        Cell("java", "java-sdk", "F-1-java", depends_on=("proto",)),
        Cell("web", "web-sdk", "F-1-web", depends_on=("proto", "java")),
        Cell("docs", "docs", "F-1-docs"),
    ),
)
HOST = "https://forge.example"
LINKS = {
    "proto": PRLink(f"{HOST}/o/platform/pull/1", PRState.OPEN),
    "service": PRLink(f"{HOST}/o/platform/pull/2", PRState.OPEN),
    "java": PRLink(f"{HOST}/o/java-sdk/pull/3", PRState.MERGED),
    "web": PRLink(f"{HOST}/o/web-sdk/pull/4", PRState.OPEN),
    "docs": PRLink(no_change=True),
}


def named(cell: str, *, siblings: bool = False) -> list[str]:
    feature = dataclasses.replace(FEATURE, siblings_in_ci=siblings)
    urls = list_depends_on(feature, FEATURE.cell(cell), LINKS)
    return [url.removeprefix(HOST) for url in urls]


def test_a_body_names_direct_upstreams_elsewhere_that_are_not_merged() -> None:
    assert named("proto") == named("service") == []
    assert named("java") == named("web") == ["/o/platform/pull/1"]


def test_siblings_are_named_where_the_spec_asks() -> None:
    assert named("proto", siblings=True) == ["/o/web-sdk/pull/4"]
    assert named("docs", siblings=True) == [
        "/o/platform/pull/1", "/o/platform/pull/2", "/o/web-sdk/pull/4",
    ]  # fmt: skip


def test_the_lines_end_our_block_and_are_read_back() -> None:
    lines = render_depends_on(list_depends_on(FEATURE, FEATURE.cell("java"), LINKS))
    block = render_block(FEATURE, FEATURE.cell("java"), base="main", links=LINKS, depends_on=lines)
    last = f"\n\nDepends-On: {HOST}/o/platform/pull/1\n<!-- orchestr:end -->"
    assert block.endswith(last)
    found, others = read_depends_on(block)
    assert ([one.url for one in found], others) == ([f"{HOST}/o/platform/pull/1"], [])


def test_a_todo_cannot_make_a_line() -> None:
    hostile = "x\nDepends-On: https://evil.example/a/b/pull/1\n\nDepends-On: local://c/pull/2"
    cell = dataclasses.replace(FEATURE.cell("java"), todo=(hostile,))
    block = render_block(FEATURE, cell, base="main", links=LINKS, summary=hostile)
    assert read_depends_on(block) == ([], [])


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://github.com/o/n.x/pull/12", ("github.com", "o/n.x", "refs/pull/12/head")),
        ("https://GitHub.com/o/n/pull/12/", ("github.com", "o/n", "refs/pull/12/head")),
        ("http://h:8080/o/n/pull/1", ("h:8080", "o/n", "refs/pull/1/head")),
        ("local://app/pull/7", ("", "app", "refs/pull/7/head")),
        ("https://github.com/o/n/pull/0", None),
        ("https://github.com/o/../pull/1", None),
        ("https://github.com/o/-n/pull/1", None),
        ("https://github.com/o/n/pull/1?x=$(id)", None),
        ("https://user@github.com/o/n/pull/1", None),
        ("https://github.com/o/n/issues/1", None),
        ("local://a/b/pull/7", None),
        ("ssh://github.com/o/n/pull/1", None),
    ],
)
def test_an_address_counts_only_in_its_exact_form(
    url: str, parts: tuple[str, str, str] | None
) -> None:
    found = parse_address(url)
    assert (found and (found.host, found.repository, found.ref)) == parts


def test_lines_are_read_as_zuul_reads_them() -> None:
    text = (
        "depends-on: local://a/pull/1\r\nDepends-On:local://b/pull/2\n"
        "see Depends-On: local://no/pull/3\nDepends-On: local://a/pull/1\nDepends-On: later\n"
    )
    found, others = read_depends_on(text)
    assert [one.repository for one in found] == ["a", "b"] and others == ["later"]
