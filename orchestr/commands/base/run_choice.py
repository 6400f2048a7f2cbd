"""Which run a word names."""

from __future__ import annotations

from orchestr.errors import UsageError
from orchestr.run.workspace import suggest_name
from orchestr.views.run_report.listing import RunRow


def find_run(rows: list[RunRow], word: str, features: list[str]) -> RunRow:
    """The run of that id; its beginning or end is enough where only one has it.

    Raises UsageError with the nearest names.
    """
    exact = [row for row in rows if row.run == word]
    close = [row for row in rows if row.run.startswith(word) or row.run.endswith(word)]
    if exact or len(close) == 1:
        return (exact or close)[0]
    if close:
        names = ", ".join(row.run for row in close[:5])
        raise UsageError(f"{word!r} is the name of several runs", hint=names)
    ids = [row.run for row in rows]
    raise UsageError(
        f"there is no run and no feature {word!r}",
        hint=suggest_name(word, [*features, *ids]) or "orchestr runs",
    )
