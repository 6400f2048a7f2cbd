"""What every git command of ours states itself, so that nobody's settings change its answer.

Evidence is made under our own settings: what a diff, a status or a merge says is a matter of the
commits, not of a person's config, of `.gitmodules`, of a sparse checkout or of what a clone has
checked out. This is the one place that declares them. `git_env` passes the settings and the
variables to every command; `state_options` adds the options to those that config cannot overrule,
`state_environment` what depends on the command and on the place. `orchestr.git.runner` builds every
command with them and refuses one that is not declared here, so that no caller can leave them out.
A caller's own words come later on the line and win.

Two things are looked at elsewhere, because they are files: which attributes count
(`orchestr.git.attributes`), and index flags that hide files (`orchestr.git.hidden_files`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

# Config reaches git as GIT_CONFIG_*, which outranks every file.
STATED_CONFIG: Mapping[str, str] = {
    # what a diff shows, and how
    "color.diff": "false",
    "color.ui": "false",
    "core.bigFileThreshold": "512m",  # a smaller one makes a text file binary: no lines are shown
    "core.quotePath": "true",
    "diff.algorithm": "default",
    "diff.autoRefreshIndex": "true",
    "diff.context": "3",
    "diff.ignoreSubmodules": "dirty",  # see `_SUBMODULES`
    "diff.indentHeuristic": "true",
    "diff.interHunkContext": "0",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.relative": "false",
    "diff.renameLimit": "1000",
    "diff.renames": "true",
    "diff.statGraphWidth": "0",
    "diff.submodule": "short",
    "diff.suppressBlankEmpty": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.follow": "false",
    "log.mailmap": "false",
    "log.showSignature": "false",
    # what counts as changed, and is not taken from a cache that others may have filled
    "core.checkStat": "default",
    "core.commitGraph": "false",  # it says who the parents of a commit are, and is not verified
    "core.fsmonitor": "false",  # a program that says what changed; its daemon outlives us
    "core.ignoreStat": "false",  # true: git marks what it writes as "never look at it again"
    "core.trustctime": "true",
    "core.untrackedCache": "false",
    "sparse.expectFilesOutsideOfPatterns": "false",  # true: changes there are not looked for
    "status.aheadBehind": "true",
    "status.branch": "false",
    "status.showStash": "false",
    "status.showUntrackedFiles": "normal",
    "status.submoduleSummary": "false",
    # how trees are merged
    "merge.conflictStyle": "diff3",  # who resolves it sees what both sides began with
    "merge.default": "orchestr-none",  # no such driver: git's own three-way merge
    "merge.directoryRenames": "conflict",
    "merge.log": "false",
    "merge.renameLimit": "7000",
    "merge.renames": "true",
    "merge.renormalize": "false",
    # what a fetch brings
    "fetch.recurseSubmodules": "false",
}

# Commits are read as they are pushed: no `git replace`, no grafts (a file that cannot be there).
STATED_ENV: Mapping[str, str] = {
    "GIT_GRAFT_FILE": f"{os.devnull}/none",
    "GIT_NO_REPLACE_OBJECTS": "1",
}

# `submodule.<name>.ignore` (also of `.gitmodules`) outranks `diff.ignoreSubmodules`. Another commit
# is seen; for what is changed inside git would start itself there, under a config that is not ours
# (`orchestr.git.inner_repositories` looks).
_SUBMODULES = "--ignore-submodules=dirty"
_DIFF = (
    "--text", "--no-ext-diff", "--no-textconv", "--no-color", _SUBMODULES, "--submodule=short",
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
        "am", "bisect", "branch", "cat-file", "check-attr", "check-ignore", "checkout",
        "checkout-index", "cherry-pick", "clean", "clone", "commit", "commit-tree", "config",
        "for-each-ref", "grep", "hash-object", "hook", "init", "ls-files", "ls-remote", "ls-tree",
        "merge", "merge-base", "merge-file", "merge-tree", "mktree", "push", "read-tree", "rebase",
        "remote", "reset", "restore", "rev-list", "rev-parse", "revert", "stash", "symbolic-ref",
        "update-index", "update-ref", "worktree", "write-tree",
    }
)  # fmt: skip

# The commands whose hooks are a part of what they do, and those that only say where hooks are.
# Others would run hooks that no user expects (`reference-transaction`, `post-index-change`).
WITH_HOOKS = frozenset(
    {"checkout", "clone", "commit", "config", "hook", "merge", "push", "rev-parse", "worktree"}
)
# Their hooks are programs of the repository, and none of them has to reach the forge.
WITHOUT_FORGE = frozenset({"commit", "hook"})
FORGE_TOKENS = (
    "GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
    "GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN", "FORGEJO_TOKEN", "GITEA_TOKEN",
)  # fmt: skip


class NotDeclared(ValueError):
    """A git command that this module does not know: whether settings change its answer is open."""


def state_options(args: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a git command with the options that it has to state. Raises NotDeclared."""
    at = find_subcommand(args)
    if at is None:
        return args
    if args[at] not in STATED_OPTIONS and args[at] not in STATE_NOTHING:
        raise NotDeclared(f"git {args[at]} is not declared in {__name__}")
    return (*args[: at + 1], *STATED_OPTIONS.get(args[at], ()), *args[at + 1 :])


def state_environment(args: tuple[str, ...], path: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment ``env`` of a git command in ``path``, with what it has to state there."""
    at = find_subcommand(args)
    name = args[at] if at is not None else ""
    stated = {} if name in ("config", "rev-parse") else dict(state_filesystem(path))
    if name not in WITH_HOOKS:
        stated["core.hooksPath"] = os.devnull
    found = dict(env)
    if name in WITHOUT_FORGE:
        found = {key: value for key, value in found.items() if key not in FORGE_TOKENS}
    first = int(found.get("GIT_CONFIG_COUNT", "0"))
    for number, (key, value) in enumerate(stated.items(), first):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
        found["GIT_CONFIG_COUNT"] = str(number + 1)
    return found


def state_filesystem(path: Path) -> Mapping[str, str]:
    """What git's settings say of the filesystem of a linked worktree, where it shows that itself.

    `core.fileMode` off hides that a file became a program, `core.ignoreCase` on a new file whose
    name differs in case. A main checkout keeps what its clone says, which a person may have set.
    """
    link = path / ".git"
    try:
        mode = link.lstat().st_mode
    except OSError:
        return {}
    if not S_ISREG(mode):
        return {}
    stated = {"core.fileMode": "true"} if not mode & 0o111 else {}
    if not os.path.lexists(path / ".GIT"):
        stated["core.ignoreCase"] = "false"
    return stated


def find_subcommand(args: tuple[str, ...]) -> int | None:
    """Where the name of the command is, behind git's own options."""
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in ("-c", "-C") else 1
    return at if at < len(args) else None
