"""Issues at a Forgejo, for drafts: one by its address, with what writers of it said below."""

from __future__ import annotations

import re

from orchestr.forges.base import ForeignAddress, ForgeError, Issue
from orchestr.forges.forgejo_base import ForgejoBase
from orchestr.forges.forgejo_query import read_author
from orchestr.forges.forgejo_remote import RepoPath, parse_repo_url
from orchestr.forges.repo_refs import find_forge_url

_ADDRESS = re.compile(r"(https?://[^\s?#]+)/(?:issues|pulls)/(\d{1,12})/?(?:[?#].*)?")


class ForgejoIssues(ForgejoBase):
    """The part of the forge that reads issues."""

    def read_issue(self, address: str) -> Issue:
        """See `IssueForge.read_issue`. Who may write to the repository has a say."""
        found = _ADDRESS.fullmatch(address.strip())
        path = self._read_address(found[1]) if found else None
        if found is None or path is None or self.api.find_login(path) is None:
            raise ForeignAddress(
                f"{address!r} is no issue at a Forgejo that there is a login for",
                hint="https://codeberg.org/OWNER/NAME/issues/1, or a file with the issue's text",
            )
        where = self.issue_path(path, int(found[2]))
        row = self.api.send_request(path, "GET", where)
        if not isinstance(row, dict) or not isinstance(row.get("title"), str):
            raise ForgeError(f"{address}: the answer is no issue")
        said: list[str] = []
        if row.get("comments"):
            writers = self.read_writers(path)
            for each in self.read_comments(path, int(found[2])):
                name = read_author(each)
                if name in writers and each["body"]:
                    said.append(f"{name}: {each['body']}")
        return Issue(address, row["title"], row.get("body") or "", tuple(said))

    def _read_address(self, url: str) -> RepoPath | None:
        """The repository with this address, at the forge that it names and no other."""
        return parse_repo_url(url, find_forge_url(url, self.known_roots))
