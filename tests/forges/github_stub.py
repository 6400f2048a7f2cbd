"""GitHub's API on loopback, for the real `gh`: an HTTP proxy that knows ``api.github.localhost``.

Serves REST and GraphQL (the part of the real schema in `github_schema.graphql`) over bare
repositories in folders, and behaves as GitHub does: an open pull request follows its branch, is
merged when its base contains it, closed when its branch is gone; a second open one of the same
head and base is refused with 422. Everything is kept in `github.json`, so a stub may be ended and
made again. It counts requests by kind, and fails as it is told to (`fail`).

By hand: ``python -m tests.forges.github_stub FOLDER o/r=BARE.git ...`` prints the environment for
`gh`; ends with Ctrl+C.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from graphql import GraphQLError, build_schema, graphql_sync

GH = shutil.which("gh")
NO_GH = "GitHub's gh is not installed (apt-get install gh)"
HOST = "github.localhost"
TOKEN = "gho_fakeFakeFake0123456789"
SCHEMA = build_schema((Path(__file__).parent / "github_schema.graphql").read_text())
SHA = re.compile(r"[0-9a-f]{40}")


class Refusal(Exception):
    """An answer that is not 2xx: status, message, the list of errors."""

    def __init__(self, status: int, message: str, *errors: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **({"errors": list(errors)} if errors else {})}


def invalid(told: str) -> Refusal:
    """422 in words of its own."""
    error = {"resource": "PullRequest", "code": "custom", "message": told}
    return Refusal(422, "Validation Failed", error)


@dataclass
class Fault:
    """``times`` requests whose kind begins with ``kind`` end so. ``late``: carried out first."""

    status: int  # 0: the connection is dropped
    times: int
    kind: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    late: bool = False


def git(bare: Path, *args: str) -> str:
    """git in an origin, "" when it fails."""
    done = subprocess.run(
        ["git", "-C", str(bare), *args], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


class GitHub:
    """The stub: ``repos`` maps ``owner/name`` to a bare repository."""

    def __init__(self, folder: Path, repos: Mapping[str, Path] | None = None) -> None:
        self.file = folder / "github.json"
        self.repos = dict(repos or {})
        kept = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.pulls: dict[str, list[dict[str, Any]]] = kept.get("pulls", {})
        self.comments: dict[str, list[str]] = kept.get("comments", {})
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
        self.lag = 0  # requests that still see the old head after a push
        self._lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None

    # --- for tests ---------------------------------------------------------------------------

    def __enter__(self) -> GitHub:
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def env(self) -> dict[str, str]:
        """What makes `gh` speak with the stub and with nobody else."""
        assert self._server is not None
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
        return {
            **dict.fromkeys(names, proxy),
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
            "GH_TOKEN": TOKEN,
            **dict.fromkeys(("GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"), ""),
            "GH_CONFIG_DIR": str(self.file.parent / "gh-config"),
        }

    def add(self, slug: str, bare: Path, clone: Path) -> None:
        """Let ``clone`` have its origin at GitHub, for us; git still finds ``bare``.

        ``url.*.insteadOf`` makes git go to the folder; the written URL names the repository.
        """
        self.repos[slug] = bare
        url = f"http://{HOST}/{slug}.git"
        git(clone, "config", f"url.{bare}.insteadOf", url)
        git(clone, "remote", "set-url", "origin", url)

    def serve_tls(self, host: str, folder: Path) -> None:
        """Be an enterprise host, too; `cert.pem` in ``folder`` is what a client has to trust."""
        cert, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext",
             f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        self.enterprise = host

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

    def pull(self, number: int, slug: str | None = None) -> dict[str, Any]:
        """A pull request as it is kept; looks at the branches first."""
        with self._lock:
            slug = slug or next(iter(self.repos))
            self._follow(slug)
            return self.pulls[slug][number - 1]

    def every(self) -> list[dict[str, Any]]:
        """All pull requests of all repositories."""
        with self._lock:
            for slug in self.repos:
                self._follow(slug)
            return [pull for pulls in self.pulls.values() for pull in pulls]

    def change(self, number: int, slug: str | None = None, **fields: Any) -> None:
        """What people and their programs do on the page (close, review, report checks)."""
        with self._lock:
            self.pull(number, slug).update(fields)
            self._save()

    def foreign(self, head: str, slug: str | None = None) -> None:
        """Somebody opens a pull request from a branch of that name in a fork."""
        with self._lock:
            slug = slug or next(iter(self.repos))
            made = self._new(slug, head, "main", "from a fork", "", False)
            made.update(fork=True, head_sha="f" * 40)
            self._save()

    # --- the rules ---------------------------------------------------------------------------

    def _now(self) -> str:
        self.ticks += 1
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self.ticks)
        return at.isoformat().replace("+00:00", "Z")

    def _save(self) -> None:
        value = {"pulls": self.pulls, "comments": self.comments, "ticks": self.ticks,
                 "remaining": self.remaining}  # fmt: skip
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(value, indent=1))
        draft.replace(self.file)

    def _heads(self, slug: str) -> dict[str, str]:
        lines = git(self.repos[slug], "for-each-ref", "refs/heads",
                    "--format=%(refname:lstrip=2) %(objectname)").splitlines()  # fmt: skip
        return dict(line.split() for line in lines)

    def _follow(self, slug: str) -> None:
        heads, bare = self._heads(slug), self.repos[slug]
        for pull in self.pulls.get(slug, []):
            if pull["state"] != "open" or pull.get("fork"):
                continue
            base = heads.get(pull["base"])
            if base is None:
                below = [p for p in self.pulls[slug]
                         if p["head"] == pull["base"] and p["state"] == "merged"]  # fmt: skip
                pull.update({"base": below[-1]["base"]} if below else {"state": "closed"})
                self._save()
                continue
            head = heads.get(pull["head"])
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
                pull.update(checks=None, updated_at=self._now())
            pull.update(head_sha=sha, base_sha=base, state=state)
            git(bare, "update-ref", f"refs/pull/{pull['number']}/head", sha)
            self._save()

    def _new(
        self, slug: str, head: str, base: str, title: str, body: str, draft: bool
    ) -> dict[str, Any]:
        pulls = self.pulls.setdefault(slug, [])
        at = self._now()
        pulls.append(
            {"number": len(pulls) + 1, "head": head, "base": base, "title": title, "body": body,
             "draft": draft, "state": "open", "created_at": at, "updated_at": at, "slug": slug,
             "head_sha": "", "checks": None, "review": None}
        )  # fmt: skip
        return pulls[-1]

    def open(self, slug: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """POST pulls."""
        heads, head, base = self._heads(slug), asked["head"], asked["base"]
        for name, value in (("head", head), ("base", base)):
            if value not in heads:
                wrong = {"resource": "PullRequest", "field": name, "code": "invalid"}
                raise Refusal(422, "Validation Failed", wrong)
        for pull in self.pulls.get(slug, []):
            same = (pull["head"], pull["base"]) == (head, base) and not pull.get("fork")
            if same and pull["state"] == "open":
                owner = slug.partition("/")[0]
                raise invalid(f"A pull request already exists for {owner}:{head}.")
        bare = self.repos[slug]
        if not git(bare, "rev-list", "-1", heads[head], f"^{heads[base]}"):
            raise invalid(f"No commits between {base} and {head}")
        made = self._new(slug, head, base, asked["title"], asked.get("body") or "",
                         bool(asked.get("draft")))  # fmt: skip
        made.update(head_sha=heads[head], base_sha=heads[base])
        git(bare, "update-ref", f"refs/pull/{made['number']}/head", heads[head])
        self._save()
        return made

    def merge(self, slug: str, number: int, asked: Mapping[str, Any]) -> None:
        """PUT merge."""
        pull, bare = self._one(slug, number), self.repos[slug]
        if pull["state"] != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        if asked.get("sha") not in (None, pull["head_sha"]):
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        base = git(bare, "rev-parse", f"refs/heads/{pull['base']}")
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
        pull.update(state="merged", updated_at=self._now(), base_sha=made, made=made)
        self._save()

    def _move_queue(self, slug: str, pull: dict[str, Any]) -> bool:
        """A look at the merge queue: what was looked at before lands. Whether it waits still."""
        left = pull.get("queued", 0)
        if left and pull["state"] == "open":
            pull["queued"] = left - 1
            if left == 1:
                self.merge(slug, pull["number"], {"sha": pull["head_sha"]})
            self._save()
        return bool(left > 1 and pull["state"] == "open")

    def _one(self, slug: str, number: int) -> dict[str, Any]:
        pulls = self.pulls.get(slug, [])
        if not 1 <= number <= len(pulls):
            raise Refusal(404, "Not Found")
        return pulls[number - 1]

    # --- REST --------------------------------------------------------------------------------

    def rest(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        """One request; the status and body of its answer."""
        path, _, given = path.partition("?")
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)/(pulls|issues)(?:/(\d+)(/\w+)?)?", path)
        if match is None or match[1] not in self.repos:
            raise Refusal(404, "Not Found")
        slug, number, rest = match[1], int(match[3] or 0), match[4]
        self._follow(slug)
        match (method, match[2], bool(number), rest):
            case ("POST", "pulls", False, None):
                return 201, self._shown(self.open(slug, asked))
            case ("GET", "pulls", False, None):
                wanted = dict(parse_qsl(given))
                mine = [pull for pull in self.every() if pull["slug"] == slug]
                found = [p for p in mine if (p["state"], p["base"]) == ("open", wanted["base"])]
                return 200, [self._shown(pull) for pull in found]
            case ("GET", "pulls", True, None):
                return 200, self._shown(self._one(slug, number))
            case ("PATCH", "pulls", True, None):
                pull = self._one(slug, number)
                if "base" in asked and asked["base"] not in self._heads(slug):
                    wrong = {"resource": "PullRequest", "field": "base", "code": "invalid"}
                    raise Refusal(422, "Validation Failed", wrong)
                known = ("title", "body", "base", "state")
                pull.update({k: asked[k] for k in known if k in asked})
                pull["updated_at"] = self._now()
                self._save()
                return 200, self._shown(pull)
            case ("PUT", "pulls", True, "/merge"):
                if self._one(slug, number)["draft"]:
                    raise Refusal(405, "Pull Request is still a draft")
                if self.protected:
                    raise Refusal(405, self.protected)
                quicker, self.quicker = self.quicker, None
                if quicker is not None:
                    quicker()
                self.merge(slug, number, asked)
                return 200, {"merged": True}
            case ("POST", "issues", True, "/comments"):
                self._one(slug, number)
                self.comments.setdefault(f"{slug}#{number}", []).append(asked["body"])
                self._save()
                return 201, {"body": asked["body"]}
        raise Refusal(404, "Not Found")

    def _shown(self, pull: Mapping[str, Any]) -> dict[str, Any]:
        merged = pull["state"] == "merged"
        return {
            "number": pull["number"],
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
        }

    # --- GraphQL -----------------------------------------------------------------------------

    def graphql(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        """One query. Its cost is GitHub's: a point for 100 connections, at least one."""
        self.queries.append(asked["query"])
        connections = 0

        def repository(_info: Any, owner: str, name: str, **_: Any) -> dict[str, Any]:
            slug = f"{owner}/{name}"
            if slug not in self.repos:
                told = f"Could not resolve to a Repository with the name '{slug}'."
                raise GraphQLError(told, extensions={"type": "NOT_FOUND"})
            self._follow(slug)

            def pulls(_info: Any, headRefName: str, first: int, **more: Any) -> dict[str, Any]:
                nonlocal connections
                connections += 1
                assert more["orderBy"] == {"field": "CREATED_AT", "direction": "DESC"}
                mine = [p for p in reversed(self.pulls.get(slug, [])) if p["head"] == headRefName]
                start = int(more.get("after") or 0)
                page = {"hasNextPage": len(mine) > start + first, "endCursor": str(start + first)}
                nodes = [self._node(slug, p) for p in mine[start : start + first]]
                return {"nodes": nodes, "pageInfo": page, "totalCount": len(mine)}

            def one(_info: Any, number: int) -> dict[str, Any]:
                said = self.comments.get(f"{slug}#{number}", [])
                nodes = [{"body": body, "viewerDidAuthor": True} for body in said]
                pull = self._one(slug, number)
                queued = self._move_queue(slug, pull)
                return {"number": number, "comments": {"nodes": nodes}, "id": f"{slug}#{number}",
                        "isDraft": pull["draft"], "isInMergeQueue": queued}  # fmt: skip

            return {"pullRequests": pulls, "pullRequest": one, "isArchived": False,
                    "viewerPermission": self.permission}  # fmt: skip

        def limit(_info: Any, **_: Any) -> dict[str, Any]:
            cost = max(1, connections // 100)
            self.remaining -= cost
            self.points += cost
            return {"cost": cost, "remaining": self.remaining, "limit": 5000}

        def ready(_info: Any, input: Mapping[str, str]) -> dict[str, Any]:
            slug, _, number = input["pullRequestId"].partition("#")
            self._one(slug, int(number))["draft"] = False
            self._save()
            return {"pullRequest": {"isDraft": False}}

        def enqueue(_info: Any, input: Mapping[str, str]) -> dict[str, Any]:
            slug, _, number = input["pullRequestId"].partition("#")
            pull = self._one(slug, int(number))
            if not self.queues:
                raise GraphQLError("Merge queue is not enabled for this branch")
            if pull["draft"] or input["expectedHeadOid"] != pull["head_sha"]:
                raise GraphQLError("Pull request is not in a mergeable state")
            pull["queued"] = 2
            self._save()
            return {"mergeQueueEntry": {"id": "MQE_1"}}

        root = {"repository": repository, "rateLimit": limit, "viewer": {"login": "tess"},
                "markPullRequestReadyForReview": ready, "enqueuePullRequest": enqueue}  # fmt: skip
        done = graphql_sync(SCHEMA, asked["query"], root, variable_values=asked.get("variables"))
        value = dict(done.formatted)
        for error in value.get("errors", []):
            error.update(error.pop("extensions", {}))
        return 200, value

    def _node(self, slug: str, pull: Mapping[str, Any]) -> dict[str, Any]:
        there = self._heads(slug).get(pull["head"]) is not None
        checks = {"state": pull["checks"]} if pull["checks"] else None
        target = {"__typename": "Commit", "oid": pull["head_sha"], "statusCheckRollup": checks}
        return {
            "number": pull["number"],
            "url": f"https://{HOST}/{slug}/pull/{pull['number']}",
            "title": pull["title"],
            "body": pull["body"],
            "state": pull["state"].upper(),
            "isDraft": pull["draft"],
            "isCrossRepository": bool(pull.get("fork")),
            "createdAt": pull["created_at"],
            "updatedAt": pull["updated_at"],
            "headRefName": pull["head"],
            "headRefOid": pull["head_sha"],
            "baseRefName": pull["base"],
            "reviewDecision": pull["review"],
            "headRef": {"name": pull["head"], "target": target} if there else None,
        }

    # --- one request -------------------------------------------------------------------------

    def answer(
        self, method: str, path: str, token: str, asked: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status (0: drop the connection), headers, body."""
        kind = (
            "graphql"
            if path == "/graphql"
            else f"{method} {path.partition('?')[0].split('/', 4)[-1]}"
        )
        kind = re.sub(r"\d+", "N", kind)
        with self._lock:
            self.requests[kind] += 1
            fault = next((f for f in self.faults if f.times and kind.startswith(f.kind)), None)
            if fault is not None:
                fault.times -= 1
            if self.away:
                return 0, {}, None
            if fault is not None and not fault.late:
                return fault.status, fault.headers, fault.body or {"message": "told to fail"}
            if token != f"token {TOKEN}":
                return 401, {}, {"message": "Bad credentials"}
            try:
                if path == "/graphql":
                    status, body = self.graphql(asked)
                else:
                    status, body = self.rest(method, path, asked)
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
            if fault is not None:
                return fault.status, fault.headers, fault.body
        return status, {"X-RateLimit-Remaining": str(self.remaining)}, body


class _Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"
    tunnel = ""  # the host that is spoken with inside of CONNECT

    def do_CONNECT(self) -> None:
        """A tunnel to the enterprise host, which ends here."""
        host = self.path.partition(":")[0]
        if self.github.tls is None or host != self.github.enterprise:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.github.tls.wrap_socket(self.connection, server_side=True)
        except OSError:  # it does not trust us
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.tunnel = host
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        if self.tunnel:
            self.connection.close()

    def _serve(self) -> None:
        path = self.path
        if self.tunnel:
            path = path.removeprefix("/api").removeprefix("/v3")
            path = f"http://api.{HOST}{path}"
        asked = urlsplit(path)
        target = f"{asked.path}?{asked.query}" if asked.query else asked.path
        raw = self._body()
        if asked.hostname != f"api.{HOST}":
            self._send(502, {}, {"message": f"the stub is not {asked.hostname}"})
            return
        token = self.headers.get("Authorization", "")
        value = json.loads(raw) if raw else None
        status, headers, body = self.github.answer(self.command, target, token, value)
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, headers, body)

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        text = isinstance(body, str)
        data = body.encode() if text else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html" if text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the counts tell."""


def main() -> None:
    """Serve until Ctrl+C."""
    folder, *pairs = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    repos = {slug: Path(bare) for slug, _, bare in (pair.partition("=") for pair in pairs)}
    with GitHub(Path(folder), repos) as github:
        print("\n".join(f"export {k}={v}" for k, v in github.env().items()), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
