"""`forget TARGET...`: build it again with the next run. Acts on files, then on doit's rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from doit.cmd_forget import Forget as DoitForget

from orchestr.cell.phases.forget import forget_phases
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import UsageError
from orchestr.run.goals import FeatureGoals as BuildGoals
from orchestr.run.start import hold_leases
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import DRAFT_PREFIX, OTHER_PREFIXES
from orchestr.state.layout import create_state_dirs
from orchestr.tasks.generate import CellSelection
from orchestr.views.terminal.output import write_stdout


class Forget(Verb, DoitForget):  # type: ignore[misc]
    """doit's `forget`, for every level below the name."""

    purpose = "make features, cells or phases run again"
    usage = "FEATURE[:CELL[:PHASE]] ..."
    help_group = "build"
    examples = (
        ("forget mlkem:java-sdk", "the cell is built again by the next run"),
        ("forget mlkem:java-sdk:publish", "only its pull request is written again"),
    )

    refused_options: ClassVar[Mapping[str, str]] = {
        "forget_sub": "name the upstream cells, too: orchestr forget FEATURE:CELL ...",
        "forget_disable_default": "leave it out: without a name nothing is forgotten",
    }

    def execute(self, params: Any, args: list[str]) -> int:
        """Move result files aside under the feature's lease, then drop doit's rows."""
        session: Session = attach_loader(self).session
        others = self.loader.dodo_tasks
        foreign = [word for word in args if word in others or word.startswith(OTHER_PREFIXES)]
        words = [word for word in args if word not in foreign]
        if not args and not params["forget_all"]:
            raise UsageError("what shall be forgotten?", hint="orchestr list")
        if words:
            self.refuse_options(params)
        every = list(session.specs.features) if params["forget_all"] else []
        targets = session.parse_targets([*words, *every])
        create_state_dirs(session.layout)
        names = list(foreign)
        for word in foreign:
            if word.startswith(DRAFT_PREFIX) and word not in others:
                from orchestr.commands.base.drafting import forget_draft, read_names

                was_there = forget_draft(session, read_names([word])[0])
                write_stdout(
                    f"forgot {word}: {'its draft' if was_there else 'nothing was there'}\n"
                )
        features = dict.fromkeys(target.feature for target in targets)
        goals = [BuildGoals(session.load_run(f), [], CellSelection(), []) for f in features]
        if goals:
            with hold_leases(goals, break_lock=False):
                for target in targets:
                    for ctx in session.select_cells([target]):
                        phases = [target.phase] if target.phase else ctx.cell.task_phases
                        moved = forget_phases(ctx, phases)
                        what = ", ".join(moved) or "nothing was there"
                        write_stdout(f"forgot {ctx.name}: {what}\n")
                    names.append(target.task_name)
        self._drop_rows(session, params, names)
        return 0

    def _drop_rows(self, session: Any, params: Any, names: list[str]) -> None:
        """Rows at all levels below each name."""
        from doit.dependency import Dependency, MD5Checker

        from orchestr.tasks.database import WriteThroughDB

        if not session.layout.database_file.exists():
            return
        manager = Dependency(
            WriteThroughDB, str(session.layout.database_file), checker_cls=MD5Checker
        )
        for task in self.loader.load_tasks(self, []):
            if any(task.name == name or task.name.startswith(name + ":") for name in names):
                manager.remove(task.name)
        manager.close()
