# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""borgmatic's options as data: what each holds, which versions read it, whether its value may be shown.

Source: the file ``config/schema.yaml`` of borgmatic 1.7.7, 1.8.0, 1.8.14, 1.9.14, 2.0.0, 2.0.13 and 2.1.10; for the
first version between two of them, the file NEWS.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Union

#: The sections of a configuration for borgmatic up to 1.7; from FLAT_SINCE on they are gone.
SECTIONS = ("location", "storage", "retention", "consistency", "output", "hooks")
FLAT_SINCE = "1.8.0"
#: Older ones know neither checks with a frequency nor what we render for 1.7.
OLDEST = "1.7.0"
#: ``{credential ...}`` as a value is resolved from here on; before, it would be taken literally.
CREDENTIALS_SINCE = "1.9.10"


class Option(NamedTuple):
    """What we know of one option.

    :ivar kind: what its value is; the name of a validator.
    :ivar sections: where it stands in a configuration for borgmatic 1.7.
    :ivar since: the first version that reads it; empty: every one.
    :ivar until: the last version that reads it; empty: the newest still does.
    :ivar public: whether its value may be shown; or the keys within it that may.
    :ivar values: the choices, where there are some.
    :ivar least: the smallest whole number.
    """

    kind: str
    sections: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    public: Union[bool, frozenset[str]] = False
    values: tuple[Any, ...] = ()
    least: int = 0


class RepositoryKey(NamedTuple):
    """A key of an entry of ``repositories``.

    :ivar consumed: it only says how to create the repository, which borg_repository does: a borgmatic that can't read
        it loses nothing.
    """

    kind: str
    since: str = ""
    consumed: bool = False
    values: tuple[Any, ...] = ()


_LOCATION, _STORAGE, _RETENTION = ("location",), ("storage",), ("retention",)
_CONSISTENCY, _OUTPUT, _HOOKS = ("consistency",), ("output",), ("hooks",)
_VERBOSITY = (-2, -1, 0, 1, 2)

#: Actions by any name that a supported borgmatic gives them.
ACTIONS = (
    *("repo-create", "transfer", "prune", "compact", "create", "recreate", "check", "delete", "extract", "config"),
    *("export-tar", "mount", "umount", "repo-delete", "restore", "repo-list", "list", "repo-info", "info"),
    *("break-lock", "key", "diff", "browse", "borg", "rcreate", "rdelete", "rlist", "rinfo"),
)

#: Keys of ``repositories[]``. From PER_REPOSITORY_SINCE on, nearly any option may stand there too.
REPOSITORY_KEYS: dict[str, RepositoryKey] = {
    "path": RepositoryKey("location"),
    "label": RepositoryKey("trimmed", since=FLAT_SINCE, consumed=True),
    "encryption": RepositoryKey(
        "choice",
        since="2.0.0",
        consumed=True,
        values=(
            *("repokey-blake2", "repokey", "keyfile-blake2", "keyfile", "authenticated-blake2", "authenticated", "none"),
            *("repokey-aes-ocb", "repokey-chacha20-poly1305", "keyfile-aes-ocb", "keyfile-chacha20-poly1305"),
            *("repokey-blake2-aes-ocb", "repokey-blake2-chacha20-poly1305"),
            *("keyfile-blake2-aes-ocb", "keyfile-blake2-chacha20-poly1305"),
        ),
    ),
    "append_only": RepositoryKey("flag", since="2.0.0", consumed=True),
    "storage_quota": RepositoryKey("quota", since="2.0.0", consumed=True),
    "make_parent_directories": RepositoryKey("flag", since="2.0.0", consumed=True),
    "id_hash": RepositoryKey("text", since="2.1.7"),
    "key_location": RepositoryKey("choice", since="2.1.7", values=("repokey", "keyfile")),
}
PER_REPOSITORY_SINCE = "2.1.10"

#: In the order in which they are written.
OPTIONS: dict[str, Option] = {
    "constants": Option("mapping", since="1.7.10"),
    "source_directories": Option("sources", _LOCATION, public=True),
    "source_directories_must_exist": Option("flag", _LOCATION, since="1.7.10", public=True),
    "repositories": Option("repositories", _LOCATION, public=frozenset(REPOSITORY_KEYS)),
    "working_directory": Option("text", _LOCATION, public=True),
    "one_file_system": Option("flag", _LOCATION, public=True),
    "numeric_ids": Option("flag", _LOCATION, public=True),
    "atime": Option("flag", _LOCATION, public=True),
    "ctime": Option("flag", _LOCATION, public=True),
    "birthtime": Option("flag", _LOCATION, public=True),
    "read_special": Option("flag", _LOCATION, public=True),
    "unsafe_skip_path_validation_before_create": Option("flag", since="2.1.0", public=True),
    "flags": Option("flag", _LOCATION, public=True),
    "files_changed": Option("choice", since="2.1.3", public=True, values=("ctime", "mtime", "disabled")),
    "files_cache": Option("files_cache", _LOCATION, public=True),
    "local_path": Option("text", _LOCATION, public=True),
    "remote_path": Option("text", _LOCATION, public=True),
    "patterns": Option("texts", _LOCATION, public=True),
    "patterns_from": Option("texts", _LOCATION, public=True),
    "exclude_patterns": Option("texts", _LOCATION, public=True),
    "exclude_from": Option("texts", _LOCATION, public=True),
    "exclude_caches": Option("flag", _LOCATION, public=True),
    "exclude_if_present": Option("texts", _LOCATION, public=True),
    "keep_exclude_tags": Option("flag", _LOCATION, public=True),
    "exclude_nodump": Option("flag", _LOCATION, public=True),
    "borgmatic_source_directory": Option("text", _LOCATION, public=True),
    "user_runtime_directory": Option("text", since="1.9.0", public=True),
    "user_state_directory": Option("text", since="1.9.0", public=True),
    "encryption_passcommand": Option("command", _STORAGE),
    "encryption_passphrase": Option("passphrase", _STORAGE),
    "checkpoint_interval": Option("count", _STORAGE, public=True),
    "checkpoint_volume": Option("count", _STORAGE, since="1.7.8", public=True),
    "chunker_params": Option("chunker_params", _STORAGE, public=True),
    "compression": Option("compression", _STORAGE, public=True),
    "recompress": Option("choice", since="2.0.0", public=True, values=("if-different", "always", "never")),
    "upload_rate_limit": Option("count", _STORAGE, public=True),
    "upload_buffer_size": Option("count", since="1.8.12", public=True, least=1),
    "retries": Option("count", _STORAGE, public=True),
    "retry_wait": Option("count", _STORAGE, public=True),
    "temporary_directory": Option("text", _STORAGE, public=True),
    "ssh_command": Option("command", _STORAGE),
    "borg_base_directory": Option("text", _STORAGE, public=True),
    "borg_config_directory": Option("text", _STORAGE, public=True),
    "borg_cache_directory": Option("text", _STORAGE, public=True),
    "use_chunks_archive": Option("flag", since="2.0.5", public=True),
    "borg_files_cache_ttl": Option("count", _STORAGE, since="1.7.10", public=True),
    "borg_security_directory": Option("text", _STORAGE, public=True),
    "borg_keys_directory": Option("text", _STORAGE, public=True),
    "borg_key_file": Option("text", since="2.0.10", public=True),
    "borg_exit_codes": Option("exit_codes", since="1.8.7", public=True),
    "umask": Option("umask", _STORAGE + _HOOKS, public=True),
    "lock_wait": Option("count", _STORAGE, public=True),
    "archive_name_format": Option("archive_name", _STORAGE, public=True),
    "match_archives": Option("archive_filter", _STORAGE, since="1.7.11", public=True),
    "archive_hostname": Option("text", since="2.1.7", public=True),
    "archive_username": Option("text", since="2.1.7", public=True),
    "file_list_format": Option("text", since="2.0.13", public=True),
    "archive_list_format": Option("text", since="2.0.13", public=True),
    "relocated_repo_access_is_ok": Option("flag", _STORAGE, public=True),
    "unknown_unencrypted_repo_access_is_ok": Option("flag", _STORAGE, public=True),
    "debug_passphrase": Option("disabled", since="2.0.7", public=True),
    "display_passphrase": Option("disabled", since="2.0.7", public=True),
    "check_i_know_what_i_am_doing": Option("flag", since="1.8.0", public=True),
    "msgpack_version_check": Option("flag", since="2.1.3", public=True),
    "extra_borg_options": Option("mapping", _STORAGE),
    "keep_within": Option("interval", _RETENTION, public=True),
    "keep_secondly": Option("count", _RETENTION, public=True),
    "keep_minutely": Option("count", _RETENTION, public=True),
    "keep_hourly": Option("count", _RETENTION, public=True),
    "keep_daily": Option("count", _RETENTION, public=True),
    "keep_weekly": Option("count", _RETENTION, public=True),
    "keep_monthly": Option("count", _RETENTION, public=True),
    "keep_yearly": Option("count", _RETENTION, public=True),
    "keep_13weekly": Option("count", since="2.0.5", public=True),
    "keep_3monthly": Option("count", since="2.0.5", public=True),
    "prefix": Option("archive_prefix", _RETENTION + _CONSISTENCY, public=True),
    "compact_threshold": Option("count", since="2.0.0", public=True),
    "checks": Option(
        "checks",
        _CONSISTENCY,
        public=frozenset(
            ("name", "frequency", "only_run_on", "max_duration", "count_tolerance_percentage")
            + ("data_sample_percentage", "data_tolerance_percentage")
        ),
    ),
    "check_repositories": Option("texts", _CONSISTENCY, public=True),
    "check_last": Option("count", _CONSISTENCY, public=True, least=1),
    "color": Option("flag", _OUTPUT, public=True),
    "verbosity": Option("choice", since="2.0.0", public=True, values=_VERBOSITY),
    "syslog_verbosity": Option("choice", since="2.0.0", public=True, values=_VERBOSITY),
    "log_file_verbosity": Option("choice", since="2.0.0", public=True, values=_VERBOSITY),
    "log_file": Option("text", since="2.0.0", public=True),
    "log_file_format": Option("text", since="2.0.0", public=True),
    "monitoring_verbosity": Option("choice", since="2.0.0", public=True, values=_VERBOSITY),
    "log_json": Option("flag", since="2.0.0", public=True),
    "progress": Option("flag", since="2.0.0", public=True),
    "statistics": Option("choice", since="2.0.0", public=True, values=("standard", "quick", "none", True, False)),
    "quick_statistics": Option("flag", since="2.1.6", public=True),
    "list_details": Option("flag", since="2.0.0", public=True),
    "default_actions": Option("flag", since="2.0.0", public=True),
    "skip_actions": Option("choices", since="1.8.5", public=True, values=ACTIONS),
    "before_actions": Option("commands", _HOOKS),
    "before_backup": Option("commands", _HOOKS),
    "before_prune": Option("commands", _HOOKS),
    "before_compact": Option("commands", _HOOKS),
    "before_check": Option("commands", _HOOKS),
    "before_extract": Option("commands", _HOOKS),
    "after_backup": Option("commands", _HOOKS),
    "after_compact": Option("commands", _HOOKS),
    "after_prune": Option("commands", _HOOKS),
    "after_check": Option("commands", _HOOKS),
    "after_extract": Option("commands", _HOOKS),
    "after_actions": Option("commands", _HOOKS),
    "on_error": Option("commands", _HOOKS),
    "before_everything": Option("commands", _HOOKS),
    "after_everything": Option("commands", _HOOKS),
    "commands": Option("command_hooks", since="2.0.0"),
    "store_config_files": Option("flag", since="1.8.1", public=True),
    "bootstrap": Option("mapping", since="1.9.3", public=frozenset(("store_config_files",))),
    "influxdb_databases": Option("mappings", since="2.1.8"),
    "postgresql_databases": Option("mappings", _HOOKS),
    "mariadb_databases": Option("mappings", since="1.8.2"),
    "mysql_databases": Option("mappings", _HOOKS),
    "sqlite_databases": Option("mappings", _HOOKS, since="1.7.9"),
    "mongodb_databases": Option("mappings", _HOOKS),
    "openldap_databases": Option("mappings", since="2.1.8"),
    "ntfy": Option("mapping", _HOOKS),
    "pushover": Option("mapping", since="1.9.2"),
    "zabbix": Option("mapping", since="1.9.0"),
    "apprise": Option("mapping", since="1.8.4"),
    "healthchecks": Option("monitor", _HOOKS, values=("ping_url",)),
    "uptime_kuma": Option("mapping", since="1.8.13"),
    "cronitor": Option("monitor", _HOOKS, values=("ping_url",)),
    "cronhub": Option("monitor", _HOOKS, until="2.1.6", values=("ping_url",)),
    "pagerduty": Option("monitor", _HOOKS, values=("integration_key",)),
    "loki": Option("mapping", since="1.8.3"),
    "sentry": Option("mapping", since="1.9.7"),
    "watchgoose": Option("mapping", since="2.1.7"),
    "zfs": Option("switch", since="1.9.3"),
    "btrfs": Option("switch", since="1.9.4"),
    "lvm": Option("switch", since="1.9.4"),
    "systemd": Option("mapping", since="2.0.9"),
    "container": Option("mapping", since="1.9.11"),
    "keepassxc": Option("mapping", since="1.9.11"),
    "onepassword": Option("mapping", since="2.1.8"),
}

#: Names that borgmatic itself renames.
RENAMED = {"numeric_owner": "numeric_ids", "bsd_flags": "flags", "remote_rate_limit": "upload_rate_limit"}
