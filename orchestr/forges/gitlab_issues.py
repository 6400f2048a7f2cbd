"""Issues at GitLab, for drafts: one by its address, with what people with a say wrote below it."""

from __future__ import annotations

import re

from orchestr.forges.base import ForeignAddress, ForgeError, Issue
from orchestr.forges.gitlab_base import GitLabBase
from orchestr.forges.gitlab_remote import parse_project_url
from orchestr.forges.repo_refs import find_forge_url

_ADDRESS = re.compile(
    r"(https?://[^/\s]+/[^\s?#]+?)/-/(issues|work_items|merge_requests)/(\d{1,12})/?(?:[?#].*)?"
)
PAGE = 100  # comments that are read
REPORTER = 20  # the access level from which on a member of the project has a say


class GitLabIssues(GitLabBase):
    """The part of the forge that reads issues."""

    def read_issue(self, address: str) -> Issue:
        """See `IssueForge.read_issue`. Who is a member of the project, with a role of Reporter or
        more, has a say."""
        found = _ADDRESS.fullmatch(address.strip())
        root = find_forge_url(found[1], self.known_roots) if found else None
        project = parse_project_url(found[1], root) if found else None
        if found is None or project is None:
            raise ForeignAddress(
                f"{address!r} is not the address of an issue at GitLab",
                hint="https://gitlab.com/GROUP/NAME/-/issues/1, or a file with the issue's text",
            )
        sort = "merge_requests" if found[2] == "merge_requests" else "issues"
        path = f"{project.api}/{sort}/{found[3]}"
        row = self.api.read_object(project, path)
        if not isinstance(row.get("title"), str):
            raise ForgeError(f"{address}: GitLab's answer is no issue")
        said: list[str] = []
        if row.get("user_notes_count"):
            notes = self.api.send_rest_request(
                project, "get", f"{path}/notes?sort=asc&per_page={PAGE}"
            )
            members = {
                str(member["username"])
                for member in self.api.list_rows(project, f"{project.api}/members/all")
                if int(member.get("access_level") or 0) >= REPORTER
            }
            for note in notes if isinstance(notes, list) else ():
                name = (note.get("author") or {}).get("username")
                if name in members and note.get("body") and not note.get("system"):
                    said.append(f"{name}: {note['body']}")
        return Issue(address, row["title"], row.get("description") or "", tuple(said))
