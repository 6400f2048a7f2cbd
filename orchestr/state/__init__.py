"""The state on disk: journal and its replay, result files, attempts, registry."""
