"""Where a push goes and whether it would be taken, asked before there is anything to push.

A branch and its pull request live at one repository: what is pushed must be found where is fetched.
So a `pushurl` that names another repository (a fork) is found here, by the URLs alone; one that
names the same repository another way (ssh for the push, https for the fetch) is no other place.
The trial is ``git push --dry-run``: it writes nothing, and no hook runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from orchestr.git.config import Branch, CommitId
from orchestr.git.errors import output_tail
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT, YES_OR_NO, YES_OR_NO_REMOTE, split_records
from orchestr.process.network_fault import is_network_away
from orchestr.process.run import ProcessTimeout, redact

_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^@/]*@)?(?P<host>[^/:]*)(?::\d+)?/(?P<path>.*)", re.I)
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?!:)(?P<path>.+)")
_ADVICE = (
    "Please make sure you have the correct access rights",
    "and the repository exists.",
    "fatal: Could not read from remote repository.",
)


@dataclass(frozen=True, slots=True)
class PushTrial:
    """What came of a trial. ``refused``: the server, or git, would not push, in their words;
    ``away``: there was no answer. Neither: a push may be taken (rules of the server come later)."""

    refused: str = ""
    away: str = ""


def find_other_push_place(repo: Repo, remote: str | None = None) -> str | None:
    """The URL that pushes go to, when it is another repository than the one fetched from.

    ``remote``: by default the one that branches are pushed to. None as well without it, and when
    one of several push URLs is the same repository.
    """
    remote = remote or repo.remotes.push
    rules = r"^(remote\..*\.pushurl|url\..*\.pushinsteadof)$"
    if not repo.run_readonly("config", "-z", "--get-regexp", rules, answers=YES_OR_NO).out:
        return None  # pushes go where is fetched from
    fetched = _read_urls(repo, remote)
    pushed = _read_urls(repo, remote, "--push", "--all")
    if not fetched or not pushed:
        return None
    if any(is_same_repository(fetched[0], url, repo.path) for url in pushed):
        return None
    return redact(pushed[0], ())


def list_remote_hosts(repo: Repo) -> tuple[str, ...]:
    """The hosts that the repository fetches from and pushes to, each once."""
    found = repo.run_readonly(
        "config", "-z", "--get-regexp", r"^remote\..*\.(push)?url$", answers=YES_OR_NO
    )
    urls = [setting.partition("\n")[2] for setting in split_records(found.out)]
    matches = [_URL.fullmatch(url) or _SCP.fullmatch(url) for url in urls]
    return tuple(dict.fromkeys(match["host"].lower() for match in matches if match))


def explain_other_place(name: str, url: str) -> str:
    """For people: pushes of a repository go elsewhere."""
    return (
        f"{name}: pushes go to {url}, which is another repository than the one fetched from; a "
        "branch and its pull request must be at one"
    )


def keep_one_place(repo: Repo) -> str:
    """The commands that make one place of two."""
    at, remote = f"git -C {repo.path}", repo.remotes.push
    return (
        f"{at} config --unset-all remote.{remote}.pushurl; to work through the fork: {at} remote "
        f'add fork FORK, then `remote = "fork"` and `upstream = "{remote}"` of the repository'
    )


def is_same_repository(one: str, other: str, folder: Path) -> bool:
    """Whether two URLs name one repository: by its path and, as far as that is known, its server.

    ``folder`` is the clone, to which a URL may be relative. Scheme, user and port do not count, and
    neither does a host that is only an alias of ssh's (no dot in it).
    """
    found, theirs = (_split_url(url, folder) for url in (one, other))
    servers = {found[0], theirs[0]} - {""}
    return found[1] == theirs[1] and len(servers) <= 1


def _split_url(url: str, folder: Path) -> tuple[str, str]:
    """The domain of the server (empty: an alias, or this machine), and the path there."""
    match = _URL.fullmatch(url) or _SCP.fullmatch(url)
    if match is not None and not url.startswith("file://"):
        labels = match["host"].lower().split(".")
        domain = ".".join(labels[-2:]) if len(labels) > 1 else ""  # ssh.github.com is github.com
        return domain, match["path"].strip("/").removesuffix(".git").lower()
    place = (folder / unquote(url.removeprefix("file://"))).resolve()
    if not place.exists():
        place = place.with_name(f"{place.name}.git")  # git looks there, too
    return "", str(place.parent if place.name == ".git" else place)


def try_push(
    repo: Repo, commits: Mapping[Branch, CommitId], remote: str | None = None, *, timeout: float
) -> PushTrial:
    """Try to push these commits to these branches, which are left as they are."""
    words = ("push", "--dry-run", "--porcelain", "--no-verify", "--no-follow-tags",
             "--recurse-submodules=no", "--",
             remote or repo.remotes.push)  # fmt: skip
    refs = [f"+{commit}:refs/heads/{branch}" for branch, commit in commits.items()]
    try:
        done = repo.run_git(*words, *refs, answers=ANY_EXIT, timeout=timeout)
    except ProcessTimeout:
        return PushTrial(away=f"no answer within {timeout:g} s")
    if done.code == 0:
        return PushTrial()
    refused = [line for line in done.text.splitlines() if line.startswith("!")]
    said = "; ".join(line.split("\t")[-1] for line in refused[:3]) or _shorten(done.err)
    return PushTrial(away=said) if is_network_away(said) else PushTrial(refused=said)


def _shorten(stderr: bytes) -> str:
    """What git said, without the advice that it gives for every failure."""
    lines = [line.strip() for line in output_tail(stderr, 8).splitlines()]
    return "; ".join(line for line in lines if line and line not in _ADVICE)


def _read_urls(repo: Repo, remote: str, *options: str) -> list[str]:
    done = repo.run_readonly("remote", "get-url", *options, "--", remote, answers=YES_OR_NO_REMOTE)
    return done.text.split("\n")[:-1] if done.code == 0 else []
