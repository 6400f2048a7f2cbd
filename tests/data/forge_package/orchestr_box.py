"""A forge of another package: pull requests as rows of one JSON file, for one process at a time.

It does what every forge must, and nothing optional: it cannot be followed, has no merge button of
its own for landings and closes nothing.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.files import read_json, write_json
from orchestr.forges.base import (
    ApiUsage,
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRExists,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.settings.kinds import ForgeKind


class BoxForge:
    kind = "box"
    real = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.usage = ApiUsage()
        self.looks = 0  # at the origin
        self._lock = threading.RLock()

    def find_pull_requests(
        self, repo: RepoRef, heads: Collection[str]
    ) -> dict[str, tuple[PullRequest, ...]]:
        with self._lock:
            rows = self._refresh(repo)
        return {head: tuple(pr for pr in rows[::-1] if pr.head == head) for head in heads}

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        with self._lock:
            tips = self._read_tips(repo)
            rows = self._refresh(repo, tips)
            for name in (head, base):
                if name not in tips:
                    raise ForgeError(f"{repo.name}: there is no branch {name} at the origin")
            for pr in rows:
                if pr.head == head and pr.state is PRState.OPEN:
                    raise PRExists(pr)
            if self._contains(repo, tips[base], tips[head]):
                raise ForgeError(f"{repo.name}: no commits between {base} and {head}")
            now = datetime.now(UTC).isoformat()
            made = PullRequest(
                len(rows) + 1, f"box://{repo.name}/{len(rows) + 1}", title, body, head, base,
                tips[head], draft, PRState.OPEN, now, now,
            )  # fmt: skip
            self._write(repo, [*rows, made])
            return made

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        given = {"title": title, "body": body, "base": base}
        return self.change(repo, number, **{k: v for k, v in given.items() if v is not None})

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        with self._lock:
            said = self.comments(repo, number)
            if body not in said:
                everything = read_json(self.path) or {}
                everything[f"{repo.name}#{number}"] = [*said, body]
                write_json(self.path, everything)

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        with self._lock:
            pr = self._one(self._refresh(repo), repo, number)
            if pr.state is PRState.MERGED and pr.head_sha == sha:
                return pr
            if pr.state is not PRState.OPEN or pr.head_sha != sha:
                raise ForgeError(f"{pr.url} was not merged at {sha[:12]}: it is at {pr.head_sha}")
            if method is not MergeMethod.MERGE:
                raise ForgeError("the box makes merge commits only", hint='land = "push"')
            base = self._read_tips(repo)[pr.base]
            merge = run_git(repo, "merge-tree", "--write-tree", base, sha)
            if merge.returncode != 0:
                raise ForgeError(f"{pr.url} was not merged at {sha[:12]}: a conflict")
            tree = merge.stdout.split("\n")[0]
            who = ("-c", "user.name=box", "-c", "user.email=box@example.org")
            words = ("commit-tree", tree, "-p", base, "-p", sha, "-m", f"Merge {pr.url}")
            made = run_git(repo, *who, *words).stdout.strip()
            run_git(repo, "push", "-q", repo.remote, f"{made}:refs/heads/{pr.base}")
            merged = self.change(repo, number, state=PRState.MERGED, draft=False)
            return replace(merged, merged_as=made)

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        return None

    # --- the file and the origin ---------------------------------------------------------------

    def comments(self, repo: RepoRef, number: int) -> list[str]:
        return list((read_json(self.path) or {}).get(f"{repo.name}#{number}", []))

    def change(self, repo: RepoRef, number: int, **values: Any) -> PullRequest:
        with self._lock:
            rows = self._refresh(repo)
            changed = replace(self._one(rows, repo, number), **values)
            rows[number - 1] = changed
            self._write(repo, rows)
            return changed

    def _one(self, rows: list[PullRequest], repo: RepoRef, number: int) -> PullRequest:
        if not 0 < number <= len(rows):
            raise ForgeError(f"{repo.name} has no pull request {number}")
        return rows[number - 1]

    def _refresh(self, repo: RepoRef, tips: dict[str, str] | None = None) -> list[PullRequest]:
        """An open one follows its branch, and is merged when its base contains it."""
        everything = read_json(self.path) or {}
        tips = self._read_tips(repo) if tips is None else tips
        rows = [
            PullRequest(**{**row, "state": PRState(row["state"])})
            for row in everything.get(repo.name, [])
        ]
        found = [self._follow(repo, pr, tips) for pr in rows]
        if found != rows:
            self._write(repo, found)
        return found

    def _follow(self, repo: RepoRef, pr: PullRequest, tips: dict[str, str]) -> PullRequest:
        if pr.state is not PRState.OPEN or pr.base not in tips:
            return pr
        pr = replace(pr, head_sha=tips.get(pr.head, pr.head_sha))
        merged = self._contains(repo, tips[pr.base], pr.head_sha)
        return replace(pr, state=PRState.MERGED) if merged else pr

    def _contains(self, repo: RepoRef, tip: str, commit: str) -> bool:
        if run_git(repo, "cat-file", "-e", tip).returncode != 0:
            run_git(repo, "fetch", "-q", repo.remote)
        return run_git(repo, "merge-base", "--is-ancestor", commit, tip).returncode == 0

    def _read_tips(self, repo: RepoRef) -> dict[str, str]:
        self.looks += 1
        found = run_git(repo, "ls-remote", "--heads", repo.remote)
        if found.returncode != 0:
            raise ForgeAway(f"{repo.name}: its origin does not answer: {found.stderr.strip()}")
        rows = (line.split("\trefs/heads/") for line in found.stdout.splitlines())
        return {branch: tip for tip, branch in rows}

    def _write(self, repo: RepoRef, rows: list[PullRequest]) -> None:
        everything = read_json(self.path) or {}
        write_json(self.path, {**everything, repo.name: [asdict(pr) for pr in rows]})


def run_git(repo: RepoRef, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ["git", "-C", str(repo.path), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def make_box_forge(settings: Any, stop: Any, on_wait: Any) -> BoxForge:
    folder = settings.workspace.state / "box"
    folder.mkdir(parents=True, exist_ok=True)
    return BoxForge(folder / "pulls.json")


KIND = ForgeKind(make_box_forge, where="the pull requests are in .orchestr/box/pulls.json")
