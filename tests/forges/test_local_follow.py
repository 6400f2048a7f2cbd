"""The local forge is followed: the contract, its CI, and what only files go through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestr.forges.comment_files import CommentRow
from orchestr.forges.followed import (
    Dressing,
    Verdict,
)
from orchestr.forges.local import LocalForge
from orchestr.forges.local_ci import LocalCi

from .contract_follow import FollowContract, FollowWorld, Said
from .test_local import LocalWorld


class LocalFollowWorld(LocalWorld, FollowWorld):
    """A local forge whose CI says what lies in a file of the commit's name."""

    forge: LocalForge

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answers = folder / "answers"
        self.answers.mkdir()
        self.ci = LocalCi(f'cat "{self.answers}/$ORCHESTR_CI_SHA" 2>/dev/null || true')
        self.forge.make_ci = lambda: self.ci

    def use(self, command: str, **more: Any) -> None:
        """Another CI."""
        self.ci = LocalCi(command, **more)
        self.forge.__dict__.pop("ci", None)

    def say(
        self,
        number: int,
        body: str,
        *,
        author: str = "rita",
        path: str = "",
        line: int = 0,
        thread: str = "",
        is_bot: bool = False,
    ) -> None:
        row = CommentRow(
            author=author, body=body, path=path, line=line, thread=thread, is_bot=is_bot
        )
        self.forge.add_comment(self.repo, number, row)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        row = CommentRow(author=author, body=body, verdict=verdict)
        self.forge.add_comment(self.repo, number, row)

    def resolve(self, number: int, thread: str) -> None:
        self.forge.resolve_thread(self.repo, number, thread)

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        if remove:
            self.forge.remove_label(self.repo, number, name)
        else:
            self.forge.dress_pull_request(self.repo, number, Dressing(labels=(name,)))

    def close_as(self, number: int, author: str) -> None:
        self.forge.close_pull_request(self.repo, number, author=author)

    def reopen(self, number: int) -> None:
        self.forge.reopen_pull_request(self.repo, number)

    def run_ci(self, sha: str, *said: Said) -> None:
        lines: list[str] = []
        for one in said:
            lines += one.log
            if one.place:
                lines.append("::error file={},line={}::{}".format(*one.place))
            lines.append(f"::check {one.name} {one.state}")
        (self.answers / sha).write_text("\n".join(lines) + "\n")

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = self.forge.read_commit_statuses(self.repo, sha)
        return {context: (row["state"], row["text"]) for context, row in found.items()}

    def result(self, sha: str) -> dict[str, Any]:
        """The file of a commit's result."""
        path = self.root / "platform" / "ci" / f"{sha}.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture
def world(tmp_path: Path) -> LocalFollowWorld:
    return LocalFollowWorld(tmp_path)


class TestLocalForgeFollowed(FollowContract):
    """The whole contract."""
