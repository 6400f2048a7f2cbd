"""Kind `state_invariant`: an expression over values that probes fetch.

A probe is a program (its stdout: JSON where it is JSON, else the text without its last newline) or
a URL (its answer must be 2xx). With ``json_path`` the value must be JSON and the path must be
there. The expression was checked when the spec was read (`orchestr.spec.expression`) and is
evaluated by simpleeval without functions: never by eval.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from orchestr.checks.base import (
    CheckFailed,
    CheckUnavailable,
    CheckVerdict,
    Failure,
    describe_exit,
    quote_command,
)
from orchestr.checks.definition import CheckDefinition
from orchestr.spec.check_field_types import check_probe, check_url_variables, needs_port_variable
from orchestr.spec.expression import check_expression
from orchestr.spec.fields import Argv, BadValue, Doc, JsonPath, KeyedBy, Line, NotEmpty, Rule, Url

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a value of an invariant comes from: a program's stdout, or the answer of a URL."""

    name: Annotated[str, Rule(check_probe)]
    run: Annotated[Argv, Doc("a program that prints the value", ["./count.sh"])] = ()
    url: Annotated[
        Url | None, Doc("or an address that answers with JSON", "http://127.0.0.1:8080/stats")
    ] = None
    json_path: Annotated[JsonPath | None, Doc("where in the JSON the value is", "keys.count")] = (
        None
    )

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """One source."""
        if (given.get("run") is None) == (given.get("url") is None):
            raise BadValue("needs `run` or `url`, and not both", "write `run: [./count.sh]`")
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInvariantCheck(CheckDefinition):
    """An expression over the values of probes.

    `orchestr.spec.expression` describes its language.
    """

    kind: ClassVar[str] = "state_invariant"
    usual_timeout: ClassVar[float] = 30.0

    expression: Annotated[Line, Doc("what must hold of the values", "total == 3")]
    probes: Annotated[
        tuple[Probe, ...],
        KeyedBy("name"),
        NotEmpty(),
        Doc("where each value comes from", {"total": {"run": ["./count.sh"]}}),
    ]

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The expression calls probes that are there; addresses have their variables."""
        probes: tuple[Probe, ...] = given["probes"]
        try:
            check_expression(given["expression"], {probe.name for probe in probes})
        except BadValue as error:
            raise BadValue(error.message, error.hint, field=("expression",)) from None
        for probe in probes:
            check_url_variables(probe.url, given.get("env", ()), "probes", probe.name, "url")
        return given

    @property
    def needs_ports(self) -> bool:
        given = dict(self.env)
        return any(needs_port_variable(probe.url, given) for probe in self.probes)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return tuple(probe.run for probe in self.probes if probe.run)

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        values = {probe.name: _fetch_probe_value(room, probe) for probe in self.probes}
        seen = ", ".join(f"{name} = {_shorten_json(value)}" for name, value in values.items())
        room.log_text(f"{seen}\n{self.expression}\n")
        try:
            result = evaluate_expression(self.expression, values)
        except ValueError as error:
            raise CheckFailed(f"{self.expression}: {error} ({seen})") from None
        if result is True:
            return CheckVerdict(True, f"{self.expression} ({seen})")
        what = (
            "is false" if result is False else f"gives {_shorten_json(result)}, not true or false"
        )
        detail = f"{self.expression} {what} ({seen})"
        commands = [quote_command(probe.run) for probe in self.probes if probe.run]
        failure = Failure(self.name, message=detail, command=" ; ".join(commands))
        return CheckVerdict(False, detail, (failure,))


def evaluate_expression(expression: str, values: dict[str, Any]) -> Any:
    """The value of an expression. Raises ValueError with the reason, never anything else."""
    import simpleeval

    try:
        check_expression(expression, values)
        evaluator = simpleeval.EvalWithCompoundTypes(names=values, functions={})
        return evaluator.eval(expression)
    except BadValue as error:
        raise ValueError(error.message) from None
    except Exception as error:  # types that do not fit, a key that is not there, too much work
        raise ValueError(f"cannot be evaluated, {type(error).__name__}: {error}") from None


def _fetch_probe_value(room: CheckContext, probe: Probe) -> Any:
    from orchestr.checks import http

    if probe.run:
        done = room.run_program(probe.run)
        if done.code != 0:
            failure = Failure(
                probe.name, message=room.read_log_tail(), command=quote_command(probe.run)
            )
            raise CheckFailed(f"probe {probe.name}: {describe_exit(done)}", failure, exit=done.code)
        text = done.out.decode("utf-8", "replace").removesuffix("\n")
    else:
        url = http.fill_variables(probe.url or "", room.env)
        try:
            answer = http.fetch(url, room.deadline)
        except http.NoAnswer as error:
            raise CheckUnavailable(f"probe {probe.name}: no answer from {url}: {error}") from None
        if not 200 <= answer.status < 300:
            raise CheckFailed(f"probe {probe.name}: {url} answers {answer.status}")
        text = answer.text
    try:
        value = http.parse_json(text)
    except ValueError as error:
        if probe.json_path is not None:
            raise CheckFailed(f"probe {probe.name}: not JSON: {error}") from None
        return text
    if probe.json_path is None:
        return value
    try:
        return http.value_at_path(value, probe.json_path)
    except LookupError as error:
        raise CheckFailed(f"probe {probe.name}: {error.args[0]}") from None


def _shorten_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "..."
