"""A workspace whose pull requests are at Forgejo: the stub, over HTTP, as is its git."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Sandbox, git
from tests.crash.github_house import confirmed
from tests.crash.house import AGENT, TWO, House
from tests.e2e.workspace import FEATURE, merged
from tests.forges.forgejo_stub import Forgejo


class ForgejoHouse(House):
    """`house.forgejo` is the stub, with the repositories of ``hosted`` (all without); git pushes to
    it over HTTP. `run` is confirmed with `--yes`."""

    hosted: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.forgejo = Forgejo(root).__enter__()

    @classmethod
    def at_forgejo(
        cls, root: Path, cells: Mapping[str, Mapping[str, Any]] = TWO, **more: Any
    ) -> ForgejoHouse:
        made = cls.make(root, cells=cells, agent=more.pop("agent", AGENT), **more)
        assert isinstance(made, ForgejoHouse)
        return made

    def end(self) -> None:
        super().end()
        self.forgejo.__exit__()

    def repo(self, name: str, files: Mapping[str, str | bytes] | None = None) -> Sandbox:
        sandbox = super().repo(name, files)
        assert sandbox.origin is not None
        if not self.hosted or name in self.hosted:
            self.forgejo.repos[f"o/{name}"] = sandbox.origin
            url = f"{self.forgejo.root}/o/{name}.git"
            git(sandbox.path, "remote", "set-url", "origin", url)
        return sandbox

    def settings(self, **tables: Any) -> None:
        at = {"forge": {"kind": "forgejo", "patience": "5s"}}
        super().settings(**merged(at, tables))

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        plain = {"GIT_ALLOW_PROTOCOL": "file:https:ssh:http"}  # the stub has no certificate
        return super().env({**self.forgejo.env(), **plain, **(extra or {})})

    def run(self, *args: str, **more: Any) -> Any:
        return super().run(*confirmed(args), **more)

    def crash(self, at: str, *args: str, env: Mapping[str, str] | None = None) -> Any:
        return super().crash(at, *confirmed(args), env=env)

    def prs(self, repo: str | None = None) -> dict[str, dict[str, Any]]:
        """Every pull request at the stub by its address."""
        found = [pull for pull in self.forgejo.every() if repo in (None, pull["slug"][2:])]
        return {f"{self.forgejo.root}/{pull['slug']}/pulls/{pull['number']}": pull
                for pull in found}  # fmt: skip

    def repo_of(self, cell: str) -> str:
        return str(self.pr(cell)["slug"]).removeprefix("o/")


__all__ = ["FEATURE", "TWO", "ForgejoHouse"]
