"""Kind `api_probe`: a service is started, asked once, and its answer compared.

Without ``start`` something that runs already is asked. The port of ``path`` is the cell's first
one (`ports: true`), else a free one; the service learns it as PORT, BACKEND_PORT and
ORCHESTR_PORT_0.
"""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack
from urllib.parse import urlsplit

from orchestr.checks import http, service
from orchestr.checks.base import CheckFailed, CheckVerdict, Failure
from orchestr.checks.room import CheckContext, port_variables
from orchestr.checks.runner import CheckRunner
from orchestr.spec.check_field_types import PLACEHOLDER, PORT_NAMES
from orchestr.spec.checks import ApiProbeCheck

SHOWN = 8192  # characters of an answer (row E94)


class ApiProbeRunner(CheckRunner[ApiProbeCheck]):
    """One request to a service that lives as long as the check."""

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        wanted = self._definition
        env = dict(room.env)
        if "BACKEND_PORT" not in env:
            if wanted.path is not None and not wanted.start:
                raise CheckFailed(
                    "`path` has no port: write `ports: true` in the cell, or use `url`"
                )
            env = {**port_variables((service.find_free_port(),)), **env}
        env.setdefault("PORT", env["BACKEND_PORT"])
        base = f"http://127.0.0.1:{env['BACKEND_PORT']}"
        url = (
            base + wanted.path
            if wanted.path is not None
            else http.fill_variables(wanted.url or "", env)
        )
        port = _local_port(url)
        with ExitStack() as stack:
            if wanted.start:
                root = base if port is None else f"http://127.0.0.1:{port}"
                argv = [_fill_ports(word, env) for word in wanted.start]
                started = service.running_service(room, argv, env, root, port, wanted.ready)
                stack.enter_context(started)
            return self._request_and_compare(room, url)

    def _request_and_compare(self, room: CheckContext, url: str) -> CheckVerdict:
        wanted = self._definition
        room.log_text(f"> {wanted.method} {url}\n")
        try:
            answer = http.fetch(
                url,
                room.deadline,
                method=wanted.method,
                headers=dict(wanted.headers),
                body=wanted.body,
            )
        except http.NoAnswer as error:
            raise CheckFailed(f"no answer: {error}", self._make_failure(url, str(error))) from None
        room.log_text(f"< {answer.status}\n{answer.text[:SHOWN]}\n")
        (room.artefacts / "answer.txt").write_text(answer.text, encoding="utf-8")
        wrong = []
        if answer.status != wanted.status:
            wrong.append(f"status {answer.status}, not {wanted.status}")
        if wanted.json is not None:
            try:
                wrong += http.describe_missing(
                    json.loads(wanted.json), http.parse_json(answer.text)
                )
            except ValueError as error:
                wrong.append(f"the answer is not JSON: {error}")
        if not wrong:
            return CheckVerdict(True, f"status {answer.status}", artefacts=("answer.txt",))
        message = "\n".join([*wrong, "", answer.text[:SHOWN]])
        failure = self._make_failure(url, message)
        return CheckVerdict(False, "; ".join(wrong[:5]), (failure,), ("answer.txt",))

    def _make_failure(self, url: str, message: str) -> Failure:
        wanted = self._definition
        words = ["curl", "-i", "-X", wanted.method, url]
        for name, value in wanted.headers:
            words += ["-H", f"{name}: {value}"]
        if wanted.body is not None:
            words += ["-d", wanted.body]
        return Failure(wanted.name, message=message, command=shlex.join(words))


def _fill_ports(word: str, env: dict[str, str]) -> str:
    """``${BACKEND_PORT}`` and its like are filled in; everything else is the program's."""
    return PLACEHOLDER.sub(lambda m: env.get(m[1], m[0]) if m[1] in PORT_NAMES else m[0], word)


def _local_port(url: str) -> int | None:
    """The port on this machine that a request goes to; None for another machine."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)
