"""What a pull request's body tells of checks, repairs and reviews."""

from __future__ import annotations

from orchestr.forges import body_evidence


def test_nothing_to_tell_is_no_section() -> None:
    assert (
        body_evidence.render_checks([])
        == body_evidence.render_repairs([])
        == body_evidence.render_reviews([])
        == ""
    )


def test_repairs_are_told_with_what_came_of_them() -> None:
    rows = [
        {"outcome": "unchanged", "why": "red: unit", "after": "a" * 40},
        {"outcome": "changed", "why": "red: unit <!-- @all", "after": "b" * 40},
    ]
    text = body_evidence.render_repairs(rows)
    assert text.count("\n- ") == 2
    assert "- red: unit (unchanged)" in text
    assert text.endswith("→ `bbbbbbbbbb`")
    assert "<!--" not in text


def test_a_blocker_without_evidence_is_a_claim() -> None:
    issues = [
        {"severity": "blocker", "title": "Bad", "evidence": " ", "places": ["a.py:3"]},
        {"severity": "tech_debt", "title": "Old", "evidence": "", "description": "Long"},
    ]
    text = body_evidence.render_reviews(
        [{"reviewer": "eve", "issues": issues, "summary": "Read it."}]
    )
    assert "**eve**: 2 issues. Read it." in text
    assert "Claimed blocker, without evidence: **Bad** (`a.py:3`)" in text
    assert "Tech debt: **Old**: Long" in text


def test_no_more_issues_than_people_read() -> None:
    issues = [{"severity": "skippable", "title": f"t{n}"} for n in range(body_evidence.MOST + 5)]
    text = body_evidence.render_reviews([{"reviewer": "eve", "issues": issues}])
    assert text.count("\n- ") == body_evidence.MOST
    assert "and 5 more" in text
