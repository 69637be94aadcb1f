#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that ensures a file with one word and lies in one way, so that the harness can prove that it notices."""

from __future__ import annotations

DOCUMENTATION = r"""
module: liar
short_description: Ensures a file with one word
description: Lies when told to.
options:
  path: {description: The file., type: path, required: true}
  word: {description: Its content., type: str, default: truth}
  passphrase: {description: A secret., type: str}
  executable: {description: Something that an earlier step would install., type: path}
  lie: {description: How it lies., type: str}
"""

RETURN = r"""
word:
  description: The file's content. Predicted in check mode.
  returned: success
  type: str
size:
  description: Its size. V(null) in check mode.
  returned: success
  type: int
length:
  description: Its length. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
assumed:
  description: Whether that is an assumption.
  returned: success
  type: bool
"""

import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "path": {"type": "path", "required": True},
            "word": {"type": "str", "default": "truth"},
            "passphrase": {"type": "str", "no_log": False},  # the lie
            "executable": {"type": "path"},
            "lie": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path, word, lie = Path(module.params["path"]), module.params["word"], module.params["lie"]
    present = path.read_text() if path.exists() else None
    changed = present != word
    after: dict[str, object] = {"word": word}
    assumed = not Path(module.params["executable"] or "/").exists()
    result: dict[str, object] = {
        "changed": changed or assumed,
        "word": word,
        "size": None,
        "length": None if assumed else len(word),
        "assumed": assumed,
        "diff": {"before": {"word": present}, "after": after},
    }
    if lie == "failure":
        module.fail_json(
            msg="no", error="other", reason=None, retryable=False, rc=None, msgid=None, cmd=[], stderr="",
            **({"changed": True} if word == "changed" else {}),
        )
    if lie == "poor failure":
        module.fail_json(msg="no", error="other")
    if lie == "failure that writes":
        path.write_text(word)
        module.fail_json(msg="no", error="other", reason=None, retryable=False, rc=None, msgid=None, cmd=[], stderr="")
    if lie == "late failure" and not module.check_mode:
        module.fail_json(msg="no", error="other", reason=None, retryable=False, rc=None, msgid=None, cmd=[], stderr="")
    if module.check_mode:
        if lie == "touches":
            os.utime(path)
        elif lie == "makes":
            Path(f"{path}.lock").touch()
        elif lie == "chmods":
            path.chmod(0o640)
        elif lie == "removes":
            path.unlink()
        elif lie == "predicts no change":
            result["changed"] = False
        elif lie == "predicts a change":
            result["changed"] = True
        elif lie == "predicts another word":
            result["word"] = "lie"
        elif lie == "predicts a size":
            result["size"] = 12345
        elif lie == "forgets a key":
            del result["word"]
        elif lie == "invents a key":
            result["extra"] = 1
        elif lie == "shows another diff":
            after["word"] = "lie"
        elif lie == "assumes":
            result["assumed"] = True
        elif lie == "assumes nothing":
            result["assumed"] = False
        elif lie == "knows a length":
            result["length"] = 0
        elif lie == "knows no word":
            result["word"] = None
        elif lie == "fails":
            module.fail_json(msg="no")
        module.exit_json(**result)
    if changed or lie == "writes again":
        path.write_text(word)
    if lie == "never content":
        result["changed"] = True
    if lie == "shows its code":
        result["word"] = "Traceback (most recent call last)"
    if lie == "assumes for real":
        result["assumed"] = True
    if lie == "tells":
        result["word"] = module.params["passphrase"]
    if lie == "dawdles":
        time.sleep(2)
    result["size"] = path.stat().st_size
    module.exit_json(**result)


if __name__ == "__main__":
    main()
