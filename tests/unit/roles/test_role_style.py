# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tasks of roles and playbooks may not contain. Every tasks file is parsed; every rule is shown to bite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
TASK_FILES = sorted((ROOT / "roles").glob("*/tasks/**/*.y*ml"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.y*ml"))

#: Keys of a task that are no module.
KEYWORDS = frozenset(
    "name when loop loop_control register vars tags become become_user become_method become_flags block rescue always notify"
    " until retries delay environment no_log delegate_to delegate_facts run_once check_mode diff ignore_errors failed_when"
    " changed_when any_errors_fatal ignore_unreachable args action local_action module_defaults throttle timeout listen"
    " connection port remote_user async poll collections debugger".split()
)
#: What would reveal a secret, or a document that holds some.
SECRET = re.compile(
    r"passphrase|passcommand|password|secret|vault_|borgmatic_documents\b|borgmatic_repository\(|\)\.config\b|attribute='config'",
    re.IGNORECASE,
)
#: What takes the secrets out of the list of configurations.
PUBLIC = re.compile(r"borgmatic_files\b|borgmatic_repositories\b|borgmatic_schedules\b|borgmatic_sources\b|attribute='name'")
#: An account that has none.
NO_PASSWORD = {("password", "*"), ("update_password", "on_create")}
#: Of ansible-core, what asks no target: whatever a target answers to others, Ansible would take facts from.
CONTROLLERS = frozenset("assert debug fail meta set_fact include_tasks import_tasks include_role import_role".split())
#: Runs a module of ansible-core without its facts.
FACTLESS = "fleetbackup.borg.borg_factless"
FALSE = (False, "false", "False", "no", "never")


def offences(tasks: Any, *, role: bool = True) -> list[str]:
    """The rules that some tasks break.

    :param tasks: the tasks of one file, or the plays of a playbook.
    :param role: whether they belong to a role; a playbook may start a program, if it starts it alone.
    """
    found: list[str] = []
    facts: set[str] = set()
    for task in walk(tasks):
        found += keyword_offences(task)
        module, arguments = module_of(task)
        found += module_offences(module, arguments, role)
        if role and module and FACTLESS not in task and not task_of_ours(task) and module not in CONTROLLERS:
            found.append(f"facts from {module}")
        found += loop_offences(task)
        # Ansible makes both messages, whichever of them it shows.
        if module == "assert" and any(re.search(r"\| (first|last)(?! \| default)", str(arguments.get(key))) for key in ("fail_msg", "success_msg")):
            found.append("message of an empty list")
        if module == "set_fact":
            if any(re.search(rf"\b{fact}\b", text) for fact in facts for text in texts(arguments)):
                found.append("set_fact chain")
            facts.update(arguments)
        shown = dict(arguments.items() - NO_PASSWORD) if module == "user" and arguments.get("password") == "*" else arguments
        if not task_of_ours(task) and any(SECRET.search(text) for text in (*texts(shown), *texts(task.get("vars")))):
            found.append(f"secret in {module}")
        if any(SECRET.search(text) for text in texts(task.get("environment"))):
            found.append("secret in environment")
    return found


def keyword_offences(task: dict[str, Any]) -> Iterator[str]:
    for keyword in ("ignore_errors", "ignore_unreachable"):
        if keyword in task:
            yield keyword
    for keyword in ("failed_when", "changed_when"):
        if keyword in task and task[keyword] in FALSE:
            yield f"{keyword}: false"
    if "notify" in task or "listen" in task:
        yield "handler"
    if any("ansible_check_mode" in text for text in texts({key: value for key, value in task.items() if key != "block"})):
        yield "ansible_check_mode"


def module_offences(module: str, arguments: Any, role: bool) -> Iterator[str]:
    if module in ("shell", "raw", "script", "expect") or (module == "command" and role):
        yield module
    if module == "command" and not (isinstance(arguments, dict) and "argv" in arguments):
        yield "command without argv"
    if isinstance(arguments, dict) and arguments.get("state") == "latest":
        yield "state: latest"
    if module in ("get_url", "uri", "git", "unarchive"):
        yield f"download with {module}"
    if module.startswith(("include_", "import_")) and any("handlers" in text for text in texts(arguments)):
        yield "handler"


def loop_offences(task: dict[str, Any]) -> Iterator[str]:
    loops = {key: value for key, value in task.items() if key == "loop" or key.startswith("with_")}
    for text in texts(loops):
        if SECRET.search(text):
            yield "secret in a loop"
        elif re.search("borgmatic_(configs|connected)", text) and not PUBLIC.search(text):
            yield "loop over documents"
    if any(isinstance(value, str) for value in loops.values()) and not task.get("loop_control", {}).get("label"):
        yield "loop without label"


def walk(tasks: Any) -> Iterator[dict[str, Any]]:
    """All tasks, in blocks and plays too."""
    for task in tasks or ():
        inner = [task[key] for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers") if key in task]
        if "hosts" not in task:
            yield task
        for part in inner:
            yield from walk(part)


def module_of(task: dict[str, Any]) -> tuple[str, Any]:
    """A task's module without its collection, and the module's arguments."""
    if FACTLESS in task:
        return task[FACTLESS]["module"], task[FACTLESS]["args"]
    for key, value in task.items():
        if key in ("action", "local_action"):
            name, _space, rest = value.partition(" ") if isinstance(value, str) else (value["module"], "", value)
            return name.rpartition(".")[2], rest
        if key not in KEYWORDS and not key.startswith("with_"):
            return key.rpartition(".")[2], value
    return "", {}


def task_of_ours(task: dict[str, Any]) -> bool:
    """Our modules take secrets, and neither show nor return them."""
    return any(key.startswith("fleetbackup.borg.") and key != FACTLESS for key in task)


def texts(value: Any) -> Iterator[str]:
    """All texts of a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield str(key)
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_tasks_file_keeps_the_rules(path):
    assert offences(read(path)) == []


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_a_playbook_keeps_the_rules(path):
    assert offences(read(path), role=False) == []


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_a_role_has_no_handlers(role):
    assert not (role / "handlers").exists()


def test_there_is_something_to_judge():
    assert TASK_FILES and PLAYBOOKS


#: One bad sample, at least, for each rule.
BAD = [
    ("facts from stat", "- {ansible.builtin.stat: {path: /x}}"),
    ("facts from setup", "- {setup: {}}"),
    ("secret in copy", "- {fleetbackup.borg.borg_factless: {module: copy, args: {content: '{{ passphrase }}'}}}"),
    ("ignore_errors", "- {ping: {}, ignore_errors: false}"),
    ("ignore_unreachable", "- {ping: {}, ignore_unreachable: true}"),
    ("failed_when: false", "- {ping: {}, failed_when: false}"),
    ("failed_when: false", "- {ping: {}, failed_when: 'false'}"),
    ("changed_when: false", "- {ping: {}, changed_when: false}"),
    ("shell", "- {ansible.builtin.shell: echo}"),
    ("shell", "- {action: shell echo}"),
    ("raw", "- {raw: echo}"),
    ("script", "- {ansible.builtin.script: x.sh}"),
    ("command", "- {ansible.builtin.command: {argv: [borg, list]}}"),
    ("command without argv", "- {ansible.builtin.command: borg list}"),
    ("ansible_check_mode", "- {ping: {}, when: not ansible_check_mode}"),
    ("ansible_check_mode", "- {ping: {}, vars: {x: '{{ ansible_check_mode }}'}}"),
    ("ansible_check_mode", "- {block: [{ping: {data: '{{ ansible_check_mode }}'}}]}"),
    ("set_fact chain", "- {set_fact: {a: 1}}\n- {ansible.builtin.set_fact: {b: '{{ a + 1 }}'}}"),
    ("secret in set_fact", "- {set_fact: {a: '{{ x.encryption_passphrase }}'}}"),
    ("secret in set_fact", "- {set_fact: {a: '{{ borgmatic_configs | borgmatic_documents(b, c) }}'}}"),
    ("secret in set_fact", "- {set_fact: {a: '{{ (borgmatic_configs | first).config }}'}}"),
    ("secret in debug", "- {debug: {msg: '{{ x.passphrase }}'}, register: y}"),
    ("secret in copy", "- {copy: {content: '{{ vault_it }}', dest: /x}, register: y}"),
    ("secret in debug", "- {debug: {msg: '{{ it }}'}, vars: {it: '{{ x.passphrase }}'}}"),
    ("secret in user", "- {user: {name: x, password: '{{ x }}', update_password: on_create}, register: y}"),
    ("secret in environment", "- {fleetbackup.borg.borg_check: {}, environment: {BORG_PASSPHRASE: '{{ x }}'}}"),
    ("secret in a loop", "- {ping: {}, loop: '{{ passphrases }}', loop_control: {label: x}}"),
    ("secret in a loop", "- {ping: {}, loop: [{passphrase: '{{ x }}'}], loop_control: {label: x}}"),
    ("secret in a loop", "- {ping: {}, with_dict: '{{ c | borgmatic_documents(d, h) }}', loop_control: {label: x}}"),
    ("loop over documents", "- {ping: {}, loop: '{{ borgmatic_configs }}', loop_control: {label: x}}"),
    ("loop over documents", "- {ping: {}, loop: '{{ borgmatic_configs | list }}', loop_control: {label: x}}"),
    ("loop without label", "- {ping: {}, loop: '{{ names }}'}"),
    ("loop without label", "- {ping: {}, with_items: '{{ names }}', loop_control: {loop_var: x}}"),
    ("message of an empty list", "- {assert: {that: x | length > 0, success_msg: '{{ x | first }}'}}"),
    ("handler", "- {ping: {}, notify: it}"),
    ("handler", "- {include_tasks: ../handlers/main.yml}"),
    ("handler", "- {import_role: {name: x, handlers_from: y}}"),
    ("state: latest", "- {package: {name: borgbackup, state: latest}}"),
    ("download with get_url", "- {get_url: {url: x, dest: y}}"),
    ("shell", "- hosts: all\n  pre_tasks: [{block: [{ping: {}}], rescue: [{shell: x}]}]"),
]


@pytest.mark.parametrize(("rule", "sample"), BAD)
def test_a_rule_bites(rule, sample):
    assert rule in offences(yaml.safe_load(sample))


def test_every_rule_has_a_bad_sample():
    source = Path(__file__).read_text(encoding="utf-8").partition("BAD = [")[0]
    rules = set(re.findall(r'(?:yield|append\()\s*f?"([^"{]+)', source))
    assert {rule for rule in rules if not any(bad.startswith(rule) for bad, _sample in BAD)} == set()


def test_good_tasks_break_no_rule():
    good = """
    - name: A repository
      fleetbackup.borg.borg_repository:
        passphrase: "{{ said.passphrase }}"
      vars: {said: "{{ borgmatic_configs | fleetbackup.borg.borgmatic_repository(item) }}"}
      loop: "{{ borgmatic_configs | fleetbackup.borg.borgmatic_repositories }}"
      loop_control: {label: "{{ item.location }}"}
      register: x
    - name: Names only
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: "{{ borgmatic_configs | map(attribute='name') }}"
      loop_control: {label: "{{ item }}"}
    - set_fact: {a: "{{ x }}"}
    - fleetbackup.borg.borg_factless: {module: user, args: {name: x, password: "*", update_password: on_create}}
    """
    assert offences(yaml.safe_load(good)) == []


def test_a_playbook_may_start_a_program():
    assert offences(yaml.safe_load("- {command: {argv: [diff, a, b]}}"), role=False) == []
