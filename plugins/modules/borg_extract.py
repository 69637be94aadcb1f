#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_extract
short_description: Ensure that files of a Borg archive stand at a destination, byte for byte
version_added: 0.1.0
description:
  - Compares the archive with the destination, extracts what is missing or differs, and compares again.
  - Where something else than the archived files stands in their places, nothing is extracted until O(overwrite) says what shall
    become of it.
  - As long as it has not ended, the file C(.fleetbackup-restoring) stands at the destination. It tells which files of which archive
    are restored, and every ten seconds how far that is. Where a run was killed it stays, and the next run for the same files of the
    same archive completes the restore. A run for others is refused there (C(error=unsafe)), for it would leave files by half, and
    nobody would know; only with O(overwrite=changed) or V(always) the same files of another archive may take their places.
  - Content, mode, owner, modification time, hard and symbolic links, extended attributes and ACLs come back as far as the
    user and the file system allow. Other files at the destination are left alone.
  - Where the file system of the destination cannot keep extended attributes, or the user may not set them (only root may set
    C(trusted.*) and most of C(security.*)), the files come back without them, and the module warns with Borg's words for each. Where
    the file system knows no ACLs, Borg leaves them out without a word, and of their mask the group's bits of the mode remain. Neither
    is a failure. Borg lists neither of the two, so no O(compare) sees them, and where a file stands without them a later run leaves
    it; with O(overwrite=always) it brings them back.
  - Nothing is written outside of the destination, and no file there gets a further name. Archives with absolute paths, with
    C(..), or with files below a link, and destinations where a directory of the archive is a symbolic link, are refused.
    The same holds for the files that hard links of the archive lead to. Nobody else may write below the destination meanwhile. Whoever
    owns a directory there can put a link in its place that leads what Borg writes elsewhere, and that is told (C(error=unsafe)) only
    where the link is still found afterwards.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  archive:
    description:
      - The archive's name, or V(latest) for the newest one.
    type: str
    default: latest
  match_archives:
    description:
      - With O(archive=latest), only archives whose name matches this shell-style pattern, for example V(web1-2*).
    type: str
  before:
    description:
      - With O(archive=latest), only archives that were begun before this time, for example V(2026-11-20) or
        V(2026-11-20T03:00:00+01:00). Without a zone it is in UTC.
    type: str
  destination:
    description:
      - The directory that the files go to. It is made, with mode 0700, where there is none. A file archived from
        C(/etc/hosts) goes to C(etc/hosts) below it.
      - Where the archive holds C(.), as one of the whole of C(/) does, this directory gets the mode and the owner of that one, as with
        Borg itself. The time of C(.) never comes back.
    type: path
    required: true
  paths:
    description:
      - Only these paths and what lies below them, without a leading slash. By default all.
    type: list
    elements: str
    default: []
  patterns:
    description:
      - Borg's include and exclude patterns in order, as V(+ home/*/keep) or V(- home/*/.cache). The first that matches a path counts.
        With O(paths), only what one of them or a pattern includes is extracted.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Borg's exclude patterns.
    type: list
    elements: str
    default: []
  strip_components:
    description:
      - How many leading parts of each path are left out, so that with V(1) C(etc/hosts) goes to C(hosts). What has no more parts
        than that is not extracted.
    type: int
    default: 0
  overwrite:
    description:
      - What becomes of files that stand at the destination and are not what was archived, and of links and the like. Directories
        are always merged.
      - By default that is a failure (C(error=unsafe)) and nothing is extracted.
      - V(never) leaves them as they are, and extracts only what is missing. A file of several names that stands as it was archived is
        extracted anew together with those that are missing, so that it stays one file.
      - Both complete what an interrupted run for the same files of the same archive left by half. That is what was written since it
        began and holds a beginning of what was archived, and nothing else. Where other files were put in their places or changed
        since then, that is a failure (C(error=unsafe)) that names them, and nothing is extracted.
      - V(changed) replaces them.
      - V(always) replaces everything, on each run.
    type: str
    choices: [never, changed, always]
  compare:
    description:
      - What makes a file at the destination the archived one.
      - V(metadata) compares type, mode, owner, size, modification time and links.
      - V(content) compares the SHA-256 of the content too, for which all of it is read here and in the repository.
    type: str
    choices: [metadata, content]
    default: metadata
  numeric_ids:
    description:
      - Whether owners are restored by number, not by name.
    type: bool
    default: false
  sparse:
    description:
      - Whether long runs of zeros in files become holes.
    type: bool
    default: false
  allow_damaged_files:
    description:
      - Whether files will do that hold zeros where C(borg check --repair) found no data. Otherwise they are restored with these as well, but the
        result is a failure (C(error=integrity)) with their names in C(damaged_files), on each run. Borg itself restores them with a warning.
    type: bool
    default: false
  progress:
    description:
      - With a number of seconds, the restore runs by itself on the target, and at least that often a line says how far it is. It goes on
        when Ansible is killed; the next run for the same destination waits for it, and completes what is missing then.
      - Until it has ended, this module stands with its options in a file that only its user can read, as it does with C(async). Where
        Ansible becomes an account other than root, that takes the package C(acl) on the target.
      - By default it runs as other tasks do, and C(async) may be said.
    type: int
seealso:
  - module: fleetbackup.borg.borg_archive_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: One file of the newest archive, into a scratch directory
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"
    paths: [etc/ssh/sshd_config]
    destination: /root/restored

- name: What a directory held on Monday, in its place again
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"
    before: "2026-11-17T00:00:00+01:00"
    paths: [srv/wiki]
    patterns: ["- srv/wiki/cache"]
    destination: /
    overwrite: changed

- name: A large restore, which says every half a minute how far it is
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    destination: /srv/restored
    sparse: true
    progress: 30

- name: A whole archive, proven by content
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    archive: web1-2026-11-20
    destination: /srv/restored
    compare: content
"""

RETURN = r"""
archive:
  description: The archive. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    id:
      description: Its id.
      type: str
    time:
      description: When it was begun, in UTC.
      type: str
  sample:
    name: web1-2026-11-20
    id: f3de76580692136bc67c8cfd9dd4ba16dc576ce699c4da839fc416dedc11f424
    time: "2026-11-20T03:00:00+00:00"
destination:
  description: Where the files stand. Predicted in check mode.
  returned: success
  type: str
  sample: /srv/restored
entries:
  description: How many files, directories and links are wanted there. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 140
files:
  description: How many of them are files. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 127
bytes:
  description: The size of their contents in bytes. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 4160000
extracted:
  description: How many of the entries were extracted, as a rule those that were missing or differed. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 127
paths:
  description: The first thousand of those. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: str
  sample: [etc/ssh/sshd_config]
overwritten:
  description:
    - The first thousand of those in whose place something else stood. Predicted in check mode; V(null) where it is RV(assumed).
    - A failure because of them has them too.
  returned: success
  type: list
  elements: str
  sample: []
kept:
  description:
    - The first thousand of the entries that were not extracted because something else stands in their place, with O(overwrite=never).
      Predicted in check mode; V(null) where it is RV(assumed).
    - A failure because of what was put there since a run was interrupted has them too.
  returned: success
  type: list
  elements: str
  sample: []
damaged_files:
  description:
    - The first thousand of the files that hold zeros where a repair of the repository found no data, with O(allow_damaged_files=true).
      Predicted in check mode; V(null) where it is RV(assumed).
    - A failure because of them has them too.
  returned: success
  type: list
  elements: str
  sample: []
truncated:
  description: Whether one of these lists leaves some out. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: false
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, the repository, the archive or the access to it is not there yet; in check mode
      only.
      What would be extracted is not known then, and its diff is empty.
  returned: success
  type: bool
  sample: false
"""

import os
import re
from typing import Any, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction as extraction
from ansible_collections.fleetbackup.borg.plugins.module_utils import _interruption as interruption
from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_choice import Choice
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, printable, read_contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

SHOWN_PATHS = 1000


def main() -> None:
    run_borg_module(
        ensure,
        {
            "archive": {"type": "str", "default": "latest"},
            "match_archives": {"type": "str"},
            "before": {"type": "str"},
            "destination": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str", "default": []},
            "patterns": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "strip_components": {"type": "int", "default": 0},
            "overwrite": {"type": "str", "choices": list(extraction.OVERWRITE)},
            "compare": {"type": "str", "choices": ["metadata", "content"], "default": "metadata"},
            "numeric_ids": {"type": "bool", "default": False},
            "sparse": {"type": "bool", "default": False},
            "allow_damaged_files": {"type": "bool", "default": False},
            "progress": {"type": "int"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the files to the destination; the module's result."""
    parameters = module.params
    _check(parameters)
    choice = Choice.parse(parameters["archive"], parameters["match_archives"], parameters["before"])
    borg = borg_from(parameters)
    try:
        archive = choice.find(borg)
    except Failure as failure:
        # nobody makes an archive of the past
        made = failure.error == "archive_absent" and parameters["before"] is None
        expected = made or failure.error in ("absent", "borg_missing") or failure.awaits_access
        if not module.check_mode or not expected:
            raise
        return _assumed(parameters)
    wanted = extraction.Wanted(**{name: parameters[name] for name in extraction.Wanted._fields})
    listed = read_contents(
        borg,
        archive.name,
        wanted.paths,
        wanted.exclude,
        patterns=wanted.patterns,
        hashes=parameters["compare"] == "content",
    )
    entries, origins = extraction.strip(extraction.mark_damaged(borg, archive, listed), wanted.strip_components)
    destination = parameters["destination"]
    overwrite = parameters["overwrite"] or "changed"
    note = interruption.Note(destination, archive, wanted.choice)
    if note.exists() and not module.check_mode:
        extraction.check_idle(destination)
    plan = extraction.make_plan(entries, destination, numeric_ids=wanted.numeric_ids, overwrite=overwrite)
    given_up = note.check_others(replacing=parameters["overwrite"] in ("changed", "always"))
    if given_up is not None:
        module.warn(f"{destination}: a restore of {given_up} was interrupted here. What is in that archive alone may be there by half.")
    begun = note.begun()
    if parameters["overwrite"] in (None, "never"):
        displaced = [*plan.overwritten, *plan.kept]
        own = interruption.remains(borg, archive, destination, plan.entries, displaced, origins, begun) if begun is not None else set()
        _check_displaced(destination, [entry for entry in plan.overwritten if entry.path not in own])
        if begun is not None and overwrite == "never":
            since = interruption.changed_since(plan.kept, destination, begun.moment)
            _check_kept(destination, [entry for entry in since if entry.path not in own])
            plan = extraction.completing(plan, destination, own, begun, numeric_ids=wanted.numeric_ids)
    changed = bool(plan.outstanding) or begun is not None or given_up is not None
    if changed and not module.check_mode:
        _extract(module, borg, archive, plan, wanted, origins)
    return _result(parameters, archive, plan, changed=changed, damaged=_judge_damaged(module, archive, plan))


def _check(parameters: dict[str, Any]) -> None:
    destination = parameters["destination"]
    if not destination.startswith("/"):
        raise Failure("invalid_argument", f"destination: {destination!r} is no absolute path; for example '/srv/restored'.")
    if os.path.lexists(destination) and not os.path.isdir(destination):
        raise Failure("invalid_argument", f"destination: {destination!r} is no directory; name a directory.")
    for path in parameters["paths"]:
        if path.startswith("/") or not path.strip() or ".." in path.split("/"):
            raise Failure("invalid_argument", f"paths: {path!r} is no path in an archive; for example 'etc/hosts'.")
    for pattern in parameters["patterns"]:
        if not re.match(r"[+-] *\S", pattern):
            raise Failure(
                "invalid_argument", f"patterns: {pattern!r} does not begin with '+' or '-'; for example '- home/*/.cache'."
            )
    if parameters["strip_components"] < 0:
        raise Failure("invalid_argument", f"strip_components: {parameters['strip_components']} is negative; for example 1.")


def _check_displaced(destination: str, foreign: Sequence[Entry]) -> None:
    """Refuse to replace unasked what somebody else has put there."""
    if foreign:
        paths = [printable(entry.path) for entry in foreign]
        raise Failure(
            "unsafe",
            f"{destination} holds {len(paths)} files that are not those of the archive: {_first(paths)}. Nothing was extracted. Say"
            " overwrite: changed to have them replaced, overwrite: never to keep them and extract what is missing, or name another"
            " destination.",
            overwritten=paths[:SHOWN_PATHS],
        )


def _check_kept(destination: str, foreign: Sequence[Entry]) -> None:
    """Refuse to complete a restore around what somebody else has written since it was interrupted: it would seem to be whole."""
    if foreign:
        paths = [printable(entry.path) for entry in foreign]
        raise Failure(
            "unsafe",
            f"{destination}: a restore was interrupted, and {len(paths)} files were put or changed there since it began that are not its"
            f" work: {_first(paths)}. Nothing was extracted. Move them away, or say overwrite: changed to have them replaced.",
            kept=paths[:SHOWN_PATHS],
        )


def _first(paths: Sequence[str]) -> str:
    return f"{', '.join(paths[:5])}{' …' if len(paths) > 5 else ''}"


def _extract(
    module: AnsibleModule,
    borg: Borg,
    archive: Archive,
    plan: extraction.Plan,
    wanted: extraction.Wanted,
    origins: Mapping[str, str],
) -> None:
    destination = module.params["destination"]
    with extraction.alone(destination) as lock:
        warnings = extraction.extract(borg, archive, plan, destination, wanted, origins, lock) if plan.outstanding else []
        for text in warnings[:SHOWN_PATHS]:
            module.warn(printable(text))
        left = extraction.left_over(plan, destination, numeric_ids=wanted.numeric_ids)
        if left:
            raise _incomplete(plan, left, warnings)
        interruption.Note(destination, archive, wanted.choice).remove()


def _judge_damaged(module: AnsibleModule, archive: Archive, plan: extraction.Plan) -> list[str]:
    """Fail or warn where files hold zeros instead of what was archived, however completely they were restored.

    :returns: the paths of those that will do.
    :raises Failure: ``integrity``: they will not.
    """
    kept = {entry.path for entry in plan.kept}
    damaged = [printable(entry.path) for entry in plan.entries if entry.damaged and entry.path not in kept]
    if not damaged:
        return []
    what = f"{archive.name} holds zeros where a repair of the repository found no data, in {len(damaged)} files: {_first(damaged)}."
    if module.params["allow_damaged_files"]:
        module.warn(what)
        return damaged
    raise Failure(
        "integrity",
        f"{what} They come back with these, and everything else as it was archived. Look for them in another archive or another repository; if"
        " they will do, say allow_damaged_files: true.",
        damaged_files=damaged[:SHOWN_PATHS],
    )


def _incomplete(plan: extraction.Plan, left: Sequence[Entry], warnings: Sequence[str]) -> Failure:
    shown = ", ".join(printable(entry.path) for entry in left[:5])
    what = (
        f"{len(left)} of {len(plan.entries)} files could not be restored as they were archived: {shown}"
        f"{' …' if len(left) > 5 else ''}. {_said(warnings)}"
    )
    # borg goes on after each file that does not fit
    if any(re.search(r"\[Errno (?:28|122)\]", text) for text in warnings):
        return Failure("disk_full", f"{what}Free some space at the destination and run the same task again, which completes it.")
    return Failure(
        "warning",
        f"{what}Make room where something else stands, restore as root or onto a file system that can hold them, or leave them out"
        " with exclude.",
    )


def _said(warnings: Sequence[str]) -> str:
    return f"Borg said: {'; '.join(printable(text) for text in warnings[:5])}. " if warnings else ""


def _assumed(parameters: dict[str, Any]) -> dict[str, Any]:
    """The result where check mode cannot look into the archive."""
    names = ("archive", "entries", "files", "bytes", "extracted", "paths", "overwritten", "kept", "damaged_files", "truncated")
    unknown = dict.fromkeys(names)
    return {
        "changed": True,
        **unknown,
        "destination": parameters["destination"],
        "assumed": True,
        "diff": {"before": "", "after": ""},
    }


def _result(
    parameters: dict[str, Any], archive: Archive, plan: extraction.Plan, *, changed: bool, damaged: Sequence[str]
) -> dict[str, Any]:
    lists = (plan.outstanding, plan.overwritten, plan.kept)
    paths, overwritten, kept = ([printable(entry.path) for entry in entries[:SHOWN_PATHS]] for entries in lists)
    return {
        "changed": changed,
        "archive": archive.as_result(),
        "destination": parameters["destination"],
        "entries": len(plan.entries),
        "files": sum(entry.kind in "-h" for entry in plan.entries),
        "bytes": sum(entry.size for entry in plan.entries if entry.kind == "-"),
        "extracted": len(plan.outstanding),
        "paths": paths,
        "overwritten": overwritten,
        "kept": kept,
        "damaged_files": list(damaged[:SHOWN_PATHS]),
        "truncated": any(len(entries) > SHOWN_PATHS for entries in (*lists, damaged)),
        "assumed": False,
        "diff": {
            "before": "".join(f"{path} (something else)\n" for path in overwritten),
            "after": "".join(f"{path}\n" for path in paths),
        },
    }


if __name__ == "__main__":
    main()
