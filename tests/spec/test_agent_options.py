"""Options of agents: which place counts, what a file may say."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr.spec.agent_options import (
    AgentOptions,
    OptionLevel,
    Role,
    RoleOptions,
    choose_options,
    parse_cell_tables,
    parse_role_tables,
)
from orchestr.spec.field_types import BadValue


def entries(**tables: dict[str, Any]) -> tuple[RoleOptions, ...]:
    return parse_role_tables(tables)


LEVELS = [
    OptionLevel("command line", entries(review={"effort": "max"}), AgentOptions(model="typed")),
    OptionLevel(
        "spec",
        entries(
            implement={"effort": "high", "mcp": ["docs"]},
            repair={"effort": "low", "rounds": [{"since": 3, "effort": "max"}]},
        ),
    ),
    OptionLevel("agents.x.phases", entries(plan={"model": "planner"}, repair={"max_turns": 9})),
    OptionLevel("agents.x", common=AgentOptions(model="usual", fallback_model="small")),
]


@pytest.mark.parametrize(
    ("levels", "role", "number", "expected"),
    [
        ([], Role.IMPLEMENT, 1, {}),
        (LEVELS[3:], Role.DRAFT, 1, {"model": "usual", "fallback_model": "small"}),
        (LEVELS[2:], Role.PLAN, 1, {"model": "planner", "fallback_model": "small"}),
        (
            LEVELS[1:],
            Role.IMPLEMENT,
            1,
            {"model": "usual", "effort": "high", "mcp": ["docs"], "fallback_model": "small"},
        ),
        (  # what a repair does not say, `implement` does
            LEVELS[1:],
            Role.REPAIR,
            2,
            {"model": "usual", "effort": "low", "mcp": ["docs"], "max_turns": 9,
             "fallback_model": "small"},
        ),
        (
            LEVELS[1:],
            Role.REPAIR,
            3,
            {"model": "usual", "effort": "max", "mcp": ["docs"], "max_turns": 9,
             "fallback_model": "small"},
        ),
        (LEVELS, Role.PLAN, 1, {"model": "typed", "fallback_model": "small"}),
        (
            [*LEVELS[:1], OptionLevel("reviewers", common=AgentOptions(effort="low", mcp=()))],
            Role.REVIEW,
            1,
            {"model": "typed", "effort": "max", "mcp": []},
        ),
    ],
)  # fmt: skip
def test_the_first_place_that_says_it_counts(
    levels: list[OptionLevel], role: Role, number: int, expected: dict[str, Any]
) -> None:
    assert choose_options(role, levels, number).options.stated == expected


def test_each_option_says_where_it_is_said() -> None:
    sources = choose_options(Role.REPAIR, LEVELS, 1).sources
    assert {name: str(source) for name, source in sources.items()} == {
        "model": "command line",
        "effort": "spec.repair",
        "mcp": "spec.implement",
        "max_turns": "agents.x.phases.repair",
        "fallback_model": "agents.x",
    }


def test_a_cell_goes_before_the_defaults() -> None:
    both = (*entries(repair={"effort": "low", "model": "a"}), *entries(repair={"effort": "high"}))
    chosen = choose_options(Role.REPAIR, [OptionLevel("spec", both)])
    assert chosen.options == AgentOptions(model="a", effort="high")


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        ([], (), "must be a table of phases, got a list"),
        ({"publish": {}}, ("publish",), "there is no phase `publish` with options"),
        ({"draft": {}}, ("draft",), "there is no phase `draft` with options"),
        ({"plan": {"efort": "x"}}, ("plan", "efort"), "unknown option"),
        ({"plan": {"effort": 3}}, ("plan", "effort"), "must be a text, got a number"),
        ({"plan": {"mcp": "docs"}}, ("plan", "mcp"), "must be a list of texts, got a text"),
        ({"plan": {"max_turns": 0}}, ("plan", "max_turns"), "must be a whole number from 1 to"),
        ({"implement": {"rounds": []}}, ("implement", "rounds"), "unknown option"),
        ({"repair": {"rounds": {}}}, ("repair", "rounds"), "must be a list of tables"),
        ({"repair": {"rounds": [{}]}}, ("repair", "rounds", 0), "needs `since`"),
        (
            {"repair": {"rounds": [{"since": 2, "x": 1}]}},
            ("repair", "rounds", 0, "x"),
            "unknown option",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(raw: Any, field: Any, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_cell_tables(raw)
    assert (caught.value.field, caught.value.message[: len(message)]) == (field, message)
