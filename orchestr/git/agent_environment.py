"""What an agent's git gets to see: no push, our excludes, no path out of its worktree.

Owns the entries that are added to an agent's environment and the excludes files they point to.
Everything travels in the environment; the repository and its config stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestr.files import write_if_changed
from orchestr.git.config import (
    IDENTITY_VARIABLES,
    QUIET,
    config_env,
    lfs_env,
    read_config_variables,
)
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO, split_records
from orchestr.git.stated import STATED_CONFIG
from orchestr.git.trace import trace_environment

# What an agent's git needs to see the same config and to commit as the same person as ours; no
# way to reach servers.
_KEPT = (
    "GIT_ALLOW_PROTOCOL",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    *IDENTITY_VARIABLES,
)
_REACHES_SERVERS = ("credential.", "http.", "remote.", "url.", "core.askpass", "core.sshcommand")
OURS = (".orchestr/", ".doit.db*", ".ports.env")
# What known agents write beside the work: never part of it. Their settings (`.aider.conf.yml`) are.
DROPPINGS = (
    ".aider.chat.history.md", ".aider.input.history", ".aider.llm.history",
    ".aider.tags.cache.v*/", ".claude/settings.local.json", ".claude/worktrees/", ".goosehints.tmp",
    ".crush/", ".plandex*/", ".qwen/tmp/", ".gemini/tmp/", ".opencode/node_modules/",
    "gemini-client-error-*.json",
)  # fmt: skip
_DROPPING = re.compile(
    "|".join(
        rf"(?:^|/){re.escape(pattern.rstrip('/')).replace(re.escape('*'), '[^/]*')}"
        + ("/" if pattern.endswith("/") else "$")
        for pattern in DROPPINGS
    )
)
NO_PUSH = "url.orchestr-no-push://.pushInsteadOf"


def agent_git_env(
    repo: Repo,
    worktree: Path,
    excludes: Path,
    *,
    patterns: Iterable[str] = (),
    config: Mapping[str, str] | None = None,
    record: Path | None = None,
) -> dict[str, str]:
    """The variables for an agent's environment that disable push and gc in its git.

    ``excludes`` and ``patterns`` as in `exclude_config`; ``config`` are more settings (signing).
    ``record`` is the file in which its git writes down every command (`orchestr.git.trace`).

    ``pushInsteadOf`` with the empty prefix matches every URL, but git takes the longest match:
    so the user's own prefixes and each remote's whole URL are named, too. It does not apply to
    an explicit ``pushurl``, so each remote's ``receivepack`` (ssh, local paths) becomes a
    program that does not exist. Fetch still works. Left open: a push over https to a
    ``pushurl``, or to a URL typed out that the user's own ``pushInsteadOf`` rewrites; both need
    credentials that the agent's environment does not hold.
    """
    settings = {
        **QUIET,
        "core.fsmonitor": STATED_CONFIG["core.fsmonitor"],
        **repo.identity_config,
        **repo.config,
        **exclude_config(repo, excludes, patterns),
        **(config or {}),
    }
    found = repo.run_readonly(
        "config", "-z", "--get-regexp", r"^(remote\..*\.(push)?url|url\..*\.pushinsteadof)$",
        answers=YES_OR_NO,
    )  # fmt: skip
    given = read_config_variables()
    pairs = [pair for pair in given if not pair[0].lower().startswith(_REACHES_SERVERS)]
    pairs += [*settings.items(), (NO_PUSH, "")]
    for setting in split_records(found.out):
        key, _, value = setting.partition("\n")
        pairs.append((NO_PUSH, value))
        if key.startswith("remote."):
            pairs.append((f"{key.rpartition('.')[0]}.receivepack", "orchestr-no-push"))
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= {
        **lfs_env(),
        "GIT_CEILING_DIRECTORIES": str(worktree.resolve().parent),
        "GIT_EDITOR": "true",  # no person can type; `rebase --continue` needs no editor
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }
    if record is not None:
        env |= trace_environment(record)
    return env | config_env(pairs)


def exclude_config(repo: Repo, target: Path, patterns: Iterable[str] = ()) -> dict[str, str]:
    """Write an excludes file, the user's patterns and then ours; return the setting for it.

    The file lies beside ``target`` and is named after its content: repositories may have
    excludes of their own, and a reader never sees another's. ``patterns`` are those of this
    repository, such as ``/node_modules`` for a linked folder (``node_modules/`` does not match
    a symlink, git-facts).
    """
    user = read_user_excludes(repo)
    lines = [user.rstrip(b"\n"), b"# orchestr"]
    lines += [os.fsencode(pattern) for pattern in (*OURS, *DROPPINGS, *patterns)]
    data = b"\n".join(line for line in lines if line) + b"\n"
    path = target.with_name(f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}")
    write_if_changed(path, data)
    return {"core.excludesFile": str(path)}


def is_dropping(path: str) -> bool:
    """Whether a path of a repository is what a known agent leaves beside its work."""
    return _DROPPING.search(path) is not None


def read_user_excludes(repo: Repo) -> bytes:
    """The content of the excludes file that git uses for this user and repository."""
    done = Repo(repo.path).run_readonly(
        "config", "--type=path", "--get", "core.excludesFile", answers=YES_OR_NO
    )
    named = os.fsdecode(done.out.removesuffix(b"\n"))
    if done.code == 0 and named:
        # A relative path counts from the top of the worktree git runs in.
        path = repo.path / named
    else:
        home = os.environ.get("XDG_CONFIG_HOME") or str(
            Path(os.environ.get("HOME", "/"), ".config")
        )
        path = Path(home, "git", "ignore")
    try:
        return path.read_bytes()
    except OSError:
        return b""
