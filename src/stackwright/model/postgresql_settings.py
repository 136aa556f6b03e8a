"""PostgreSQL's memory and worker settings, derived from the host's resources."""

from __future__ import annotations

#: Minimum in megabytes for PostgreSQL, Patroni and the kernel on one host.
MINIMUM_MEMORY_MB = 256


def postgresql_settings(*, memory_mb: int, cpus: int, max_connections: int) -> dict[str, str | int | float]:
    """Return the settings of one host; units are written as in PostgreSQL.

    `memory_mb` is what PostgreSQL may use, which is less than the host's memory if other services run on it. A quarter
    is the buffer cache, half is for sorts and hashes of all connections at once (`work_mem`), and the rest is for
    maintenance and the processes themselves. Values follow autobase and Pigsty (25 % / 75 %).
    """
    if memory_mb < MINIMUM_MEMORY_MB:
        raise ValueError(f"memory_mb: {memory_mb} is too little for PostgreSQL: at least {MINIMUM_MEMORY_MB}")
    if cpus < 1 or max_connections < 1:
        raise ValueError(f"cpus ({cpus}) and max_connections ({max_connections}) have to be at least 1")
    work_mem = memory_mb // 2 // max_connections
    if work_mem < 1:
        raise ValueError(
            f"max_connections: {max_connections} connections with 1 MB each do not fit half of {memory_mb} MB:"
            f" at most {memory_mb // 2}"
        )
    max_wal = min(max(1024, memory_mb), 8192)
    return {
        "shared_buffers": f"{memory_mb // 4}MB",
        "effective_cache_size": f"{memory_mb * 3 // 4}MB",
        "work_mem": f"{min(work_mem, 64)}MB",
        "maintenance_work_mem": f"{min(max(memory_mb // 16, 16), 1024)}MB",
        "max_wal_size": f"{max_wal}MB",
        "min_wal_size": f"{max_wal // 4}MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": 0.9,
        "max_parallel_workers": cpus,
        "max_parallel_workers_per_gather": min(max(cpus // 2, 1), 4),
        "max_parallel_maintenance_workers": min(max(cpus // 2, 1), 4),
        "random_page_cost": 1.1,
        "effective_io_concurrency": 200,
        # JIT compilation is useful for reports that take seconds, not for the short queries of an application.
        "jit": "off",
    }
