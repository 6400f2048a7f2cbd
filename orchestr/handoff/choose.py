"""What a person may choose at a hand-off, from flags or line by line at the terminal. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestr.errors import UsageError
from orchestr.forges.body import TITLE_LIMIT
from orchestr.handoff.records import Choice, PullRequestText
from orchestr.spec.field_types import BadValue, check_branch, suggest_name

FLAGS = "--leave, --ready or --land (with --skip CELL, --base CELL=BRANCH, --edit, --yes)"


@dataclass(frozen=True, slots=True)
class Choices:
    """``choice`` is None as long as the person has not chosen."""

    choice: Choice | None = None
    skipped: tuple[str, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Choice | None, tuple[str, ...], dict[str, str]]:
        """As `HandoffRecord.choices`."""
        return self.choice, tuple(sorted(self.skipped)), dict(self.bases)


def read_flags(
    flags: Collection[Choice], skipped: Sequence[str], bases: Sequence[str], cells: Collection[str]
) -> Choices:
    """The choices of a command line. Raises UsageError."""
    if len(flags) > 1:
        raise UsageError(f"choose one of {', '.join(f'--{f}' for f in flags)}", hint=FLAGS)
    choices = Choices(next(iter(flags), None))
    for name in skipped:
        choices = skip_cell(choices, name, cells)
    for word in bases:
        choices = set_base(choices, word, cells)
    return check_together(choices)


def skip_cell(choices: Choices, name: str, cells: Collection[str]) -> Choices:
    """One more cell whose pull request is left alone. Raises UsageError for an unknown one."""
    _require_cell(name, cells)
    return replace(choices, skipped=tuple(dict.fromkeys((*choices.skipped, name))))


def set_base(choices: Choices, word: str, cells: Collection[str]) -> Choices:
    """Another base, as `CELL=BRANCH`. Raises UsageError."""
    name, equals, branch = word.partition("=")
    if not equals:
        raise UsageError(f"{word!r} is not CELL=BRANCH", hint="--base java-sdk=release-2")
    _require_cell(name, cells)
    try:
        check_branch(branch)
    except BadValue as error:
        raise UsageError(error.message, hint=error.hint or "--base java-sdk=release-2") from None
    return replace(choices, bases={**choices.bases, name: branch})


def check_together(choices: Choices) -> Choices:
    """The same choices. Raises UsageError where they contradict each other."""
    both = sorted(set(choices.skipped) & set(choices.bases))
    if both:
        raise UsageError(f"{both[0]} is skipped, and is to get another base", hint="choose one")
    if choices.choice is Choice.LAND and (choices.skipped or choices.bases):
        what = "--skip" if choices.skipped else "--base"
        raise UsageError(
            f"features land as a whole and onto the bases of their spec: {what} and --land exclude"
            " each other",
            hint="use --ready, or take the cell out of the spec, or write its `base:` there",
        )
    return choices


def read_line(choices: Choices, line: str, cells: Collection[str]) -> Choices:
    """The choices after one line of a person: `ready`, `skip CELL`, `base CELL=BRANCH`, ...

    Raises UsageError for a line that means nothing.
    """
    word, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    if word in list(Choice) and not rest:
        return check_together(replace(choices, choice=Choice(word)))
    if word == "skip" and rest:
        return check_together(skip_cell(choices, rest, cells))
    if word == "base" and rest:
        return check_together(set_base(choices, rest, cells))
    raise UsageError(
        f"{line.strip()!r} is no choice",
        hint="leave, ready, land, skip CELL, base CELL=BRANCH, or cancel",
    )


def format_for_editor(text: PullRequestText) -> str:
    """Title, an empty line, body: as a commit message is edited."""
    body = text.body.replace("\r\n", "\n")
    return f"{text.title}\n\n{body}\n"


def parse_edited(data: str) -> tuple[str, str]:
    """Title and body of an edited text. Raises UsageError without a title."""
    title, _, body = data.replace("\r\n", "\n").lstrip("\n").partition("\n")
    title = " ".join(title.split())
    if not title or title.startswith("<!--"):
        raise UsageError("the first line is the title, and it is empty", hint="edit it again")
    if len(title) > TITLE_LIMIT:
        raise UsageError(
            f"the title has {len(title)} characters, at most {TITLE_LIMIT} fit",
            hint="edit it again",
        )
    return title, body.strip("\n")


def _require_cell(name: str, cells: Collection[str]) -> None:
    if name not in cells:
        hint = suggest_name(name, cells)
        raise UsageError(f"there is no pull request of a cell {name!r} to hand over", hint=hint)
