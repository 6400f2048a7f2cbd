"""Turning a prompt's variables into its text: jinja2, and errors with their place.

Owns the environment (sandboxed, strict about names, no escaping: the result is Markdown) and what
a template may load: files of its own folder, and ours as `orchestr/cell.md.j2`. Values are never
read as templates, so `{{` in a todo stays as it is. Only this module imports jinja2, and late.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestr.compiled_templates import open_code_cache
from orchestr.errors import Problem, SpecError

if TYPE_CHECKING:
    from jinja2 import Environment

BUILT_IN = "orchestr/cell.md.j2"
OURS = Path(__file__).with_name("prompt.md.j2")
MOST = 1 << 20  # bytes of a template
WORDS = "docs/prompt.md lists the variables and blocks"


class PromptTemplate:
    """The workspace's template, or ours where there is none. Raises SpecError with the place."""

    def __init__(self, path: Path | None, root: Path) -> None:
        self.path = path
        self._root = root
        self._read: set[str] = set()
        self._env = _make_environment(self._load_source)
        self._loaded = self._translate_errors(
            lambda: self._env.get_template(path.name if path else BUILT_IN)
        )

    def render(self, values: Mapping[str, Any]) -> str:
        """The whole text, one newline at its end."""
        text: str = self._translate_errors(lambda: self._loaded.render(values))
        return text.strip("\n") + "\n"

    def _load_source(self, name: str) -> tuple[str, str, Callable[[], bool]] | None:
        """What jinja2 is given for a name; None where there is no such file to be read."""
        path = OURS
        if name != BUILT_IN:
            if self.path is None:
                return None
            folder = self.path.parent.resolve()
            path = (folder / name).resolve()
            if name == self.path.name:
                path = self.path  # wherever the settings say it is, through a link, too
            elif not path.is_relative_to(folder):
                return None
        if not path.is_file():
            return None
        try:
            with path.open("rb") as stream:
                data = stream.read(MOST + 1)
        except (OSError, ValueError):
            return None
        shown = self._display_path(path)
        if len(data) > MOST:
            raise _template_error(shown, 0, "is larger than 1 MiB")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise _template_error(shown, line, "is not UTF-8", "save it as UTF-8") from None
        self._read.add(str(path))
        return text, str(path), lambda: True

    def _translate_errors(self, act: Callable[[], Any]) -> Any:
        from jinja2 import TemplateNotFound, TemplateSyntaxError, UndefinedError

        try:
            return act()
        except SpecError:
            raise
        except TemplateSyntaxError as error:
            file = self._display_path(Path(error.filename)) if error.filename else str(error.name)
            raise _template_error(file, error.lineno, error.message or "not a template") from None
        except TemplateNotFound as error:
            file, line = self._error_place(error)
            if error.name == (self.path.name if self.path else None) and not line:
                why = "the template of [workspace] prompt cannot be read"
                raise _template_error(file, 0, why, "correct the path in orchestr.toml") from None
            hint = f"templates are files of its own folder, and {BUILT_IN}"
            raise _template_error(
                file, line, f"there is no template {error.name!r}", hint
            ) from None
        except UndefinedError as error:
            raise _template_error(*self._error_place(error), error.message or "undefined") from None
        except RecursionError as error:
            raise _template_error(
                *self._error_place(error), "it includes itself without end"
            ) from None
        except Exception as error:  # whatever a template's own expressions raise
            what = f"{type(error).__name__}: {error}"
            raise _template_error(*self._error_place(error), what) from None

    def _error_place(self, error: BaseException) -> tuple[str, int]:
        """The innermost line of a template that led to an error; jinja2 puts it into the trace."""
        frames = traceback.extract_tb(error.__traceback__)
        for frame in reversed(frames):
            if frame.filename in self._read:
                return self._display_path(Path(frame.filename)), frame.lineno or 0
        return self._display_path(self.path or OURS), 0

    def _display_path(self, path: Path) -> str:
        if path == OURS:
            return BUILT_IN
        for root in (self._root, self._root.resolve()):
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return str(path)


@cache
def built_in_template() -> PromptTemplate:
    """Our own template, read once: making it takes longer than filling it in."""
    return PromptTemplate(None, OURS.parent)


def find_template_problems(
    template: Path, root: Path, cases: Iterable[Mapping[str, Any]]
) -> list[Problem]:
    """What is wrong with a workspace's template, found by filling it in for every case."""
    found: dict[Problem, None] = {}
    try:
        loaded = PromptTemplate(template, root)
        for values in cases:
            try:
                loaded.render(values)
            except SpecError as error:
                found |= dict.fromkeys(error.problems)
    except SpecError as error:
        found |= dict.fromkeys(error.problems)
    return list(found)


def _template_error(file: str, line: int, what: str, hint: str = WORDS) -> SpecError:
    return SpecError([Problem(file, line, 0, "", what, hint)])


def _make_environment(source: Callable[[str], Any]) -> Environment:
    from jinja2 import FunctionLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=open_code_cache(OURS.name, {BUILT_IN: OURS}),
    )
