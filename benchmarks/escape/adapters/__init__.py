"""The tools that the suite can run its programs in, by name."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.escape.adapters.base import Adapter
from benchmarks.escape.adapters.orchestr import Orchestr
from benchmarks.escape.adapters.programs import BwrapBare, Plain, Srt

ADAPTERS: Mapping[str, Adapter] = {
    one.name: one for one in (Orchestr(), Plain(), BwrapBare(), Srt())
}
