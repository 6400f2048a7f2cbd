"""Asking a GitLab through python-gitlab: its client, sessions and authentication; our waits.

Owns the client of each GitLab, its login, and what each failure means: worth another try (`Retry`,
dealt with by `orchestr.forges.rate_limit`) or final (`ForgeError` with the command that fixes it).
Leaves the meaning of an answer to its caller. python-gitlab retries nothing here: it would sleep
without our stop, and would send a request twice that may have been carried out.

The invariant: what is not an answer of the host, well-formed and without an error, is an exception.
Nothing here can be read as "there is none".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from orchestr.forges.base import ForgeError
from orchestr.forges.gitlab_login import GitLabLogin, explain_login, find_login
from orchestr.forges.gitlab_remote import ProjectPath
from orchestr.forges.rate_limit import Retry
from orchestr.forges.rest_answers import ApiAnswer, RefusalHints, judge_status
from orchestr.forges.rest_api import RestApi
from orchestr.process.run import redact

TIMEOUT = 60.0  # s for one request; GitLab gives up on a query after 30 s
PAGE = 100  # rows of a page, GitLab's most
PAGES = 50  # of one list; more is not believed
_COMPLEX = re.compile(r"complexity of \d+, which exceeds max complexity", re.IGNORECASE)


class QueryTooComplex(ForgeError):
    """GitLab does not answer so large a query."""


class GitLabApi(RestApi["_Client"]):
    """The REST API and the GraphQL API of a GitLab."""

    def send_rest_request(
        self,
        project: ProjectPath,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        again: bool = True,
    ) -> Any:
        """A REST request below ``/api/v4``; the body of its answer, None where it has none.

        ``again`` False: not repeated when it may have been carried out already. Raises
        RequestMissing, RequestRefused, ForgeError, ForgeAway, OutcomeUnknown.
        """
        return self._send(project, method, path, body, writes=method != "get", again=again).value

    def read_object(self, project: ProjectPath, path: str) -> dict[str, Any]:
        """What is at a path that answers with one object. Raises as `send_rest_request`, and
        ForgeError for another answer."""
        value = self.send_rest_request(project, "get", path)
        if not isinstance(value, dict):
            raise unreadable_error(project, TypeError(type(value).__name__))
        return value

    def make_object(
        self,
        project: ProjectPath,
        path: str,
        body: Mapping[str, Any],
        *,
        again: bool = True,
    ) -> dict[str, Any]:
        """Post what makes something; what was made. Raises as `send_rest_request`, and ForgeError
        for an answer that does not name it: something before the host may have said it."""
        value = self.send_rest_request(project, "post", path, body, again=again)
        if not isinstance(value, dict) or not value.get("id"):
            raise unreadable_error(project, TypeError(type(value).__name__))
        return value

    def read_list(self, project: ProjectPath, path: str) -> list[dict[str, Any]]:
        """The rows at a path, of its first page. Raises as `read_object`."""
        value = self.send_rest_request(project, "get", path)
        return _as_rows(project, value)

    def list_rows(
        self, project: ProjectPath, path: str, **query: str
    ) -> Iterator[Mapping[str, Any]]:
        """Every row of a list, page by page. Raises as `send_rest_request`, and ForgeError for a
        list that does not end."""
        page: str | None = "1"
        for _ in range(PAGES):
            asked = urlencode({**query, "per_page": str(PAGE), "page": page})
            answer = self._send(project, "get", f"{path}?{asked}", None, writes=False, again=True)
            yield from _as_rows(project, answer.value)
            page = answer.headers.get("x-next-page")
            if not page:
                return
        raise ForgeError(f"{project.url} has more of {path} than can be read")

    def fetch_text(self, project: ProjectPath, path: str) -> str:
        """What is at a path that answers with text. Raises as `send_rest_request`."""
        answer = self._send(project, "get", path, None, writes=False, again=True, is_text=True)
        return str(answer.value)

    def send_graphql_query(
        self,
        project: ProjectPath,
        query: str,
        variables: Mapping[str, Any],
    ) -> dict[str, Any]:
        """A GraphQL query; its ``data``. Raises QueryTooComplex, ForgeError, ForgeAway."""
        asked = {"query": query, "variables": dict(variables)}
        url = f"{project.root}/api/graphql"
        answer = self._send(project, "post", url, asked, writes=False, again=True, is_graphql=True)
        data: dict[str, Any] = answer.value["data"]
        return data

    def find_login(self, project: ProjectPath) -> GitLabLogin | None:
        """The login for a project's GitLab; asks no network. Raises ForgeError."""
        return find_login(project.host, self.root, os.environ)

    def explain_login(self, project: ProjectPath) -> str:
        """What to do for a login at a project's GitLab."""
        return explain_login(project.host, self.root, os.environ)

    def make_client(self, project: ProjectPath, login: GitLabLogin) -> _Client:
        """A connection with that login. Raises ForgeError without python-gitlab."""
        return _Client(project.root, login)

    def read_own_name(self, project: ProjectPath) -> str:
        """The name of this login at a project's GitLab, asked once. Raises as a request."""
        client = self.client_for(project)
        if not client.own_name:
            client.own_name = str(self.read_object(project, "/user").get("username") or "")
            if not client.own_name:
                raise unreadable_error(project, KeyError("username"))
        return client.own_name

    # --- one request -------------------------------------------------------------------------

    def _send(
        self,
        project: ProjectPath,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        writes: bool,
        again: bool,
        is_text: bool = False,
        is_graphql: bool = False,
    ) -> ApiAnswer:
        client = self.client_for(project)

        def send_once() -> ApiAnswer:
            self.usage.requests += 1
            answer = client.send(method, path, body)
            left = answer.headers.get("ratelimit-remaining", "")
            if left.isdigit():
                self.usage.remaining = int(left)
            self._judge(project, answer, path)
            if is_graphql:
                self._judge_graphql(project, answer)
            elif answer.value is None and answer.text.strip() and not is_text:
                raise Retry("the answer is not JSON (a proxy's page?)", done=True)
            return ApiAnswer(answer.status, answer.headers, answer.text) if is_text else answer

        return self.send_in_lane(project, send_once, writes=writes, again=again)

    def _judge(self, project: ProjectPath, answer: ApiAnswer, path: str) -> None:
        """Raises for every answer that is no success."""
        if 300 <= answer.status < 400:
            target = self.hide_secrets(answer.headers.get("location", "another address"))
            raise ForgeError(
                f"{project.url}: {project.host} sends what was asked there to {target}",
                hint="git remote set-url in the clone if it has moved; [forge] url where the remote"
                " does not show GitLab's address",
            )
        hints = RefusalHints(
            self._clients[project.root].login.source,
            lambda: self.explain_login(project),
            f"the token needs the scope api and the role Developer in {project}",
        )
        judge_status(answer, self.hide_secrets(answer.message), project.host, path, hints)

    def _judge_graphql(self, project: ProjectPath, answer: ApiAnswer) -> None:
        """A query is answered with 200 whatever happened; errors stand beside the data."""
        body = answer.value
        if not isinstance(body, dict):
            raise Retry("the answer is not JSON (a proxy's page?)")
        errors = body.get("errors") or []
        for error in errors if isinstance(errors, list) else [errors]:
            said = error.get("message", "no reason") if isinstance(error, dict) else error
            message = self.hide_secrets(str(said))
            if _COMPLEX.search(message):
                raise QueryTooComplex(f"{project.host}: {message}")
            if "timeout" in message.lower() or "internal server error" in message.lower():
                raise Retry(message, done=True)
            raise ForgeError(f"{project.host}: {message}")
        if not isinstance(body.get("data"), dict):
            raise Retry("the answer holds no data")


class _Client:
    """python-gitlab at one address, for one thread at a time: the lane of its host sees to that."""

    def __init__(self, root: str, login: GitLabLogin) -> None:
        try:
            import gitlab  # an extra, and 250 ms
        except ImportError as error:
            raise ForgeError(
                "the forge `gitlab` needs python-gitlab", hint="pip install 'orchestr[gitlab]'"
            ) from error
        import requests

        class CarefulSession(requests.Session):
            """Goes where an answer sends it only with the same question to the same host: requests
            would send the token on to any host, and make a `GET` of what writes."""

            def get_redirect_target(self, resp: Any) -> str | None:
                target: str | None = super().get_redirect_target(resp)
                return target if target is not None and _may_follow(resp, target) else None

        self.login = login
        self.token = login.token
        self.own_name = ""
        self._last: Any = None
        session = CarefulSession()
        session.hooks["response"].append(self._remember)
        given: dict[str, Any] = {"oauth_token" if login.is_oauth else "private_token": login.token}
        self._gitlab = gitlab.Gitlab(
            root, **given, session=session, timeout=TIMEOUT, keep_base_url=True,
            user_agent="orchestr",
        )  # fmt: skip
        self._failures = (gitlab.GitlabError, requests.RequestException)
        self._never_sent = (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)
        self._untrusted = requests.exceptions.SSLError

    def _remember(self, response: Any, *_: Any, **__: Any) -> None:
        self._last = response

    def send(self, method: str, path: str, body: Mapping[str, Any] | None) -> ApiAnswer:
        """One request; its answer, whatever its status. Raises Retry, ForgeError."""
        self._last = None
        try:
            self._gitlab.http_request(
                method, path, post_data=dict(body) if body is not None else None,
                obey_rate_limit=False, retry_transient_errors=False, max_retries=0,
            )  # fmt: skip
        except self._failures as error:
            if self._last is None:
                raise self._no_answer(error) from error
        response = self._last
        try:
            value = response.json()
        except ValueError:
            value = None
        headers = {name.lower(): text for name, text in response.headers.items()}
        return ApiAnswer(response.status_code, headers, value, response.text)

    def _no_answer(self, error: Exception) -> Exception:
        said = redact(str(error), {self.token})[:300]
        if isinstance(error, self._untrusted):
            return ForgeError(
                f"{self._gitlab.url}: {said}",
                hint="REQUESTS_CA_BUNDLE names the certificate of a company's own host",
            )
        never = isinstance(error, self._never_sent) or "NewConnectionError" in said
        return Retry(said, done=not never)


def _as_rows(project: ProjectPath, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise unreadable_error(project, TypeError(type(value).__name__))
    return value


def _may_follow(response: Any, target: str) -> bool:
    """Whether a request is carried on to where its answer sends it: reading, at the same host."""
    here = urlsplit(response.url)
    there = urlsplit(urljoin(response.url, target))
    return response.request.method in ("GET", "HEAD") and here[:2] == there[:2]


def unreadable_error(project: ProjectPath, error: Exception) -> ForgeError:
    """An answer that is not what GitLab documents."""
    return ForgeError(
        f"{project.host}: its answer cannot be read ({type(error).__name__}: {error})",
        hint="is it a GitLab of version 16 or newer?",
    )


def quote_name(name: str) -> str:
    """A branch or a label as a part of a path."""
    return quote(name, safe="")
