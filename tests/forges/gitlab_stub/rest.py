"""The REST API of the stub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from tests.forges.github_stub.common import ME, Refusal, Row, git, write_ref

from .state import PEOPLE, GitLabState, is_draft

Answer = tuple[int, Any]


class RestDoor(GitLabState):
    """Answers REST requests; refuses as GitLab does."""

    def rest(self, method: str, path: str, asked: Any) -> Answer:
        """One request; the status and body of its answer."""
        path, _, given = path.partition("?")
        wanted = parse_qs(given)
        if path == "/api/v4/user":
            return 200, person(ME)
        if path == "/api/v4/users":
            name = wanted["username"][0]
            return 200, [person(name)] if name in PEOPLE else []
        match = re.fullmatch(r"/api/v4/projects/([^/]+)(?:/(.+))?", path)
        slug = unquote(match[1]) if match else ""
        if slug in self.moved:
            if method != "GET":
                raise Refusal(405, "Non GET methods are not allowed for moved projects")
            moved = Refusal(301, "moved")
            new = quote(self.moved[slug], safe="")
            moved.headers["Location"] = f"{path.replace(str(match and match[1]), new, 1)}?{given}"
            raise moved
        if match is None or slug not in self.repos:
            raise Refusal(404, "404 Project Not Found")
        self.follow(slug)
        rest = match[2] or ""
        for verb, form, act in self._routes():
            found = re.fullmatch(form, rest)
            if verb == method and found is not None:
                groups = [unquote(group) for group in found.groups()]
                return act(slug, *groups, wanted if method == "GET" else asked)
        raise Refusal(404, "404 Not Found")

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        one = r"merge_requests/(\d+)"
        return [
            ("GET", "", self._project),
            ("GET", r"repository/branches/([^/]+)", self._branch),
            ("GET", "repository/merge_base", self._merge_base),
            ("GET", "merge_requests", self._list),
            ("POST", "merge_requests", self._open),
            ("GET", one, self._read),
            ("PUT", one, self._edit),
            ("PUT", rf"{one}/merge", self._merge),
            ("GET", rf"{one}/notes", self._notes),
            ("POST", rf"{one}/notes", self._say),
            ("GET", rf"{one}/discussions/(\w+)", self._discussion),
            ("POST", rf"{one}/discussions/(\w+)/notes", self._reply),
            ("GET", r"merge_trains/merge_requests/(\d+)", self._car),
            ("POST", r"merge_trains/merge_requests/(\d+)", self._board),
            ("GET", r"jobs/(\d+)", self._job),
            ("GET", r"jobs/(\d+)/trace", self._trace),
            ("POST", r"jobs/(\d+)/retry", self._retry),
            ("GET", r"repository/commits/(\w+)/statuses", self._list_statuses),
            ("POST", r"statuses/(\w+)", self._set_status),
            ("GET", "milestones", self._milestones),
            ("GET", "members/all", self._members),
            ("GET", r"issues/(\d+)", self._issue),
            ("GET", r"issues/(\d+)/notes", self._issue_notes),
        ]

    # --- the project -----------------------------------------------------------------------------

    def _project(self, slug: str, _: Any) -> Answer:
        rights = {"project_access": {"access_level": self.access_level}, "group_access": None}
        return 200, {"path_with_namespace": slug, "merge_method": self.merge_method,
                     "squash_option": self.squash_option, "permissions": rights,
                     "only_allow_merge_if_all_discussions_are_resolved": self.wants_resolved,
                     "archived": False}  # fmt: skip

    def _branch(self, slug: str, name: str, _: Any) -> Answer:
        tip = self.heads(slug).get(name)
        if tip is None:
            raise Refusal(404, "404 Branch Not Found")
        return 200, {"name": name, "commit": {"id": tip}}

    def _merge_base(self, slug: str, asked: Mapping[str, list[str]]) -> Answer:
        heads = self.heads(slug)
        for name in asked["refs[]"]:
            if name not in heads:
                raise Refusal(400, f"Could not find ref: {name}")
        found = git(self.repos[slug], "merge-base", *(heads[name] for name in asked["refs[]"]))
        if not found:
            raise Refusal(404, "404 Merge Base Not Found")
        return 200, {"id": found}

    def _milestones(self, _slug: str, asked: Mapping[str, list[str]]) -> Answer:
        title = asked["title"][0]
        number = self.milestones.index(title) + 1 if title in self.milestones else 0
        return 200, [{"id": number, "title": title}] if number else []

    def _members(self, _slug: str, _: Any) -> Answer:
        return 200, [{**person(name), "access_level": 30} for name in sorted(self.writers)]

    # --- merge requests --------------------------------------------------------------------------

    def _open(self, slug: str, asked: Mapping[str, Any]) -> Answer:
        require_title(asked["title"])
        head, base = asked["source_branch"], asked["target_branch"]
        for pull in self.pulls.get(slug, []):
            if (pull["head"], pull["base"], pull["state"]) == (head, base, "open"):
                told = "Another open merge request already exists for this source branch: "
                raise Refusal(409, [f"{told}!{pull['number']}"])  # type: ignore[arg-type]
        heads = self.heads(slug)
        made = self.make_pull(slug, head, base, asked["title"], asked.get("description") or "",
                              False)  # fmt: skip
        made.update(head_sha=heads.get(head, ""), base_sha=heads.get(base, ""))
        self.run_commands(made, asked.get("description") or "")
        write_ref(self.repos[slug], self.pull_ref.format(made["number"]), made["head_sha"])
        self.save()
        return 201, self.row(slug, made)

    def run_commands(self, pull: Row, text: str) -> None:
        """What GitLab does with lines of a text that are commands."""
        for line in text.splitlines():
            if re.match(r"/(close|merge|approve)\b", line):
                pull["state"] = "closed"

    def _read(self, slug: str, number: str, _: Any) -> Answer:
        return 200, self.row(slug, self.one(slug, int(number)))

    def _list(self, slug: str, asked: Mapping[str, list[str]]) -> Answer:
        found = [
            self.row(slug, pull)
            for pull in self.pulls.get(slug, [])
            if pull["state"] == "open" and pull["base"] == asked["target_branch"][0]
        ]
        found.sort(key=lambda row: str(row["updated_at"]), reverse=True)
        return 200, found[: int(asked["per_page"][0])]

    def _edit(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        require_title(asked.get("title", "t"))
        names = {"title": "title", "description": "body", "target_branch": "base"}
        for field, name in names.items():
            if field in asked:
                pull[name] = asked[field]
        self.run_commands(pull, asked.get("description") or "")
        if asked.get("state_event") == "close":
            pull.update(state="closed", closed_by=ME)
        if asked.get("add_labels"):
            pull["labels"] += asked["add_labels"].split(",")
        if "assignee_ids" in asked:
            pull["assignees"] = [PEOPLE[n - 1] for n in asked["assignee_ids"]]
        if "reviewer_ids" in asked:
            pull["reviewers"] = [PEOPLE[n - 1] for n in asked["reviewer_ids"]]
            pull["reviewers"] = pull["reviewers"][: self.most_reviewers]
        if "milestone_id" in asked:
            pull["milestone"] = self.milestones[asked["milestone_id"] - 1]
        pull["updated_at"] = self.now()
        self.save()
        self.follow(slug)
        return 200, self.row(slug, pull)

    def _merge(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if is_draft(pull):
            raise Refusal(405, "405 Method Not Allowed")
        if asked.get("auto_merge") and self.judge_pipeline(pull["head_sha"]) == "RUNNING":
            if asked.get("sha") != pull["head_sha"]:
                raise Refusal(409, "SHA does not match HEAD of source branch")
            pull["auto"] = True
            self.save()
            return 200, self.row(slug, pull)
        if self.quicker is not None:
            self.quicker()
            self.follow(slug)
        self.merge(slug, int(number), asked)
        return 200, self.row(slug, pull)

    def row(self, slug: str, pull: Row) -> Row:
        """A merge request as REST gives it."""
        waits = pull.get("auto") and pull["state"] == "open"
        if waits and self.judge_pipeline(pull["head_sha"]) == "SUCCESS":
            pull["auto"] = False
            self.merge(slug, pull["number"], {})
        status = self.judge(slug, pull)
        state = {"open": "opened"}.get(pull["state"], pull["state"])
        closer = pull.get("closed_by") if state == "closed" else None
        return {
            "id": 1000 + pull["number"], "iid": pull["number"], "title": pull["title"],
            "web_url": self.page(slug, pull["number"]), "description": pull["body"],
            "source_branch": pull["head"], "target_branch": pull["base"],
            "sha": pull["head_sha"], "draft": is_draft(pull), "state": state,
            "created_at": thousandths(pull["created_at"]),
            "updated_at": thousandths(pull["updated_at"]), "labels": pull["labels"],
            "reviewers": [person(name) for name in pull["reviewers"]],
            "assignees": [person(name) for name in pull["assignees"]],
            "milestone": {"title": pull["milestone"]} if pull["milestone"] else None,
            "detailed_merge_status": status, "has_conflicts": status == "conflict",
            "merge_when_pipeline_succeeds": bool(pull.get("auto")), "merge_error": None,
            "merge_commit_sha": pull.get("made"), "squash_commit_sha": pull.get("squashed"),
            "closed_by": person(closer) if closer else None,
        }  # fmt: skip

    def page(self, slug: str, number: int) -> str:
        """The address of a merge request."""
        assert self._server is not None
        root = f"http://127.0.0.1:{self._server.server_port}"
        return f"{root}/{slug}/-/merge_requests/{number}"

    # --- what is said ----------------------------------------------------------------------------

    def _notes(self, slug: str, number: str, asked: Mapping[str, list[str]]) -> Answer:
        self.one(slug, int(number))
        rows = [*self.said.get(f"{slug}#{number}", [])]
        rows += [c for t in self.threads.get(f"{slug}#{number}", []) for c in t["comments"]]
        rows = [row for row in rows if row.get("kind", "IssueComment") != "PullRequestReview"]
        rows.sort(key=lambda row: str(row["at"]), reverse=asked["sort"][0] == "desc")
        page, size = int(asked["page"][0]), int(asked["per_page"][0])
        return 200, [note(row) for row in rows[(page - 1) * size : page * size]]

    def _say(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        self.run_commands(pull, asked["body"])
        return 201, note(self.say(int(number), asked["body"], ME, slug))

    def _discussion(self, slug: str, _number: str, thread: str, _: Any) -> Answer:
        _, found = self.find_thread(thread)
        return 200, {"id": thread, "notes": [note(row) for row in found["comments"]]}

    def _reply(self, _slug: str, _number: str, thread: str, asked: Mapping[str, Any]) -> Answer:
        return 201, note(self.reply(thread, asked["body"], ME))

    def _issue(self, slug: str, number: str, _: Any) -> Answer:
        rows = self.said.get(f"{slug}#issue{number}", [])
        return 200, {"iid": int(number), "title": "An issue", "description": "What is wanted",
                     "user_notes_count": len(rows)}  # fmt: skip

    def _issue_notes(self, slug: str, number: str, _: Any) -> Answer:
        return 200, [note(row) for row in self.said.get(f"{slug}#issue{number}", [])]

    # --- trains ----------------------------------------------------------------------------------

    def _board(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if not self.queues:
            raise Refusal(403, "403 Forbidden")
        if asked.get("sha") != pull["head_sha"]:
            raise Refusal(409, "SHA does not match HEAD of source branch")
        if pull.get("queued"):
            raise Refusal(409, "Merge train car already exists")
        pull["queued"] = 2
        self.save()
        return 201, [{"status": "fresh"}]

    def _car(self, slug: str, number: str, _: Any) -> Answer:
        if not self.queues or not self.move_queue(slug, self.one(slug, int(number))):
            raise Refusal(404, "404 Not Found")
        return 200, {"status": "fresh"}

    # --- CI --------------------------------------------------------------------------------------

    def _job(self, _slug: str, number: str, _: Any) -> Answer:
        row = self.find_run(int(number))
        return 200, {"id": row["number"], "status": "success" if row["conclusion"] else "running"}

    def _trace(self, _slug: str, number: str, _: Any) -> Answer:
        log = "\n".join(self.find_run(int(number))["log"])
        before = (
            "section_start:1:prepare_executor\r\x1b[0Kpreparing\nsection_end:1:prepare_executor"
        )
        return 200, f"{before}\r\x1b[0Ksection_start:2:step_script\r\x1b[0K\x1b[32;1m{log}\x1b[0m\n"

    def _retry(self, _slug: str, number: str, _: Any) -> Answer:
        self.run_again(int(number))
        return 201, {"id": int(number)}

    def _list_statuses(self, _slug: str, sha: str, asked: Mapping[str, list[str]]) -> Answer:
        rows = self.statuses.get(sha, {})
        return 200, [
            {"name": name, "status": row["state"], "description": row["description"]}
            for name, row in rows.items()
            if name == asked["name"][0]
        ]

    def _set_status(self, _slug: str, sha: str, asked: Mapping[str, Any]) -> Answer:
        known = self.statuses.get(sha, {}).get(asked["name"])
        if known is not None and known["state"] == asked["state"] == "pending":
            raise Refusal(400, "Cannot transition status via :enqueue from :pending")
        self.set_status(sha, asked["name"], asked["state"], asked["description"])
        return 201, {"id": 1, "name": asked["name"]}


def require_title(title: str) -> None:
    """GitLab's limit, with the words that make a draft."""
    if len(title) > 255:
        raise Refusal(400, ["Title is too long (maximum is 255 characters)"])  # type: ignore[arg-type]


def person(name: str) -> Row:
    """Somebody as REST gives them."""
    number = PEOPLE.index(name) + 1 if name in PEOPLE else 99
    return {"id": number, "username": name}


def note(row: Row) -> Row:
    """A comment as REST gives it."""
    return {"id": row["number"], "body": row["body"], "author": person(row["author"]),
            "created_at": thousandths(row["at"]), "system": "action" in row}  # fmt: skip


def thousandths(at: str) -> str:
    """A time as REST gives it."""
    return at.replace("Z", ".123Z")
