"""Git: each module one part of what a repository can be asked or made to do."""
