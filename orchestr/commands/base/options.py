"""The options of our verbs, in doit's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestr.errors import UsageError
from orchestr.spec.field_types import parse_duration

if TYPE_CHECKING:
    from orchestr.cell.budget import RunBudget


def flag_option(name: str, help_: str, *, short: str = "", long: str = "") -> dict[str, Any]:
    """A switch that is off by default."""
    return {
        "section": "orchestr",
        "name": name,
        "short": short,
        "long": long or name.replace("_", "-"),
        "type": bool,
        "default": False,
        "help": help_,
    }


def value_option(
    name: str, help_: str, *, short: str = "", type_: type = str, default: Any = None
) -> dict[str, Any]:
    """An option with a value; None when it is not given."""
    return {
        "section": "orchestr",
        "name": name,
        "short": short,
        "long": name.replace("_", "-"),
        "type": type_,
        "default": default,
        "help": help_,
    }


def repeated_option(name: str, help_: str) -> dict[str, Any]:
    """An option that may be given several times."""
    return {
        "section": "orchestr",
        "name": name,
        "short": "",
        "long": name.replace("_", "-"),
        "type": list,
        "default": [],
        "help": help_,
    }


def read_duration(params: Any, name: str, examples: str) -> float | None:
    """The seconds that an option names, None when it is not given. Raises UsageError."""
    if params[name] is None:
        return None
    try:
        return parse_duration(params[name])
    except ValueError as error:
        raise UsageError(f"--{name}: {error}", hint=f"e.g. {examples}") from error


def make_purse(params: Any) -> RunBudget | None:
    """`--budget` and `--budget-tokens`. Raises UsageError."""
    from orchestr.cell.budget import RunBudget, SpendingCap

    usd, tokens = params["budget"], params["budget_tokens"]
    if usd is None and tokens is None:
        return None
    if (usd is not None and not usd > 0) or (tokens is not None and tokens < 1):
        raise UsageError(
            "a budget must be more than 0", hint="--budget 5.0, --budget-tokens 500000"
        )
    return RunBudget(SpendingCap(usd, tokens))


JSON = flag_option(
    "json", "machine-readable output, one JSON value (events: one a line)", long="json"
)
YES = flag_option(
    "yes", "do not ask before paid agents start or a real forge is touched", short="y"
)
JOBS = value_option(
    "jobs", "agents at once, over the workspace (limits.jobs)", short="j", type_=int
)
ONLY = repeated_option("only", "build only this cell; may be repeated; its upstreams must be done")
FORCE = flag_option("force", "rebuild the named cells: a new attempt on the same branch")
FRESH = flag_option(
    "fresh", "as --force, but start again from the base; the old head is kept as a ref"
)
MODEL = value_option("model", "model for attempts that start in this run")
EFFORT = value_option("effort", "effort of authors that start in this run")
OPTION = repeated_option(
    "option", "PHASE.FIELD=VALUE: how agents work at it in this run, e.g. review.model=large"
)
AGENT = value_option("agent", "agent for attempts that start in this run")
TIMEOUT = value_option(
    "timeout", "limit of an attempt, e.g. 45m, for attempts that start in this run"
)
BUDGET = value_option("budget", "dollars that this run may spend, over all its cells", type_=float)
BUDGET_TOKENS = value_option(
    "budget_tokens", "tokens that this run may take, in and out", type_=int
)
DRY_RUN = flag_option("dry_run", "show what would run and why; start nothing", long="dry-run")
FAILED = flag_option("failed", "only the cells that failed or were blocked or aborted")
BREAK_LOCK = flag_option(
    "break_lock", "clear a lease that another host left behind", long="break-lock"
)
IGNORE_DEPS = flag_option(
    "ignore_deps", "with --only: do not ask for upstreams", long="ignore-deps"
)
SKIP_PREFLIGHT = flag_option(
    "skip_preflight", "start in spite of what the pre-flight found", long="skip-preflight"
)
FOLLOW = flag_option("follow", "then follow the pull requests, as `orchestr follow` does")
STUB = flag_option(
    "stub", "play it in a copy, with agents that cost nothing: tests checks, gates, notify"
)
REMOVE_STUB = flag_option("remove_stub", "with --stub: remove the copy when it ended well")
RUN = (
    JOBS,
    ONLY,
    FORCE,
    FRESH,
    MODEL,
    AGENT,
    EFFORT,
    OPTION,
    TIMEOUT,
    BUDGET,
    BUDGET_TOKENS,
    YES,
    DRY_RUN,
    FAILED,
    BREAK_LOCK,
    IGNORE_DEPS,
    SKIP_PREFLIGHT,
    FOLLOW,
    STUB,
    REMOVE_STUB,
    JSON,
)
