"""What people, bots and CI do at a pull request after it opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .common import ME, Refusal, Row
from .state import State

ACTIONS = "github-actions"


class People(State):
    """All that happens on the page, or is reported by programs."""

    @property
    def comments(self) -> dict[str, list[str]]:
        """The bodies of the general comments, by `owner/name#number`."""
        return {
            key: [row["body"] for row in rows if row["kind"] == "IssueComment"]
            for key, rows in self.said.items()
        }

    def key_of(self, number: int, slug: str | None = None) -> str:
        """`owner/name#number`; of the first repository without ``slug``."""
        return f"{slug or next(iter(self.repos))}#{number}"

    def say(
        self, number: int, body: str, author: str = ME, slug: str | None = None, **more: Any
    ) -> Row:
        """A general comment, or a review (``kind``, ``state``, ``commit``)."""
        kind = more.pop("kind", "IssueComment")
        with self.lock:
            row = {"kind": kind, "id": self.name_node("IC"), "number": self.ticks, "body": body,
                   "author": author, "at": self.now(), **more}  # fmt: skip
            self.said.setdefault(self.key_of(number, slug), []).append(row)
            self.save()
            return row

    def review(
        self, number: int, state: str, body: str, author: str = "rita", slug: str | None = None
    ) -> Row:
        """A review of the head as it is."""
        commit = self.pull(number, slug)["head_sha"]
        return self.say(
            number, body, author, slug, kind="PullRequestReview", state=state, commit=commit
        )

    def say_at(
        self,
        number: int,
        body: str,
        path: str,
        line: int,
        author: str = "rita",
        slug: str | None = None,
        **more: Any,
    ) -> Row:
        """Begin a thread at a place; the thread."""
        with self.lock:
            thread = {"id": self.name_node("PRRT"), "path": path, "line": line, "resolved": False,
                      "comments": []}  # fmt: skip
            self.threads.setdefault(self.key_of(number, slug), []).append(thread)
            self.reply(thread["id"], body, author, **more)
            return thread

    def reply(self, thread: str, body: str, author: str = "rita", **more: Any) -> Row:
        """A further comment of a thread; as at GitHub, an empty review comes with it."""
        with self.lock:
            key, found = self.find_thread(thread)
            row = {"id": self.name_node("PRRC"), "number": self.ticks, "body": body,
                   "author": author, "at": self.now(), **more}  # fmt: skip
            found["comments"].append(row)
            self.said.setdefault(key, []).append(
                {"kind": "PullRequestReview", "id": self.name_node("PRR"), "body": "",
                 "number": self.ticks, "author": author, "at": row["at"], "state": "COMMENTED"}
            )  # fmt: skip
            self.save()
            return row

    def find_thread(self, node: str) -> tuple[str, Row]:
        """The pull request and the thread of a node id."""
        for key, threads in self.threads.items():
            for thread in threads:
                if thread["id"] == node:
                    return key, thread
        raise Refusal(404, "Not Found")

    def resolve(self, thread: str, *, resolved: bool = True) -> None:
        """Somebody resolves a thread, or opens it again."""
        with self.lock:
            self.find_thread(thread)[1]["resolved"] = resolved
            self.save()

    def close_as(self, number: int, author: str, slug: str | None = None) -> None:
        """Somebody closes it."""
        with self.lock:
            self.change(number, slug, state="closed")
            self.say(number, "", author, slug, kind="ClosedEvent")

    def label(self, number: int, name: str, slug: str | None = None, *, on: bool = True) -> None:
        """Somebody adds or takes away a label."""
        with self.lock:
            labels = [each for each in self.pull(number, slug)["labels"] if each != name]
            self.change(number, slug, labels=[*labels, name] if on else labels)

    # --- CI ------------------------------------------------------------------------------------

    def report_check(
        self,
        sha: str,
        name: str,
        conclusion: str | None = "SUCCESS",
        *,
        log: Sequence[str] = (),
        annotations: Sequence[Row] = (),
        workflow: str | None = None,
        app: str = ACTIONS,
        **more: Any,
    ) -> Row:
        """A check run of a commit; without ``conclusion`` it runs still. One of that name, event
        and workflow that was there is replaced, as after a second run."""
        with self.lock:
            event = more.pop("event", "pull_request")
            same = (name, workflow, event)
            rows = self.runs.setdefault(sha, [])
            rows[:] = [r for r in rows if (r["name"], r["workflow"], r["event"]) != same]
            row = {"id": self.name_node("CR"), "number": self.ticks, "name": name, "app": app,
                   "conclusion": conclusion, "workflow": workflow, "event": event,
                   "log": list(log), "annotations": list(annotations), "at": self.now(),
                   "again": False, **more}  # fmt: skip
            rows.append(row)
            self.save()
            return row

    def find_run(self, number: int) -> Row:
        """A check run by its number."""
        for rows in self.runs.values():
            for row in rows:
                if row["number"] == number:
                    return row
        raise Refusal(404, "Not Found")

    def run_again(self, number: int) -> None:
        """Somebody asks for another run. Raises Refusal when it runs."""
        with self.lock:
            row = self.find_run(number)
            if row["conclusion"] is None:
                raise Refusal(403, "The workflow run containing this job is already running")
            row.update(conclusion=None, again=True)
            self.save()

    def set_status(self, sha: str, context: str, state: str, text: str) -> None:
        """A commit status."""
        with self.lock:
            row = {"state": state, "description": text, "id": self.name_node("SC")}
            self.statuses.setdefault(sha, {})[context] = row
            self.save()
