"""Kind `api_probe`: a service is started, asked once, and its answer compared.

Without ``start`` something that runs already is asked. The port of ``path`` is the cell's first
one (`ports: true`), else a free one; the service learns it as PORT, BACKEND_PORT and
ORCHESTR_PORT_0.
"""

from __future__ import annotations

import json as jsontext
import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from orchestr.checks.base import CheckFailed, CheckUnavailable, CheckVerdict, Failure
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.service_fields import (
    ANSWERS,
    STARTED_PORTS,
    ServiceReadiness,
    fill_ports,
    require_start,
    service_environment,
)
from orchestr.spec.check_field_types import check_url_variables, needs_port_variable
from orchestr.spec.checks import Pairs
from orchestr.spec.fields import (
    Argv,
    BadValue,
    Doc,
    HeaderName,
    Json,
    Line,
    Status,
    Table,
    Url,
    UrlPath,
    WrittenAs,
)

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext

SHOWN = 8192  # characters of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiProbeCheck(CheckDefinition):
    """One HTTP request and what must come back; ``start`` is the service, ended afterwards.

    Either ``path`` (at the cell's first port on 127.0.0.1) or a whole ``url``. ``json`` is JSON
    text: a subset of the answer.
    """

    kind: ClassVar[str] = "api_probe"
    usual_timeout: ClassVar[float] = 30.0

    start: Annotated[Argv, Doc("the service, ended afterwards", ["make", "serve"])] = ()
    ready: Annotated[
        ServiceReadiness,
        Doc("when the service can be asked", {"path": "/health", "timeout": "10s"}),
    ] = ANSWERS
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], Doc("of the request")
    ] = "GET"
    path: Annotated[
        UrlPath | None, Doc("of the request, at the first port of the cell", "/health")
    ] = None
    url: Annotated[
        Url | None, Doc("instead of `path`: a whole address", "http://127.0.0.1:${BACKEND_PORT}/v1")
    ] = None
    headers: Annotated[
        Pairs, Table(HeaderName, Line), Doc("of the request", {"Accept": "text/html"})
    ] = ()
    body: Annotated[str | None, WrittenAs(Json), Doc("sent as JSON", {"name": "a"})] = None
    status: Annotated[Status, Doc("that the answer must have")] = 200
    json: Annotated[str | None, WrittenAs(Json), Doc("a subset of the answer", {"state": "ok"})] = (
        None
    )

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """One address; a service that is waited for is one that is started; JSON as text."""
        if (given.get("path") is None) == (given.get("url") is None):
            raise BadValue("needs `path` or `url`, and not both", "write `path: /health`")
        require_start(given)
        check_url_variables(given.get("url"), given.get("env", ()), "url")
        fields = dict(given)
        body = given.get("body")
        if body is not None and not isinstance(body, str):
            fields["body"] = _write_json(body)
            headers = given.get("headers", ())
            if not any(name.lower() == "content-type" for name, _ in headers):
                fields["headers"] = (*headers, ("Content-Type", "application/json"))
        if given.get("json") is not None:
            fields["json"] = _write_json(given["json"])
        return fields

    @property
    def needs_ports(self) -> bool:
        given = dict(self.env)
        if self.path is not None:
            return not self.start and "BACKEND_PORT" not in given
        free = given.keys() | (STARTED_PORTS if self.start else set())
        return needs_port_variable(self.url, free)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return (self.start,) if self.start else ()

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        from orchestr.checks import http, service

        if "BACKEND_PORT" not in room.env and self.path is not None and not self.start:
            raise CheckUnavailable(
                "`path` has no port: write `ports: true` in the cell, or use `url`"
            )
        env = service_environment(room)
        base = f"http://127.0.0.1:{env['BACKEND_PORT']}"
        url = (
            base + self.path if self.path is not None else http.fill_variables(self.url or "", env)
        )
        port = _local_port(url)
        with ExitStack() as stack:
            if self.start:
                root = base if port is None else f"http://127.0.0.1:{port}"
                argv = [fill_ports(word, env) for word in self.start]
                started = service.running_service(room, argv, env, root, port, self.ready)
                stack.enter_context(started)
            return self._request_and_compare(room, url)

    def _request_and_compare(self, room: CheckContext, url: str) -> CheckVerdict:
        from orchestr.checks import http

        room.log_text(f"> {self.method} {url}\n")
        try:
            answer = http.fetch(
                url,
                room.deadline,
                method=self.method,
                headers=dict(self.headers),
                body=self.body,
            )
        except http.NoAnswer as error:
            failure = self._make_failure(url, str(error))
            if not self.start:  # what runs already is not of this commit
                raise CheckUnavailable(f"{url} gives no answer: {error}", failure) from None
            raise CheckFailed(f"no answer: {error}", failure) from None
        room.log_text(f"< {answer.status}\n{answer.text[:SHOWN]}\n")
        (room.artefacts / "answer.txt").write_text(answer.text, encoding="utf-8")
        wrong = []
        if answer.status != self.status:
            wrong.append(f"status {answer.status}, not {self.status}")
        if self.json is not None:
            try:
                wrong += http.describe_missing(
                    jsontext.loads(self.json), http.parse_json(answer.text)
                )
            except ValueError as error:
                wrong.append(f"the answer is not JSON: {error}")
        if not wrong:
            return CheckVerdict(True, f"status {answer.status}", artefacts=("answer.txt",))
        message = "\n".join([*wrong, "", answer.text[:SHOWN]])
        failure = self._make_failure(url, message)
        return CheckVerdict(False, "; ".join(wrong[:5]), (failure,), ("answer.txt",))

    def _make_failure(self, url: str, message: str) -> Failure:
        words = ["curl", "-i", "-X", self.method, url]
        for name, value in self.headers:
            words += ["-H", f"{name}: {value}"]
        if self.body is not None:
            words += ["-d", self.body]
        return Failure(self.name, message=message, command=shlex.join(words))


def _local_port(url: str) -> int | None:
    """The port on this machine that a request goes to; None for another machine."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)


def _write_json(value: Any) -> str:
    return jsontext.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
