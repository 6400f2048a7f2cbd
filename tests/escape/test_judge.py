"""The suite itself: every attempt is well formed, the verdicts are right, adapters find what is open."""
