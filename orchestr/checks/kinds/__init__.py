"""The kinds of check that come with orchestr, one a file; the file's name is the kind.

A declaration is loaded wherever a spec is listed: what only its run needs (`orchestr.checks.room`,
readers of reports, http) is imported in its functions.

A new kind is one new file here: `orchestr.spec.check_kinds` finds it by its name. The names of a
kind and of its fields stand in specs and in caches, so they stay, in their order.
"""
