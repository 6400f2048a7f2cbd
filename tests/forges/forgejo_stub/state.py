"""What is Forgejo's own among what the stub keeps: prefixes of drafts, protection, auto-merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.forges.github_stub.common import ME, SHA, Refusal, Row, git, is_inside
from tests.forges.github_stub.people import People

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PEOPLE = ("tess", "rita", "ruth", "bert[bot]", "mallory")  # their numbers count from 1


class ForgejoState(People):
    """Pull requests of repositories, by `owner/name`."""

    below = ""  # the path of its address
    root = ""  # the address

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.flavour = "gitea"  # or forgejo
        self.prefixes = ["wip:", "[wip]"]  # of a draft's title, as the host is set
        self.page_size = 50
        self.autodetect = True  # whether a merge by a push is found out
        self.manual = False  # whether "merged by hand" is allowed
        self.styles = {"merge", "squash", "rebase"}
        self.protection: dict[str, Row] = {}  # branch -> contexts, approvals
        self.may_push = True
        self.parents: dict[str, str] = {}  # fork -> what it was forked from
        self.label_ids: dict[str, int] = {"big": 1}

    # --- people ----------------------------------------------------------------------------------

    def reply(self, thread: str, body: str, author: str = "rita", **more: Any) -> Row:
        """A further comment of a thread."""
        with self.lock:
            _, found = self.find_thread(thread)
            row = {"id": self.name_node("C"), "number": self.ticks, "body": body,
                   "author": author, "at": self.now(), **more}  # fmt: skip
            found["comments"].append(row)
            self.save()
            return row

    def thread_of(self, review: int) -> Row:
        """The thread of a review's number."""
        for threads in self.threads.values():
            for thread in threads:
                if number_of(thread["id"]) == review:
                    return thread
        raise Refusal(404, "review does not exist")

    # --- the rules -------------------------------------------------------------------------------

    def is_draft(self, pull: Row) -> bool:
        """Whether its title says so."""
        return str(pull["title"]).lower().startswith(tuple(self.prefixes))

    def follow(self, slug: str) -> None:
        """As at GitHub; a merge by a push is seen only where the repository is set so."""
        if self.autodetect:
            super().follow(slug)
            return
        heads = self.heads(slug)
        for pull in self.pulls.get(slug, []):
            if pull["state"] == "open" and not pull.get("fork"):
                pull.update(head_sha=heads[pull["head"]], base_sha=heads[pull["base"]])

    def conflicts(self, slug: str, pull: Row) -> bool:
        """Whether the head does not merge into its base."""
        bare = self.repos[slug]
        base = git(bare, "rev-parse", f"refs/heads/{pull['base']}")
        tree = git(bare, "merge-tree", "--write-tree", base, pull["head_sha"]).split("\n")[0]
        return not SHA.fullmatch(tree)

    def is_mergeable(self, slug: str, pull: Row) -> bool:
        """What the host says: no of a draft, of one that it has not judged, and of a conflict."""
        if self.is_draft(pull) or self.unsure > 0 or pull.get("fork"):
            return False
        return pull["state"] == "open" and not self.conflicts(slug, pull)

    def states_of(self, sha: str) -> set[str]:
        """The states of all statuses of a commit."""
        return {row["status"] for row in self.status_rows("", sha)}

    def status_rows(self, slug: str, sha: str) -> list[Row]:
        """The newest status of each name: jobs of Actions, and what programs set."""
        words = {
            "SUCCESS": "success",
            "FAILURE": "failure",
            "CANCELLED": "failure",
            None: "pending",
        }
        said = {"CANCELLED": "Has been cancelled", "FAILURE": "Failing after 3s"}
        rows = [
            {"id": run["number"], "context": run["name"], "status": words[run["conclusion"]],
             "description": said.get(run["conclusion"], "Successful in 3s"),
             "target_url": f"{self.below}/{slug}/actions/runs/1/jobs/{run['number']}"}
            for run in self.runs.get(sha, [])
        ]  # fmt: skip
        rows += [
            {"id": number_of(row["id"]), "context": name, "status": row["state"],
             "description": row["description"], "target_url": ""}
            for name, row in self.statuses.get(sha, {}).items()
        ]  # fmt: skip
        return rows

    def press(self, slug: str, pull: Row, asked: Mapping[str, Any]) -> int:
        """POST merge; its status."""
        style = asked["Do"]
        if pull["state"] == "closed":
            raise Refusal(404, "not found")
        if pull["state"] == "merged":
            raise Refusal(405, "")
        if style == "manually-merged":
            return self._mark(slug, pull, asked)
        if self.is_draft(pull):
            raise Refusal(405, "Work in progress PRs cannot be merged")
        if self.unsure > 0:
            self.unsure -= 1
            raise Refusal(405, "Please try again later")
        if self.conflicts(slug, pull):
            raise Refusal(405, "Please try again later")
        if style not in self.styles:
            raise Refusal(405, f"{style} is not allowed an allowed merge style for this repository")
        if self.protected and not asked.get("merge_when_checks_succeed"):
            raise Refusal(405, self.protected)
        if asked.get("merge_when_checks_succeed") and "pending" in self.states_of(pull["head_sha"]):
            if pull.get("auto"):
                raise Refusal(409, "pull request is already scheduled to auto merge")
            pull["auto"] = True
            self.tell(slug, pull["number"], "pull_scheduled_merge", ME)
            return 201
        if self.quicker is not None:
            self.quicker()
            self.follow(slug)
        if asked.get("head_commit_id") not in (None, pull["head_sha"]):
            raise Refusal(409, "head out of date")
        words = {"commit_title": asked.get("MergeTitleField"),
                 "commit_message": asked.get("MergeMessageField")}  # fmt: skip
        self.merge(slug, pull["number"], {"merge_method": style, **words})
        return 200

    def _mark(self, slug: str, pull: Row, asked: Mapping[str, Any]) -> int:
        if not self.manual:
            told = "manually-merged is not allowed an allowed merge style for this repository"
            raise Refusal(405, told)
        base = git(self.repos[slug], "rev-parse", f"refs/heads/{pull['base']}")
        if not is_inside(self.repos[slug], asked["MergeCommitID"], base):
            raise Refusal(409, "Wrong commit ID")
        pull.update(state="merged", updated_at=self.now(), made=asked["MergeCommitID"])
        self.save()
        return 200

    def tell(self, slug: str, number: int, kind: str, author: str) -> None:
        """An event of the timeline."""
        self.say(number, "", author, slug, kind="Event", type=kind)


def number_of(node: str) -> int:
    """The number of a node id: Forgejo has nothing else."""
    return int(node.rpartition("_")[2])
