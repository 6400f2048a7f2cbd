"""The client of the Agent Client Protocol (ACP) that is started as the agent of kind `acp`.

`program` is what the supervisor starts. It starts the agent beneath it, speaks ACP with it on its
stdin and stdout, and prints our own events, a JSON object a line (`event_lines`), which the kind
reads. `drive` is the talk from `initialize` to the end of the turn; `permission_rules` and
`shell_words` decide, pure; `files` and `terminals` serve what the agent asks of us, inside the
worktree only. The library is imported by `drive` alone, so nothing but the program pays for it.
"""
