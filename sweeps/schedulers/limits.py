"""Limits of a site's Slurm: the length of a job array, and the number of jobs."""

import getpass
import re

from sweeps.resources import Resources
from sweeps.schedulers.base import MAX_ARRAY_SIZE, Limits
from sweeps.schedulers.commands import ask as ask_slurm

# Each with how many are there already, as in MaxSubmitJobs=1000(3); N is no limit.
SUBMIT_LIMIT = re.compile(r"\b(?:Max|Grp)SubmitJobs(?:PU|PA)?=(\d+)\((\d+)\)")


def ask(resources: Resources) -> Limits:
    """Return the limits for these resources, asked with two calls; the spec's own take precedence.

    MaxSubmitJobs and GrpSubmitJobs of the user's association and quality of service count every
    element of an array, those that are there already included.
    """
    config = ask_slurm("scontrol", "show", "config") or ""
    size = resources.max_array_size or _number("MaxArraySize", config) or MAX_ARRAY_SIZE
    if resources.max_jobs is not None:
        return Limits(size, resources.max_jobs)
    most = _number("MaxJobCount", config)
    rooms = [] if most is None else [most]
    if re.search(r"^AccountingStorageEnforce\s*=.*\b(limits|safe)\b", config, re.MULTILINE):
        rooms += _rooms(resources)
    return Limits(size, min(rooms, default=None))


def _rooms(resources: Resources) -> list[int]:
    """Return what is left of each limit on the user's jobs, by the controller's count."""
    user = getpass.getuser()
    asked = ("show", "assoc_mgr", f"users={user}", "flags=assoc,qos", "--oneliner")
    records = (ask_slurm("scontrol", *asked) or "").splitlines()
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
