"""The settings and environment that git runs with, and valid branch names.

Owns which GIT_* variables we let through, the settings that keep our git quiet and harmless, and
what may be a branch's name; what a command has to state to be evidence is in `orchestr.git.stated`.
Settings travel as ``GIT_CONFIG_COUNT/KEY/VALUE``; the repository's shared config is never written,
because in a linked worktree ``git config --local`` writes the main checkout's file and parallel
writers fail on its lock (26 of 160 did). Leaves running git to `orchestr.git.repo`, an agent's
environment to `orchestr.git.agent_environment`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NewType

from orchestr.errors import UsageError
from orchestr.git.stated import STATED_CONFIG, STATED_ENV

Branch = NewType("Branch", str)
CommitId = NewType("CommitId", str)
TreeId = NewType("TreeId", str)

IDENTITY = ("orchestr", "orchestr@localhost")

# Who the user is (a dev container and direnv say it here), and their way to reach servers and to
# find the global config; everything else that begins with GIT_ (GIT_DIR, GIT_INDEX_FILE,
# GIT_WORK_TREE, ... inside hooks and other tools) would aim our git at another repository, so it
# goes (pre-commit's no_git_env does the same). No dates: candidates depend on their commits' alone.
IDENTITY_VARIABLES = (
    "EMAIL",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
)
_KEPT = frozenset(
    {
        "GIT_ALLOW_PROTOCOL",
        "GIT_ASKPASS",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_HTTP_LOW_SPEED_LIMIT",
        "GIT_HTTP_LOW_SPEED_TIME",
        "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_HTTP_USER_AGENT",
        "GIT_PROTOCOL",
        "GIT_PROXY_COMMAND",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_CERT",
        "GIT_SSL_CERT_PASSWORD_PROTECTED",
        "GIT_SSL_CIPHER_LIST",
        "GIT_SSL_KEY",
        "GIT_SSL_NO_VERIFY",
        "GIT_SSL_VERSION",
        *IDENTITY_VARIABLES,
    }
)
# What a name below refs/heads/ may not hold (git, refs.c: check_refname_component).
_NO_REF = re.compile(r"(?:^|/)(?:\.|/|\Z)|\.\.|@\{|\.lock(?:/|\Z)|\.\Z|[\x00-\x20\x7f~^:?*\[\\]")
_MISLEADING = ("core.bare", "core.worktree")  # of `git -c` around us: another repository's

QUIET: Mapping[str, str] = {
    "advice.detachedHead": "false",
    "gc.auto": "0",  # a gc that starts beside 32 worktrees holds locks and prunes admin files
    "maintenance.auto": "false",
    "i18n.commitEncoding": "UTF-8",  # part of the commit id of `merge_base_for`
    "push.autoSetupRemote": "false",  # writes the shared config
    "submodule.recurse": "false",  # an uninitialised submodule must do no harm
}


# How our git may reach a repository. `ext::` and `fd::` run a command or wait on a descriptor.
PROTOCOLS = ("file", "https", "ssh")
_RUNNERS = frozenset(("ext", "fd"))


def allowed_protocols() -> str:
    """``GIT_ALLOW_PROTOCOL`` for our git: ours, or those that the user names there without the
    ones that run a command."""
    given = os.environ.get("GIT_ALLOW_PROTOCOL")
    names = PROTOCOLS if given is None else given.split(":")
    return ":".join(name for name in names if name not in _RUNNERS)


def lfs_config() -> dict[str, str]:
    """Settings that let git pass over git-lfs where it is not installed; else none.

    A user config that demands it there fails every checkout and may fail ``status`` (a process
    filter that cannot start is fatal even if it is not required, git 2.39); we take the
    pointers as they are. Not for adding and committing: see `Repo.commit_all`.
    """
    if _has_lfs(os.environ.get("PATH", os.defpath)):
        return {}
    empty = dict.fromkeys(("process", "smudge", "clean"), "")
    return {f"filter.lfs.{key}": value for key, value in {**empty, "required": "false"}.items()}


def lfs_env() -> dict[str, str]:
    """Where git-lfs is installed a checkout gets the content of its files, as everywhere else.

    What cannot be downloaded stays a pointer instead of ending the checkout. A person's own
    ``GIT_LFS_SKIP_SMUDGE`` is passed on.
    """
    if not _has_lfs(os.environ.get("PATH", os.defpath)):
        return {"GIT_LFS_SKIP_SMUDGE": "1"}
    asked = os.environ.get("GIT_LFS_SKIP_SMUDGE")
    skip = {"GIT_LFS_SKIP_SMUDGE": asked} if asked is not None else {}
    return {"GIT_LFS_SKIP_DOWNLOAD_ERRORS": "1", **skip}


@cache
def _has_lfs(path: str) -> bool:
    return shutil.which("git-lfs", path=path) is not None


def config_env(config: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """``GIT_CONFIG_COUNT/KEY_n/VALUE_n`` for these settings; a key may occur more than once."""
    pairs = list(config.items()) if isinstance(config, Mapping) else list(config)
    env = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def read_config_variables() -> tuple[tuple[str, str], ...]:
    """The settings that the user's environment gives git, in git's order: ``GIT_CONFIG_COUNT``,
    then ``GIT_CONFIG_PARAMETERS`` (of `git -c` around us). Ours follow them, and the last counts.
    """
    names = [name for name in os.environ if name.startswith("GIT_CONFIG_")]
    if not names:
        return ()
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    pairs = [
        (os.environ.get(f"GIT_CONFIG_KEY_{n}", ""), os.environ.get(f"GIT_CONFIG_VALUE_{n}", ""))
        for n in range(int(count) if count.isdecimal() else 0)
    ]
    try:
        words = shlex.split(os.environ.get("GIT_CONFIG_PARAMETERS", ""))
    except ValueError:
        words = []
    for word in words:
        key, equals, value = word.partition("=")
        pairs.append((key, value if equals else "true"))
    return tuple((key, value) for key, value in pairs
                 if "." in key and key.lower() not in _MISLEADING)  # fmt: skip


def git_env(
    path: Path, config: Mapping[str, str], extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of our own git in ``path`` (a folder; it need not exist yet).

    The ceiling is ``path``'s parent: a worktree whose ``.git`` file was deleted is then no
    repository at all, instead of silently being a part of the repository around it.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _KEPT}
    env |= {
        **STATED_ENV,
        **lfs_env(),
        "GIT_ADVICE": "0",
        "GIT_ALLOW_PROTOCOL": allowed_protocols(),
        "GIT_CEILING_DIRECTORIES": str(path.resolve().parent),
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    env |= config_env([*read_config_variables(), *{**QUIET, **STATED_CONFIG, **config}.items()])
    env.update(extra or {})
    return env


def is_ref_name(name: str) -> bool:
    """Whether git takes this full name as one of a ref (``git check-ref-format``)."""
    return not _NO_REF.search(name)


def branch_name(name: str) -> Branch:
    """``name`` as a Branch, by the rules of ``git check-ref-format``. Raises UsageError.

    The only way to make a Branch from typed text. ``check-ref-format --branch``
    would expand ``@{-1}``; the plain form accepts a leading dash and ``HEAD``.
    """
    refused = not name or name.startswith("-") or name == "HEAD" or _NO_REF.search(name)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair: no bytes, so no file name
        refused = True
    if refused:
        raise UsageError(
            f"{name!r} cannot be a branch name",
            hint="`git help check-ref-format` has the rules; letters, digits, - and / always work",
        )
    return Branch(name)
