"""Contracts for packages that add a kind: tests that every forge passes, see docs/forges.md.

Importing a contract needs pytest (the extra `testing`).
"""
