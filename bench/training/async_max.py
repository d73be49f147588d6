"""Agree on one number among the ranks of an attempt without waiting for them."""

import torch
import torch.distributed as dist

from bench.engine.world import TIMEOUT, World


class AsyncMax:
    """Non-blocking max all-reduce, one call late.

    All ranks must call it equally often. It runs on CPUs (gloo), so that no device is waited for.
    """

    def __init__(self, world: World) -> None:
        self._is_alone = world.size == 1
        self._group = None if self._is_alone else dist.new_group(backend="gloo", timeout=TIMEOUT)
        self._pending: tuple[dist.Work, torch.Tensor] | None = None

    def __call__(self, value: int) -> int:
        """Return the maximum of the values that all ranks passed to the previous call.

        The first call returns 0. A single rank gets its own value at once.
        """
        if self._is_alone:
            return value
        found = self.close()
        tensor = torch.tensor(value)
        work = dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self._group, async_op=True)
        assert work is not None, "a rank outside the group"
        self._pending = work, tensor
        return found

    def close(self) -> int:
        """Wait for the pending all-reduce and return its result; 0 if none is pending."""
        if self._pending is None:
            return 0
        work, tensor = self._pending
        self._pending = None
        work.wait()
        return int(tensor)
