"""Advice on settings, one rule a file: when it speaks, which value, why and by what source.

The order matters in two places: `work_mem` rests on `shared_buffers`, `min_wal_size` on `max_wal_size`.
"""

from __future__ import annotations

from datareeve.capabilities.databases.rules.settings import (
    autovacuum_analyze_scale_factor,
    autovacuum_vacuum_scale_factor,
    checkpoint_completion_target,
    default_statistics_target,
    effective_cache_size,
    effective_io_concurrency,
    fsync,
    full_page_writes,
    idle_in_transaction_session_timeout,
    jit_above_cost,
    log_autovacuum_min_duration,
    log_checkpoints,
    log_lock_waits,
    log_min_duration_statement,
    log_parameter_max_length,
    log_temp_files,
    maintenance_work_mem,
    max_parallel_maintenance_workers,
    max_parallel_workers,
    max_parallel_workers_per_gather,
    max_wal_size,
    max_worker_processes,
    min_wal_size,
    password_encryption,
    random_page_cost,
    shared_buffers,
    track_io_timing,
    wal_compression,
    work_mem,
)

RULES = tuple(
    rule.RULE
    for rule in (
        shared_buffers,
        effective_cache_size,
        work_mem,
        maintenance_work_mem,
        max_wal_size,
        min_wal_size,
        checkpoint_completion_target,
        wal_compression,
        random_page_cost,
        effective_io_concurrency,
        default_statistics_target,
        max_worker_processes,
        max_parallel_workers,
        max_parallel_workers_per_gather,
        max_parallel_maintenance_workers,
        autovacuum_vacuum_scale_factor,
        autovacuum_analyze_scale_factor,
        jit_above_cost,
        idle_in_transaction_session_timeout,
        log_min_duration_statement,
        log_parameter_max_length,
        log_lock_waits,
        log_checkpoints,
        log_autovacuum_min_duration,
        log_temp_files,
        track_io_timing,
        password_encryption,
        fsync,
        full_page_writes,
    )
)
