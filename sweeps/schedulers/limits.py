"""What a site's Slurm takes: the length of a job array, and how many jobs at a time."""

import getpass
import re
import subprocess
from dataclasses import dataclass

from sweeps.resources import Resources

# Slurm's own default, for a site that does not say.
MAX_ARRAY_SIZE = 1001
ASK_SECONDS = 30
# Each with how many are there already, as in MaxSubmitJobs=1000(3); N is no limit.
SUBMIT_LIMIT = re.compile(r"\b(?:Max|Grp)SubmitJobs(?:PU|PA)?=(\d+)\((\d+)\)")


@dataclass(frozen=True)
class Limits:
    """The most elements of an array, one more than its largest index; and the jobs still taken.

    `room` is None where there is no limit, or none that the site tells.
    """

    max_array_size: int
    room: int | None


NONE = Limits(MAX_ARRAY_SIZE, None)


def ask(resources: Resources) -> Limits:
    """The limits for these resources, asked with two calls; what the spec says goes before.

    MaxSubmitJobs and GrpSubmitJobs of the user's association and quality of service count every
    element of an array, those that are there already included.
    """
    if resources.cluster != "slurm":
        return NONE
    config = _said(["scontrol", "show", "config"])
    size = resources.max_array_size or _number("MaxArraySize", config) or MAX_ARRAY_SIZE
    if resources.max_jobs is not None:
        return Limits(size, resources.max_jobs)
    most = _number("MaxJobCount", config)
    rooms = [] if most is None else [most]
    if re.search(r"^AccountingStorageEnforce\s*=.*\b(limits|safe)\b", config, re.MULTILINE):
        rooms += _rooms(resources)
    return Limits(size, min(rooms, default=None))


def _rooms(resources: Resources) -> list[int]:
    """What is left of each limit on the user's jobs, as the controller keeps count."""
    user = getpass.getuser()
    command = ["scontrol", "show", "assoc_mgr", f"users={user}", "flags=assoc,qos", "--oneliner"]
    records = _said(command).splitlines()
    own = [r for r in records if f" UserName={user}(" in r]
    usual = [re.search(r"\bAccount=(\S+)", r) for r in own if "DefAssoc=Yes" in r]
    account = resources.account or (usual[0][1] if usual and usual[0] else "")
    # The user's share of the account, and the account's own.
    binding = [
        r for r in records if f" Account={account} " in r and (r in own or "UserName= " in r)
    ]
    binding += [r for r in records if r.startswith(f"QOS={resources.qos or 'normal'}(")]
    return [
        max(0, int(limit) - int(used))
        for record in binding
        for limit, used in SUBMIT_LIMIT.findall(record)
    ]


def _number(key: str, config: str) -> int | None:
    found = re.search(rf"^{key}\s*=\s*(\d+)", config, re.MULTILINE)
    return int(found[1]) if found else None


def _said(command: list[str]) -> str:
    """What Slurm answers; nothing where it is not there, down, or does not tell this user."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        ).stdout
    except (subprocess.SubprocessError, OSError):
        return ""
