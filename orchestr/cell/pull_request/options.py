"""What a cell's pull request is to have beside its text, from spec and settings together."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from orchestr.cell.context import CellContext
from orchestr.spec.pull_request import PullRequestOptions, join_options


def pull_request_options(ctx: CellContext) -> PullRequestOptions:
    """The cell's options over those of `[forge]`; lists are joined."""
    forge = ctx.run.settings.forge
    common = PullRequestOptions(forge.labels, forge.reviewers, forge.assignees, forge.milestone)
    return join_options([common, ctx.cell.pull_request])


def options_table(ctx: CellContext) -> dict[str, Any]:
    """The options that are given, as JSON values."""
    options = pull_request_options(ctx)
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value not in ((), None)
    }
