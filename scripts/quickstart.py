# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up one folder of this machine, prove it by a restore, and leave nothing outside of one working folder.

`make quickstart` calls this with nothing but Python installed. It installs what is missing, runs the playbook
fleetbackup.borg.quickstart and prints what that proved. `make quickstart-clean` removes every trace.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
#: The controller, and the borgmatic that the backup runs with; never whatever is newest.
REQUIREMENTS = ("ansible-core>=2.18,<2.22", "voluptuous==0.16.0", "borgmatic==2.1.10")
MINIMUM_PYTHON = (3, 11)
#: In the working folder: it was made here, so it may be emptied and removed.
MARKER = "made-by-fleetbackup-quickstart"


class Problem(Exception):
    """Something that the person at the keyboard has to see to; the text says what."""


def main() -> int:
    """Run the quick start, or clean up after it."""
    arguments = read_arguments()
    work = arguments.directory.expanduser().resolve()
    try:
        if arguments.clean:
            clean(work)
        else:
            start(work, arguments.folder.expanduser().resolve())
    except Problem as problem:
        print(f"\nquickstart: {problem}", file=sys.stderr)
        return 1
    return 0


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=CHECKOUT / ".quickstart", help="the working folder")
    parser.add_argument("--folder", type=Path, default=CHECKOUT, help="what to back up")
    parser.add_argument("--clean", action="store_true", help="remove every trace")
    return parser.parse_args()


def start(work: Path, folder: Path) -> None:
    """Install, back up, restore, report."""
    if sys.version_info < MINIMUM_PYTHON:
        raise Problem("Python 3.11 or newer is needed; this is Python {}.{}.".format(*sys.version_info))
    if not folder.is_dir() or not any(folder.iterdir()):
        raise Problem(f"{folder} is no folder with something in it; say FOLDER=/path.")
    claim(work)
    (work / "tmp").mkdir(exist_ok=True)
    install_packages(work)
    install_controller(work)
    run_playbook(work, folder)
    print_report(work, folder)


def claim(work: Path) -> None:
    """Make the working folder, or take one that this made before, or one with nothing in it."""
    if work.exists() and not is_ours(work) and not (work.is_dir() and not any(work.iterdir())):
        raise Problem(f"{work} holds something that the quick start did not make; name another working folder.")
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    (work / MARKER).touch()


def is_ours(work: Path) -> bool:
    """Whether a working folder was made by the quick start."""
    return (work / MARKER).is_file()


def install_packages(work: Path) -> None:
    """Borg and Python's venv from the distribution, where they are missing; what came is noted for the clean-up."""
    missing = []
    if shutil.which("borg") is None:
        missing.append("borgbackup")
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode != 0:
        missing.append("python3-venv")
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Problem(f"please install {' and '.join(missing)} first (Debian: apt install {' '.join(missing)}).")
    say(f"Installing {' and '.join(missing)}")
    before = installed_packages()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        apt = ["apt-get", "-qq", "-o", "APT::Keep-Downloaded-Packages=false", *command]
        done = subprocess.run(apt, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Problem(f"apt-get {command[0]} failed: {done.stderr.strip()}")
        note_packages(work, installed_packages() - before)


def installed_packages() -> set[str]:
    """The names of Debian's installed packages."""
    query = ["dpkg-query", "--show", "--showformat", "${binary:Package} ${db:Status-Status}\n"]
    lines = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" installed")}


def note_packages(work: Path, names: set[str]) -> None:
    """Remember which packages are ours to remove."""
    note = work / "packages.json"
    known = set(json.loads(note.read_text())) if note.exists() else set()
    note.write_text(json.dumps(sorted(known | names)))


def install_controller(work: Path) -> None:
    """Ansible and borgmatic into a virtual environment of the working folder."""
    environment = work / "venv"
    complete = environment / "complete.json"
    if complete.exists() and json.loads(complete.read_text()) == list(REQUIREMENTS):
        return
    say("Installing ansible-core and borgmatic into the working folder (a minute)")
    shutil.rmtree(environment, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(environment / "bin" / "pip"), "install", "--quiet", "--no-cache-dir", *REQUIREMENTS],
    ):
        done = subprocess.run(command, env=own_environment(work), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Problem(f"{' '.join(command)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    complete.write_text(json.dumps(REQUIREMENTS))


def own_environment(work: Path) -> dict[str, str]:
    """Everything that would be written to the home or to /tmp goes to the working folder."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "BORG_"))},
        "ANSIBLE_HOME": str(work / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(work / "tmp"),
        "ANSIBLE_REMOTE_TMP": str(work / "tmp"),
        "ANSIBLE_COLLECTIONS_PATH": str(work / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOWS": "true",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": str(work / "tmp" / "pycache"),
        "TMPDIR": str(work / "tmp"),
        "XDG_CACHE_HOME": str(work / "tmp" / "cache"),
    }


def run_playbook(work: Path, folder: Path) -> None:
    """The playbook does the work; its output is shown as it comes."""
    link = work / "collections" / "ansible_collections" / "fleetbackup" / "borg"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(CHECKOUT)
    say(f"Backing up {folder}")
    command = [
        str(work / "venv" / "bin" / "ansible-playbook"),
        "fleetbackup.borg.quickstart",
        "--extra-vars",
        json.dumps({"fleetbackup_directory": str(work), "fleetbackup_folder": str(folder)}),
    ]
    done = subprocess.run(command, env=own_environment(work), stdin=subprocess.DEVNULL, cwd=work, check=False)
    if done.returncode != 0:
        raise Problem("the playbook failed; the task above says why.")


def print_report(work: Path, folder: Path) -> None:
    """What was proven, and what to type next."""
    report = json.loads((work / "report.json").read_text())
    restored = f"restored {report['files']} files, byte-identical"
    rows = [
        ("folder", str(folder)),
        ("repository", report["repository"]),
        ("repository id", report["id"]),
        ("encryption", report["encryption"]),
        ("archive", report["archive"]),
        ("files", str(report["files"])),
        ("size", f"{report['bytes']:,} bytes"),
        ("restore", restored),
        ("schedule", f"{report['schedule'] or 'none: no systemd, no cron'} (shown only, nothing was installed)"),
    ]
    print("\n" + "\n".join(f"  {name:<15}{value}" for name, value in rows))
    borg = f"BORG_BASE_DIR={work}/borg BORG_PASSCOMMAND='cat {work}/passphrase' borg"
    print(
        f"""
Next:
  {borg} list {report["repository"]}     # look at the archives
  ls {work}/restored     # and at what came back
  make quickstart FOLDER=/etc     # back up something else
  make quickstart-clean     # remove every trace
The README shows the same for a real machine, with a schedule."""
    )


def clean(work: Path) -> None:
    """Remove the working folder, and the packages that came with it."""
    if not work.exists():
        return
    if not is_ours(work):
        raise Problem(f"{work} was not made by the quick start, so it is left alone.")
    note = work / "packages.json"
    names = json.loads(note.read_text()) if note.exists() else []
    if names:
        if os.geteuid() != 0:
            raise Problem(f"root installed {', '.join(names)}; run this as root to remove them.")
        say(f"Removing {len(names)} packages that the quick start installed")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        purge = ["apt-get", "-qq", "purge", "--yes", *names]
        done = subprocess.run(purge, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Problem(f"apt-get purge failed: {done.stderr.strip()}")
    shutil.rmtree(work)
    say(f"Removed {work}")


def say(text: str) -> None:
    """One line of progress."""
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
