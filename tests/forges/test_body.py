"""What a pull request says, and that foreign text in it does nothing."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.forges.base import PRState
from orchestr.forges.body import PRLink, render_block, render_title, splice_block
from orchestr.forges.body_markers import END
from orchestr.forges.markdown_escape import inline_code, literal_text
from orchestr.spec.phases import Action
from orchestr.spec.records import Cell, Feature

FEATURE = Feature(
    name="mlkem",
    key="DSPX-2399",
    title="Pure ML-KEM-768 key encapsulation",
    cells=(
        Cell("tests", "tests", "DSPX-2399-tests", action=Action.PUSH, todo=("Add a fixture",)),
        Cell("proto", "platform", "DSPX-2399-proto", todo=("Run `buf generate`",)),
        Cell("service", "platform", "DSPX-2399-service", depends_on=("proto",)),
        Cell("java-sdk", "java-sdk", "DSPX-2399-java-sdk", depends_on=("service", "proto")),
    ),
    scenarios=("xtest/scenarios/mlkem.yaml",),
)
LINKS = {
    "tests": PRLink(no_change=True),
    "proto": PRLink("https://forge.example/platform/pull/1", PRState.MERGED),
    "service": PRLink("local://platform/pull/2", PRState.OPEN, draft=True),
}


def block_of(cell: str, **more: object) -> str:
    options: dict[str, object] = {"base": "main", "links": LINKS, **more}
    return render_block(FEATURE, FEATURE.cell(cell), **options)  # type: ignore[arg-type]


def test_titles_name_what_where_and_which_cell() -> None:
    assert [render_title(FEATURE, cell) for cell in FEATURE.cells[:2]] == [
        "test(tests): Pure ML-KEM-768 key encapsulation (DSPX-2399)",
        "feat(platform): Pure ML-KEM-768 key encapsulation (DSPX-2399) [proto]",
    ]


def test_titles_start_with_the_type_of_the_feature() -> None:
    fix, breaking = (dataclasses.replace(FEATURE, type=kind) for kind in ("fix", "feat!"))
    assert [render_title(fix, cell) for cell in FEATURE.cells[:2]] == [
        "test(tests): Pure ML-KEM-768 key encapsulation (DSPX-2399)",
        "fix(platform): Pure ML-KEM-768 key encapsulation (DSPX-2399) [proto]",
    ]
    title = render_title(breaking, FEATURE.cell("proto"))
    assert title == "feat(platform)!: Pure ML-KEM-768 key encapsulation (DSPX-2399) [proto]"


def test_a_long_title_keeps_its_key_and_cell() -> None:
    cell = dataclasses.replace(FEATURE.cell("proto"), title="long\n" * 200)
    title = render_title(FEATURE, cell)
    assert len(title) <= 250
    assert title.endswith("… (DSPX-2399) [proto]")
    assert "\n" not in title


def test_the_whole_block_of_a_stacked_cell() -> None:
    assert (
        block_of("service", base="DSPX-2399-proto", stack=("proto",))
        == """\
<!-- orchestr:begin feature=mlkem cell=service -->
**Pure ML-KEM-768 key encapsulation**

Feature `mlkem`, cell `service` of 4 (DSPX-2399), repository `platform`.

> This is a draft. Review bots skip drafts: it gets no bot review until it is marked ready for \
review, or a review is asked for by hand.

Stacked: goes into `DSPX-2399-proto`, and its branch starts from `proto` \
(https://forge.example/platform/pull/1 (merged)).

Everything that this one needs is merged.

### Upstreams

- `proto` in `platform`: https://forge.example/platform/pull/1 (merged)

### Dependents

- `java-sdk` in `java-sdk`: no pull request yet

### Siblings

- `tests` in `tests`: no change needed

### Scenarios

- `xtest/scenarios/mlkem.yaml`
<!-- orchestr:end -->"""
    )


def test_it_says_what_has_to_be_merged_first_in_order() -> None:
    text = render_block(FEATURE, FEATURE.cell("java-sdk"), base="main", links={})
    order = text.partition("in this order")[2].partition("### Upstreams")[0]
    assert re.findall(r"(\d)\. `([a-z]+)`", order) == [("1", "proto"), ("2", "service")]

    merged = block_of("java-sdk")
    assert "1. `service` in `platform`: `local://platform/pull/2` (open, draft)" in merged
    assert "2. " not in merged, "the proto is merged already"


def test_the_tests_cell_explains_that_it_is_dormant() -> None:
    assert "dormant" in block_of("tests")
    assert "`supports mlkem`" in block_of("tests")
    assert "dormant" not in block_of("proto")


def test_partial_and_ready_are_said() -> None:
    assert "**Partial**" in block_of("proto", partial=True)
    assert "draft" not in block_of("proto", draft=False, links={})


def test_a_thousand_todos_fit_a_forge() -> None:
    cell = dataclasses.replace(FEATURE.cell("proto"), todo=("word " * 100,) * 1000)
    text = render_block(FEATURE, cell, base="main", links={})
    assert len(text) < 30_000
    assert "more, in the spec" in text


def test_a_chain_of_a_thousand_cells_has_an_order() -> None:
    cells = tuple(
        Cell(f"c{n}", "r", f"b{n}", depends_on=(f"c{n - 1}",) if n else ()) for n in range(1500)
    )
    text = render_block(Feature("f", "K-1", "t", cells), cells[-1], base="main", links={})
    assert "\n1. `c0`" in text


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain words, a-b and KAS_PUBLIC_KEY = 13", "plain words, a-b and KAS_PUBLIC_KEY = 13"),
        ("keep `__init__` and ``a`b``", "keep `__init__` and ``a`b``"),
        ("__init__", r"\_\_init\_\_"),
        ("*bold* [x](y)", r"\*bold\* \[x\](y)"),
        ("via @noble/post-quantum", "via `@noble/post-quantum`"),
        ("me@example.org", "me@example.org"),
        ("fixes #12, o/r#3 and GH-4", "fixes `#12`, `o/r#3` and `GH-4`"),
        ("@a@b #1@c", "`@a@b` `#1@c`"),
        ("https://x.example/a_b*", "https://x.example/a_b*"),
        ("closes https://h.example/o/r/issues/4", "closes `https://h.example/o/r/issues/4`"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("12.5 percent", "12.5 percent"),
        ("<b> & </b>", "&lt;b> &amp; &lt;/b>"),
        ("`<!-- x -->`", r"\`&lt;!-- x --&gt;\`"),
        ("a\n\n# b\x00\u202e", "a # b"),
    ],
)
def test_foreign_text_is_shown_as_written(foreign: str, shown: str) -> None:
    assert literal_text(foreign) == shown


FOREIGN = st.text("ab1 `~#@/-_<>!*[]()\n\\." + "\u202e", max_size=40) | st.lists(
    st.sampled_from(["<!--", "-->", END, "`", "```", "\n", "@a", "#1", "https://x.y/"]), max_size=8
).map("".join)


@given(FOREIGN)
def test_foreign_text_never_makes_a_marker_or_a_line(text: str) -> None:
    for made in (literal_text(text), inline_code(text)):
        assert "<!--" not in made
        assert "\n" not in made


@given(FOREIGN, FOREIGN, FOREIGN)
def test_a_block_with_any_todo_can_be_found_again(todo: str, title: str, scenario: str) -> None:
    cell = Cell("c", "r", "b", todo=(todo,), title=title)
    feature = Feature("f", title or "f", title or "f", (cell,), scenarios=(scenario,))
    block = render_block(feature, cell, base=title, links={}, summary=todo)
    assert splice_block(f"a\n{block}\nz", block) == f"a\n{block}\nz"
    assert block == render_block(feature, cell, base=title, links={}, summary=todo)
