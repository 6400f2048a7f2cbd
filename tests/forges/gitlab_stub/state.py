"""What is GitLab's own among what the stub keeps: approvals, merge methods, trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.forges.github_stub.common import SHA, Refusal, Row, git, is_inside
from tests.forges.github_stub.people import People

TOKEN = "glpat-fakeFakeFake0123456789"
PEOPLE = ("tess", "rita", "ruth", "bert[bot]", "mallory")  # their numbers count from 1


class GitLabState(People):
    """Merge requests of projects, by their path."""

    pull_ref = "refs/merge-requests/{}/head"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.merge_method = "merge"
        self.squash_option = "default_off"
        self.most_reviewers = 9  # GitLab Free takes one
        self.complexity = 0  # the letters of a query that are too many; 0: never
        self.access_level = 30
        self.moved: dict[str, str] = {}  # paths that projects had -> their present one
        self.wants_green = False  # pipelines must succeed
        self.wants_resolved = False  # all discussions must be resolved

    # --- people ----------------------------------------------------------------------------------

    def review(
        self, number: int, state: str, body: str, author: str = "rita", slug: str | None = None
    ) -> Row:
        """A note of the system, and the words as a comment."""
        with self.lock:
            pull = self.pull(number, slug)
            approvals, wishes = pull.setdefault("approvals", []), pull.setdefault("wishes", [])
            for names in (approvals, wishes):
                if author in names:
                    names.remove(author)
            (approvals if state == "APPROVED" else wishes).append(author)
            action = "approved" if state == "APPROVED" else "requested_changes"
            row = self.say(number, action, author, slug, kind="SystemNote", action=action)
            if body:
                self.say(number, body, author, slug)
            return row

    def forget_approvals(self, number: int) -> None:
        """A push resets them, where the project says so."""
        with self.lock:
            self.pull(number).update(approvals=[])
            self.save()

    def close_as(self, number: int, author: str, slug: str | None = None) -> None:
        """Somebody closes it."""
        self.change(number, slug, state="closed", closed_by=author)

    # --- the rules -------------------------------------------------------------------------------

    def find_conflict(self, slug: str, pull: Row) -> bool:
        """Whether the head does not merge into its base."""
        bare = self.repos[slug]
        base = self.heads(slug).get(pull["base"], "")
        tree = git(bare, "merge-tree", "--write-tree", base, pull["head_sha"]).split("\n")[0]
        return not SHA.fullmatch(tree)

    def judge(self, slug: str, pull: Row) -> str:
        """The detailed merge status."""
        if pull["state"] != "open":
            return "not_open"
        if self.unsure > 0:
            self.unsure -= 1
            return "checking"
        if self.find_conflict(slug, pull):
            return "conflict"
        if self.protected:
            return self.protected
        base = self.heads(slug).get(pull["base"], "")
        if self.merge_method == "ff" and not is_inside(self.repos[slug], base, pull["head_sha"]):
            return "need_rebase"
        return "draft_status" if is_draft(pull) else "mergeable"

    def merge(self, slug: str, number: int, asked: Mapping[str, Any]) -> None:
        """The button: as the project merges."""
        pull, bare = self.one(slug, number), self.repos[slug]
        if pull["state"] != "open":
            raise Refusal(405, "405 Method Not Allowed")
        if asked.get("sha") not in (None, pull["head_sha"]):
            raise Refusal(409, "SHA does not match HEAD of source branch")
        status = self.judge(slug, pull)
        if status == "conflict":
            raise Refusal(422, "Branch cannot be merged")
        if status not in ("mergeable", "draft_status"):
            raise Refusal(405, "405 Method Not Allowed")
        base = self.heads(slug).get(pull["base"], "")
        tree = git(bare, "merge-tree", "--write-tree", base, pull["head_sha"]).split("\n")[0]
        words = asked.get("merge_commit_message") or f"Merge branch '{pull['head']}'"
        tip, made = pull["head_sha"], None
        if asked.get("squash"):
            parent = git(bare, "merge-base", base, tip)
            squashed = git(bare, "rev-parse", f"{tip}^{{tree}}")
            text = asked.get("squash_commit_message") or pull["title"]
            tip = self._commit(slug, squashed, text, parent)
            pull["squashed"] = tip
        if self.merge_method != "ff":
            tip = made = self._commit(slug, tree, words, base, tip)
        git(bare, "update-ref", f"refs/heads/{pull['base']}", tip, base)
        pull.update(state="merged", updated_at=self.now(), base_sha=tip, made=made)
        self.save()

    def _commit(self, slug: str, tree: str, words: str, *parents: str) -> str:
        who = ["-c", "user.name=GitLab", "-c", "user.email=noreply@example.org"]
        above = [word for parent in parents for word in ("-p", parent)]
        return git(self.repos[slug], *who, "commit-tree", tree, *above, "-m", words)

    def judge_pipeline(self, sha: str) -> str | None:
        """The state of a commit's pipeline, None without one."""
        conclusions = {row["conclusion"] for row in self.runs.get(sha, [])}
        conclusions |= {
            {"success": "SUCCESS", "failed": "FAILURE"}.get(row["state"])
            for row in self.statuses.get(sha, {}).values()
        }
        if not conclusions:
            return None
        if None in conclusions:
            return "RUNNING"
        if "FAILURE" in conclusions:
            return "FAILED"
        return "CANCELED" if "CANCELLED" in conclusions else "SUCCESS"


def is_draft(pull: Mapping[str, Any]) -> bool:
    """Whether its title says so."""
    return str(pull["title"]).lower().startswith(("draft:", "[draft]", "(draft)"))
