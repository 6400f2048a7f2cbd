"""The fixture of the tests from the outside, here too."""

from tests.e2e.conftest import workspace

__all__ = ["workspace"]
