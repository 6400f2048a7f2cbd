"""The fixture of the tests of checks and reviews."""

from tests.e2e.conftest import workspace

__all__ = ["workspace"]
