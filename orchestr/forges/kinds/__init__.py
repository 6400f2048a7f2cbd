"""One file a kind of forge, each with its `KIND`; the folder is the list of ours."""
