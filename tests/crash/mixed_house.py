"""A workspace with a repository at GitHub and one at GitLab: both stubs, the real clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Sandbox
from tests.crash.github_house import confirmed
from tests.crash.house import AGENT, House
from tests.e2e.workspace import FEATURE, merged
from tests.forges.github_stub import GitHub
from tests.forges.gitlab_stub import GitLab

GROUP = "my-org/sdk"
TWO_PLACES: Mapping[str, Mapping[str, Any]] = {
    "low": {"repo": "lib"},
    "high": {"repo": "app", "depends_on": ["low"]},
}


class MixedHouse(House):
    """`app` is at GitHub (``github``), `lib` in a sub-group at GitLab (``gitlab``). `run` is
    confirmed with `--yes`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for name in ("at-github", "at-gitlab"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.github = GitHub(root / "at-github").__enter__()
        self.gitlab = GitLab(root / "at-gitlab").__enter__()

    @classmethod
    def at_both(
        cls, root: Path, cells: Mapping[str, Mapping[str, Any]] = TWO_PLACES, **more: Any
    ) -> MixedHouse:
        agent = more.pop("agent", AGENT)
        made = cls.make(root, cells=cells, agent=agent, repos=("app", "lib"), **more)
        assert isinstance(made, MixedHouse)
        return made

    def end(self) -> None:
        super().end()
        self.github.__exit__()
        self.gitlab.__exit__()

    def repo(self, name: str, files: Mapping[str, str | bytes] | None = None) -> Sandbox:
        sandbox = super().repo(name, files)
        assert sandbox.origin is not None
        if name == "app":
            self.github.add(f"o/{name}", sandbox.origin, sandbox.path)
        else:
            self.gitlab.add(f"{GROUP}/{name}", sandbox.origin, sandbox.path)
        return sandbox

    def settings(self, **tables: Any) -> None:
        at = {"forge": {"kind": "github", "patience": "5s"}, "repos": {"lib": {"forge": "gitlab"}}}
        super().settings(**merged(at, tables))

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().env({**self.gitlab.env(), **self.github.env(), **(extra or {})})

    def run(self, *args: str, **more: Any) -> Any:
        return super().run(*confirmed(args), **more)

    def crash(self, at: str, *args: str, env: Mapping[str, str] | None = None) -> Any:
        return super().crash(at, *confirmed(args), env=env)


__all__ = ["FEATURE", "GROUP", "MixedHouse"]
