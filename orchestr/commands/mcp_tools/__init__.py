"""The tools of `orchestr mcp`, and the server that offers them.

`tool.py` is what a tool is, `view_tools.py` and `spec_tools.py` are the tools: each calls the
functions that the verb of its name calls. `bounds.py` hides secrets and keeps an answer small;
`stdio.py` owns the wire, `server.py` the protocol, by the library `mcp`, which only they import.
"""
