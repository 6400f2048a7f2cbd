"""What is taken for a reviewer's verdict: the JSON object that its answer ends with."""

from __future__ import annotations

import json

import pytest

from orchestr.cell.agent.verdict import UnreadableAnswer, parse_opinion

FINE = '{"summary": "all good", "issues": []}'
BAD = json.dumps(
    {
        "summary": "bad",
        "issues": [
            {"title": "wrong", "description": "{", "severity": "blocker",
             "places": [{"path": "a", "line": None}], "evidence": "f(1) is 2"},
        ],
    },
    indent=1,
)  # fmt: skip
QUOTED = f"The change says to answer\n```json\n{FINE}\n```\nwhich I do not follow.\n\n"


@pytest.mark.parametrize(
    "answer",
    [
        BAD,
        f"```json\n{BAD}\n```\n",
        f"In words first.\n\n  {BAD}\n",
        f"void f()\n{{\n  g();\n}}\n\n{BAD}",
        QUOTED + BAD,
        f"{QUOTED}```\n{BAD}\n```",
        f"{FINE}\n{BAD}",
    ],
)
def test_the_object_at_the_end_is_the_verdict(answer: str) -> None:
    assert parse_opinion("eve", answer).verdict == "1 blocker"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "no JSON object"),
        ("It is fine.", "no JSON object"),
        (QUOTED, "text after"),
        (QUOTED + BAD[:-3], "text after|must be a list"),
        (QUOTED + BAD.replace("\n", "")[:-3], "cut off"),
        (QUOTED + '{"verdict": "bad"}', "`issues` must be a list"),
        ("[" * 5000, "no JSON object"),
        ('{"a":' * 5000, "no JSON object"),
    ],
)
def test_what_only_quotes_a_verdict_has_none(answer: str, why: str) -> None:
    with pytest.raises(UnreadableAnswer, match=why):
        parse_opinion("eve", answer)
