# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""forge.py KEY: prints an exported key with other secrets inside, but the same id and passphrase (BORG_PASSPHRASE)."""

from __future__ import annotations

import os
import sys
import textwrap
from binascii import a2b_base64, b2a_base64
from pathlib import Path

from borg.crypto.key import KeyfileKey, Passphrase
from borg.helpers import msgpack

header, encoded = Path(sys.argv[1]).read_text(encoding="ascii").split("\n", 1)
passphrase = Passphrase(os.environ["BORG_PASSPHRASE"])
wrapper = object.__new__(KeyfileKey)
secrets = msgpack.unpackb(wrapper.decrypt_key_file(a2b_base64(encoded), passphrase))
for name, value in secrets.items():  # 1.2 has bytes for names
    if (name if isinstance(name, str) else name.decode()) in ("enc_key", "enc_hmac_key", "id_key"):
        secrets[name] = os.urandom(len(value))
forged = wrapper.encrypt_key_file(msgpack.packb(secrets), passphrase)
print("\n".join([header, *textwrap.wrap(b2a_base64(forged).decode("ascii"))]))
