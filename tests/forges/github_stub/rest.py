"""The REST API of the stub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote

from .common import HOST, LOGS, ME, SHA, Refusal, Row, invalid
from .people import ACTIONS, People

Answer = tuple[int, Any]


class RestDoor(People):
    """Answers REST requests; refuses as GitHub does."""

    def rest(self, method: str, path: str, asked: Any) -> Answer:
        """One request; the status and body of its answer."""
        path, _, given = path.partition("?")
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)/(.+)", path)
        if match is None:
            raise Refusal(404, "Not Found")
        slug, rest = match[1], match[2]
        if slug in self.renamed:
            raise self._moved(method, path, slug)
        if slug not in self.repos:
            raise Refusal(404, "Not Found")
        self.follow(slug)
        wanted = dict(parse_qsl(given))
        for verb, form, act in self._routes():
            found = re.fullmatch(form, rest)
            if verb == method and found is not None:
                return act(slug, *found.groups(), asked if method != "GET" else wanted)
        raise Refusal(404, "Not Found")

    def _moved(self, method: str, path: str, slug: str) -> Refusal:
        """GitHub sends readers on, and asks writers to come again."""
        answer = Refusal(301 if method == "GET" else 307, "Moved Permanently")
        new = path.replace(slug, self.renamed[slug], 1)
        answer.headers["Location"] = f"http://api.{HOST}{new}"
        return answer

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        number, sha = r"(\d+)", f"({SHA.pattern})"
        return [
            ("POST", "pulls", self._open),
            ("GET", "pulls", self._list),
            ("GET", f"pulls/{number}", self._get),
            ("PATCH", f"pulls/{number}", self._edit),
            ("PUT", f"pulls/{number}/merge", self._press),
            ("PUT", f"pulls/{number}/merge-async", self._merge_later),
            ("GET", f"pulls/{number}/merge-async/(\\w+)", self._merge_now),
            ("POST", f"issues/{number}/comments", self._comment),
            ("POST", f"pulls/{number}/comments/{number}/replies", self._reply),
            ("GET", f"issues/{number}", self._get_issue),
            ("PATCH", f"issues/{number}", self._edit_issue),
            ("POST", f"issues/{number}/labels", self._add_labels),
            ("POST", f"issues/{number}/assignees", self._assign),
            ("POST", f"pulls/{number}/requested_reviewers", self._ask_for_reviews),
            ("GET", "milestones", self._list_milestones),
            ("GET", r"collaborators/([^/]+)/permission", self._permission),
            ("GET", f"check-runs/{number}", self._check_run),
            ("POST", f"check-runs/{number}/rerequest", self._rerequest),
            ("POST", f"actions/jobs/{number}/rerun", self._rerun),
            ("GET", f"actions/jobs/{number}/logs", self._log),
            ("GET", f"commits/{sha}/status", self._combined),
            ("POST", f"statuses/{sha}", self._status),
            ("GET", "stacks", self._list_stacks),
            ("POST", "stacks", self._make_stack),
            ("POST", f"stacks/{number}/add", self._add_to_stack),
        ]

    # --- pull requests -------------------------------------------------------------------------

    def _open(self, slug: str, asked: Mapping[str, Any]) -> Answer:
        return 201, self.shown(self.open(slug, asked))

    def _list(self, slug: str, wanted: Mapping[str, str]) -> Answer:
        mine = [pull for pull in self.every() if pull["slug"] == slug]
        found = [p for p in mine if (p["state"], p["base"]) == ("open", wanted["base"])]
        return 200, [self.shown(pull) for pull in found]

    def _get(self, slug: str, number: str, _: Any) -> Answer:
        return 200, self.shown(self.one(slug, int(number)))

    def _edit(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if "base" in asked and asked["base"] not in self.heads(slug):
            wrong = {"resource": "PullRequest", "field": "base", "code": "invalid"}
            raise Refusal(422, "Validation Failed", wrong)
        if asked.get("state") == "closed" and pull["state"] == "open":
            self.say(int(number), "", ME, slug, kind="ClosedEvent")
        known = ("title", "body", "base", "state")
        pull.update({k: asked[k] for k in known if k in asked})
        pull["updated_at"] = self.now()
        self.save()
        return 200, self.shown(pull)

    def _press(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        if self.one(slug, int(number))["draft"]:
            raise Refusal(405, "Pull Request is still a draft")
        if self.protected:
            raise Refusal(405, self.protected)
        if self.find_stack(slug, int(number)) is not None:
            raise Refusal(405, "This pull request is part of a stack: use the asynchronous merge")
        quicker, self.quicker = self.quicker, None
        if quicker is not None:
            quicker()
        self.merge(slug, int(number), asked)
        return 200, {"merged": True}

    def _merge_later(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if pull.get("merging"):
            raise Refusal(409, "A merge request already exists for this pull request")
        pull["merging"] = dict(asked)
        self.save()
        return 202, {"status": "pending", "details": {"message": "enqueued", "uuid": "u1"}}

    def _merge_now(self, slug: str, number: str, uuid: str, _: Any) -> Answer:
        """GitHub gets round to it: this one with all below it."""
        stack = self.find_stack(slug, int(number))
        assert stack is not None
        for each in stack["pulls"][: stack["pulls"].index(int(number)) + 1]:
            pull = self.one(slug, each)
            if pull["state"] == "open":
                asked = self.one(slug, int(number)).pop("merging", {})
                try:
                    self.merge(slug, each, asked)
                except Refusal as refusal:
                    return 200, {"status": "failed", "details": refusal.body}
                self.follow(slug)
        return 200, {"status": "merged", "details": {"message": "Pull request was merged."}}

    def find_stack(self, slug: str, number: int) -> Row | None:
        """The stack that a pull request is in."""
        return next((s for s in self.stacks.get(slug, []) if number in s["pulls"]), None)

    def shown(self, pull: Mapping[str, Any]) -> dict[str, Any]:
        """A pull request as REST shows it."""
        merged = pull["state"] == "merged"
        return {
            "number": pull["number"],
            "node_id": pull["node_id"],
            "html_url": f"https://{HOST}/{pull['slug']}/pull/{pull['number']}",
            "title": pull["title"],
            "body": pull["body"] or None,  # as GitHub does for an empty one
            "head": {"ref": pull["head"], "sha": pull["head_sha"]},
            "base": {"ref": pull["base"]},
            "draft": pull["draft"],
            "state": "open" if pull["state"] == "open" else "closed",
            "merged_at": pull["updated_at"] if merged else None,
            "merge_commit_sha": pull.get("made"),
            "created_at": pull["created_at"],
            "updated_at": pull["updated_at"],
            "stack": self.find_stack(pull["slug"], pull["number"]),
        }

    # --- what is said --------------------------------------------------------------------------

    def _comment(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        self.one(slug, int(number))
        self.say(int(number), asked["body"], ME, slug)
        return 201, {"body": asked["body"]}

    def _reply(self, slug: str, number: str, comment: str, asked: Mapping[str, Any]) -> Answer:
        for thread in self.threads.get(f"{slug}#{number}", []):
            if thread["comments"][0]["number"] == int(comment):
                if thread.get("pending"):
                    raise invalid("user_id can only have one pending review per pull request")
                self.reply(thread["id"], asked["body"], ME)
                return 201, {"body": asked["body"]}
        raise Refusal(404, "Not Found")

    # --- labels and people ---------------------------------------------------------------------

    def _get_issue(self, slug: str, number: str, _: Any) -> Answer:
        pull = self.one(slug, int(number))
        title = pull["milestone"]
        return 200, {
            "number": pull["number"],
            "labels": [{"name": name} for name in pull["labels"]],
            "assignees": [{"login": login} for login in pull["assignees"]],
            "milestone": {"title": title} if title else None,
        }

    def _edit_issue(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        pull["milestone"] = self.milestones[asked["milestone"] - 1]
        self.save()
        return self._get_issue(slug, number, None)

    def _add_labels(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        if any(len(name) > 50 for name in asked["labels"]):
            raise invalid("name is too long (maximum is 50 characters)")
        pull["labels"] += [name for name in asked["labels"] if name not in pull["labels"]]
        self.save()
        return 200, [{"name": name} for name in pull["labels"]]

    def _assign(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        """Whom it may not assign GitHub passes over."""
        pull = self.one(slug, int(number))
        there = pull["assignees"]
        pull["assignees"] += [w for w in asked["assignees"] if w in self.writers and w not in there]
        self.save()
        return 201, self._get_issue(slug, number, None)[1]

    def _ask_for_reviews(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        pull = self.one(slug, int(number))
        teams = [f"{slug.partition('/')[0]}/{team}" for team in asked.get("team_reviewers", [])]
        people = list(asked.get("reviewers", []))
        if ME in people:
            raise invalid("Review cannot be requested from pull request author.")
        if not self.writers.issuperset(people) or not self.teams.issuperset(teams):
            raise invalid(
                "Reviews may only be requested from collaborators. One or more of the users or"
                f" teams you specified is not a collaborator of the {slug} repository."
            )
        pull["reviewers"] += [w for w in (*people, *teams) if w not in pull["reviewers"]]
        pull["asked"] = pull.get("asked", 0) + 1
        self.save()
        return 201, self.shown(pull)

    def _list_milestones(self, slug: str, wanted: Mapping[str, str]) -> Answer:
        size = int(wanted["per_page"])
        start = (int(wanted["page"]) - 1) * size
        rows = [{"number": n, "title": title} for n, title in enumerate(self.milestones, 1)]
        return 200, rows[start : start + size]

    def _permission(self, slug: str, login: str, _: Any) -> Answer:
        may = "write" if unquote(login) in self.writers else "read"
        return 200, {"permission": may, "role_name": may}

    # --- CI ------------------------------------------------------------------------------------

    def _check_run(self, slug: str, number: str, _: Any) -> Answer:
        run = self.find_run(int(number))
        output = {key: run.get(key) for key in ("title", "summary", "text")}
        return 200, {"id": run["number"], "name": run["name"], "output": output}

    def _rerequest(self, slug: str, number: str, _: Any) -> Answer:
        self.run_again(int(number))
        return 201, {}

    def _rerun(self, slug: str, number: str, _: Any) -> Answer:
        if self.find_run(int(number))["app"] != ACTIONS:
            raise Refusal(404, "Not Found")
        self.run_again(int(number))
        return 201, {}

    def _log(self, slug: str, number: str, _: Any) -> Answer:
        """GitHub sends on to a signed address of a store."""
        run = self.find_run(int(number))
        if run["app"] != ACTIONS:
            raise Refusal(404, "Not Found")
        if run.get("expired"):
            raise Refusal(410, "Server Error")
        answer = Refusal(302, "Found")
        answer.headers["Location"] = f"http://{LOGS}/{number}?sig=x"
        raise answer

    def log_text(self, number: int) -> str:
        """A job's log as the store has it: the lines of its failed step among those of others."""
        run = self.find_run(number)
        step = ["##[group]Run make test", "make test", "shell: /usr/bin/bash -e {0}",
                "##[endgroup]", *run["log"]]  # fmt: skip
        if run["conclusion"] not in (None, "SUCCESS"):
            step.append("##[error]Process completed with exit code 2.")
        lines = ["Current runner version: '2.311.0'", "##[group]Run actions/checkout@v4",
                 "##[endgroup]", "Syncing repository", *step, "Post job cleanup.",
                 "Cleaning up orphan processes"]  # fmt: skip
        stamped = [f"2026-01-02T03:04:05.{n:07d}Z {line}" for n, line in enumerate(lines)]
        return "\ufeff" + "\r\n".join(stamped) + "\r\n"

    def _combined(self, slug: str, sha: str, _: Any) -> Answer:
        rows = [{"context": k, **row} for k, row in self.statuses.get(sha, {}).items()]
        return 200, {"state": "pending", "statuses": rows}

    def _status(self, slug: str, sha: str, asked: Mapping[str, Any]) -> Answer:
        text = asked.get("description") or ""
        if len(text) > 140:
            raise invalid("description is too long (maximum is 140 characters)")
        self.set_status(sha, asked["context"], asked["state"], text)
        return 201, {}

    # --- stacks --------------------------------------------------------------------------------

    def _stacks(self, slug: str) -> list[Row]:
        if not self.offers_stacks:
            raise Refusal(404, "Not Found")
        return self.stacks.setdefault(slug, [])

    def _list_stacks(self, slug: str, wanted: Mapping[str, str]) -> Answer:
        number = int(wanted["pull_request"])
        found = [stack for stack in self._stacks(slug) if number in stack["pulls"]]
        return 200, [self._show_stack(slug, stack) for stack in found]

    def _make_stack(self, slug: str, asked: Mapping[str, Any]) -> Answer:
        stacks = self._stacks(slug)
        self._must_be_chain(slug, asked["pull_requests"])
        stacks.append({"number": 40 + len(stacks), "pulls": list(asked["pull_requests"])})
        self.save()
        return 201, self._show_stack(slug, stacks[-1])

    def _add_to_stack(self, slug: str, number: str, asked: Mapping[str, Any]) -> Answer:
        for stack in self._stacks(slug):
            if stack["number"] == int(number):
                self._must_be_chain(slug, [stack["pulls"][-1], *asked["pull_requests"]])
                stack["pulls"] += asked["pull_requests"]
                self.save()
                return 200, self._show_stack(slug, stack)
        raise Refusal(404, "Not Found")

    def _must_be_chain(self, slug: str, numbers: list[int]) -> None:
        pulls = [self.one(slug, number) for number in numbers]
        for low, high in pairwise(pulls):
            if high["base"] != low["head"]:
                raise invalid("Pull requests must form a stack")

    def _show_stack(self, slug: str, stack: Row) -> Row:
        pulls = [self.one(slug, number) for number in stack["pulls"]]
        merged = [pull["updated_at"] if pull["state"] == "merged" else None for pull in pulls]
        rows = [
            {"number": pull["number"], "merged_at": at}
            for pull, at in zip(pulls, merged, strict=True)
        ]
        return {"number": stack["number"], "pull_requests": rows}
