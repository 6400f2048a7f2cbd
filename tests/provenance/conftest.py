"""The workspaces of the tests from the outside."""

from tests.e2e.conftest import workspace

__all__ = ["workspace"]
