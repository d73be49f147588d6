"""A real two-node Slurm on one machine, started and stopped by the tests that need it.

Real controller, two real node daemons, four fake GPUs a node (empty files), real accounting where
it is asked for. Everything, authentication and database included, lives in one folder and listens
on ports that were free, so several clusters run side by side. A job that is requeued waits until
its credential has expired, here 5 seconds instead of two minutes. Daemons are stopped by their pid
files; a next cluster stops those of tests that died.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

NODES = ("n1", "n2")
DEBIAN = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "sbatch")
PREFIX = "scalestudy-slurm-"
PORTS = range(10_000, 15_000)
OWNER = "owner"

SLURM_CONF = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
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
SlurmctldPort={ctld_port}
SlurmdParameters=config_overrides
SlurmdTimeout=10
MessageTimeout=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
JobRequeue=1
KillWait=30
MaxArraySize={max_array_size}
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node_ports}] \\
  CPUs=4 RealMemory=20000 Gres=gpu:4 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTED = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.socket
JobAcctGatherType=jobacct_gather/none
AccountingStorageTRES=gres/gpu
"""
SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
GRES_CONF = "NodeName=n[1-2] Name=gpu File={folder}/gpu/[0-3]\n"
SQL = """
CREATE DATABASE slurm_acct_db;
CREATE USER slurm@'%' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct_db.* TO slurm@'%';
"""


def is_installed() -> bool:
    """Whether the Debian packages slurm-wlm, munge, slurmdbd and mariadb-server are there."""
    return all(shutil.which(name) for name in DEBIAN)


@contextlib.contextmanager
def running(*, accounting: bool = False, max_array_size: int = 1001) -> Iterator["Cluster"]:
    """Starts a cluster, sets SLURM_CONF, and stops everything at the end."""
    assert is_installed(), "expected slurm-wlm, munge, slurmdbd, mariadb-server; see .ci/run"
    _stop_orphans()
    # Not pytest's folder: its name is too long for a socket.
    cluster = Cluster(Path(tempfile.mkdtemp(prefix=PREFIX)), accounting, max_array_size)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(cluster.folder / "slurm.conf")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(cluster.folder, ignore_errors=True)


class Cluster:
    """The daemons of one cluster; each can be killed and started again."""

    def __init__(self, folder: Path, accounting: bool, max_array_size: int) -> None:
        self.folder = folder
        self.accounting = accounting
        (folder / OWNER).write_text(str(os.getpid()))
        for name in ("state", "gpu", "sql", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir()
        for index in range(4):
            (folder / "gpu" / str(index)).touch()
        (folder / "munge.key").write_bytes(random.randbytes(128))
        (folder / "munge.key").chmod(0o400)
        ctld, dbd, self.sql_port, first, second = _free_ports(5)
        values = {
            "folder": folder,
            "host": socket.gethostname().split(".")[0],
            "ctld_port": ctld,
            "dbd_port": dbd,
            "sql_port": self.sql_port,
            "node_ports": f"{first},{second}",
            "max_array_size": max_array_size,
        }
        conf = SLURM_CONF + (ACCOUNTED if accounting else "")
        (folder / "slurm.conf").write_text(conf.format(**values))
        (folder / "gres.conf").write_text(GRES_CONF.format(**values))
        (folder / "slurmdbd.conf").write_text(SLURMDBD_CONF.format(**values))
        (folder / "slurmdbd.conf").chmod(0o600)

    def start(self) -> None:
        """Starts all daemons; returns when the nodes are idle."""
        self._start_munge()
        if self.accounting:
            self._start_database()
            self.start_slurmdbd()
            _run("sacctmgr", "-i", "add", "cluster", "lab")
        _run("slurmctld", "-c")
        for node in NODES:
            self.start_node(node)
        wait_until(self.is_idle, 180, "idle nodes")

    def stop(self) -> None:
        """Cancels all jobs, then stops all daemons by their pid files."""
        subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=20, check=False)
        time.sleep(0.5)
        _stop_daemons(self.folder)

    def is_idle(self) -> bool:
        """Whether every node waits for work."""
        shown = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], capture_output=True, text=True)
        return shown.stdout.split() == ["idle"] * len(NODES)

    def answers(self) -> bool:
        """Whether the controller is there."""
        return subprocess.run(["scontrol", "ping"], capture_output=True).stdout.count(b"UP") > 0

    def stop_slurmctld(self) -> None:
        """Ends the controller; its state is saved."""
        _end(self._pid("slurmctld"), signal.SIGTERM)

    def start_slurmctld(self) -> None:
        """Starts the controller with the state that it left."""
        _run("slurmctld")

    def stop_slurmdbd(self) -> None:
        """Ends the accounting daemon."""
        _end(self._pid("slurmdbd"), signal.SIGTERM)

    def start_slurmdbd(self) -> None:
        """Starts the accounting daemon; returns when it answers."""
        _run("slurmdbd")
        show = ["sacctmgr", "-n", "show", "cluster"]
        wait_until(
            lambda: subprocess.run(show, capture_output=True).returncode == 0, 30, "slurmdbd"
        )

    def start_node(self, node: str) -> None:
        """Starts a node's daemon."""
        _run("slurmd", "-N", node)

    def kill_node(self, node: str) -> list[int]:
        """Kills a node's daemon and its step daemons; their pids."""
        log = self.folder / f"slurmd-{node}.log"
        steps = [p for p in _named("slurmstepd") if _writes(p, log)]
        pids = [self._pid(f"slurmd-{node}"), *(process.pid for process in steps)]
        for pid in pids:
            _end(pid, signal.SIGKILL)
        return pids

    def _pid(self, daemon: str) -> int:
        return int((self.folder / f"{daemon}.pid").read_text())

    def _start_munge(self) -> None:
        folder = self.folder
        _run(
            "munged",
            "--force",
            f"--socket={folder}/munge.socket",
            f"--key-file={folder}/munge.key",
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munge.seed",
        )

    def _start_database(self) -> None:
        data = self.folder / "sql"
        (self.folder / "init.sql").write_text(SQL)
        with (self.folder / "sql.log").open("wb") as log:
            _run(
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={data}",
                "--user=root",
                "--skip-test-db",
                stdout=log,
            )
            _run(
                *("setsid", "--fork", "mariadbd", "--no-defaults", "--user=root"),
                f"--datadir={data}",
                f"--socket={self.folder}/sql.socket",
                f"--pid-file={self.folder}/mariadbd.pid",
                f"--port={self.sql_port}",
                "--bind-address=127.0.0.1",
                "--innodb-buffer-pool-size=64M",
                f"--init-file={self.folder}/init.sql",
                stdout=log,
            )
        wait_until((self.folder / "sql.socket").exists, 60, "mariadbd")


def wait_until(is_so: Callable[[], object], seconds: float, what: str) -> None:
    """Returns when `is_so()`; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


def _run(*command: str, **where: object) -> None:
    subprocess.run(command, check=True, stderr=subprocess.STDOUT, **where)  # type: ignore[call-overload]


def _free_ports(number: int) -> list[int]:
    """Ports below those that the system gives to connections."""
    found: list[int] = []
    while len(found) < number:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return sorted(set(found)) if len(set(found)) == number else _free_ports(number)


def _named(name: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["name"]) if p.info["name"] == name]


def _writes(process: psutil.Process, log: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        return str(log) in [file.path for file in process.open_files()]
    return False


def _end(pid: int, signum: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        process.send_signal(signum)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(20)
            return
        process.kill()


def _stop_daemons(folder: Path) -> None:
    for name in ("slurmd-*", "slurmctld", "slurmdbd", "mariadbd", "munged"):
        for file in folder.glob(f"{name}.pid"):
            with contextlib.suppress(ValueError):
                _end(int(file.read_text()), signal.SIGTERM)


def _stop_orphans() -> None:
    """Stops the daemons of clusters whose tests have died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if not psutil.pid_exists(int((folder / OWNER).read_text())):
                _stop_daemons(folder)
                shutil.rmtree(folder, ignore_errors=True)
