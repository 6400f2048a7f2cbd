"""An intent: what a feature is for, in a person's words. `specs/NAME.md`, a source file.

Its front matter is YAML between two lines `---`; the rest is Markdown that is handed on as it is.
Reading is strict: every wrong key is reported with its line. Nothing here writes to the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestr.errors import Problem, SpecError, UsageError
from orchestr.files import display_path, read_file
from orchestr.spec.field_types import BadValue, check_feature_name, kind_of, suggest_name
from orchestr.spec.product import Product

MOST = 1 << 20  # bytes of an intent
FENCE = "---"
KEYS = ("issues", "product", "repositories", "template", "set")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Intent:
    """``text`` is Markdown. ``issues`` are addresses or files, ``repositories`` names of the
    workspace (none: all). With a ``template`` no agent drafts; ``values`` are its answers.
    """

    name: str
    text: str
    issues: tuple[str, ...] = ()
    product: str | None = None
    repositories: tuple[str, ...] = ()
    template: str | None = None
    values: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def check_draft_name(name: str) -> str:
    """The name of a feature that can be drafted. Raises UsageError."""
    try:
        return check_feature_name(name)
    except BadValue as error:
        raise UsageError(error.message, hint=error.hint or "orchestr draft my-feature") from None


def render_intent(intent: Intent) -> bytes:
    """The file of an intent; `parse_intent` reads the same back."""
    import yaml

    given: dict[str, Any] = {
        "issues": list(intent.issues),
        "product": intent.product,
        "repositories": list(intent.repositories),
        "template": intent.template,
        "set": dict(intent.values),
    }
    kept = {key: value for key, value in given.items() if value}
    head = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000) if kept else ""
    return f"{FENCE}\n{head}{FENCE}\n\n{intent.text.strip()}\n".encode()


def is_intent(data: bytes) -> bool:
    """Whether a Markdown file begins as an intent does: other notes may lie beside the specs."""
    return data.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip() == FENCE.encode()


def list_intents(specs: Path) -> list[str]:
    """The names of the intents in the folder of the specs, sorted."""
    found = []
    for path in sorted(specs.glob("*.md")):
        try:
            check_feature_name(path.stem)
            with path.open("rb") as stream:
                if is_intent(stream.readline(16)):
                    found.append(path.stem)
        except (OSError, ValueError):
            continue
    return found


def read_intent(path: Path, name: str, root: Path) -> Intent:
    """The intent in a file. Raises SpecError with every problem, UsageError when there is none."""
    shown = display_path(path, root)
    try:
        data = read_file(path)
    except FileNotFoundError:
        raise UsageError(
            f"there is no intent {shown}", hint=f'orchestr draft {name} "what is wanted, and why"'
        ) from None
    except OSError as error:
        raise SpecError([Problem(shown, 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    return parse_intent(name, data, shown)


def parse_intent(name: str, data: bytes, shown: str) -> Intent:
    """The intent in the bytes of a file. Raises SpecError."""
    if len(data) > MOST:
        raise SpecError([Problem(shown, 0, 0, "", "is larger than 1 MiB")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError([Problem(shown, line, 0, "", "is not UTF-8", "save it as UTF-8")]) from None
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != FENCE:
        hint = f"begin it with two lines {FENCE}, then the words"
        raise SpecError([Problem(shown, 1, 0, "", "has no front matter", hint)])
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if end is None:
        hint = f"close it with a line {FENCE}"
        raise SpecError([Problem(shown, 1, 0, "", "its front matter does not end", hint)])
    body = "\n".join(lines[end + 1 :]).strip()
    return _read_head("\n".join(lines[1:end]), name, body, shown)


def _read_head(head: str, name: str, body: str, shown: str) -> Intent:
    import yaml

    try:
        value = yaml.safe_load(head)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise SpecError([Problem(shown, line, 0, "", f"not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError([Problem(shown, 1, 0, "", f"not YAML: {error}")]) from None
    value = {} if value is None else value
    if not isinstance(value, dict):
        why = f"its front matter must be a mapping, got {kind_of(value)}"
        raise SpecError([Problem(shown, 1, 0, "", why)])
    problems: list[Problem] = []

    def complain(key: str, why: str, hint: str | None = None) -> None:
        lines = head.splitlines()
        found = (n for n, line in enumerate(lines, 2) if line.lstrip("'\" ").startswith(key))
        problems.append(Problem(shown, next(found, 1), 0, key, why, hint))

    for key in value:
        if key not in KEYS:
            complain(str(key), "unknown field", suggest_name(str(key), KEYS))
    lists = {key: _read_texts(value.get(key), key, complain) for key in ("issues", "repositories")}
    product, template = value.get("product"), value.get("template")
    if product is not None and product not in list(Product):
        complain("product", "must be one of " + ", ".join(Product))
    if template is not None and not isinstance(template, str):
        complain("template", "must be a text")
    chosen = value.get("set") or {}
    if not isinstance(chosen, dict):
        complain("set", "must be a mapping")
        chosen = {}
    if not body and template is None:
        problems.append(Problem(shown, 0, 0, "", "says nothing", "write what is wanted, and why"))
    if problems:
        raise SpecError(problems)
    values = {str(k): _as_text(v) for k, v in chosen.items()}
    return Intent(
        name, body, lists["issues"], product, lists["repositories"], template,
        MappingProxyType(values),
    )  # fmt: skip


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _read_texts(value: Any, key: str, complain: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        complain(key, "must be a list of texts")
        return ()
    return tuple(value)
