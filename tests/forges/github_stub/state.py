"""What the stub keeps, and the rules of branches and pull requests."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .common import HOST, ME, SHA, Fault, Refusal, Row, git, invalid, read_heads, write_ref


class State:
    """What is kept: ``repos`` maps ``owner/name`` to a bare repository."""

    pull_ref = "refs/pull/{}/head"

    def __init__(self, folder: Path, repos: Mapping[str, Path] | None = None) -> None:
        self.file = folder / "github.json"
        self.repos = dict(repos or {})
        kept = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.pulls: dict[str, list[Row]] = kept.get("pulls", {})
        self.said: dict[str, list[Row]] = kept.get("said", {})
        self.threads: dict[str, list[Row]] = kept.get("threads", {})
        self.runs: dict[str, list[Row]] = kept.get("runs", {})
        self.statuses: dict[str, dict[str, Row]] = kept.get("statuses", {})
        self.stacks: dict[str, list[Row]] = kept.get("stacks", {})
        self.ticks: int = kept.get("ticks", 0)
        self.remaining: int = kept.get("remaining", 5000)
        self.permission = "WRITE"
        self.requests: Counter[str] = Counter()
        self.points = 0
        self.queries: list[str] = []
        self.faults: list[Fault] = []
        self.away = False
        self.tls: ssl.SSLContext | None = None
        self.enterprise = ""
        self.quicker: Callable[[], object] | None = None  # what happens just before the next merge
        self.protected = ""  # why nobody may press the merge button
        self.queues = False  # whether there is a merge queue; what is in it lands after a look
        self.writers = {ME, "rita", "ruth"}
        self.associations: dict[str, str] = {}  # of a login; CONTRIBUTOR or NONE without one
        self.teams = {"o/crypto"}
        self.milestones: list[str] = []
        self.required: set[str] = set()  # names of checks that protection wants
        self.strict: set[str] = set()  # base branches of which the newest commit is wanted
        # branch -> what protects it: checks (names), approvals, owners, resolved, locked
        self.wants: dict[str, dict[str, Any]] = {}
        self.by_ruleset = False  # whether it is a ruleset that says so, not a protection rule
        self.unsure = 0  # requests that are told that mergeability is not known yet
        self.hidden: set[str] = set()  # fields that this login may not read
        self.lacking: set[str] = set()  # fields that the schema of an older host does not have
        self.forks: dict[str, str] = {}  # a fork's slug -> its parent's
        self.renamed: dict[str, str] = {}  # repositories, old name to new
        self.offers_stacks = False
        self.heavy = 0  # the pull requests in a query that GitHub gives up on; 0: never
        self.lag = 0  # requests that still see the old head after a push
        self.lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None

    # --- for tests ---------------------------------------------------------------------------

    def add(self, slug: str, bare: Path, clone: Path) -> None:
        """Let ``clone`` have its origin at GitHub, for us; git still finds ``bare``.

        ``url.*.insteadOf`` makes git go to the folder; the written URL names the repository.
        """
        self.repos[slug] = bare
        url = f"http://{HOST}/{slug}.git"
        git(clone, "config", f"url.{bare}.insteadOf", url)
        git(clone, "remote", "set-url", "origin", url)

    def fail(self, status: int, times: int = 1, **more: Any) -> None:
        """The next requests fail: a status, or 0 for a dropped connection."""
        self.faults.append(Fault(status, times, **more))

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    def forget_counts(self) -> None:
        """Begin to count anew."""
        self.requests.clear()
        self.queries.clear()
        self.points = 0

    def pull(self, number: int, slug: str | None = None) -> Row:
        """A pull request as it is kept; looks at the branches first."""
        with self.lock:
            slug = slug or next(iter(self.repos))
            self.follow(slug)
            return self.pulls[slug][number - 1]

    def every(self) -> list[Row]:
        """All pull requests of all repositories."""
        with self.lock:
            for slug in self.repos:
                self.follow(slug)
            return [pull for pulls in self.pulls.values() for pull in pulls]

    def change(self, number: int, slug: str | None = None, **fields: Any) -> None:
        """What people and their programs do on the page (close, review, report checks)."""
        with self.lock:
            self.pull(number, slug).update(fields)
            self.save()

    def rename(self, old: str, new: str) -> None:
        """Somebody renames a repository; its old name leads to it still."""
        with self.lock:
            self.renamed[old] = new
            self.repos[new] = self.repos.pop(old)
            self.pulls[new] = self.pulls.pop(old, [])
            for pull in self.pulls[new]:
                pull["slug"] = new
            for kept in (self.said, self.threads):
                for key in [key for key in kept if key.startswith(f"{old}#")]:
                    kept[key.replace(old, new, 1)] = kept.pop(key)
            self.save()

    def foreign(self, head: str, slug: str | None = None) -> None:
        """Somebody opens a pull request from a branch of that name in a fork."""
        with self.lock:
            slug = slug or next(iter(self.repos))
            made = self.make_pull(slug, head, "main", "from a fork", "", False)
            made.update(fork=True, head_sha="f" * 40)
            self.save()

    # --- the rules ---------------------------------------------------------------------------

    def now(self) -> str:
        self.ticks += 1
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self.ticks)
        return at.isoformat().replace("+00:00", "Z")

    def name_node(self, kind: str) -> str:
        """A node id that nothing had before."""
        self.ticks += 1
        return f"{kind}_{self.ticks:06d}"

    def save(self) -> None:
        value = {"pulls": self.pulls, "ticks": self.ticks, "remaining": self.remaining,
                 "said": self.said, "threads": self.threads, "runs": self.runs,
                 "statuses": self.statuses, "stacks": self.stacks}  # fmt: skip
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(value, indent=1))
        draft.replace(self.file)

    def heads(self, slug: str) -> dict[str, str]:
        return read_heads(self.repos[slug])

    def follow(self, slug: str) -> None:
        heads, bare = self.heads(slug), self.repos[slug]
        for pull in self.pulls.get(slug, []):
            if pull["state"] != "open" or pull.get("fork"):
                continue
            base = heads.get(pull["base"])
            if base is None:
                below = [p for p in self.pulls[slug]
                         if p["head"] == pull["base"] and p["state"] == "merged"]  # fmt: skip
                pull.update({"base": below[-1]["base"]} if below else {"state": "closed"})
                self.save()
                continue
            head = self.find_head(slug, pull)
            if (head, base) == (pull["head_sha"], pull.get("base_sha")):
                continue
            if head not in (None, pull["head_sha"]) and pull.setdefault("lag", self.lag):
                pull["lag"] -= 1
                continue
            pull.pop("lag", None)
            sha = head or pull["head_sha"]
            inside = git(bare, "rev-list", "-1", sha, f"^{base}") == ""
            state = "merged" if inside else "closed" if head is None else "open"
            if sha != pull["head_sha"]:
                pull.update(checks=None, updated_at=self.now())
            pull.update(head_sha=sha, base_sha=base, state=state)
            write_ref(bare, self.pull_ref.format(pull["number"]), sha)
            self.save()

    def find_head(self, slug: str, pull: Mapping[str, Any]) -> str | None:
        """The commit of a pull request's branch; that of a fork is brought into the repository."""
        source = pull.get("source") or slug
        head = self.heads(source).get(pull["head"])
        if source != slug and head is not None:
            git(self.repos[slug], "fetch", "--quiet", str(self.repos[source]), head)
        return head

    def make_pull(self, slug: str, head: str, base: str, title: str, body: str, draft: bool) -> Row:
        pulls = self.pulls.setdefault(slug, [])
        at = self.now()
        pulls.append(
            {"number": len(pulls) + 1, "head": head, "base": base, "title": title, "body": body,
             "draft": draft, "state": "open", "created_at": at, "updated_at": at, "slug": slug,
             "head_sha": "", "checks": None, "review": None, "labels": [], "assignees": [],
             "reviewers": [], "milestone": None, "node_id": self.name_node("PR")}
        )  # fmt: skip
        return pulls[-1]

    def open(self, slug: str, asked: Mapping[str, Any]) -> Row:
        """POST pulls."""
        owner, _, head = asked["head"].rpartition(":")
        base, source = asked["base"], slug
        if owner:
            source = f"{owner}/{asked.get('head_repo') or slug.partition('/')[2]}"
        is_known = source == slug or self.forks.get(source) == slug
        sha = self.find_head(slug, {"head": head, "source": source}) if is_known else None
        heads = {**self.heads(slug)}
        for name, there in (("head", sha is not None), ("base", base in heads)):
            if not there:
                wrong = {"resource": "PullRequest", "field": name, "code": "invalid"}
                raise Refusal(422, "Validation Failed", wrong)
        for pull in self.pulls.get(slug, []):
            same = (pull["head"], pull["base"]) == (head, base) and not pull.get("fork")
            same = same and pull.get("source", slug) == source
            if same and pull["state"] == "open":
                owner = slug.partition("/")[0]
                raise invalid(f"A pull request already exists for {owner}:{head}.")
        bare = self.repos[slug]
        heads[head] = str(sha)
        if not git(bare, "rev-list", "-1", heads[head], f"^{heads[base]}"):
            raise invalid(f"No commits between {base} and {head}")
        made = self.make_pull(slug, head, base, asked["title"], asked.get("body") or "",
                         bool(asked.get("draft")))  # fmt: skip
        made.update(head_sha=heads[head], base_sha=heads[base])
        if source != slug:
            made["source"] = source
        write_ref(bare, self.pull_ref.format(made["number"]), heads[head])
        self.save()
        return made

    def merge(self, slug: str, number: int, asked: Mapping[str, Any]) -> None:
        """PUT merge."""
        pull, bare = self.one(slug, number), self.repos[slug]
        if pull["state"] != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        if asked.get("sha") not in (None, pull["head_sha"]):
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        base = self.heads(slug).get(pull["base"], "")
        tree = git(bare, "merge-tree", "--write-tree", base, pull["head_sha"]).split("\n")[0]
        if not SHA.fullmatch(tree):
            raise Refusal(405, "Merge conflict")
        squash = asked.get("merge_method") == "squash"
        parents = ["-p", base] + ([] if squash else ["-p", pull["head_sha"]])
        who = ["-c", "user.name=GitHub", "-c", "user.email=noreply@example.org"]
        words = ["-m", asked.get("commit_title") or f"Merge #{number}"]
        words += ["-m", asked["commit_message"]] if asked.get("commit_message") else []
        made = git(bare, *who, "commit-tree", tree, *parents, *words)
        git(bare, "update-ref", f"refs/heads/{pull['base']}", made, base)
        pull.update(state="merged", updated_at=self.now(), base_sha=made, made=made)
        self.save()

    def move_queue(self, slug: str, pull: dict[str, Any]) -> bool:
        """A look at the merge queue: what was looked at before lands. Whether it waits still."""
        left = pull.get("queued", 0)
        if left and pull["state"] == "open":
            pull["queued"] = left - 1
            if left == 1:
                self.merge(slug, pull["number"], {"sha": pull["head_sha"]})
            self.save()
        return bool(left > 1 and pull["state"] == "open")

    def one(self, slug: str, number: int) -> Row:
        pulls = self.pulls.get(slug, [])
        if not 1 <= number <= len(pulls):
            raise Refusal(404, "Not Found")
        return pulls[number - 1]
