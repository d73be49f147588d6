"""A real two-node Slurm on one machine, started and stopped by the tests that need it.

Real controller, two real node daemons, four fake GPUs a node (empty files), no accounting. A job
that is requeued waits until its credential has expired, here 5 seconds instead of two minutes. The
daemons outlive a test that dies, so they are stopped by their pid files, also at the next start.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NODES = ("n1", "n2")
SLURM_CONF = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort=16817
SlurmdParameters=config_overrides
SlurmdTimeout=20
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
JobRequeue=1
KillWait=5
MaxArraySize=1001
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-17002] \\
  CPUs=4 RealMemory=4000 Gres=gpu:4 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""
GRES_CONF = "NodeName=n[1-2] Name=gpu File={folder}/gpu/[0-3]\n"


def is_installed() -> bool:
    """Whether the Debian packages slurm-wlm and munge are there."""
    return all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "sbatch"))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Starts the cluster in `folder`, sets SLURM_CONF, gives the folder, stops everything."""
    _configure(folder)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    munged = _start_munge()
    try:
        subprocess.run(["slurmctld", "-c"], check=True)
        for node in NODES:
            subprocess.run(["slurmd", "-N", node], check=True)
        _wait_until_idle()
        yield folder
    finally:
        _stop(folder)
        if munged:
            munged.terminate()
            munged.wait()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def _configure(folder: Path) -> None:
    for name in ("state", "gpu", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(4):
        (folder / "gpu" / str(index)).touch()
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(SLURM_CONF.format(folder=folder, host=host))
    (folder / "gres.conf").write_text(GRES_CONF.format(folder=folder))


def _start_munge() -> "subprocess.Popen[bytes] | None":
    """The authentication daemon, unless one answers already."""
    if subprocess.run("munge -n | unmunge", shell=True, capture_output=True).returncode == 0:
        return None
    run = Path("/run/munge")
    run.mkdir(exist_ok=True)
    shutil.chown(run, "munge", "munge")
    munged = subprocess.Popen(["runuser", "-u", "munge", "--", "munged", "--foreground"])
    deadline = time.monotonic() + 20
    while subprocess.run("munge -n | unmunge", shell=True, capture_output=True).returncode:
        assert time.monotonic() < deadline and munged.poll() is None, "munge did not start"
        time.sleep(0.2)
    return munged


def _wait_until_idle() -> None:
    deadline = time.monotonic() + 60
    while True:
        shown = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], capture_output=True, text=True)
        if shown.stdout.split() == ["idle"] * len(NODES):
            return
        assert time.monotonic() < deadline, f"nodes did not come up: {shown.stdout}{shown.stderr}"
        time.sleep(0.3)


def _stop(folder: Path) -> None:
    subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=20)
    time.sleep(1)
    pids = []
    for file in folder.glob("*.pid"):
        with contextlib.suppress(ValueError, ProcessLookupError):
            pids.append(int(file.read_text()))
            os.kill(pids[-1], signal.SIGTERM)
    deadline = time.monotonic() + 20
    for pid in pids:
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
