"""Several processes of one run, as torchrun would start them, without the seconds that it and the imports take."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.made_runs import execute

SMALL = ("metrics.receptive_field=false", "logger=none")


def _execute(rank: int, count: int, port: int, path: Path, overrides: tuple[str, ...], change: Callable | None) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
    }  # fmt: skip
    torch.set_num_threads(1)
    if change is not None:
        change(rank)
    execute(path, *overrides)


@pytest.fixture(scope="module")
def launch() -> Callable[..., list[int | None]]:
    """Executes a run in so many processes and returns their exit codes; None for one that does not end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["segbench.training.run", "tests.ddp"])

    def call(
        path: Path, count: int, *overrides: str, change: Callable[[int], None] | None = None, timeout: float = 250
    ) -> list[int | None]:
        strategy = "auto" if count == 1 else "ddp_find_unused_parameters_false"
        ddp = (*SMALL, f"trainer.devices={count}", f"trainer.strategy={strategy}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = [
            context.Process(target=_execute, args=(rank, count, port, path, (*ddp, *overrides), change))
            for rank in range(count)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(timeout)
        codes = [process.exitcode for process in started]
        for process in started:
            process.kill()
        return codes

    return call
