"""The intent's file: what is written is read back, and every fault has its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.draft.intent import Intent, check_draft_name, is_intent, parse_intent, render_intent
from orchestr.errors import SpecError, UsageError

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])).map(
    str.strip
)
WORDS = TEXTS.filter(bool)


@settings(max_examples=50)
@given(
    text=WORDS,
    issues=st.lists(WORDS, max_size=3).map(tuple),
    values=st.dictionaries(WORDS, TEXTS, max_size=3),
    product=st.sampled_from([None, "cli", "webapp"]),
)
def test_an_intent_is_read_back(
    text: str, issues: tuple[str, ...], values: dict[str, str], product: str | None
) -> None:
    intent = Intent("mldsa", text, issues, product, ("app",), None, values)

    data = render_intent(intent)

    assert is_intent(data)
    assert parse_intent("mldsa", data, "specs/mldsa.md") == intent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just words", "specs/x.md:1: error: has no front matter"),
        ("---\nproduct: cli\n", "specs/x.md:1: error: its front matter does not end"),
        ("---\n---\n\n  \n", "specs/x.md: error: says nothing"),
        ("---\n\nprodukt: cli\n---\nwords", "specs/x.md:3: error: produkt: unknown field"),
        ("---\nproduct: boat\n---\nwords", "specs/x.md:2: error: product: must be one of webapp"),
        ("---\nissues: one\n---\nwords", "specs/x.md:2: error: issues: must be a list of texts"),
        ("---\nset: [a]\n---\nwords", "specs/x.md:2: error: set: must be a mapping"),
        ("---\n- a\n---\nwords", "must be a mapping, got a list"),
        ("---\na: [b\n---\nwords", "specs/x.md:2: error: not YAML"),
        ("---\na: &a [*a]\n---\nwords", "unknown field"),
        ("---\nwhen: 2026-13-45\n---\nwords", "not YAML"),
    ],
)
def test_a_fault_has_its_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_intent("x", text.encode(), "specs/x.md")
    assert said in str(caught.value)


def test_a_template_needs_no_words() -> None:
    found = parse_intent("x", b"---\ntemplate: sweep\nset: {paths: [a, b], n: 1}\n---\n", "x.md")
    assert (found.template, found.values) == ("sweep", {"paths": "a, b", "n": "1"})


@pytest.mark.parametrize("name", ["../x", "A", "x/y", "", "-x", "x.y", "x\n"])
def test_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_draft_name(name)
