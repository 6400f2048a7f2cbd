"""Asking a Forgejo or Gitea: its REST API by httpx, and what each failure means.

Owns the connection to each host, its login, pages of lists, and whether a failure is worth another
try (`Retry`, dealt with by `orchestr.forges.rate_limit`) or final (`ForgeError` with the command
that fixes it). Leaves the meaning of an answer to its caller. Redirects are not followed: the
token would go along.

The invariant: what is not an answer of the host, well-formed and without an error, is an exception.
Nothing here can be read as "there is none".
"""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from orchestr.forges.base import ForgeError
from orchestr.forges.forgejo_login import ForgejoLogin, LoginPlaces, explain_login, find_login
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.rate_limit import Retry
from orchestr.forges.repo_refs import is_in_the_clear
from orchestr.forges.rest_answers import ApiAnswer, RefusalHints, RequestRefused, judge_status
from orchestr.forges.rest_api import RestApi
from orchestr.process.run import redact

TIMEOUT = 60.0  # s for one request
PAGES = 400  # of one list; more is not believed
USUAL_PAGE = 30  # rows, where a host does not say how many it gives
SCOPES = "the token needs the scopes write:repository, write:issue and read:user"


@dataclass(slots=True)
class ForgejoApi(RestApi["_Client"]):
    """The REST API of a Forgejo, or a Gitea: ``kind`` is `forgejo` or `gitea`."""

    kind: str = "forgejo"

    def send_request(
        self,
        repo: RepoPath,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        again: bool = True,
    ) -> Any:
        """A request below ``/api/v1``; the body of its answer, None where it has none.

        ``again`` False: not repeated when it may have been carried out already. Raises
        RequestMissing, RequestRefused, ForgeError, ForgeAway, OutcomeUnknown.
        """
        url = f"{repo.root}/api/v1{path}"
        return self._send(repo, method, url, body, again=again).value

    def read_page(self, repo: RepoPath, path: str, page: int, **query: str) -> Page:
        """One page of a list. Raises as `send_request`."""
        size = self.read_page_size(repo)
        asked = urlencode({**query, "limit": str(size), "page": str(page)})
        url = f"{repo.root}/api/v1{path}?{asked}"
        answer = self._send(repo, "GET", url, None, again=True)
        rows = answer.value or []  # an empty list may be `null`
        if not isinstance(rows, list):
            raise unreadable_error(repo, TypeError(type(rows).__name__))
        total = answer.headers.get("x-total-count", "")
        is_last = page * size >= int(total) if total.isdigit() else len(rows) < size
        return Page(rows, is_last)

    def list_rows(self, repo: RepoPath, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Every row of a list, page by page. Raises as `send_request`, and ForgeError for a list
        that does not end."""
        for number in range(1, PAGES + 1):
            page = self.read_page(repo, path, number, **query)
            yield from page.rows
            if page.is_last:
                return
        raise ForgeError(f"{repo.url} has more of {path} than can be read")

    def list_events(self, repo: RepoPath, path: str) -> Iterator[Mapping[str, Any]]:
        """Every event of a timeline. Its pages leave out what is shown elsewhere and count only
        what they hold, so its end is two empty ones. Raises as `list_rows`."""
        empty = 0
        for number in range(1, PAGES + 1):
            rows = self.read_page(repo, path, number).rows
            yield from rows
            empty = 0 if rows else empty + 1
            if empty == 2:
                return
        raise ForgeError(f"{repo.url} has more of {path} than can be read")

    def fetch_text(self, repo: RepoPath, path: str, *, api: bool = True) -> str:
        """What is at a path that answers with text. Raises as `send_request`."""
        url = f"{repo.root}{'/api/v1' if api else ''}{path}"
        return self._send(repo, "GET", url, None, again=True, is_text=True).text

    def find_login(self, repo: RepoPath) -> ForgejoLogin | None:
        """The login for a repository's host; asks no network. Raises ForgeError."""
        return find_login(repo.host, self.places, clear=is_in_the_clear(repo.root))

    def explain_login(self, repo: RepoPath) -> str:
        """What to do for a login at a repository's host."""
        return explain_login(repo.host, self.places, clear=is_in_the_clear(repo.root))

    def make_client(self, repo: RepoPath, login: ForgejoLogin) -> _Client:
        """A connection with that login."""
        return _Client(login)

    @property
    def places(self) -> LoginPlaces:
        """Where logins are looked for."""
        return LoginPlaces(self.kind, self.root, os.environ)

    def read_own_name(self, repo: RepoPath) -> str:
        """The name of this login at a repository's host, asked once. Raises as a request."""
        client = self.client_for(repo)
        if not client.own_name:
            client.own_name = str(self.send_request(repo, "GET", "/user")["login"])
        return client.own_name

    def read_page_size(self, repo: RepoPath) -> int:
        """How many rows the host puts on a page at most, asked once: a page with fewer is the last
        one. Raises as a request."""
        client = self.client_for(repo)
        if not client.page_size:
            try:
                row = self.send_request(repo, "GET", "/settings/api")
                client.page_size = int(row["max_response_items"])
            except (RequestRefused, KeyError, TypeError, ValueError):
                client.page_size = USUAL_PAGE
        return client.page_size

    # --- one request -------------------------------------------------------------------------

    def _send(
        self,
        repo: RepoPath,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        *,
        again: bool,
        is_text: bool = False,
    ) -> ApiAnswer:
        client = self.client_for(repo)

        def send_once() -> ApiAnswer:
            self.usage.requests += 1
            answer = client.send(method, url, body)
            left = answer.headers.get("x-ratelimit-remaining", "")
            if left.isdigit():
                self.usage.remaining = int(left)
            self._judge(repo, client, answer, url)
            if answer.value is None and answer.text.strip() not in ("", "null") and not is_text:
                raise Retry("the answer is not JSON (a proxy's page?)", done=True)
            return answer

        return self.send_in_lane(repo, send_once, writes=method != "GET", again=again)

    def _judge(self, repo: RepoPath, client: _Client, answer: ApiAnswer, url: str) -> None:
        """Raises for every answer that is no success."""
        status, message = answer.status, self.hide_secrets(answer.message)
        if 300 <= status < 400:
            target = self.hide_secrets(answer.headers.get("location", "another address"))
            raise ForgeError(
                f"{repo.url} has moved: {target}",
                hint="git remote set-url in the clone, with its new name",
            )
        if status == 423:
            raise RequestRefused(status, f"{repo.url} is archived: {message}")
        hints = RefusalHints(
            client.login.source,
            lambda: self.explain_login(repo),
            f"{SCOPES}, and its user the right to write to {repo}",
        )
        judge_status(answer, message, repo.host, url.removeprefix(repo.root), hints)


@cache
def _make_tls_context(cert_file: str | None) -> ssl.SSLContext:
    """How hosts are verified. httpx would read all certificates for each client, and for each of
    its proxies; ``cert_file``, which it reads itself, is only what tells two contexts apart."""
    import httpx

    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; a host may leave rows of it out, so a short one is not always the last."""

    rows: list[Any]
    is_last: bool


class _Client:
    """httpx with one login; used by one thread at a time: the lane of its host sees to that."""

    def __init__(self, login: ForgejoLogin) -> None:
        import httpx  # 100 ms

        self.login = login
        self.token = login.token
        self.own_name = ""
        self.page_size = 0
        self._httpx = httpx
        self._http = httpx.Client(
            headers={
                "Authorization": f"token {login.token}",
                "Accept": "application/json, text/plain",
                "User-Agent": "orchestr",
            },
            timeout=TIMEOUT,
            follow_redirects=False,
            verify=_make_tls_context(os.environ.get("SSL_CERT_FILE")),
        )
        weakref.finalize(self, self._http.close)  # a forge has no end of its own

    def send(self, method: str, url: str, body: Mapping[str, Any] | None) -> ApiAnswer:
        """One request; its answer, whatever its status. Raises Retry, ForgeError."""
        try:
            response = self._http.request(method, url, json=body)
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise self._no_answer(url, error) from error
        try:
            value = response.json()
        except ValueError:
            value = None
        return ApiAnswer(response.status_code, response.headers, value, response.text)

    def _no_answer(self, url: str, error: Exception) -> Exception:
        said = redact(f"{type(error).__name__}: {error}", {self.token})[:300]
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return ForgeError(
                f"{url.partition('/api/')[0]}: {said}",
                hint="SSL_CERT_FILE names the certificate of a company's own host",
            )
        if isinstance(error, self._httpx.InvalidURL):
            return ForgeError(f"{url}: {said}", hint="see [forge] url in orchestr.toml")
        x = self._httpx
        never = isinstance(error, (x.ConnectError, x.ConnectTimeout, x.ProxyError))
        return Retry(said, done=not never)


def unreadable_error(repo: RepoPath, error: Exception) -> ForgeError:
    """An answer that is not what the API documents."""
    return ForgeError(
        f"{repo.host}: its answer cannot be read ({type(error).__name__}: {error})",
        hint="is it a Forgejo, or a Gitea of version 1.22 or newer?",
    )


def quote_name(name: str) -> str:
    """A branch as a part of a path; slashes stay."""
    return quote(name, safe="/")
