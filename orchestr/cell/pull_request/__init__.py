"""The pull request of a cell: its text, its adoption, the commits of others on it."""
