"""One file a kind of agent, each with its `KIND`; the folder is the list of ours."""
