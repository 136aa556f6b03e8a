"""Ansible's linear strategy on mitogen where mitogen fits the installed Ansible, on SSH alone where it does not.

mitogen keeps one Python process per host for the whole run, which makes a task some four times cheaper; it promises
nothing about the result that the linear strategy would not give. `STACKWRIGHT_MITOGEN=0` turns it off.
"""

from __future__ import annotations

import contextlib
import gc
import os
from typing import Any

from stackwright import processes, project
from stackwright.ansible import playbooks

DOCUMENTATION = """
name: stackwright_linear
short_description: linear, over mitogen if that is possible
description: Tasks run in lockstep, like the linear strategy.
author: stackwright
"""

__all__ = ["StrategyModule"]


def _strategy() -> Any:
    from ansible.plugins.strategy.linear import StrategyModule as Linear

    if os.environ.get("STACKWRIGHT_MITOGEN", "1") == "0":
        return Linear
    try:
        import ansible_mitogen.loaders  # noqa: F401 - raises where this Ansible is not one that mitogen knows
        from ansible_mitogen import affinity
        from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule as MitogenLinear
    except Exception:  # noqa: BLE001 - whatever is wrong with mitogen, Ansible itself still works
        return Linear
    # mitogen would pin every worker, and all that a local task starts (a container with its whole life in it), to a
    # single CPU of a small controller: on 2 cores everything shared one and took twice as long.
    affinity.policy = affinity.Policy()
    return MitogenLinear


def _start_worker() -> None:
    """In a worker: nothing to collect in so short a life, and none that goes on after a run that was killed."""
    gc.disable()
    processes.end_with_parent(os.getppid())


os.register_at_fork(after_in_child=_start_worker)


class StrategyModule(_strategy()):  # type: ignore[misc]
    """The strategy, with what every worker would have to load anew loaded before the first is forked."""

    def run(self, iterator: Any, play_context: Any) -> Any:
        """Run a play; a worker lives for one task on one host, and compiling all filters was half of its time."""
        from ansible.plugins.loader import filter_loader, test_loader

        for loader in (filter_loader, test_loader):
            list(loader.all())
        # A play of somebody's own may be outside of any project.
        with contextlib.suppress(FileNotFoundError):
            playbooks.preload(self._loader, project.root())
        # Nor does it live long enough for a collection to pay, which copies the pages that it shares with its parent.
        gc.collect()
        gc.freeze()
        return super().run(iterator, play_context)
