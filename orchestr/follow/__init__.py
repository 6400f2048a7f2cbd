"""What happens after the pull requests of a feature opened: see `docs/follow.md`."""
