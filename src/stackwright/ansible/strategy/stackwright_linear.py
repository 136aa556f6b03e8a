"""Ansible's linear strategy on mitogen where mitogen fits the installed Ansible, on SSH alone where it does not.

mitogen keeps one Python process per host for the whole run, which makes a task some four times cheaper; it promises
nothing about the result that the linear strategy would not give. `STACKWRIGHT_MITOGEN=0` turns it off.
"""

from __future__ import annotations

import contextlib
import gc
import os
from typing import Any

from ansible.utils.display import Display

from stackwright import processes, project, secret_store
from stackwright.ansible import playbooks, reasons

DOCUMENTATION = """
name: stackwright_linear
short_description: linear, over mitogen if that is possible
description: Tasks run in lockstep, like the linear strategy.
author: stackwright
"""

__all__ = ["StrategyModule"]

display = Display()


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

    def _process_pending_results(self, iterator: Any, *args: Any, **kwargs: Any) -> Any:
        """Also say why a task failed whose output is kept from logs: `no_log` hides the reason with the secrets."""
        results = super()._process_pending_results(iterator, *args, **kwargs)
        for result in results:
            if result.is_failed() and result._return_data.get("_ansible_no_log") and not result.task.ignore_errors:  # noqa: SLF001 - callbacks get it censored
                self._show_reason(result)
        return results

    def _show_reason(self, result: Any) -> None:
        fields = result.task_fields
        text = reasons.of_failure(
            result._return_data,  # noqa: SLF001 - as above
            fields.get("args") or {},
            str(fields.get("action") or result.task.action),
            self._secrets(result),
        )
        host = result.host.get_name()
        display.display(f"reason of {host}, without secrets: {text}", color="red", stderr=True)
        for plugin in self._tqm._callback_plugins:  # noqa: SLF001 - the second channel to the CLI
            if hasattr(plugin, "reason"):
                plugin.reason(host, text)

    def _secrets(self, result: Any) -> list[str]:
        """Every secret of the environment's vault; none where there is no environment (a scenario's hosts)."""
        stack = self._variable_manager.get_vars(host=result.host, include_hostvars=False).get("stack")
        if not isinstance(stack, dict):
            return []
        environment = str(stack["environment"])
        with contextlib.suppress(secret_store.SecretError, FileNotFoundError, KeyError):
            store = secret_store.SecretStore(
                environment, project.state_folder(environment), password_command=stack["secrets"]["password_command"]
            )
            return list(store.all().values())
        return []

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
