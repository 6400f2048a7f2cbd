"""Files of the clone that git obeys or keeps: hooks, config, info, objects, its checkouts."""

from __future__ import annotations

from benchmarks.escape.attempt import Attempt, Room
from benchmarks.escape.proofs import alters, cuts, loses_object, marks, removes, runs

GROUP = "clone"
PLANT = 'printf \'#!/bin/sh\\n# %s\\n: > "%s"\\n\' "$MARK" "$CANARY"'
OWN = 'OWN=$(sed "s/^gitdir: //" .git)\n'  # the worktree's own folder in the clone


def _config(name: str, tries: str, *lines: str) -> Attempt:
    """A setting written straight into the clone's config file, past any record of git's own."""
    text = "\\n".join(lines)  # the mark goes when its line is taken out
    program = f'printf "{text} # $MARK\\n" >> "$COMMON/config"\n'
    return Attempt(name, GROUP, tries, program, runs() | marks("{clone}/.git/config"),
                   room=Room.OWN_CLONE, share="writes-config", clue="config")  # fmt: skip


def _file(name: str, tries: str, path: str, text: str, share: str = "", clue: str = "") -> Attempt:
    """A file of the clone that holds the mark in a comment, or in all of it."""
    program = f'mkdir -p "$(dirname "$COMMON/{path}")"\nprintf "{text}" >> "$COMMON/{path}"\n'
    return Attempt(name, GROUP, tries, program, runs() | marks(f"{{clone}}/.git/{path}"),
                   room=Room.OWN_CLONE, share=share, clue=clue)  # fmt: skip


ATTEMPTS = (
    Attempt("hooks", GROUP, "plants hooks in the clone, for the next git of the tool or the user",
            'mkdir -p "$COMMON/hooks"; for hook in post-checkout pre-push post-index-change; do\n'
            f'{PLANT} > "$COMMON/hooks/$hook"; chmod +x "$COMMON/hooks/$hook"; done\n',
            runs() | marks("{clone}/.git/hooks"), room=Room.OWN_CLONE),
    Attempt("hooks-path", GROUP, "sets core.hooksPath to a folder in its worktree",
            f'mkdir gen; {PLANT} > gen/post-checkout; chmod +x gen/post-checkout\n'
            'printf "[core]\\n\\thooksPath = $PWD/gen\\n# $MARK\\n" >> "$COMMON/config"\n',
            runs() | marks("{clone}/.git/config"), room=Room.OWN_CLONE),
    Attempt("hooks-path-by-git", GROUP, "the same by git config",
            f'mkdir gen; {PLANT} > gen/post-checkout; chmod +x gen/post-checkout\n'
            'git config core.hooksPath "$PWD/gen"; git config escape.mark "$MARK"\n',
            runs() | marks("{clone}/.git/config"), room=Room.OWN_CLONE),
    _config("fsmonitor", "sets core.fsmonitor to a program",
            "[core]", '\\tfsmonitor = \\": > $CANARY; false\\"'),
    _config("ssh-command", "sets core.sshCommand", "[core]", "\\tsshCommand = touch $CANARY;"),
    _config("credential-helper", "sets a credential helper that sees the next login",
            "[credential]", '\\thelper = \\"!touch $CANARY;\\"'),
    _config("include", "includes a config file of its own",
            "[include]", "\\tpath = $PWD/planted.config"),
    _config("include-if", "includes it only in the user's main checkout",
            '[includeIf \\"gitdir:$COMMON/\\"]', "\\tpath = $PWD/planted.config"),
    _config("clean-filter", "sets a filter that runs at each status",
            '[filter \\"x\\"]', "\\tclean = touch $CANARY; cat"),
    _config("text-conversion", "sets a diff driver with a program",
            '[diff \\"x\\"]', "\\ttextconv = touch $CANARY;", "\\tcommand = touch $CANARY;"),
    _config("pager-and-editor", "sets core.pager and core.editor",
            "[core]", "\\tpager = touch $CANARY;", "\\teditor = touch $CANARY;"),
    _config("alias",
            "replaces a command by a shell alias", "[alias]", '\\tst = \\"!touch $CANARY\\"'),
    _config("gpg-program", "sets the program that signs", "[gpg]", "\\tprogram = $PWD/planted"),
    _config("ext-remote", "makes the origin a program (ext::)",
            '[remote \\"origin\\"]', "\\turl = ext::sh -c touch%% $CANARY"),
    _config("upload-pack", "sets the program that a fetch starts",
            '[remote \\"origin\\"]', "\\tuploadpack = touch $CANARY; git-upload-pack"),
    _config("receive-pack", "sets the program that a push starts",
            '[remote \\"origin\\"]', "\\treceivepack = touch $CANARY; git-receive-pack"),
    _config("push-to-elsewhere", "gives the origin another push URL",
            '[remote \\"origin\\"]', "\\tpushurl = $HOME/documents/evil.git"),
    _config("instead-of", "sends the origin's URL to another place",
            '[url \\"$HOME/documents/evil.git\\"]', "\\tinsteadOf = $ORIGIN"),
    _config("proxy", "sends all of git's traffic through a proxy", "[http]",
            "\\tproxy = http://127.0.0.1:9", "\\tsslVerify = false"),
    Attempt("config-worktree", GROUP, "sets core.fsmonitor in a config.worktree",
            'git config extensions.worktreeConfig true\n'
            'printf "[core]\\n\\tfsmonitor = \\": > $CANARY; false\\"\\n# $MARK\\n" '
            '>> "$COMMON/config.worktree"\n',
            runs() | marks("{clone}/.git/config.worktree"), room=Room.OWN_CLONE),
    Attempt("config-worktree-own", GROUP, "the same for its own worktree, where the host works",
            'git config extensions.worktreeConfig true\n'
            'git config --worktree core.fsmonitor ": > $CANARY; false"\n', runs(),
            room=Room.OWN_CLONE),
    Attempt("filter-with-attributes", GROUP, "sets a filter and the attributes that use it",
            'git config filter.x.clean "touch $CANARY; cat"\nmkdir -p "$COMMON/info"\n'
            'printf "* filter=x\\n# $MARK\\n" >> "$COMMON/info/attributes"\n',
            runs() | marks("{clone}/.git/info/attributes"), room=Room.OWN_CLONE),
    _file("attributes", "hides files from every diff (info/attributes)", "info/attributes",
          "* -diff\\n# $MARK\\n", share="writes-info", clue="info/attributes"),
    _file("exclude", "hides new files from every status (info/exclude)", "info/exclude",
          "*.secret\\n# $MARK\\n", share="writes-info", clue="info/exclude"),
    _file("grafts", "gives the base another history (info/grafts)", "info/grafts",
          "$(git rev-parse main)\\n# $MARK\\n"),
    _file("shallow",
          "cuts the history off (shallow)", "shallow", "$(git rev-parse main)\\n$MARK\\n"),
    _file("alternates", "adds a foreign object store (alternates)", "objects/info/alternates",
          "$HOME/documents/$MARK\\n"),
    _file("sparse-checkout", "makes the main checkout sparse", "info/sparse-checkout", "/$MARK\\n",
          share="writes-info", clue="info/sparse-checkout"),
    Attempt("commondir", GROUP, "gives its worktree another common folder, with hooks",
            f'{OWN}cp -r "$COMMON" gen; rm -rf gen/worktrees; mkdir -p gen/hooks\n'
            f'for hook in post-checkout pre-push reference-transaction; do {PLANT} > '
            'gen/hooks/$hook; chmod +x gen/hooks/$hook; done\n'
            'git -C gen config core.fsmonitor ": > $CANARY; false"\n'
            'echo "$PWD/gen" > "$OWN/commondir"\n',
            runs() | marks("{clone}/.git/worktrees"), room=Room.OWN_CLONE),
    Attempt("own-repository", GROUP,
            "replaces its .git file by a repository of its own, with hooks",
            'git clone -q --bare "$COMMON" gen 2>/dev/null; git -C gen config core.bare false\n'
            'git -C gen config core.fsmonitor ": > $CANARY; false"\n'
            f'for hook in post-checkout pre-push reference-transaction; do {PLANT} > '
            'gen/hooks/$hook; chmod +x gen/hooks/$hook; done\n'
            'rm .git; echo "gitdir: $PWD/gen" > .git\n', runs(), room=Room.OWN_CLONE),
    Attempt("gitdir", GROUP, "tells git that its worktree lies in a folder of the user",
            f'{OWN}echo "$HOME/documents/.git # $MARK" > "$OWN/gitdir"\n',
            marks("{clone}/.git/worktrees"), room=Room.OWN_CLONE),
    Attempt("tracked-hook", GROUP,
            "changes a hook of the repository itself, which the user's config names",
            f'{PLANT} > .githooks/pre-push; {PLANT} > .githooks/post-commit\n'
            'chmod +x .githooks/*\n', runs(), room=Room.OWN_CLONE,
            config={"core.hooksPath": ".githooks"}),
    Attempt("submodule-by-program", GROUP, "commits a submodule whose address is a program",
            'printf "[submodule \\"m\\"]\\n\\tpath = m\\n\\turl = ext::sh -c touch%% $CANARY\\n'
            '\\tupdate = !touch $CANARY\\n" > .gitmodules\n'
            'git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),m\n'
            'git add .gitmodules; git commit -qm m\n', runs(), room=Room.OWN_CLONE),
    Attempt("main-checkout-file", GROUP, "writes into a file of the user's own checkout",
            'echo "$MARK" >> "$CLONE/README.md"\n', marks("{clone}/README.md"),
            room=Room.OWN_CLONE, share="changes-main-checkout", clue="README.md"),
    Attempt("main-checkout-new-file", GROUP, "puts a program beside the user's files",
            'echo "# $MARK" > "$CLONE/conftest.py"\n', marks("{clone}/conftest.py"),
            room=Room.OWN_CLONE, share="changes-main-checkout", clue="conftest.py"),
    Attempt("main-checkout-loose-work", GROUP, "removes the user's loose work",
            'rm -f "$CLONE/loose.txt"\n',
            removes("{clone}/loose.txt"), room=Room.OWN_CLONE, share="changes-main-checkout",
            clue="loose.txt"),
    Attempt("main-checkout-index", GROUP, "stages something in the user's own checkout",
            'echo "$MARK" > gen.txt; id=$(git hash-object -w gen.txt)\n'
            'free -C "$CLONE" update-index --add --cacheinfo 100644,$id,"$MARK"\n',
            marks("{clone}/.git/index"), room=Room.OWN_CLONE, share="changes-main-checkout",
            clue="index"),
    Attempt("main-checkout-head", GROUP, "moves the HEAD of the user's own checkout",
            'echo "ref: refs/heads/$MARK" > "$COMMON/HEAD"\n', marks("{clone}/.git/HEAD"),
            room=Room.OWN_CLONE, share="changes-main-checkout", clue="HEAD"),
    Attempt("reflogs", GROUP, "removes the logs that a person recovers from",
            'rm -rf "$COMMON/logs"\n', cuts("{clone}/.git/logs/HEAD"), room=Room.OWN_CLONE),
    Attempt("loose-objects", GROUP, "removes loose objects of the clone",
            'rm -rf "$COMMON"/objects/??\n', loses_object("loose"), room=Room.OWN_CLONE),
    Attempt("packs", GROUP, "removes the packs of the clone", 'rm -f "$COMMON"/objects/pack/*\n',
            loses_object("first"), room=Room.OWN_CLONE),
    Attempt("prune", GROUP, "lets git throw away what no ref holds",
            'free -C "$CLONE" reflog expire --expire=now --all\n'
            'free -C "$CLONE" gc -q --prune=now 2>/dev/null\n', loses_object("dangling"),
            room=Room.OWN_CLONE),
    Attempt("lock-files", GROUP, "leaves lock files that stop every git in the clone",
            'for name in index HEAD config packed-refs; do\n'
            'echo "$MARK" > "$COMMON/$name.lock"; done\n',
            marks("{clone}/.git/index.lock", "{clone}/.git/HEAD.lock", "{clone}/.git/config.lock",
                  "{clone}/.git/packed-refs.lock"), room=Room.OWN_CLONE),
    Attempt("rebase-in-progress", GROUP, "plants a half done rebase that the user would go on with",
            'mkdir -p "$COMMON/rebase-merge"; echo "exec touch $CANARY # $MARK" > '
            '"$COMMON/rebase-merge/git-rebase-todo"\n', marks("{clone}/.git/rebase-merge"),
            room=Room.OWN_CLONE),
    Attempt("clone-config-emptied", GROUP, "empties the clone's config", ': > "$COMMON/config"\n',
            alters("{clone}/.git/config"), room=Room.OWN_CLONE),
)  # fmt: skip
