"""Ansible's linear strategy, with mitogen if it supports the installed Ansible, and over plain SSH otherwise.

mitogen keeps one Python process per host for the whole run, which makes a task about four times cheaper; the result is
the same as that of the linear strategy. `STACKWRIGHT_MITOGEN=0` turns it off.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any

from ansible import context
from ansible._internal._task import TaskContext
from ansible._internal._templating._engine import TemplateEngine
from ansible.collections import list as collections
from ansible.errors import AnsibleError
from ansible.executor.task_executor import TaskExecutor
from ansible.executor.task_result import _RawTaskResult
from ansible.plugins.loader import (
    Jinja2Loader,
    PluginLoader,
    action_loader,
    become_loader,
    filter_loader,
    get_plugin_loader_namespace,
    lookup_loader,
    module_loader,
    test_loader,
)
from ansible.utils.display import Display
from ansible.utils.fqcn import add_internal_fqcns

from stackwright import processes, project, secret_store
from stackwright.ansible import compiled_templates, playbooks, reasons, recorded_calls

DOCUMENTATION = """
name: stackwright_linear
short_description: linear, over mitogen if that is possible
description: Tasks run in lockstep, like the linear strategy.
author: stackwright
"""

__all__ = ["StrategyModule"]

display = Display()

#: Actions that run on the controller only.
_CONTROLLER_ACTIONS = {
    *add_internal_fqcns(
        ("assert", "debug", "fail", "include_role", "include_tasks", "set_fact", "validate_argument_spec")
    ),
    "stackwright_inputs",
}
_INTERACTIVE_ACTIONS = set(add_internal_fqcns(("pause",)))
_MITOGEN_CONNECTIONS = ("local", "smart", "ssh")
_LOOK_FOR_DEAD_WORKERS_SECONDS = 0.5


def _strategy() -> Any:
    from ansible.plugins.strategy.linear import StrategyModule as Linear

    if os.environ.get("STACKWRIGHT_MITOGEN", "1") == "0":
        return Linear
    try:
        import ansible_mitogen.loaders  # noqa: F401 - raises where this Ansible is not one that mitogen knows
        from ansible_mitogen import affinity, mixins
        from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule as MitogenLinear

        from stackwright.ansible import multiplexer
    except Exception:  # noqa: BLE001 - whatever is wrong with mitogen, Ansible itself still works
        return Linear
    # mitogen would pin every worker, and everything that a local task starts (a container with all its processes), to a
    # single CPU of a small controller: on 2 cores everything shared one and took twice as long.
    affinity.policy = affinity.Policy()
    multiplexer.install()
    recorded_calls.record_calls(mixins.ActionModuleMixin)
    return MitogenLinear


def _start_worker() -> None:
    """Prepare a worker: it lives too briefly for garbage collection, and must end with a run that is killed."""
    gc.disable()
    processes.end_with_parent(os.getppid())


def _load_one_plugin_at_a_time() -> None:
    """Serialize plugin loading: while one thread loads, Ansible's loader could give another none, or half of it."""
    lock = threading.RLock()

    def alone(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            with lock:
                return method(*arguments, **options)

        return call

    for loader in (PluginLoader, Jinja2Loader):
        for name in vars(loader).keys() & {"find_plugin_with_context", "get_with_context", "_load_module_source"}:
            setattr(loader, name, alone(getattr(loader, name)))


def _detach_children_from_terminal() -> None:
    """Give child processes /dev/null instead of the terminal, which Ansible closes to them, as a worker does."""
    start = subprocess.Popen.__init__

    def start_without(self: subprocess.Popen[Any], *arguments: Any, **options: Any) -> None:
        for position, name in enumerate(("stdin", "stdout", "stderr"), 3):
            if len(arguments) <= position and options.get(name) is None:
                options[name] = subprocess.DEVNULL
        start(self, *arguments, **options)

    subprocess.Popen.__init__ = start_without  # type: ignore[method-assign]


os.register_at_fork(after_in_child=_start_worker)
_detach_children_from_terminal()
_load_one_plugin_at_a_time()
_templates = compiled_templates.install()


@cache
def _load_plugins() -> None:
    """Load the plugins that nearly every task uses: filters and tests, our lookups, sudo."""
    for loader in (filter_loader, test_loader):
        list(loader.all())
    for path in (Path(__file__).parents[1] / "lookup").glob("stackwright_*.py"):
        lookup_loader.get(path.stem, class_only=True)
    become_loader.get("sudo", class_only=True)


@cache
def _load_action(action: str) -> None:
    """Load an action, its module and the description of its collection."""
    # The task itself reports any problem with it.
    with contextlib.suppress(Exception):
        action_loader.get(action, class_only=True)
        if "/ansible_collections/" in (module_loader.find_plugin(action, "") or ""):
            _list_collections_once()


@cache
def _list_collections_once() -> None:
    """Cache the list of collections: mitogen asks at each module call, and Ansible reads each one's description."""
    folders = list(collections.list_collection_dirs())
    collections.list_collection_dirs = lambda: folders


class _Results(deque[Any]):
    """The pending results, with an event that is set when one arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()

    def append(self, result: Any) -> None:
        super().append(result)
        self.arrived.set()


class StrategyModule(_strategy()):  # type: ignore[misc]
    """The strategy: most tasks run in threads of this process, few in a worker.

    See docs/adr/0017-tasks-in-ansibles-process.md.
    """

    def __init__(self, tqm: Any) -> None:
        super().__init__(tqm)
        self._results: _Results = _Results()
        self._jobs: list[Callable[[], None]] = []

    def _wait_on_pending_results(self, iterator: Any) -> list[Any]:
        """Wait as Ansible does, but on an event: polling 200 times a second took a third of the parent's CPU time."""
        self._run_jobs()
        results: list[Any] = []
        while self._pending_results > 0 and not self._tqm._terminated:  # noqa: SLF001 - as Ansible's own
            if self._tqm.has_dead_workers():
                raise AnsibleError("A worker was found in a dead state")
            self._results.arrived.clear()
            results += self._process_pending_results(iterator)
            if self._pending_results > 0:
                self._results.arrived.wait(_LOOK_FOR_DEAD_WORKERS_SECONDS)
        return results

    def _queue_task(self, host: Any, task: Any, task_vars: dict[str, Any], play_context: Any) -> None:
        """Run a task in this process if that gives the same result: the fork of a worker costs more than most tasks.

        A task whose condition is false is skipped immediately, as in a worker; one with a loop or a delegate later.
        """
        _templates.load()
        _load_action(task.action)
        skipped = self._skipped(task, task_vars)
        in_process = skipped is not None or self._runs_in_process(task, task_vars)
        recorded_calls.recorder.add_task(host.name, task, in_process=in_process)
        if not in_process:
            super()._queue_task(host, task, task_vars, play_context)
            return
        self._tqm.send_callback("v2_runner_on_start", host, task)
        self._queued_task_cache[host.name, task._uuid] = {  # noqa: SLF001 - as Ansible's own strategy does
            "host": host,
            "task": task,
            "task_vars": task_vars,
            "play_context": play_context,
        }
        self._pending_results += 1
        # Running a task sets its fields and changes its variables; a worker does so in its own memory.
        private = task.copy(exclude_parent=True, exclude_tasks=True)
        private._parent = task._parent  # noqa: SLF001 - as above
        private.loop_control = private.loop_control and private.loop_control.copy()
        if skipped is None:
            self._jobs.append(partial(self._run_in_process, host, private, dict(task_vars), play_context))
        else:
            self._send_result(host, private, skipped)

    def _runs_in_process(self, task: Any, task_vars: Mapping[str, Any]) -> bool:
        """Return whether a task can run in this process: not if it interrupts itself by a signal or prompts."""
        if task.timeout or task.async_val or task.throttle or task.action in _INTERACTIVE_ACTIONS:
            return False
        connection = task_vars.get("ansible_connection", task.connection)
        return task.action in _CONTROLLER_ACTIONS or (
            connection in _MITOGEN_CONNECTIONS and hasattr(self, "_worker_model")
        )

    def _run_jobs(self) -> None:
        """Run the queued tasks for all hosts at once; no variable changes in the meantime."""
        jobs, self._jobs = self._jobs, []
        if len(jobs) == 1:
            jobs[0]()
            return
        waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)

        errors: list[BaseException] = []

        def run_waiting() -> None:
            try:
                while True:
                    waiting.get_nowait()()
            except queue.Empty:
                pass
            except BaseException as error:  # noqa: BLE001 - raised below, where a result would be waited for
                errors.append(error)

        # Daemon threads: an interrupted run does not wait for its hosts.
        threads = [threading.Thread(target=run_waiting, daemon=True) for _ in range(min(len(jobs), len(self._workers)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            # With a timeout: a signal that arrives just before the wait is handled only when the wait ends.
            while thread.is_alive():
                thread.join(1)
        for error in errors:
            raise error

    def _run_in_process(self, host: Any, task: Any, task_vars: dict[str, Any], play_context: Any) -> None:
        plugins = get_plugin_loader_namespace()
        arguments = (play_context, self._loader, plugins, self._final_q, self._variable_manager)
        try:
            with TaskContext(task):
                data = TaskExecutor(host, task, task_vars, *arguments).run()
        except SystemExit as error:
            raise AnsibleError(f"the action {task.action} would have ended the run") from error
        self._send_result(host, task, data)

    def _send_result(self, host: Any, task: Any, data: dict[str, Any]) -> None:
        """Send a result as a worker does: as a copy, and after the results of the loop's items."""
        self._final_q.send_task_result(
            _RawTaskResult(host=host, task=task, return_data=data, task_fields=task.dump_attrs())
        )

    def _skipped(self, task: Any, task_vars: dict[str, Any]) -> dict[str, Any] | None:
        if not task.when or task.loop is not None or task.loop_with or task.delegate_to:
            return None
        shown: dict[str, Any] = {}
        try:
            if task._resolve_conditional(task.when, task_vars, result_context=shown):  # noqa: SLF001 - as above
                return None
            result = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False", **shown}
            task.update_result_no_log(TemplateEngine(loader=self._loader, variables=task_vars), result)
        except Exception:  # noqa: BLE001 - the task itself says what is wrong with its condition
            return None
        return result

    def _process_pending_results(self, iterator: Any, *args: Any, **kwargs: Any) -> Any:
        """Also show why a task with `no_log` failed: `no_log` hides the reason together with the secrets."""
        results = super()._process_pending_results(iterator, *args, **kwargs)
        for result in results:
            if result.is_changed() or result.is_failed() or result.is_unreachable():
                recorded_calls.recorder.discard(result.host.name, str(result.task.delegate_to or result.host.name))
            if result.is_failed() and result._return_data.get("_ansible_no_log") and not result.task.ignore_errors:  # noqa: SLF001 - callbacks get it censored
                self._show_reason(result)
        # Ansible counts unreachable hosts even if a task ignores them: with run_once or any_errors_fatal it would end
        # the play here, and report success.
        return [result for result in results if not (result.is_unreachable() and result.task.ignore_unreachable)]

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
        """Return every secret of the environment's vault; none if there is no environment (a scenario's hosts)."""
        with contextlib.suppress(secret_store.SecretError, FileNotFoundError, KeyError):
            return list(self._vault(result.host).values())
        return []

    def _vault(self, host: Any) -> Mapping[str, str]:
        stack = self._variable_manager.get_vars(host=host, include_hostvars=False)["stack"]
        environment = str(stack["environment"])
        folder = project.state_folder(environment)
        return secret_store.of_process(environment, folder, stack["secrets"]["password_command"]).all()

    def run(self, iterator: Any, play_context: Any) -> Any:
        """Run a play. Load first what its tasks need: otherwise each worker would load it again."""
        _load_plugins()
        stack = self._inventory.groups["all"].vars.get("stack", {})
        # The `ansible` command has fewer options than ansible-playbook.
        options = context.CLIARGS
        whole = tuple(options.get("tags", ("none",))) in ((), ("all",)) and not any(
            options.get(name) for name in ("skip_tags", "start_at_task", "step", "subset")
        )
        if not options.get("check"):
            extra_variables = bool(options.get("extra_vars"))
            recorded_calls.recorder.begin(stack.get("environment"), whole=whole, extra_variables=extra_variables)
        # A user's own play may be outside of any project.
        with contextlib.suppress(FileNotFoundError):
            playbooks.preload(self._loader, project.root())
        # Otherwise every worker would decrypt the vault, and run the operator's command for its password.
        with contextlib.suppress(secret_store.SecretError, FileNotFoundError, KeyError):
            for host in self._inventory.get_hosts(iterator._play.hosts)[:1]:  # noqa: SLF001 - as Ansible's own strategies do
                self._vault(host)
        # A garbage collection in a worker would copy the pages that it shares with this process.
        gc.collect()
        gc.freeze()
        return super().run(iterator, play_context)
