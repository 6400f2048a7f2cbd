"""The wall around agents, reviewers and checks."""
