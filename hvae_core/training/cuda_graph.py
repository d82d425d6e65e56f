"""A training step recorded once as a CUDA graph and then replayed: no Python, no launches one by one.

What is recorded must not depend on anything that Python holds and changes from step to step (the step's number is a
tensor, the minibatch and the noise are drawn on the device) and must never wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

WARM_UP = 3  # eager steps before the recording, real ones: they allocate the optimiser's state and choose kernels


class CapturedStep:
    """Calls of a step on a GPU: the first few eager, then one recording, from then on replays.

    The step returns a tensor, which the next call overwrites. Generators that it draws from go on as they would have
    without the recording.
    """

    def __init__(self, generators: Sequence[Generator], device: torch.device) -> None:
        self.generators, self.device = generators, device
        self.stream = torch.cuda.Stream(device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.calls = 0
        self.output: Tensor

    def __call__(self, step: Callable[[], Tensor]) -> Tensor:
        """Do one step, the same one at every call."""
        with torch.cuda.device(self.device):  # streams and recordings belong to the current device
            return self._call(step)

    def _call(self, step: Callable[[], Tensor]) -> Tensor:
        if self.graph is not None:
            self.graph.replay()
        elif self.calls < WARM_UP:
            self.calls += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.output = step()
            torch.cuda.current_stream().wait_stream(self.stream)
        else:
            graph = torch.cuda.CUDAGraph()
            for generator in self.generators:
                graph.register_generator_state(generator)
            # Other threads of the process (heartbeats, Ray's) may go on meanwhile.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.output = step()  # recorded, not run
            self.graph = graph
            graph.replay()
        return self.output
