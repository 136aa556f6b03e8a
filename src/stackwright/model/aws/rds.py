"""What RDS decides about a PostgreSQL server, and what every database of ours has there."""

from __future__ import annotations

from collections.abc import Mapping

#: RDS decides these: where files are, how archiving and replication work, and what keeps data safe.
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
#: What every database here has, whatever is asked for. In RDS's words.
ALWAYS: Mapping[str, str] = {
    # Nobody without TLS, and no password kept or sent as MD5.
    "rds.force_ssl": "1",
    "password_encryption": "scram-sha-256",
    "rds.accepted_password_auth_method": "scram",
    # Which statements cost most; Performance Insights shows their texts by it.
    "shared_preload_libraries": "pg_stat_statements",
}
