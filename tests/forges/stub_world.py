"""A clone whose origin is a repository at the stub of a forge, and what people do there: what is
the same at every stub (`tests.forges.github_stub.people`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestr.forges.answers import strip_said
from orchestr.forges.followed import CheckState, Verdict
from orchestr.testing.follow_world import FollowWorld, Said
from tests.forges.github_stub.served import Served

PATIENCE = 3.0  # s; the first wait is a hundredth of a second
CONCLUSIONS = {
    CheckState.SUCCESS: "SUCCESS",
    CheckState.FAILURE: "FAILURE",
    CheckState.CANCELLED: "CANCELLED",
    CheckState.PENDING: None,
}


class StubWorld(FollowWorld):
    """A world at a stub; a subclass makes its ``forge``. ``slug`` is the repository there."""

    slug: str

    def __init__(self, folder: Path, stub: Served) -> None:
        super().__init__(folder)
        self.stub = stub
        stub.add(self.slug, self.origin, self.clone)

    # --- as in the contract of every forge --------------------------------------------------

    def close(self, number: int) -> None:
        self.close_as(number, "rita")

    def merge(self, number: int) -> None:
        self.stub.merge(self.slug, number, {"sha": self.stub.pull(number)["head_sha"]})

    def comments(self, number: int) -> list[str]:
        return [strip_said(body) for body in self.stub.comments[f"{self.slug}#{number}"]]

    def go_away(self) -> None:
        self.stub.away = True

    def count_queries(self, act: Callable[[], object]) -> int:
        before = self.stub.total
        act()
        return self.stub.total - before

    # --- what people and CI do -----------------------------------------------------------------

    def find_thread(self, thread: str) -> str:
        """The stub's id of a thread that the forge names."""
        return thread

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
            self.stub.reply(self.find_thread(thread), body, author, bot=is_bot)
        elif path:
            self.stub.say_at(number, body, path, line, author, bot=is_bot)
        else:
            self.stub.say(number, body, author, bot=is_bot)

    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        self.stub.review(number, verdict.upper(), body, author)

    def resolve(self, number: int, thread: str) -> None:
        self.stub.resolve(self.find_thread(thread))

    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        self.stub.label(number, name, on=not remove)

    def close_as(self, number: int, author: str) -> None:
        self.stub.close_as(number, author)

    def reopen(self, number: int) -> None:
        self.stub.change(number, state="open")

    def run_ci(self, sha: str, *said: Said) -> None:
        known = {run["name"]: run for run in self.stub.runs.get(sha, [])}
        for each in said:
            if each.name in known and not known[each.name]["again"]:
                continue
            names = ("path", "line", "message")
            places = [dict(zip(names, each.place, strict=True))] if each.place else []
            state = CONCLUSIONS[each.state]
            self.stub.report_check(sha, each.name, state, log=each.log, annotations=places)

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        rows = self.stub.statuses.get(sha, {})
        return {name: (row["state"], row["description"]) for name, row in rows.items()}
