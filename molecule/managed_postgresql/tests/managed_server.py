"""How the tests ask the server: as its clients do, from another host, and as the cloud that runs it."""

SERVER = "taaleem.rds.molecule"
CA = "/etc/stackwright/ca/database.crt"
#: After the rotation of side_effect.yml.
PASSWORDS = {
    "dbadmin": "secret-of-dbadmin-in-molecule",
    "emr": "secret-of-tomorrow-in-molecule",
    "reports": "secret-of-reports-in-molecule",
    "monitoring": "secret-of-monitoring-in-molecule",
    "unlisted": "secret-of-unlisted-in-molecule",
}


def connect(host, sql, *, user="emr", password=None, database="taaleem", server=SERVER, options="sslmode=verify-full"):
    """Past the pool; the password travels by the environment of the process on the test's host."""
    secret = PASSWORDS[user] if password is None else password
    where = f"host={server} dbname={database} user={user} connect_timeout=5 {options} sslrootcert={CA}"
    return host.run(f"PGPASSWORD='{secret}' psql -XAtq '{where}' -c \"{sql}\"")


def pooled(host, sql, *, user="emr", password=None, database="taaleem"):
    """As an application does it."""
    secret = PASSWORDS[user] if password is None else password
    where = f"host=127.0.0.1 port=6432 dbname={database} user={user} connect_timeout=20"
    return host.run(f"cd / && PGPASSWORD='{secret}' psql -XAtq '{where}' -c \"{sql}\"")


def inside(host, sql, database="taaleem"):
    """As the cloud's own superuser, on the server."""
    with host.sudo("postgres"):
        return host.check_output(f'psql -XAtq -v ON_ERROR_STOP=1 -d {database} -c "{sql}"')
