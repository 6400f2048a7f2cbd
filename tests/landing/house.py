"""Workspaces whose features are built and then landed, with what must hold after any landing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import DATE, git, write
from tests.crash.house import House, both
from tests.e2e.workspace import FEATURE

# What each check saw: TREE VERDICT, one a line, outside of every worktree. Red: a file `bad*`.
CHECK = """\
[ ! -e BEFORE ] || . BEFORE
tree=$(git rev-parse 'HEAD^{tree}'); test -z "$(git status --porcelain)" || tree=dirty
if ls bad* >/dev/null 2>&1; then echo "$tree red" >> BOOK; exit 1; fi
echo "$tree green" >> BOOK
"""
CHAIN: Mapping[str, Mapping[str, Any]] = {
    "low": {},
    "high": {"depends_on": ["low"]},
    "far": {"repo": "web", "depends_on": ["low"]},
}
PLAIN = """\
echo "start $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then . "$AGENT_DIR/$ORCHESTR_CELL.sh"
else [ -f "$ORCHESTR_CELL.txt" ] || echo "work of $ORCHESTR_CELL" > "$ORCHESTR_CELL.txt"; fi
echo "end $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""


class Yard(House):
    """A workspace with checks that keep a book."""

    @classmethod
    def ready(
        cls, root: Path, cells: Mapping[str, Mapping[str, Any]] = CHAIN, *, build: bool = True,
        landing: Mapping[str, Any] | None = None, repos: tuple[str, ...] = ("app", "web"),
        scripts: Mapping[str, str] | None = None, repo: Mapping[str, Any] | None = None,
    ) -> Yard:  # fmt: skip
        """Built: every cell has its pull request. ``scripts``: what a cell's agent does; ``repo``:
        more settings of every repository."""
        check = CHECK.replace("BOOK", str(root / "checks.book")).replace(
            "BEFORE", str(root / "before.sh")
        )
        settings = {
            "repos": {name: {"land_checks": [check], **(repo or {})} for name in repos},
            "landing": dict(landing or {}),
        }
        made = cls.build(root, cells, agent=PLAIN, repos=repos, settings=settings)
        assert isinstance(made, Yard)
        for name in repos:
            path = made.repos / name
            git(path, "checkout", "--quiet", "-b", "mine")  # the user's own branch, with work
            write(path, {"README.md": "# half-written\n", "note": "untracked\n"})
        for cell, text in (scripts or {}).items():
            made.script(cell, text)
        if build:
            made.run("run", FEATURE, code=0)
        return made

    def script(self, cell: str, text: str) -> None:
        (self.agents / f"{cell}.sh").write_text(text)

    def checks(self) -> list[str]:
        book = self.root / "checks.book"
        return book.read_text().splitlines() if book.exists() else []

    def main(self, repo: str = "app") -> str:
        return self.heads(repo)["main"]

    def history(self, repo: str = "app") -> list[str]:
        """First parents of main without the first commit, oldest first: the cells by trailer."""
        out = git(self.repos / f"{repo}.git", "log", "--first-parent", "--reverse",
                  "--format=%(trailers:key=Orchestr-Cell,valueonly,separator=%x2C)|%s",
                  "main")  # fmt: skip
        lines = [line.partition("|") for line in out.splitlines()]
        return [cell or f"({subject})" for cell, _, subject in lines][1:]

    def files(self, repo: str = "app") -> list[str]:
        return git(self.repos / f"{repo}.git", "ls-tree", "-r", "--name-only", "main").split()

    def somebody_pushes(
        self, files: Mapping[str, str], repo: str = "app", branch: str = "main"
    ) -> str:
        """A commit of somebody else on a branch of the origin."""
        place = self.root / "somebody"
        subprocess.run(["rm", "-rf", str(place)], check=True)
        bare = self.repos / f"{repo}.git"
        git(self.root, "clone", "--quiet", "--branch", branch, str(bare), str(place))
        write(place, files)
        git(place, "add", "-A")
        git(place, "commit", "--quiet", "-m", "somebody else's")
        git(place, "push", "--quiet", "origin", branch)
        return git(place, "rev-parse", "HEAD")

    def always_green(self, repos: tuple[str, ...] = ("app", "web"), mine: int = 0) -> None:
        """Every commit that landed has a tree that was checked green, none was red or dirty;
        the user's checkouts are as they were.
        """
        green = {line.split()[0] for line in self.checks() if line.endswith("green")}
        for repo in repos:
            bare = self.repos / f"{repo}.git"
            for commit in git(bare, "log", "--first-parent", "--format=%H %s", "main").splitlines():
                sha, _, subject = commit.partition(" ")
                if subject in ("first", "somebody else's", "its files"):
                    continue
                assert git(bare, "rev-parse", f"{sha}^{{tree}}") in green, commit
            assert git(self.repos / repo, "branch", "--show-current") == "mine"
            assert git(self.repos / repo, "status", "--porcelain").split() == [
                "M", "README.md", "??", "note",
            ]  # fmt: skip
        assert not any(line.startswith("dirty") for line in self.checks())

    def landed(
        self, cells: Mapping[str, Any] = CHAIN, repos: tuple[str, ...] = ("app", "web")
    ) -> None:
        """All of it landed, once, and everything says so."""
        assert self.states() == dict.fromkeys(cells, "landed")
        assert {pr["state"] for pr in self.prs().values()} == {"merged"}
        told = [e["cell"] for e in self.journal(kind="land.done")]
        assert sorted(told) == sorted(cells)
        self.always_green(repos)
        self.sound()

    def queue_events(self, name: str) -> list[dict[str, Any]]:
        path = self.root / ".orchestr" / "landing" / "queue.jsonl"
        rows = [json.loads(line)["data"] for line in path.read_text().splitlines() if line.strip()]
        return [row for row in rows if row["event"] == name]


__all__ = ["CHAIN", "DATE", "FEATURE", "Yard", "both", "git"]
