"""What the processes of an attempt say to each other between two steps."""

from typing import Any

import torch
import torch.distributed as dist

from bench.engine.world import TIMEOUT, World


class Vote:
    """What any process has said at the call before: nobody waits for it.

    The processes must call it equally often. It goes over the CPUs (gloo), so that no device is
    waited for; alone, a process hears itself at once.
    """

    def __init__(self, world: World) -> None:
        self._is_alone = world.size == 1
        self._group = None if self._is_alone else dist.new_group(backend="gloo", timeout=TIMEOUT)
        self._pending: tuple[Any, torch.Tensor] | None = None

    def __call__(self, value: int) -> int:
        """The largest number that a process gave at its last call; 0 at the first."""
        if self._is_alone:
            return value
        found = self.close()
        said = torch.tensor(value)
        work = dist.all_reduce(said, dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._pending = work, said
        return found

    def close(self) -> int:
        """Hears the last round out."""
        if self._pending is None:
            return 0
        work, said = self._pending
        self._pending = None
        work.wait()
        return int(said)
