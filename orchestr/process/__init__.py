"""Processes: starting, ending and finding them, and the locks that die with them."""
