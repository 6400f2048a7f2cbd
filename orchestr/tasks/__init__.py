"""doit: a plan becomes tasks with file targets; its database; plain `doit` beside ours."""
