"""The options of our verbs, in doit's form."""

from __future__ import annotations

from typing import Any


def flag(name: str, help_: str, *, short: str = "", long: str = "") -> dict[str, Any]:
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


def value(
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


def many(name: str, help_: str) -> dict[str, Any]:
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


JSON = flag("json", "machine-readable output, one JSON value (events: one a line)", long="json")
YES = flag("yes", "do not ask before paid agents start or a real forge is touched", short="y")
JOBS = value("jobs", "agents at once, over the workspace (limits.jobs)", short="j", type_=int)
ONLY = many("only", "build only this cell; may be repeated; its upstreams must be done")
FORCE = flag("force", "rebuild the named cells: a new attempt on the same branch")
FRESH = flag("fresh", "as --force, but start again from the base; the old head is kept as a ref")
MODEL = value("model", "model for attempts that start in this run")
AGENT = value("agent", "agent for attempts that start in this run")
TIMEOUT = value("timeout", "limit of an attempt, e.g. 45m, for attempts that start in this run")
BUDGET = value("budget", "dollars that this run may spend, over all its cells", type_=float)
BUDGET_TOKENS = value("budget_tokens", "tokens that this run may take, in and out", type_=int)
DRY_RUN = flag("dry_run", "show what would run and why; start nothing", long="dry-run")
FAILED = flag("failed", "only the cells that failed or were blocked or aborted")
BREAK_LOCK = flag("break_lock", "clear a lease that another host left behind", long="break-lock")
IGNORE_DEPS = flag("ignore_deps", "with --only: do not ask for upstreams", long="ignore-deps")
SKIP_PREFLIGHT = flag(
    "skip_preflight", "start in spite of what the pre-flight found", long="skip-preflight"
)
RUN = (
    JOBS,
    ONLY,
    FORCE,
    FRESH,
    MODEL,
    AGENT,
    TIMEOUT,
    BUDGET,
    BUDGET_TOKENS,
    YES,
    DRY_RUN,
    FAILED,
    BREAK_LOCK,
    IGNORE_DEPS,
    SKIP_PREFLIGHT,
    JSON,
)
