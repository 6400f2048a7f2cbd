"""Resolve conflicts of one file without an agent: pure functions from three texts to one."""
