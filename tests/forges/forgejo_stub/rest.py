"""The REST API of the stub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.forges.github_stub.common import ME, Refusal, Row, git

from .state import PEOPLE, ForgejoState, number_of

Answer = tuple[int, Any]
Query = Mapping[str, list[str]]
_VERDICTS = {"APPROVED": "APPROVED", "CHANGES_REQUESTED": "REQUEST_CHANGES",
             "COMMENTED": "COMMENT", "PENDING": "PENDING"}  # fmt: skip


class Rows(list[Any]):
    """A page; ``total`` is what the host says there is."""

    def __init__(self, total: int | None, rows: Sequence[Any]) -> None:
        super().__init__(rows)
        self.total = total


class RestDoor(ForgejoState):
    """Answers REST requests; refuses as Forgejo does."""

    def rest(self, method: str, path: str, asked: Any) -> Answer:
        """One request; the status and body of its answer."""
        path, _, given = path.partition("?")
        wanted = parse_qs(given)
        if path == "/api/v1/user":
            return 200, person(ME)
        if path == "/api/v1/settings/api":
            return 200, {"max_response_items": self.page_size}
        if path.startswith("/api/v1/orgs/"):
            return 200, []
        log = re.fullmatch(r"/[^/]+/[^/]+/actions/runs/\d+/jobs/(\d+)/logs", path)
        if log is not None:
            return self._log("", log[1], None)
        match = re.fullmatch(r"/api/v1/repos/([^/]+/[^/]+)(?:/(.+))?", path)
        slug = unquote(match[1]) if match else ""
        if match is None or slug not in self.repos:
            raise Refusal(404, "The target couldn't be found.")
        self.follow(slug)
        for verb, form, act in self._routes():
            found = re.fullmatch(form, match[2] or "")
            if verb == method and found is not None:
                groups = [unquote(group) for group in found.groups()]
                return act(slug, *groups, wanted if method == "GET" else asked)
        raise Refusal(404, "not found")

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        one, run = r"pulls/(\d+)", r"actions/runs/(\w+)"
        routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "", self._repo),
            ("GET", r"branches/(.+)", self._branch),
            ("GET", r"compare/(.+?)\.\.\.(.+)", self._compare),
            ("GET", "assignees", lambda _s, _q: (200, [person(n) for n in sorted(self.writers)])),
            ("GET", "pulls", self._list),
            ("POST", "pulls", self._open),
            ("GET", one, lambda slug, n, _: (200, self.row(slug, self.one(slug, int(n))))),
            ("PATCH", one, self._edit),
            ("POST", rf"{one}/merge", self._merge),
            ("GET", rf"{one}/reviews", self._reviews),
            ("POST", rf"{one}/reviews", self._submit),
            ("GET", rf"{one}/reviews/(\d+)/comments", self._places),
            ("POST", rf"{one}/requested_reviewers", self._request),
            ("GET", r"issues/(\d+)", self._issue),
            ("GET", r"issues/(\d+)/comments", self._comments),
            ("POST", r"issues/(\d+)/comments", self._say),
            ("GET", r"issues/(\d+)/timeline", self._timeline),
            ("POST", r"issues/(\d+)/labels", self._label),
            ("GET", "labels", self._labels),
            ("POST", "labels", self._make_label),
            ("GET", "milestones", self._milestones),
            ("GET", r"commits/(\w+)/status", self._status),
            ("POST", r"statuses/(\w+)", self._set_status),
        ]
        jobs: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "actions/runs", self._runs),
            ("GET", rf"{run}/jobs", self._jobs),
            ("GET", r"actions/jobs/(\d+)", self._job),
            ("GET", r"actions/jobs/(\d+)/logs", self._log),
        ]
        if self.flavour == "gitea":
            return [*routes, *jobs,
                ("POST", rf"{one}/comments/(\d+)/replies", self._reply),
                ("POST", r"actions/runs/\w+/jobs/(\d+)/rerun", self._rerun)]  # fmt: skip
        if self.flavour == "forgejo":
            return [*routes, *jobs,
                ("POST", rf"{one}/reviews/(\d+)/comments", self._add_place),
                ("POST", r"actions/jobs/(\d+)/rerun", self._rerun)]  # fmt: skip
        return routes

    def page(self, rows: Sequence[Any], wanted: Query) -> Answer:
        """A page of a list; no more than the host gives."""
        size = min(int(wanted["limit"][0]), self.page_size)
        start = (int(wanted["page"][0]) - 1) * size
        return 200, Rows(len(rows), rows[start : start + size])

    # --- the repository --------------------------------------------------------------------------

    def _repo(self, slug: str, _: Query) -> Answer:
        parent = self.parents.get(slug)
        above = {"html_url": f"{self.root}/{parent}"} if parent else None
        return 200, {"full_name": slug, "permissions": {"push": self.may_push}, "parent": above,
                     "archived": False, "has_pull_requests": True,
                     "default_merge_style": "merge"}  # fmt: skip

    def _branch(self, slug: str, name: str, _: Query) -> Answer:
        tip = self.heads(slug).get(name)
        if tip is None:
            raise Refusal(404, "The target couldn't be found.")
        rules = self.protection.get(name)
        row = {"name": name, "commit": {"id": tip}, "protected": rules is not None}
        if rules is not None:
            row |= {"enable_status_check": rules.get("contexts") is not None,
                    "status_check_contexts": rules.get("contexts"),
                    "required_approvals": rules.get("approvals", 0)}  # fmt: skip
        return 200, row

    def tip(self, slug: str, name: str) -> str:
        """The commit of a branch, of a fork's where it has an owner before it."""
        owner, _, branch = name.rpartition(":")
        where = f"{owner}/{slug.partition('/')[2]}" if owner else slug
        found = self.heads(where).get(branch) if where in self.repos else None
        if found is None:
            raise Refusal(404, "The target couldn't be found.")
        return found

    def _compare(self, slug: str, base: str, head: str, _: Query) -> Answer:
        tips = [self.tip(slug, base), self.tip(slug, head)]
        owner = head.rpartition(":")[0]
        bare = self.repos[f"{owner}/{slug.partition('/')[2]}" if owner else slug]
        count = git(bare, "rev-list", "--count", tips[1], f"^{tips[0]}")
        return 200, {"total_commits": int(count or 1), "commits": []}

    # --- pull requests ---------------------------------------------------------------------------

    def _open(self, slug: str, asked: Mapping[str, Any]) -> Answer:
        owner, _, head = asked["head"].rpartition(":")
        base = asked["base"]
        tip = self.tip(slug, asked["head"])
        self.tip(slug, base)
        for pull in self.pulls.get(slug, []):
            same = (pull["head"], pull["base"], pull.get("fork") or "") == (head, base, owner)
            if same and pull["state"] == "open":
                raise Refusal(409, "pull request already exists for these targets "
                              f"[id: 1, issue_id: {pull['number']}]")  # fmt: skip
        made = self.make_pull(slug, head, base, asked["title"], asked.get("body") or "", False)
        made.update(head_sha=tip, base_sha=self.tip(slug, base))
        if owner:
            made["fork"] = owner
        else:
            git(self.repos[slug], "update-ref", self.pull_ref.format(made["number"]), tip)
        self.save()
        return 201, self.row(slug, made)

    def _list(self, slug: str, wanted: Query) -> Answer:
        rows = [self.row(slug, pull) for pull in self.pulls.get(slug, [])]
        if wanted.get("state") == ["open"]:
            rows = [row for row in rows if row["state"] == "open"]
        if wanted.get("sort") == ["recentupdate"]:
            rows.sort(key=lambda row: str(row["updated_at"]), reverse=True)
        return self.page(rows, wanted)

    def _edit(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if "base" in asked:
            self.tip(slug, asked["base"])
        for people in asked.get("assignees") or ():
            if people not in PEOPLE:
                raise Refusal(422, f"Assignee does not exist: [name: {people}]")
        pull |= {name: asked[name] for name in ("title", "body", "base", "assignees")
                 if name in asked}  # fmt: skip
        if "milestone" in asked:
            pull["milestone"] = self.milestones[asked["milestone"] - 1]
        if asked.get("state") == "closed" and pull["state"] == "open":
            pull["state"] = "closed"
            self.tell(slug, int(number), "close", ME)
        pull["updated_at"] = self.now()
        self.save()
        self.follow(slug)
        return 201, self.row(slug, pull)

    def _merge(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        return self.press(slug, self.one(slug, int(number)), asked), None

    def row(self, slug: str, pull: Row) -> Row:
        """A pull request as the API gives it."""
        number = pull["number"]
        waits = pull.get("auto") and pull["state"] == "open"
        if waits and self.states_of(pull["head_sha"]) == {"success"}:
            self.merge(slug, number, {})
        said = self.said.get(f"{slug}#{number}", [])
        closed = [row for row in said if row["kind"] == "ClosedEvent" or row.get("type") == "close"]
        fork = f"{pull['fork']}/{slug.partition('/')[2]}" if pull.get("fork") else slug
        repo_id = 1 if fork == slug else 2
        return {
            "id": 1000 + number_of(pull["node_id"]), "number": number, "title": pull["title"],
            "html_url": f"{self.root}/{slug}/pulls/{number}", "body": pull["body"],
            "state": "open" if pull["state"] == "open" else "closed",
            "merged": pull["state"] == "merged", "draft": self.is_draft(pull),
            "mergeable": self.is_mergeable(slug, pull), "merge_commit_sha": pull.get("made"),
            "head": {"label": pull["head"], "ref": pull["head"], "sha": pull["head_sha"],
                     "repo_id": repo_id, "repo": {"full_name": fork}},
            "base": {"label": pull["base"], "ref": pull["base"], "sha": pull["base_sha"],
                     "repo_id": 1, "repo": {"full_name": slug}},
            "created_at": pull["created_at"], "updated_at": pull["updated_at"],
            "closed_at": closed[-1]["at"] if closed else None,
            "labels": [{"name": name, "id": 1} for name in pull["labels"]],
            "requested_reviewers": [person(name) for name in pull["reviewers"]],
            "assignees": [person(name) for name in pull["assignees"]],
            "milestone": {"title": pull["milestone"]} if pull["milestone"] else None,
            "comments": len([row for row in said if row["kind"] == "IssueComment"]),
        }  # fmt: skip

    def _request(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        for name in asked.get("reviewers") or ():
            if name not in PEOPLE:
                raise Refusal(404, f"user '{name}' not exist")
            pull["reviewers"].append(name)
        for team in asked.get("team_reviewers") or ():
            if f"{slug.partition('/')[0]}/{team}" not in self.teams:
                raise Refusal(404, f"team '{team}' not exist")
        self.save()
        return 201, []

    def _labels(self, _slug: str, wanted: Query) -> Answer:
        return self.page([{"id": n, "name": name} for name, n in self.label_ids.items()], wanted)

    def _make_label(self, _slug: str, asked: Mapping[str, Any]) -> Answer:
        self.label_ids[asked["name"]] = len(self.label_ids) + 1
        return 201, {"id": self.label_ids[asked["name"]], "name": asked["name"]}

    def _label(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        names = {n: name for name, n in self.label_ids.items()}
        self.one(slug, int(number))["labels"] += [names[n] for n in asked["labels"]]
        self.save()
        return 200, []

    def _milestones(self, _slug: str, wanted: Query) -> Answer:
        rows = [{"id": n, "title": name} for n, name in enumerate(self.milestones, 1)]
        return self.page(rows, wanted)

    # --- what is said ----------------------------------------------------------------------------

    def _issue(self, slug: str, number: str, _: Query) -> Answer:
        said = self.said.get(f"{slug}#{number}", [])
        return 200, {"number": int(number), "title": "An issue", "body": "What is wanted",
                     "comments": len(said)}  # fmt: skip

    def _comments(self, slug: str, number: str, _: Query) -> Answer:
        rows = self.said.get(f"{slug}#{number}", [])
        return 200, [comment(row) for row in rows if row["kind"] == "IssueComment"]

    def _say(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        return 201, comment(self.say(int(number), asked["body"], ME, slug))

    def _timeline(self, slug: str, number: str, wanted: Query) -> Answer:
        kinds = {"ClosedEvent": "close", "IssueComment": "comment", "PullRequestReview": "review"}
        rows = self.said.get(f"{slug}#{number}", [])
        return self.page(
            [{**comment(row), "type": row.get("type") or kinds[row["kind"]]} for row in rows],
            wanted,
        )

    def _reviews(self, slug: str, number: str, wanted: Query) -> Answer:
        key = f"{slug}#{number}"
        rows = [
            review(row, _VERDICTS[row["state"]], 0)
            for row in self.said.get(key, [])
            if row["kind"] == "PullRequestReview"
        ]
        for thread in self.threads.get(key, []):
            first = thread["comments"][0]
            words = {**first, "body": "", "number": number_of(thread["id"])}
            rows.append(review(words, "COMMENT", len(thread["comments"])))
        rows.sort(key=lambda row: str(row["submitted_at"]))
        page = self.page(rows, wanted)[1]
        shown = [row for row in page if row["state"] != "PENDING"]  # another person's draft
        return 200, Rows(len(rows), shown)

    def _places(self, _slug: str, _number: str, number: str, _: Query) -> Answer:
        thread = self.thread_of(int(number))
        return 200, [place(thread, row) for row in thread["comments"]]

    def _submit(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        for each in asked["comments"]:
            self.say_at(int(number), each["body"], each["path"], each["new_position"], ME, slug)
        return 200, {}

    def _reply(self, slug: str, number: str, to: str, asked: Mapping[str, Any]) -> Answer:
        for thread in self.threads.get(f"{slug}#{number}", []):
            if int(to) in [row["number"] for row in thread["comments"]]:
                return 201, place(thread, self.reply(thread["id"], asked["body"], ME))
        raise Refusal(404, "comment does not exist")

    def _add_place(self, _slug: str, _n: str, number: str, asked: Mapping[str, Any]) -> Answer:
        thread = self.thread_of(int(number))
        if (thread["path"], thread["line"]) != (asked["path"], asked.get("new_position")):
            raise Refusal(422, "another place")
        return 200, place(thread, self.reply(thread["id"], asked["body"], ME))

    # --- CI --------------------------------------------------------------------------------------

    def _status(self, slug: str, sha: str, wanted: Query) -> Answer:
        rows = self.page(self.status_rows(slug, sha), wanted)[1]
        return 200, {"sha": sha, "statuses": rows} if rows else None

    def _set_status(self, _slug: str, sha: str, asked: Mapping[str, Any]) -> Answer:
        self.set_status(sha, asked["context"], asked["state"], asked["description"])
        return 201, {}

    def _runs(self, slug: str, wanted: Query) -> Answer:
        page = f"{self.root}/{slug}/actions/runs"
        other = {"id": "other", "html_url": f"{page}/2"}
        run = {"id": wanted["head_sha"][0], "html_url": f"{page}/1"}
        return 200, {"workflow_runs": [other, run]}

    def _jobs(self, slug: str, run: str, _: Query) -> Answer:
        page = f"{self.root}/{slug}/actions/runs/1/jobs"
        rows = [{"id": row["number"], "name": row["name"], "html_url": f"{page}/{row['number']}"}
                for row in self.runs.get(run, [])]  # fmt: skip
        if self.flavour == "forgejo":
            return 200, [{"id": row["id"], "name": row["name"]} for row in rows]
        return 200, {"jobs": rows}

    def _job(self, _slug: str, number: str, _: Query) -> Answer:
        done = self.find_run(int(number))["conclusion"] is not None
        return 200, {"id": int(number), "status": "completed" if done else "in_progress"}

    def _log(self, _slug: str, number: str, _: Any) -> Answer:
        lines = self.find_run(int(number))["log"]
        return 200, "".join(f"2026-01-02T03:04:05.1234567Z {line}\n" for line in lines)

    def _rerun(self, _slug: str, number: str, _: Any) -> Answer:
        self.run_again(int(number))
        return 201, {}


def person(name: str) -> Row:
    """Somebody as the API gives them."""
    number = PEOPLE.index(name) + 1 if name in PEOPLE else 99
    return {"id": number, "login": name}


def comment(row: Row) -> Row:
    """A comment as the API gives it."""
    return {"id": row["number"], "body": row["body"], "user": person(row["author"]),
            "created_at": row["at"], "html_url": ""}  # fmt: skip


def review(row: Row, state: str, count: int) -> Row:
    """A review as the API gives it."""
    return {**comment(row), "state": state, "submitted_at": row["at"], "comments_count": count,
            "commit_id": row.get("commit", ""),
            "dismissed": bool(row.get("dismissed"))}  # fmt: skip


def place(thread: Row, row: Row) -> Row:
    """A comment at a place as the API gives it."""
    return {**comment(row), "path": thread["path"], "position": thread["line"],
            "original_position": 0, "pull_request_review_id": number_of(thread["id"]),
            "resolver": person("rita") if thread["resolved"] else None}  # fmt: skip
