"""A workspace whose pull requests are at GitHub: the stub, asked through the real `gh`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import Sandbox
from tests.crash.house import AGENT, TWO, House
from tests.e2e.workspace import FEATURE, Spawned, merged
from tests.forges.github_stub import HOST, GitHub


class GitHubHouse(House):
    """`house.github` is the stub; `run` is confirmed with `--yes`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.github = GitHub(root).__enter__()

    @classmethod
    def at_github(
        cls, root: Path, cells: Mapping[str, Mapping[str, Any]] = TWO, **more: Any
    ) -> GitHubHouse:
        made = cls.make(root, cells=cells, agent=more.pop("agent", AGENT), **more)
        assert isinstance(made, GitHubHouse)
        return made

    def end(self) -> None:
        super().end()
        self.github.__exit__()

    def repo(self, name: str, files: Mapping[str, str | bytes] | None = None) -> Sandbox:
        sandbox = super().repo(name, files)
        assert sandbox.origin is not None
        self.github.add(f"o/{name}", sandbox.origin, sandbox.path)
        return sandbox

    def settings(self, **tables: Any) -> None:
        super().settings(**merged({"forge": {"kind": "github", "patience": "5s"}}, tables))

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().env({**self.github.env(), **(extra or {})})

    def run(self, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return super().run(*confirmed(args), **more)

    def spawn(self, *args: str, env: Mapping[str, str] | None = None) -> Spawned:
        return super().spawn(*confirmed(args), env=env)

    def crash(
        self, at: str, *args: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return super().crash(at, *confirmed(args), env=env)

    def prs(self, repo: str | None = None) -> dict[str, dict[str, Any]]:
        """Every pull request at the stub by its address."""
        found = [pull for pull in self.github.every() if repo in (None, pull["slug"][2:])]
        return {f"https://{HOST}/{pull['slug']}/pull/{pull['number']}": pull for pull in found}

    def repo_of(self, cell: str) -> str:
        return str(self.pr(cell)["slug"]).removeprefix("o/")


def confirmed(args: Sequence[str]) -> tuple[str, ...]:
    """`run` touches a real forge, so it asks; here nobody is there to answer."""
    return ("run", "--yes", *args[1:]) if args[:1] == ("run",) else tuple(args)


__all__ = ["FEATURE", "TWO", "GitHubHouse"]
