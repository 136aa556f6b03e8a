"""Filters of the role `pm2`: turn an application's description of its processes into PM2's ecosystem file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

Fields = dict[str, Any]

DEFAULTS: Fields = {
    "arguments": [],
    "node_arguments": [],
    "environment": {},
    "environment_file": None,
    "mode": "fork",
    "autorestart": True,
    "max_restarts": 10,
    "min_uptime_seconds": 10,
    "max_memory_mb": 1024,
    "restart_backoff_ms": 0,
    "kill_timeout_seconds": 30,
    "wait_ready": True,
    "listen_timeout_seconds": 30,
    "log_date_format": "YYYY-MM-DD HH:mm:ss Z",
    "merge_logs": True,
    "open_files": 65536,
    "tasks_max": 4096,
    "writable_paths": [],
    "cache_directory": None,
    "supplementary_groups": [],
}


def normalise(application: Fields) -> Fields:
    """Return an application with all defaults filled in; paths are derived from its name."""
    name, directory = application["name"], application["directory"]
    complete = DEFAULTS | {"log_directory": f"/var/log/{name}", "script": "server.js"} | application
    complete["instances"] = [{"workers": 1, "environment": {}} | instance for instance in application["instances"]]
    complete["script_path"] = (
        complete["script"] if complete["script"].startswith("/") else f"{directory}/{complete['script']}"
    )
    complete["log_files"] = sorted(
        {path for instance in complete["instances"] for path in _log_files(complete, instance).values()}
    )
    _check(complete)
    return complete


def _check(application: Fields) -> None:
    name, instances = application["name"], application["instances"]
    for key in ("name", "port"):
        values = [instance[key] for instance in instances]
        if twice := sorted({str(value) for value in values if values.count(value) > 1}):
            raise AnsibleFilterError(f"pm2_applications: {name}: instance {key} used twice: {', '.join(twice)}")
    if application["mode"] == "fork" and any(instance["workers"] != 1 for instance in instances):
        raise AnsibleFilterError(f"pm2_applications: {name}: several workers on one port need mode: cluster")


def _log_files(application: Fields, instance: Fields) -> Fields:
    stem = application["name"] if application["merge_logs"] else instance["name"]
    folder = application["log_directory"]
    return {"out_file": f"{folder}/{stem}-out.log", "error_file": f"{folder}/{stem}-error.log"}


def _entry(application: Fields, instance: Fields, interpreter: str) -> Fields:
    secrets = application["environment_file"]
    environment = {"NODE_ENV": "production", "INSTANCE_ID": instance["name"]}
    environment |= application["environment"] | instance["environment"] | {"PORT": instance["port"]}
    entry = {
        "name": instance["name"],
        "script": application["script_path"],
        "args": application["arguments"],
        "cwd": application["directory"],
        "interpreter": interpreter,
        # Node.js itself reads the secrets at each start, so that PM2, its dumps and `pm2 env` never contain them.
        "node_args": [*([f"--env-file={secrets}"] if secrets else []), *application["node_arguments"]],
        "exec_mode": application["mode"],
        "instances": instance["workers"],
        "autorestart": application["autorestart"],
        "max_restarts": application["max_restarts"],
        "min_uptime": application["min_uptime_seconds"] * 1000,
        "max_memory_restart": f"{application['max_memory_mb']}M",
        "watch": False,
        "kill_timeout": application["kill_timeout_seconds"] * 1000,
        "wait_ready": application["wait_ready"],
        "listen_timeout": application["listen_timeout_seconds"] * 1000,
        "merge_logs": application["merge_logs"],
        "log_date_format": application["log_date_format"],
        **_log_files(application, instance),
        # Do not inject a probe, and do not look for version control in the release.
        "pmx": False,
        "vizion": False,
        "env": {key: str(value) for key, value in sorted(environment.items())},
    }
    if application["restart_backoff_ms"]:
        entry["exp_backoff_restart_delay"] = application["restart_backoff_ms"]
    return entry


def pm2_application(application: Fields) -> Fields:
    """Normalise one entry of `pm2_applications`."""
    return normalise(application)


def pm2_ecosystem(application: Fields, interpreter: str) -> Fields:
    """Return the content of the ecosystem file of a normalised application."""
    return {"apps": [_entry(application, instance, interpreter) for instance in application["instances"]]}


def pm2_writable_paths(application: Fields, home: str) -> list[str]:
    """Return the paths that a normalised application owns and may write."""
    cache = [application["cache_directory"]] if application["cache_directory"] else []
    return [f"{home}/{application['name']}", application["log_directory"], *application["writable_paths"], *cache]


def pm2_stop_seconds(application: Fields) -> int:
    """Return how long PM2 may take to stop all instances of a normalised application, one after another."""
    workers = int(sum(instance["workers"] for instance in application["instances"]))
    return int(application["kill_timeout_seconds"]) * workers + 15


def pm2_start_seconds(application: Fields) -> int:
    """Return how long PM2 may take to start all instances: four at a time, each within its listen timeout."""
    workers = int(sum(instance["workers"] for instance in application["instances"]))
    return int(application["listen_timeout_seconds"]) * -(-workers // 4) + 30


def pm2_exports(applications: list[Fields]) -> Fields:
    """Return `pm2_exports`: ports of instances; logs, directories and unit of each application; the status command."""
    complete = [normalise(application) for application in applications]
    return {
        "ports": [
            {"name": instance["name"], "port": instance["port"], "protocol": "tcp", "from": ["edge"]}
            for application in complete
            for instance in application["instances"]
        ],
        "logs": [
            {
                "name": application["name"],
                "paths": [f"{application['log_directory']}/*.log"],
                "owner": application["user"],
                "group": "adm",
                "mode": "0640",
                "reopen": f"systemctl kill --signal=USR2 --kill-whom=main pm2-{application['name']}.service",
            }
            for application in complete
        ],
        "backups": [
            {"name": path.rstrip("/").rpartition("/")[2], "paths": [path]}
            for application in complete
            for path in application["writable_paths"]
        ],
        "services": [{"units": [f"pm2-{application['name']}.service" for application in complete]}],
        "status": [{"name": "instances", "argv": ["/usr/local/bin/pm2-status", "--json"], "user": "root"}],
    }


class FilterModule:
    """The filters of the role `pm2`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "pm2_application": pm2_application,
            "pm2_ecosystem": pm2_ecosystem,
            "pm2_exports": pm2_exports,
            "pm2_start_seconds": pm2_start_seconds,
            "pm2_stop_seconds": pm2_stop_seconds,
            "pm2_writable_paths": pm2_writable_paths,
        }
