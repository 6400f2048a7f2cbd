"""What other packages bring, as lines of `doctor` and `info`, and as findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.plugins import NOT_OURS, Plugin


def describe_plugins(plugins: Sequence[Plugin]) -> list[str]:
    """A line for each package; nothing where none adds anything."""
    return [f"package    {plugin}" for plugin in plugins]


def check_plugins(plugins: Sequence[Plugin]) -> Iterator[Diagnostic]:
    """What cannot be used. A warning: only a spec or setting that names it is an error."""
    for plugin in plugins:
        for kind in plugin.kinds:
            if not kind.problem:
                continue
            text = kind.problem
            if kind.problem == NOT_OURS:
                text = f"{kind.what} {kind.name} of the package {plugin.package} {NOT_OURS}"
            elif plugin.package not in text:
                text = f"package {plugin.package}: {text}"
            remedy = f"repair it, or: pip uninstall {plugin.package}"
            yield Diagnostic("warning", text, remedy)
