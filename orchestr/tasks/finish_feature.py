"""The last step of a feature: its pull requests name each other, its cross checks run.

The feature's task does it when every cell is through. A run that ends without that (a cell failed,
waits for a person, or only some were asked for) links what is there: `link_published_cells`. Both
write the addresses into ``links.toml``, so that the second of them has nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.run_phase import phase_module
from orchestr.errors import Interrupted, MachineFault, OrchestrError, Unavailable
from orchestr.files import read_record, read_toml, write_toml
from orchestr.process.back_off import try_until_available
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind
from orchestr.state.results import NO_PR

LINKS = "links.toml"  # beside the cells: cell -> the address that the bodies name


def links_file(run: FeatureRun) -> Path:
    """Where the addresses are that the bodies of a feature's pull requests name."""
    return run.layout.feature_dir(run.feature.name) / LINKS


def finish_feature(run: FeatureRun, cells: Collection[str]) -> None:
    """Link the pull requests of these cells, then run the cross checks, where no audit does."""
    from orchestr.cell.phases.link_pull_requests import link_pull_requests, read_addresses

    urls = read_addresses(run, cells)
    link_pull_requests(run, urls)
    write_links(run, urls)
    if run.feature.cross_checks and not run.feature.has_audit:
        from orchestr.cell.phases import cross_checks

        try_until_available(
            lambda: cross_checks.run_cross_checks(run),
            retries=run.settings.limits.retries,
            pause=lambda error, seconds: _wait_to_try_again(run, error, seconds),
        )


def _wait_to_try_again(run: FeatureRun, error: Unavailable, seconds: float) -> None:
    run.emit(EventKind.CELL_WARNED, reason=f"{error.reason}; tried again in {seconds:g} s")
    if run.stop.wait(seconds):
        raise Interrupted("stopped; the same command goes on")


def link_published_cells(run: FeatureRun, cells: Collection[str]) -> None:
    """Bring the bodies of what is published up to date, when they do not name these addresses yet.

    Only pull requests that show their cell as it is now are edited: a body shows the todos, so it
    waits for the head that was made from them. Raises PhaseFailed naming the cell, ForgeAway.
    """
    from orchestr.cell.phases.link_pull_requests import link_pull_requests, read_addresses

    urls = read_addresses(run, cells)
    if sum(url != NO_PR for url in urls.values()) < 2 or read_links(run) == urls:
        return
    link_pull_requests(run, {n: url for n, url in urls.items() if _is_as_published(run, n)})
    write_links(run, urls)


def read_links(run: FeatureRun) -> dict[str, str]:
    """The addresses that the bodies name; empty when there are none, or none to be read."""
    return read_record(links_file(run), read_toml, _parse_links) or {}


def _parse_links(table: dict[str, Any]) -> dict[str, str]:
    links = table.get("links", {})
    if not isinstance(links, dict):
        raise TypeError("links is not a table")
    return {str(name): str(url) for name, url in links.items()}


def write_links(run: FeatureRun, urls: Mapping[str, str]) -> None:
    """Record the addresses that the bodies name."""
    write_toml(links_file(run), {"schema": 1, "links": dict(urls)})


def _is_as_published(run: FeatureRun, name: str) -> bool:
    """Whether no phase from `implement` on would do anything."""
    ctx = run.cell_context(name)
    phases = [phase for phase in ctx.cell.task_phases if phase is not Phase.WORKTREE]
    try:
        return all(phase_module(phase).reason_to_run(ctx) is None for phase in phases)
    except MachineFault:
        raise
    except OrchestrError:  # a repository that is gone: its cell is not as it was
        return False
