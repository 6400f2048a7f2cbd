"""The bounds of a run, and of what its programs may reach: `[limits]` and `[sandbox]`."""

from dataclasses import dataclass
from typing import Annotated

from orchestr.settings import keys
from orchestr.spec.declare import Doc


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds of a run: agents at once, seconds, free disk in MiB.

    ``budget_*`` are dollars and tokens for each feature, ``attempt_*`` for each attempt.
    """

    jobs: Annotated[int, keys.count(1, 1000), Doc("agents at once, over the workspace")] = 3
    timeout: Annotated[keys.Duration, Doc("of an attempt", "30m")] = 1800.0
    idle_timeout: Annotated[keys.Duration, Doc("of an attempt's silence", "10m")] = 600.0
    after_result: Annotated[
        keys.Duration, Doc("how long an agent may stay after it has given its result", "1m")
    ] = 60.0
    grace: Annotated[keys.Duration, Doc("between interrupt, terminate and kill", "10s")] = 10.0
    budget_usd: Annotated[keys.Dollars | None, Doc("for each feature, all its runs", 20.0)] = None
    min_disk_mb: Annotated[
        int, keys.count(0, 1 << 30), Doc("free space below which nothing starts")
    ] = 500
    budget_tokens: Annotated[keys.Tokens | None, Doc("for each feature, in and out", 5000000)] = (
        None
    )
    attempt_usd: Annotated[keys.Dollars | None, Doc("for each attempt", 5.0)] = None
    attempt_tokens: Annotated[keys.Tokens | None, Doc("for each attempt, in and out", 1000000)] = (
        None
    )
    retries: Annotated[
        int,
        keys.count(0, 20),
        Doc("how often a step is tried again that the machine or the network kept from its end"),
    ] = 3
    retry: Annotated[
        int, keys.count(0, 10), Doc("further attempts at a cell's work after one that failed")
    ] = 0
    memory: Annotated[
        keys.Size | None, Doc("that an agent or check and all it started may use", "4G")
    ] = None
    cpus: Annotated[keys.Cpus | None, Doc("processors for each agent or check", 2)] = None
    pids: Annotated[
        int | None, keys.count(8, 1 << 20), Doc("processes of each agent or check", 512)
    ] = None
    disk: Annotated[keys.Size | None, Doc("that an agent and all it started may write", "20G")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The wall around agents, reviewers, drafts and checks (docs/security.md)."""

    mode: Annotated[
        str,
        keys.choice("auto", "bwrap", "srt", "none"),
        Doc("`auto`: bubblewrap or srt where it works, else none"),
    ] = "auto"
    require: Annotated[keys.Flag, Doc("`true`: nothing starts without a sandbox")] = False
    hide: Annotated[
        keys.OuterPaths, Doc("paths that are hidden inside, beside the usual secrets", ["~/work"])
    ] = ()
    show: Annotated[
        keys.OuterPaths, Doc("paths that are hidden by default and may be read", ["~/.npmrc"])
    ] = ()
    write: Annotated[
        keys.OuterPaths, Doc("paths outside of the worktree that may be written", ["~/.m2"])
    ] = ()
    caches: Annotated[
        str,
        keys.choice("private", "shared"),
        Doc("package managers' caches: of their own in the sandbox, or the user's"),
    ] = "private"
