"""Labels, reviewers, assignees, milestone and ready at a Forgejo: `DressingForge`.

Each call looks first and adds only what is missing. What the host does not take is returned in
words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestr.forges.base import ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.followed import Dressing
from orchestr.forges.forgejo_base import ForgejoBase
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.rest_answers import RequestMissing, RequestRefused

NEW_LABEL = "#ededed"  # the colour of a label that is made here


class ForgejoDressing(ForgejoBase):
    """`DressingForge` of Forgejo and Gitea."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        """See `DressingForge.dress_pull_request`. A label that is not there is made."""
        if not dressing:
            return ()
        path = self.path_for(repo)
        row = self.read_row(path, number)
        refused: list[str] = []
        self._add_labels(path, number, row, dressing.labels, refused)
        self._add_reviewers(path, number, row, dressing.reviewers, refused)
        self._add_assignees(path, number, row, dressing.assignees, refused)
        if dressing.milestone:
            self._set_milestone(path, number, row, dressing.milestone, refused)
        return refused

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        """See `DressingForge.mark_ready`."""
        path = self.path_for(repo)
        row = self.read_row(path, number)
        pr = self.read_pull_request(path, row)
        if not pr.draft:
            return pr
        if pr.state is not PRState.OPEN:
            raise ForgeError(f"{pr.url} is {pr.state} and cannot become ready")
        return self.make_ready(path, number, row)

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        """See `DressingForge.link_stack`."""
        return f"{self.kind} has no stacks of pull requests; their bases show the order"

    # --- one kind of dress ---------------------------------------------------------------------

    def _add_labels(
        self,
        path: RepoPath,
        number: int,
        row: Mapping[str, Any],
        names: Sequence[str],
        refused: list[str],
    ) -> None:
        there = {str(label["name"]) for label in row.get("labels") or ()}
        missing = [name for name in dict.fromkeys(names) if name not in there]
        if not missing:
            return
        known = {
            str(label["name"]): int(label["id"])
            for label in self.api.list_rows(path, f"{path.api}/labels")
        }
        if any(name not in known for name in missing):
            known = self._read_owner_labels(path) | known
        ids = []
        for name in missing:
            try:
                ids.append(known[name] if name in known else self._make_label(path, name))
            except RequestRefused as error:
                refused.append(f"label {name}: {error.message}")
        if ids:
            where = f"{self.issue_path(path, number)}/labels"
            self.api.send_request(path, "POST", where, {"labels": ids})

    def _read_owner_labels(self, path: RepoPath) -> dict[str, int]:
        """The labels of an organization; a person has none."""
        try:
            rows = list(self.api.list_rows(path, f"/orgs/{path.owner}/labels"))
        except RequestRefused:
            return {}
        return {str(label["name"]): int(label["id"]) for label in rows}

    def _make_label(self, path: RepoPath, name: str) -> int:
        asked = {"name": name, "color": NEW_LABEL}
        return int(self.api.send_request(path, "POST", f"{path.api}/labels", asked)["id"])

    def _add_reviewers(
        self,
        path: RepoPath,
        number: int,
        row: Mapping[str, Any],
        names: Sequence[str],
        refused: list[str],
    ) -> None:
        there = {str(each["login"]).lower() for each in row.get("requested_reviewers") or ()}
        teams = {
            str(each["name"]).lower() for each in row.get("requested_reviewers_teams") or () if each
        }
        where = f"{self.row_path(path, number)}/requested_reviewers"
        for name in dict.fromkeys(names):  # one by one: the host takes all or none
            owner, _, team = name.rpartition("/")
            if (team.lower() in teams) if owner else (name.lower() in there):
                continue
            asked = {"team_reviewers": [team]} if owner else {"reviewers": [name]}
            try:
                self.api.send_request(path, "POST", where, asked)
            except RequestRefused as error:
                refused.append(f"reviewer {name}: {error.message}")

    def _add_assignees(
        self,
        path: RepoPath,
        number: int,
        row: Mapping[str, Any],
        names: Sequence[str],
        refused: list[str],
    ) -> None:
        taken = [str(each["login"]) for each in row.get("assignees") or ()]
        for name in dict.fromkeys(names):
            if name.lower() in {each.lower() for each in taken}:
                continue
            asked = {"assignees": [*taken, name]}  # the host replaces the list
            try:
                self.api.send_request(path, "PATCH", self.row_path(path, number), asked)
            except RequestRefused as error:
                refused.append(f"assignee {name}: {error.message}")
            else:
                taken.append(name)

    def _set_milestone(
        self, path: RepoPath, number: int, row: Mapping[str, Any], title: str, refused: list[str]
    ) -> None:
        there = (row.get("milestone") or {}).get("title")
        if there == title:
            return
        if there:
            refused.append(f"milestone {title}: it has the milestone {there}")
            return
        rows = self.api.list_rows(path, f"{path.api}/milestones", state="all", name=title)
        ids = [int(each["id"]) for each in rows if each["title"] == title]
        if not ids:
            refused.append(f"milestone {title}: {path} has none of that title")
            return
        try:
            self.api.send_request(path, "PATCH", self.row_path(path, number), {"milestone": ids[0]})
        except RequestMissing as error:
            refused.append(f"milestone {title}: {error.message}")
