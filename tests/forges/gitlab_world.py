"""A clone whose origin is a project at the stub of GitLab, and what people do there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestr.forges.answers import strip_said
from orchestr.forges.followed import CheckState, Verdict
from orchestr.forges.gitlab import GitLabForge
from orchestr.testing.follow_world import FollowWorld, Said
from tests.forges.gitlab_stub import GitLab

PATIENCE = 3.0  # s; the first wait is a hundredth of a second
SLUG = "my-org/sdk/platform"
_CONCLUSIONS = {
    CheckState.SUCCESS: "SUCCESS",
    CheckState.FAILURE: "FAILURE",
    CheckState.CANCELLED: "CANCELLED",
    CheckState.PENDING: None,
}


class GitLabWorld(FollowWorld):
    """A clone whose origin is a project of a sub-group at the stub."""

    forge: GitLabForge
    reviews_have_words = False
    checks_name_places = False

    def __init__(self, folder: Path, gitlab: GitLab) -> None:
        super().__init__(folder)
        self.gitlab = gitlab
        gitlab.add(SLUG, self.origin, self.clone)
        self.forge = GitLabForge(patience=PATIENCE)
        self.forge.api.read_own_name(self.forge.project_for(self.repo))

    def close(self, number: int) -> None:
        self.close_as(number, "rita")

    def merge(self, number: int) -> None:
        self.gitlab.merge(SLUG, number, {})

    def comments(self, number: int) -> list[str]:
        return [strip_said(body) for body in self.gitlab.comments[f"{SLUG}#{number}"]]

    def go_away(self) -> None:
        self.gitlab.away = True

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.gitlab.total
        act()
        return self.gitlab.total - before

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
        if thread:
            self.gitlab.reply(thread.rsplit("/", 1)[-1], body, author, bot=is_bot)
        elif path:
            self.gitlab.say_at(number, body, path, line, author, bot=is_bot)
        else:
            self.gitlab.say(number, body, author, bot=is_bot)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        self.gitlab.review(number, verdict.upper(), body, author)

    def resolve(self, number: int, thread: str) -> None:
        self.gitlab.resolve(thread.rsplit("/", 1)[-1])

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        self.gitlab.label(number, name, on=not remove)

    def close_as(self, number: int, author: str) -> None:
        self.gitlab.close_as(number, author)

    def reopen(self, number: int) -> None:
        self.gitlab.change(number, state="open")

    def run_ci(self, sha: str, *said: Said) -> None:
        known = {run["name"]: run for run in self.gitlab.runs.get(sha, [])}
        for each in said:
            if each.name not in known or known[each.name]["again"]:
                self.gitlab.report_check(sha, each.name, _CONCLUSIONS[each.state], log=each.log)

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        words = {"failed": "failure"}
        return {
            name: (words.get(row["state"], row["state"]), row["description"])
            for name, row in self.gitlab.statuses.get(sha, {}).items()
        }
