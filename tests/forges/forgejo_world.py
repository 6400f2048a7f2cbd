"""A clone whose origin is a repository at the stub of Forgejo, and what people do there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestr.forges.answers import strip_said
from orchestr.forges.followed import CheckState, Verdict
from orchestr.forges.forgejo import ForgejoForge
from orchestr.testing.follow_world import FollowWorld, Said
from tests.forges.forgejo_stub import Forgejo

PATIENCE = 3.0  # s; the first wait is a hundredth of a second
SLUG = "my-org/platform"
_CONCLUSIONS = {
    CheckState.SUCCESS: "SUCCESS",
    CheckState.FAILURE: "FAILURE",
    CheckState.CANCELLED: "CANCELLED",
    CheckState.PENDING: None,
}


class ForgejoWorld(FollowWorld):
    """A world at the stub. Logins there cannot end with `[bot]`; who is called so is one."""

    forge: ForgejoForge
    checks_name_places = False
    questions_each = 4

    def __init__(self, folder: Path, forgejo: Forgejo, **more: Any) -> None:
        super().__init__(folder)
        self.forgejo = forgejo
        forgejo.add(SLUG, self.origin, self.clone)
        self.forge = ForgejoForge(patience=PATIENCE, **more)
        path = self.forge.path_for(self.repo)
        self.forge.api.read_own_name(path)
        self.forge.api.read_page_size(path)

    def close(self, number: int) -> None:
        self.close_as(number, "rita")

    def merge(self, number: int) -> None:
        self.forgejo.merge(SLUG, number, {})

    def comments(self, number: int) -> list[str]:
        return [strip_said(body) for body in self.forgejo.comments[f"{SLUG}#{number}"]]

    def go_away(self) -> None:
        self.forgejo.away = True

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.forgejo.total
        act()
        return self.forgejo.total - before

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
            self.forgejo.reply(self.find_node(thread), body, author)
        elif path:
            self.forgejo.say_at(number, body, path, line, author)
        else:
            self.forgejo.say(number, body, author)

    def find_node(self, thread: str) -> str:
        """The stub's id of a thread that the forge names."""
        return str(self.forgejo.thread_of(int(thread.split("/")[1]))["id"])

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        self.forgejo.review(number, verdict.upper(), body, author)

    def resolve(self, number: int, thread: str) -> None:
        self.forgejo.resolve(self.find_node(thread))

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        self.forgejo.label(number, name, on=not remove)

    def close_as(self, number: int, author: str) -> None:
        self.forgejo.close_as(number, author)

    def reopen(self, number: int) -> None:
        self.forgejo.change(number, state="open")

    def run_ci(self, sha: str, *said: Said) -> None:
        known = {run["name"]: run for run in self.forgejo.runs.get(sha, [])}
        for each in said:
            if each.name not in known or known[each.name]["again"]:
                self.forgejo.report_check(sha, each.name, _CONCLUSIONS[each.state], log=each.log)

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        return {
            name: (row["state"], row["description"])
            for name, row in self.forgejo.statuses.get(sha, {}).items()
        }
