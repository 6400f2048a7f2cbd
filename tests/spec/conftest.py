"""Property tests here have no deadline: the first example pays for importing pydantic."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("spec", deadline=None)
settings.load_profile("spec")
