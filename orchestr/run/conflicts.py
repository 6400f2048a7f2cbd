"""The forecast of conflicts for a command: the features asked about beside all others here.

`orchestr.landing.forecast_merges` makes it from files and local git. Other people's pull requests
count only where the command asks the forge anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestr.cell.context import FeatureRun
from orchestr.errors import OrchestrError
from orchestr.files import cache_record_reads
from orchestr.run.workspace import Session
from orchestr.spec.records import Feature
from orchestr.state.results import HEAD
from orchestr.state.view import FeatureView
from orchestr.views.model import FeatureStatus
from orchestr.views.query.status import feature_status

if TYPE_CHECKING:
    from orchestr.landing.forecast import ConflictForecast
    from orchestr.landing.forecast_pulls import ForeignHeads


def fetch_foreign(session: Session, names: Collection[str]) -> ForeignHeads:
    """Ask the forge for other people's open pull requests into what these features land on."""
    from orchestr.landing.forecast_pulls import fetch_foreign_heads

    return fetch_foreign_heads(load_neighbours(session, names), names)


def forecast_features(
    session: Session,
    names: Collection[str],
    views: Mapping[str, FeatureView] | None = None,
    foreign: ForeignHeads | None = None,
) -> ConflictForecast | None:
    """What the heads of these features will conflict with. ``views``: newer than those that the
    session has read; ``foreign``: other people's, where they were asked for. None where nothing is
    built."""
    known = [name for name in session.specs.features if name in names]
    if not any(has_heads(session, session.specs.features[name]) for name in known):
        return None
    from orchestr.landing.forecast_merges import forecast_conflicts

    runs = load_neighbours(session, names)
    if foreign is None:
        return forecast_conflicts(runs, names, views)
    forecast = forecast_conflicts(runs, names, views, foreign.heads)
    return replace(forecast, notes=(*forecast.notes, *foreign.notes))


def add_forecast(
    session: Session, found: Sequence[FeatureStatus], foreign: ForeignHeads | None = None
) -> list[FeatureStatus]:
    """The same, each with the conflicts that are expected of it."""
    views = {status.feature.name: status.view for status in found}
    forecast = forecast_features(session, views, views, foreign)
    if forecast is None:
        return list(found)
    return [
        replace(status, forecast=forecast.select_feature(status.feature.name)) for status in found
    ]


def read_status(
    session: Session, names: Sequence[str], foreign: ForeignHeads | None = None
) -> list[FeatureStatus]:
    """The state of the features, from files alone, with the conflicts that are expected."""
    with cache_record_reads():
        found = [feature_status(session.load_run(name)) for name in names]
        return add_forecast(session, found, foreign)


def load_neighbours(session: Session, names: Collection[str]) -> list[FeatureRun]:
    """The runs of these features and of others that have built in the same repositories, in the
    order of the specs. One that cannot be read is left out."""
    features = session.specs.features
    repos = {cell.repo for name in names if name in features for cell in features[name].cells}
    found = []
    for name, feature in features.items():
        if name in names or has_heads(session, feature, repos):
            try:
                found.append(session.load_run(name))
            except OrchestrError:
                continue
    return found


def has_heads(session: Session, feature: Feature, repos: Collection[str] | None = None) -> bool:
    """Whether a cell of the feature (in one of ``repos``) is built; the files alone say so."""
    folder = session.layout.cell_dir
    return any(
        (folder(feature.name, cell.name) / HEAD).exists()
        for cell in feature.cells
        if repos is None or cell.repo in repos
    )
