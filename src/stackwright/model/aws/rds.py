"""What RDS decides about a PostgreSQL server, and the parameters that every database of this project has there."""

from __future__ import annotations

from collections.abc import Mapping

#: Decided by RDS: where files are, how archiving and replication work, and what keeps data safe.
NOT_SETTABLE = frozenset(
    {
        *("archive_command", "archive_library", "archive_mode", "restore_command", "primary_conninfo", "wal_level"),
        *("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "log_directory"),
        *("data_sync_retry", "fsync", "full_page_writes", "ignore_checksum_failure", "wal_sync_method"),
        *("listen_addresses", "port", "unix_socket_directories", "superuser_reserved_connections"),
        *("logging_collector", "log_file_mode", "syslog_facility", "syslog_ident", "cluster_name"),
        *("ssl_ca_file", "ssl_cert_file", "ssl_crl_file", "ssl_key_file", "zero_damaged_pages"),
    }
)
#: Parameters of every database, independent of the configured ones. In RDS's words.
ALWAYS: Mapping[str, str] = {
    # TLS is required, and no password is stored or sent as MD5.
    "rds.force_ssl": "1",
    "password_encryption": "scram-sha-256",
    "rds.accepted_password_auth_method": "scram",
    # Shows which statements cost most; Performance Insights takes their texts from it.
    "shared_preload_libraries": "pg_stat_statements",
}
