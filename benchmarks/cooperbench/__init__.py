"""Patches that were written side by side, landed by any engine (README.md)."""
