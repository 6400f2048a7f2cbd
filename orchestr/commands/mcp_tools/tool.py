"""What a tool is: its name, the words for the agent, its arguments as a model, its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from orchestr.errors import OrchestrError, Problem
from orchestr.run.workspace import Session

MOST_SPEC = 256 << 10  # characters of a spec in an argument

Name = Annotated[str, Field(min_length=1, max_length=300)]
SpecText = Annotated[str, Field(min_length=1, max_length=MOST_SPEC)]


class Arguments(BaseModel):
    """The arguments of a tool: an unknown one is an error, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """``call`` gets a fresh session and the arguments, and returns an object of JSON. ``answer``
    are the names of what it always holds, with their JSON types. ``writes``: not read-only."""

    name: str
    title: str
    description: str
    arguments: type[A]
    call: Callable[[Session, A], dict[str, Any]]
    answer: dict[str, str]
    writes: bool = False

    def describe_answer(self) -> dict[str, Any]:
        """The JSON schema of the answer. More fields may come; `left_off` says what is missing."""
        properties: dict[str, Any] = {name: {"type": kind} for name, kind in self.answer.items()}
        left = {"type": "object", "additionalProperties": {"type": "integer"}}
        properties["left_off"] = {
            **left,
            "description": "how many items of a list, or characters of a text, were left off",
        }
        return {"type": "object", "properties": properties, "required": list(self.answer)}


def problem_value(problem: Problem) -> dict[str, Any]:
    """A problem of a spec for a program; ``text`` is the whole as a person sees it."""
    return {
        "file": problem.file,
        "line": problem.line or None,
        "column": problem.column or None,
        "field": problem.field or None,
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
        "text": str(problem),
    }


def error_value(error: OrchestrError) -> dict[str, Any]:
    """An error for a program: the words, what helps, and the places where there are some."""
    problems = getattr(error, "problems", ())
    value: dict[str, Any] = {"message": error.message, "hint": error.hint}
    value["exit_code"] = int(error.exit_code)
    if problems:
        value["problems"] = [problem_value(problem) for problem in problems]
    return {"error": value}
