"""What every git command of ours states itself, so that nobody's settings change its answer.

Evidence is made under our own settings: what a diff, a status or a merge says is a matter of the
commits, not of a person's config, of `.gitmodules`, of a sparse checkout or of what a clone has
checked out. This is the one place that declares them. `git_env` passes the settings and the
variables to every command, `state_options` adds the options to those that config cannot overrule;
`orchestr.git.runner` builds every command line with it, so that no caller can leave them out.
A caller's own words come later on the line and win.

Which attributes count is stated where they matter, by `orchestr.git.attributes`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

# Config reaches git as GIT_CONFIG_*, which outranks every file.
STATED_CONFIG: Mapping[str, str] = {
    # what a diff shows, and how
    "color.diff": "false",
    "color.ui": "false",
    "core.bigFileThreshold": "512m",  # a smaller one makes a text file binary: no lines are shown
    "core.quotePath": "true",
    "diff.algorithm": "default",
    "diff.context": "3",
    "diff.ignoreSubmodules": "none",
    "diff.indentHeuristic": "true",
    "diff.interHunkContext": "0",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.relative": "false",
    "diff.renameLimit": "1000",
    "diff.renames": "true",
    "diff.submodule": "short",
    "diff.suppressBlankEmpty": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    # what counts as changed
    "core.checkStat": "default",
    "core.ignoreStat": "false",  # true: git marks what it writes as "never look at it again"
    "sparse.expectFilesOutsideOfPatterns": "false",  # true: changes there are not looked for
    # how trees are merged
    "merge.directoryRenames": "conflict",
    "merge.log": "false",
    "merge.renameLimit": "7000",
    "merge.renames": "true",
    "merge.renormalize": "false",
    # what a fetch brings
    "fetch.recurseSubmodules": "false",
}

# Commits are read as they are pushed: no `git replace`, no grafts.
STATED_ENV: Mapping[str, str] = {"GIT_GRAFT_FILE": os.devnull, "GIT_NO_REPLACE_OBJECTS": "1"}

# `submodule.<name>.ignore` (also of `.gitmodules`) outranks `diff.ignoreSubmodules`.
_SUBMODULES = "--ignore-submodules=none"
_DIFF = (
    "--no-ext-diff", "--no-textconv", "--no-color", _SUBMODULES, "--submodule=short",
    "--src-prefix=a/", "--dst-prefix=b/", "--no-relative", f"-O{os.devnull}",
)  # fmt: skip

STATED_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "add": ("--sparse",),  # else what lies outside the cone is passed over
    "diff": _DIFF,
    "diff-files": _DIFF,
    "diff-index": _DIFF,
    "diff-tree": _DIFF,
    "fetch": ("--no-prune",),  # `remote.<name>.prune` outranks `fetch.prune`
    "log": ("--no-color", "--no-show-signature", "--encoding=UTF-8"),
    "status": (_SUBMODULES, "--no-renames"),
}

# They read or write exactly what they are given; no setting or option changes the answer.
STATE_NOTHING = frozenset(
    {
        "am", "bisect", "cat-file", "check-attr", "checkout", "checkout-index", "cherry-pick",
        "clean", "clone", "commit", "commit-tree", "config", "for-each-ref", "ls-files",
        "ls-remote", "ls-tree", "merge", "merge-base", "merge-tree", "push", "read-tree", "rebase",
        "remote", "reset", "restore", "rev-list", "rev-parse", "revert", "stash", "symbolic-ref",
        "update-index", "update-ref", "worktree", "write-tree",
    }
)  # fmt: skip


def state_options(args: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a git command with the options that it has to state."""
    at = find_subcommand(args)
    if at is None:
        return args
    return (*args[: at + 1], *STATED_OPTIONS.get(args[at], ()), *args[at + 1 :])


def find_subcommand(args: tuple[str, ...]) -> int | None:
    """Where the name of the command is, behind git's own options."""
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in ("-c", "-C") else 1
    return at if at < len(args) else None
