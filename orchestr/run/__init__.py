"""A run from start to summary: goals, lease, pre-flight, signals, notifications."""
