"""How the names of goals begin, and those of our tasks in doit."""

FEATURE_PREFIX = "feature:"  # may be left out of a goal
REPO_PREFIX = "repo:"  # the clone of a repository
DRAFT_PREFIX = "spec:"  # the draft of a spec
OTHER_PREFIXES = (REPO_PREFIX, DRAFT_PREFIX)  # goals that are no features
