"""Issues at GitHub, for drafts: one by its address, with what people with a say wrote below it."""

from __future__ import annotations

import re

from orchestr.forges.base import ForeignAddress, ForgeError, Issue
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.github_remote import parse_remote_url

_ADDRESS = re.compile(r"(https?://[^/\s]+/[^/\s]+/[^/\s]+)/(?:issues|pull)/(\d{1,12})/?(?:#.*)?")
_HEARD = ("OWNER", "MEMBER", "COLLABORATOR")  # whose comments are taken along
_PAGE = 100  # comments that are read


class GitHubIssues(GitHubBase):
    """The part of the forge that reads issues."""

    def read_issue(self, address: str) -> Issue:
        """See `IssueForge.read_issue`."""
        found = _ADDRESS.fullmatch(address.strip())
        slug = parse_remote_url(found[1]) if found else None
        if found is None or slug is None:
            raise ForeignAddress(
                f"{address!r} is not the address of an issue at GitHub",
                hint="https://github.com/OWNER/NAME/issues/1, or a file with the issue's text",
            )
        path = f"repos/{slug}/issues/{found[2]}"
        raw = self.api.send_rest_request(slug.host, "GET", path)
        if not isinstance(raw, dict) or not isinstance(raw.get("title"), str):
            raise ForgeError(f"{address}: GitHub's answer is no issue")
        said: list[str] = []
        if raw.get("comments"):
            rows = self.api.send_rest_request(slug.host, "GET", f"{path}/comments?per_page={_PAGE}")
            for row in rows if isinstance(rows, list) else ():
                if row.get("author_association") in _HEARD and row.get("body"):
                    login = (row.get("user") or {}).get("login") or "a person"
                    said.append(f"{login}: {row['body']}")
        return Issue(address, raw["title"], raw.get("body") or "", tuple(said))
