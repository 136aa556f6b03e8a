"""Reserved names, and what uses them: accounts, directories and words of the hosts and of the services on them."""

from __future__ import annotations

from collections.abc import Mapping

#: Secrets that a third party provides, by the type of `backups.copy_to`.
PROVIDED_SECRETS: dict[str, tuple[str, ...]] = {
    "s3": ("backup/s3/access_key", "backup/s3/secret_key"),
    "sftp": ("backup/sftp/key",),
}
#: base-passwd of Debian and Ubuntu: `/usr/share/base-passwd/{passwd,group}.master`.
_DISTRIBUTION = (
    *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
    *("backup", "list", "irc", "gnats", "nobody", "nogroup", "adm", "tty", "disk", "kmem", "dialout", "fax", "voice"),
    *("cdrom", "floppy", "tape", "sudo", "audio", "dip", "operator", "src", "shadow", "utmp", "video", "sasl"),
    *(
        "plugdev",
        "staff",
        "users",
        "wheel",
        "crontab",
        "input",
        "sgx",
        "kvm",
        "render",
        "ssh",
        "netdev",
        "lxd",
        "uuidd",
    ),
    *("messagebus", "sshd", "syslog", "systemd", "polkitd", "tcpdump", "landscape", "tss", "ntp", "chrony", "admin"),
    *(
        "ubuntu",
        "debian",
        "ec2-user",
        "pollinate",
        "rtkit",
        "dnsmasq",
        "docker",
        "podman",
        "ansible",
        "cron",
        "lightdm",
    ),
)
_SERVICES = (
    *(
        "postgres",
        "postgresql",
        "patroni",
        "pgbouncer",
        "pgbackrest",
        "redis",
        "redis-server",
        "etcd",
        "haproxy",
        "nginx",
    ),
    *("restic", "rclone", "certbot", "letsencrypt", "nodejs", "node", "npm", "pm2", "php", "apache2", "mysql"),
)
#: Directories in /etc, /opt, /srv, /var/lib and /var/log that an application of that name would share.
_FOLDERS = (
    *("alternatives", "apt", "ca-certificates", "cloud", "credstore", "dbus", "debconf", "default", "dhcp", "dhcpcd"),
    *("dpkg", "environment", "fstab", "gai", "group", "gshadow", "gss", "gnutls", "host", "hostname", "hosts", "init"),
    *("inputrc", "iproute2", "issue", "journal", "kernel", "ldap", "libnl-3", "locale", "localtime", "logcheck"),
    *("logrotate", "lvm", "machine-id", "misc", "modprobe", "modules", "motd", "needrestart", "netconfig", "netplan"),
    *(
        "network",
        "networks",
        "nftables",
        "opt",
        "os-release",
        "pam",
        "passwd",
        "perl",
        "pm",
        "ppp",
        "private",
        "profile",
    ),
    *(
        "protocols",
        "python",
        "python3",
        "resolvconf",
        "rmt",
        "rpc",
        "rsyslog",
        "runit",
        "security",
        "selinux",
        "services",
    ),
    *(
        "sgml",
        "sgml-base",
        "shells",
        "skel",
        "ssl",
        "subgid",
        "subuid",
        "sudoers",
        "supercat",
        "supervise",
        "sv",
        "terminfo",
    ),
    *(
        "tmpfiles",
        "tuned",
        "ucf",
        "udev",
        "ufw",
        "unattended-upgrades",
        "update-motd",
        "vim",
        "wtmp",
        "btmp",
        "lastlog",
    ),
    *(
        "xattr",
        "xdg",
        "xml",
        "xml-core",
        "console-setup",
        "containers",
        "cni",
        "grub",
        "initramfs-tools",
        "snmp",
        "X11",
    ),
)
#: Groups of the inventory, and words with a meaning in Ansible.
INVENTORY_GROUPS = (
    *("all", "ungrouped", "localhost", "edge", "app", "database", "cache", "ops", "consensus", "backup"),
    *("database_proxy", "database_pool", "database_admin", "metrics", "windows", "linux"),
)
_OWN_PREFIXES = ("stackwright", "tls-", "systemd-", "pm2-", "nginx-", "redis-", "restic-", "backup-", "ip6-")

ACCOUNTS: Mapping[str, str] = {
    **dict.fromkeys(_FOLDERS, "a folder or file of the system in /etc, /var/lib or /var/log"),
    **dict.fromkeys(_SERVICES, "a service of the hosts"),
    **dict.fromkeys(_DISTRIBUTION, "an account or a group of the operating system"),
    # Users of Redis.
    "default": "a user of Redis",
    "operator": "a user of Redis and a group of the operating system",
}
HOSTS: Mapping[str, str] = {
    **dict.fromkeys(INVENTORY_GROUPS, "a group of the inventory"),
    "localhost": "the host itself in /etc/hosts",
    "ip6-localhost": "the host itself in /etc/hosts",
    "broadcasthost": "an entry of /etc/hosts",
    "database-primary": "the name of the database's leader",
    "database-replica": "the name of the database's replicas",
    "database-voter": "the name of the voters",
}
_HBA = "a word of pg_hba.conf"
DATABASES: Mapping[str, str] = {
    **dict.fromkeys(("all", "sameuser", "samerole", "samegroup", "replication"), _HBA),
    **dict.fromkeys(("postgres", "template0", "template1"), "a database of PostgreSQL itself"),
    "pgbouncer": "the console of PgBouncer",
    "rdsadmin": "a database of RDS",
}
ROLES: Mapping[str, str] = {
    **dict.fromkeys(("all", "sameuser", "samerole", "samegroup", "replication"), _HBA),
    **dict.fromkeys(("public", "none", "user", "current_user", "session_user", "current_role"), "a word of SQL"),
    "postgres": "the superuser of PostgreSQL",
    "stackwright": "the administrator of a database that a cloud runs",
    **dict.fromkeys(("replicator", "rewind"), "the replication of PostgreSQL"),
    "pgbouncer": "PgBouncer",
}


def account(name: str) -> str | None:
    """Return what uses the name of an application, which becomes an account, a group, directories and a Redis user."""
    return ACCOUNTS.get(name) or _own(name)


def host(name: str) -> str | None:
    """Return what uses the name of a host, which is next to groups in the inventory and in /etc/hosts."""
    return HOSTS.get(name) or ("an entry of /etc/hosts" if name.startswith("ip6-") else None)


def database(name: str) -> str | None:
    """Return what uses the name of a database."""
    return DATABASES.get(name) or ("PostgreSQL" if name.startswith("pg_") else None)


def role(name: str) -> str | None:
    """Return what uses the name of a database role."""
    prefix = next((prefix for prefix in ("pg_", "rds_", "rds") if name.startswith(prefix)), None)
    return ROLES.get(name) or (f"PostgreSQL or RDS, which have all that begin with {prefix}" if prefix else None)


def _own(name: str) -> str | None:
    prefix = next((prefix for prefix in _OWN_PREFIXES if name.startswith(prefix)), None)
    return f"the hosts, which have accounts, groups or units that begin with {prefix}" if prefix else None
