"""Labels, reviewers, assignees, milestone and ready at GitLab: `DressingForge`.

Each call looks first and adds only what is missing. GitLab replaces lists of people, so those that
are there are sent again with the new ones. What GitLab does not take is returned in words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from orchestr.forges.base import ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.followed import Dressing
from orchestr.forges.gitlab_base import GitLabBase
from orchestr.forges.gitlab_remote import ProjectPath


class GitLabDressing(GitLabBase):
    """`DressingForge` of GitLab."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        """See `DressingForge.dress_pull_request`. A team (`ORG/TEAM`) cannot review at GitLab: its
        approval rules name groups."""
        if not dressing:
            return ()
        project = self.project_for(repo)
        row = self.read_row(project, number)
        refused: list[str] = []
        changes: dict[str, Any] = {}
        labels = [each for each in dressing.labels if each not in (row.get("labels") or ())]
        if labels:
            changes["add_labels"] = ",".join(labels)
        for field, names in (("reviewers", dressing.reviewers), ("assignees", dressing.assignees)):
            there = {
                str(each["username"]).lower(): int(each["id"]) for each in row.get(field) or ()
            }
            missing = [each for each in dict.fromkeys(names) if each.lower() not in there]
            ids = self._find_people(project, missing, field[:-1], refused)
            if ids:
                changes[f"{field[:-1]}_ids"] = [*there.values(), *ids]
        if dressing.milestone:
            milestone = self._find_milestone(project, row, dressing.milestone, refused)
            if milestone is not None:
                changes["milestone_id"] = milestone
        if changes:
            after = self.api.send_rest_request(
                project, "put", self.row_path(project, number), changes
            )
            named = {line.partition(":")[0] for line in refused}
            missing = _list_passed_over(after, dressing, changes)
            refused += [line for line in missing if line.partition(":")[0] not in named]
        return refused

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        """See `DressingForge.mark_ready`."""
        project = self.project_for(repo)
        row = self.read_row(project, number)
        pr = self.read_pull_request(project, row)
        if not pr.draft:
            return pr
        if pr.state is not PRState.OPEN:
            raise ForgeError(f"{pr.url} is {pr.state} and cannot become ready")
        return self.make_ready(project, number, row)

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        """See `DressingForge.link_stack`. GitLab shows a chain of targets by itself."""
        return "GitLab has no stacks of merge requests; the targets of these show the order"

    # --- one kind of dress ---------------------------------------------------------------------

    def _find_people(
        self, project: ProjectPath, names: Sequence[str], what: str, refused: list[str]
    ) -> list[int]:
        """The numbers of people; whom GitLab does not know is added to ``refused``."""
        found = []
        for name in names:
            if "/" in name:
                refused.append(f"{what} {name}: GitLab has no teams; approval rules name groups")
                continue
            path = f"/users?{urlencode({'username': name})}"
            people = self.api.read_list(project, path)
            if people:
                found.append(int(people[0]["id"]))
            else:
                refused.append(f"{what} {name}: {project.host} knows no such person")
        return found

    def _find_milestone(
        self, project: ProjectPath, row: Mapping[str, Any], title: str, refused: list[str]
    ) -> int | None:
        there = (row.get("milestone") or {}).get("title")
        if there == title:
            return None
        if there:
            refused.append(f"milestone {title}: it has the milestone {there}")
            return None
        asked = urlencode({"title": title, "include_ancestors": "true"})
        found = self.api.read_list(project, f"{project.api}/milestones?{asked}")
        if found:
            return int(found[0]["id"])
        refused.append(f"milestone {title}: {project} has none of that title")
        return None


def _list_passed_over(
    row: Mapping[str, Any], dressing: Dressing, changes: Mapping[str, Any]
) -> list[str]:
    """GitLab passes over whom it cannot take (the Free tier takes one reviewer), without a word."""
    left = []
    for field, names in (("reviewers", dressing.reviewers), ("assignees", dressing.assignees)):
        asked = changes.get(f"{field[:-1]}_ids") or []
        there = {int(each["id"]) for each in row.get(field) or ()}
        missing = [number for number in asked if number not in there]
        if missing:
            taken = {str(each["username"]).lower() for each in row.get(field) or ()}
            left += [
                f"{field[:-1]} {name}: GitLab did not take it"
                for name in names
                if name.lower() not in taken and "/" not in name
            ]
    return left
