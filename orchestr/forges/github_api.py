"""Asking a GitHub host through the user's `gh`: one process a request, its answer as a value.

`gh` knows the user's login, enterprise hosts, proxies and certificates; we never see a token.
Owns the command line, reading status, headers and body (``gh api --include``), and what each
failure means: worth another try (`Retry`, dealt with by `orchestr.forges.rate_limit`), or
final (`ForgeError` with the command that fixes it). Leaves the meaning of an answer to its caller.

The invariant: what is not an answer of the host, well-formed and without an error, is an
exception. Nothing here can be read as "there is none".
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from orchestr.forges.base import ApiUsage, ForgeError, WaitListener
from orchestr.forges.rate_limit import PATIENCE, Retry, pacer_for_host
from orchestr.process.run import (
    CompletedCommand,
    ProcessTimeout,
    ProgramMissing,
    redact,
    run_command,
    secret_values,
)

TEXT_LIMIT = 64 << 20  # bytes of a text that are kept, its end: the default of `run_command`
TIMEOUT = 60.0  # s for one request; GitHub itself gives up on a query after 10 s
OLDEST = (2, 17)  # has `gh auth token`
_STATUS = re.compile(r"HTTP/[\d.]+ (\d{3})\b")
_BUSY = re.compile(r"secondary rate limit|submitted too quickly|abuse detection", re.IGNORECASE)
_MINUTE = 60.0  # s to wait after a limit that names no time (GitHub's documentation)
# Variables that would change what gh prints or whom it asks.
_NOT_PASSED = ("GH_DEBUG", "DEBUG", "GH_REPO", "GH_FORCE_TTY", "CLICOLOR_FORCE", "GH_HOST")
_FIXED = {
    "GH_PROMPT_DISABLED": "1",
    "GH_TELEMETRY": "false",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GH_NO_EXTENSION_UPDATE_NOTIFIER": "1",
    "GH_PAGER": "cat",
    "NO_COLOR": "1",
}


Tolerates = Callable[[Any], bool]  # whether an error beside the data of a query may be passed over


class RequestRefused(ForgeError):
    """The host understood and said no (422, 405, 409): ``status``, and ``errors`` as given."""

    def __init__(self, status: int, message: str, errors: list[dict[str, Any]]) -> None:
        said = [str(e.get("message") or e.get("field") or e.get("code")) for e in errors]
        super().__init__("; ".join([message, *said]) if message else "; ".join(said))
        self.status = status
        self.errors = errors


class FieldUnknown(ForgeError):
    """The host's GraphQL schema has no such field or type: it is older than the query."""


class RequestMissing(ForgeError):
    """The host does not know it, or does not show it to this login (404)."""


def hide_secrets(text: str) -> str:
    """What a host or gh says, without secrets (a proxy may quote our headers)."""
    return redact(text, secret_values(os.environ))


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the host sent: status, headers (lower case), and the body if it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str = ""

    @property
    def message(self) -> str:
        """The host's message."""
        message = self.body.get("message") if isinstance(self.body, dict) else None
        return hide_secrets(str(message)) if message else f"HTTP {self.status}"


@dataclass(slots=True)
class GitHubApi:
    """The program, the patience, and the counts of what was asked. For many threads."""

    program: str = "gh"
    patience: float = PATIENCE
    stop: threading.Event | None = None
    on_wait: WaitListener | None = None
    usage: ApiUsage = field(default_factory=ApiUsage)

    def send_rest_request(
        self, host: str, method: str, path: str, body: Any = None, *, again: bool = True
    ) -> Any:
        """A REST request; the body of its answer.

        ``again`` False: not repeated when it may have been carried out already. Raises
        RequestRefused, ForgeError, ForgeAway.
        """
        headers = ["-H", "Accept: application/vnd.github+json"]
        words = ["--method", method, *headers, path]
        answer = self._send_request(host, words, body, writes=method != "GET", again=again)
        return answer.body

    def send_graphql_query(
        self, host: str, query: str, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A GraphQL query; its ``data``. Errors at fields that may be missing are passed over.

        Raises ForgeError, ForgeAway.
        """
        data, _ = self.send_partial_query(host, query, variables, is_optional_field_error)
        return data

    def send_partial_query(
        self,
        host: str,
        query: str,
        variables: Mapping[str, Any],
        tolerates: Tolerates,
        *,
        again: bool = True,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A GraphQL query; its ``data`` and the errors that ``tolerates`` passes over: what they
        name was not delivered.

        ``again`` False: a query that the host gave up on is not sent a second time (it may be too
        large for it). Raises ForgeError, ForgeAway.
        """
        asked = {"query": query, "variables": dict(variables)}
        body = self._send_request(
            host, ["graphql"], asked, writes=False, again=again, tolerates=tolerates
        ).body
        data: dict[str, Any] = body["data"]
        limit = data.get("rateLimit")
        if isinstance(limit, dict):
            self.usage.points += int(limit.get("cost") or 0)
            self.usage.remaining = limit.get("remaining")
        return data, list(body.get("errors") or [])

    def fetch_text(self, host: str, path: str) -> str:
        """What is at a path that answers with text, at most `TEXT_LIMIT` bytes.

        Raises RequestMissing, RequestRefused, ForgeError, ForgeAway.
        """
        words = ["--method", "GET", path]
        return self._send_request(host, words, None, writes=False, again=True, is_text=True).text

    def has_login(self, host: str) -> bool:
        """Whether gh has a login for the host; asks no network, and the token stays unseen."""
        return self._run_gh(["auth", "token", "--hostname", host], None).code == 0

    def read_gh_version(self) -> tuple[int, ...]:
        """The version of gh. Raises ForgeError when it is not there or does not say."""
        said = self._run_gh(["--version"], None).text
        match = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
        if match is None:
            raise ForgeError(f"`{self.program} --version` says {said[:80]!r}: is it GitHub's gh?")
        return tuple(int(part) for part in match.groups())

    # --- one request -------------------------------------------------------------------------

    def _send_request(
        self,
        host: str,
        words: list[str],
        body: Any,
        *,
        writes: bool,
        again: bool,
        tolerates: Tolerates | None = None,
        is_text: bool = False,
    ) -> ApiAnswer:
        argv = ["api", "--hostname", host, "--include", *words]
        data = None
        if body is not None:
            argv += ["--input", "-"]
            data = json.dumps(body).encode()

        def send_once() -> ApiAnswer:
            self.usage.requests += 1
            try:
                done = self._run_gh(argv, data)
            except ProcessTimeout as error:
                why = f"gh did not answer within {TIMEOUT:.0f} s"
                raise Retry(why, done=True) from error
            answer = judge_answer(host, done, words[-1], tolerates, is_text=is_text)
            left = answer.headers.get("x-ratelimit-remaining", "")
            if left.isdigit() and self.usage.remaining is None:
                self.usage.remaining = int(left)
            return answer

        lane = pacer_for_host(host, self.patience)
        return lane.send_with_retries(
            send_once, writes=writes, again=again, stop=self.stop, on_wait=self.on_wait
        )

    def _run_gh(self, words: list[str], data: bytes | None) -> CompletedCommand:
        env = {k: v for k, v in os.environ.items() if k not in _NOT_PASSED} | _FIXED
        try:
            return run_command(
                (self.program, *words), cwd=Path("/"), env=env, input=data, timeout=TIMEOUT,
                check=False,
            )  # fmt: skip
        except ProgramMissing as error:
            raise ForgeError(
                f"{self.program} is not installed or not on PATH",
                hint="install GitHub's gh (https://cli.github.com), or set [forge] program",
            ) from error


def judge_answer(
    host: str,
    done: CompletedCommand,
    path: str,
    tolerates: Tolerates | None = None,
    *,
    is_text: bool = False,
) -> ApiAnswer:
    """The answer in what gh printed. ``is_text``: it need not be JSON.

    Raises Retry, RequestMissing, RequestRefused, ForgeError.
    """
    answer = parse_answer(done.text)
    if answer is None and is_text and done.dropped and done.code == 0:  # its head is gone
        return ApiAnswer(200, {}, None, done.text)
    if answer is None:
        _raise_no_answer(host, done)
    if path == "graphql" and answer.status == 200:
        _judge_graphql(host, answer, tolerates or is_optional_field_error)
    elif 300 <= answer.status < 400:  # gh does not send a body twice
        raise ForgeError(
            f"{host}: {path} has moved: {answer.message}",
            hint="git remote set-url origin URL in the clone, with its new name",
        )
    elif answer.status >= 400:
        _judge_status(host, answer, path)
    elif answer.body is None and answer.text.strip() and not is_text:
        raise Retry("the answer is not JSON (a proxy's page?)", done=True)
    return answer


def parse_answer(text: str) -> ApiAnswer | None:
    """Status, headers and body of ``gh api --include``; None without a status line."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    match = _STATUS.match(first)
    if match is None:
        return None
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return ApiAnswer(int(match[1]), headers, value, body)


def _raise_no_answer(host: str, done: CompletedCommand) -> NoReturn:
    """gh ended without an answer of the host: no login, wrong usage, or the network."""
    said = done.err.decode("utf-8", "replace").strip() or done.text.strip()
    said = hide_secrets(said)
    line = next((part for part in reversed(said.splitlines()) if part.strip()), f"exit {done.code}")
    if done.code == 4 or "gh auth login" in said or "no oauth token" in said:
        raise ForgeError(f"gh is not logged in to {host}", hint=_login_hint(host))
    if "unknown flag" in said or "unknown command" in said:
        raise ForgeError(f"this gh is too old: {line}", hint="install a newer gh")
    if "x509:" in said or "certificate" in said:
        raise ForgeError(
            f"{host}: {line}", hint="SSL_CERT_FILE names the certificate of a company's own host"
        )
    never_sent = "connecting to" in said or "dial tcp" in said or "no such host" in said
    raise Retry(line[:300], done=not never_sent)


def _judge_status(host: str, answer: ApiAnswer, path: str) -> None:
    status, message = answer.status, answer.message
    after = read_wait_seconds(answer)
    if status == 429 or (status in (403, 422) and (after is not None or _BUSY.search(message))):
        raise Retry(message, after=_MINUTE if after is None else after)
    if status >= 500 or status == 408:
        reason = message if message != f"HTTP {status}" else f"it answers HTTP {status}"
        raise Retry(reason, done=True)
    if status == 401:
        raise ForgeError(f"{host} does not accept gh's login: {message}", hint=_login_hint(host))
    if status == 403:
        raise _forbidden_error(host, answer, message)
    if status == 404:
        raise _not_found_error(host, path, message)
    errors = answer.body.get("errors") if isinstance(answer.body, dict) else None
    listed = [e if isinstance(e, dict) else {"message": e} for e in errors or []]
    raise RequestRefused(status, message, listed)


def _judge_graphql(host: str, answer: ApiAnswer, tolerates: Tolerates) -> None:
    """A query is answered with 200 whatever happened; errors stand beside the data."""
    body = answer.body
    if not isinstance(body, dict):
        raise Retry("the answer is not JSON (a proxy's page?)")
    errors = [e for e in body.get("errors") or [] if not tolerates(e)]
    for error in errors:
        kind, message = (
            str(error.get("type", "")),
            hide_secrets(str(error.get("message", "no reason"))),
        )
        code = (error.get("extensions") or {}).get("code")
        if code in ("undefinedField", "undefinedType"):
            raise FieldUnknown(f"{host} is too old for this: {message}", hint="a newer GitHub")
        if kind == "RATE_LIMITED" or _BUSY.search(message) or "rate limit" in message:
            raise Retry(message, after=read_wait_seconds(answer) or _MINUTE)
        if kind == "NOT_FOUND":
            raise _not_found_error(host, "graphql", message)
        if kind in ("FORBIDDEN", "INSUFFICIENT_SCOPES"):
            raise _forbidden_error(host, answer, message)
        if kind in ("", "INTERNAL", "SERVICE_UNAVAILABLE") and "locations" not in error:
            # "Something went wrong while executing your query", also after its time limit
            raise Retry(message, done=True)
        raise ForgeError(f"{host}: {message}")
    if not isinstance(body.get("data"), dict):
        raise Retry("the answer holds no data")


def is_optional_field_error(error: Any) -> bool:
    """Not every token may read checks and reviews; the pull request is there all the same."""
    path = error.get("path") or [] if isinstance(error, dict) else []
    return any(step in path for step in ("statusCheckRollup", "reviewDecision"))


def read_wait_seconds(answer: ApiAnswer) -> float | None:
    """The seconds that an answer asks to wait: ``Retry-After``, or until a quota is new."""
    given = answer.headers.get("retry-after", "")
    if given.isdigit():
        return float(given)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(0.0, int(reset) - time.time()) + 1
    return None


def _login_hint(host: str) -> str:
    names = ("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
    found = [name for name in names if os.environ.get(name)]
    also = f" (gh takes ${found[0]} instead of its login: unset or renew it)" if found else ""
    return f"gh auth login --hostname {host}{also}"


def _forbidden_error(host: str, answer: ApiAnswer, message: str) -> ForgeError:
    sso = answer.headers.get("x-github-sso", "")
    if sso or "SAML" in message:
        _, _, url = sso.partition("url=")
        way = f"open {url}" if url else f"gh auth refresh --hostname {host}"
        return ForgeError(f"{host} wants single sign-on for this login: {message}", hint=way)
    wanted = answer.headers.get("x-accepted-oauth-scopes", "").split(",")[0].strip() or "repo"
    held = answer.headers.get("x-oauth-scopes")
    if "scope" in message or (held is not None and wanted not in held.replace(" ", "").split(",")):
        way = f"gh auth refresh --hostname {host} --scopes {wanted}"
        return ForgeError(f"gh's login at {host} lacks the scope {wanted}: {message}", hint=way)
    way = f"gh auth status --hostname {host}; the login needs to write pull requests there"
    return ForgeError(f"{host} does not allow it: {message}", hint=way)


def _not_found_error(host: str, path: str, message: str) -> RequestMissing:
    where = "" if path == "graphql" else f" ({path})"
    return RequestMissing(
        f"{host}: {message}{where}: it is not there, or gh's login may not see it",
        hint=f"gh auth status --hostname {host}; git remote -v in the clone",
    )
