"""Worker processes that run episodes, one at a time each; the parent alone collects results.

A worker ends when its parent does, however that ended.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from ..errors import AdpError, ConfigError

THREADS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LP_NUM_THREADS": "0",  # of Mesa's software renderer: none beside the caller
    }
)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let children start with one thread in each library that reads its number of threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


MOST_WORKERS: Final = 256
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
_JobIn_contra = TypeVar("_JobIn_contra", contravariant=True)
_ResultOut_co = TypeVar("_ResultOut_co", covariant=True)


class JobRunner(Protocol[_JobIn_contra, _ResultOut_co]):
    """Runs one job after the other; an :class:`AdpError` ends all."""

    def run(self, job: _JobIn_contra, /) -> _ResultOut_co:
        """Run one."""


RunnerFactory = Callable[[], JobRunner[JobT, ResultT]]
"""Makes a runner in the process that is to use it; can be pickled. An AdpError says why not."""


class WorkerError(AdpError):
    """An episode could not be run, or a worker process ended by itself."""


@dataclass(slots=True)
class _Worker(Generic[JobT]):
    process: BaseProcess
    connection: Connection
    job: JobT | None = None
    dismissed: bool = False  # it was told to end


def run_jobs(
    jobs: Sequence[JobT], factory: RunnerFactory[JobT, ResultT], workers: int
) -> Generator[tuple[JobT, ResultT], None, None]:
    """Run episodes, begun in their order; give each as it ends, in any order.

    Close the generator to end early: workers end, what they are working on is lost and nothing
    else. One worker is this process itself. As text, jobs name themselves in errors.

    Raises:
        ConfigError: The number of workers is not allowed.
        WorkerError: An episode could not be run.
        AdpError: The runner could not be made.
    """
    check_workers(workers)
    if not jobs:
        return
    if workers > 1:
        pool = _workers(min(workers, len(jobs)), factory)
        with pool as running, closing(_run_there(jobs, running)) as outcomes:
            yield from outcomes
        return
    runner = factory()
    for job in jobs:
        try:
            result = runner.run(job)
        except AdpError as error:
            raise WorkerError(f"{job}: {error}") from error
        yield job, result


def check_workers(workers: int) -> None:
    """Refuse a number of workers that is not allowed.

    Raises:
        ConfigError: It is not in 1 to 256.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"workers is {workers}, allowed: 1 to {MOST_WORKERS}")


def _run_there(
    jobs: Sequence[JobT], pool: Sequence[_Worker[JobT]]
) -> Generator[tuple[JobT, Any], None, None]:
    waiting = iter(jobs)
    by_connection: dict[Any, _Worker[JobT]] = {worker.connection: worker for worker in pool}
    while by_connection:
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]
            outcome = _receive(worker)
            worker.job = next(waiting, None)
            worker.dismissed = worker.job is None
            with suppress(OSError):  # that it has ended is found out when its answer is read
                worker.connection.send(worker.job)
            if worker.dismissed:
                del by_connection[connection]
            if outcome is not None:
                yield outcome


def _receive(worker: _Worker[JobT]) -> tuple[JobT, Any] | None:
    """Take what a worker says: None when it is ready for its first job."""
    try:
        failure, answer = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(5.0)
        doing = f" in {worker.job}" if worker.job else " before its first episode"
        status = worker.process.exitcode
        raise WorkerError(
            f"a worker ended by itself with exit status {status}{doing}; the same command goes on"
        ) from None
    if failure is not None:
        where = f"{worker.job}: " if worker.job else ""
        raise WorkerError(f"{where}{failure}")
    return None if worker.job is None else (worker.job, answer)


@contextmanager
def _workers(count: int, factory: RunnerFactory[JobT, ResultT]) -> Iterator[list[_Worker[JobT]]]:
    pool: list[_Worker[JobT]] = []
    try:
        with one_thread_each():
            for _ in range(count):
                pool.append(_start(factory))
        yield pool
    finally:
        for worker in pool:
            worker.connection.close()
            if not worker.dismissed:
                worker.process.terminate()
        for worker in pool:
            worker.process.join()


def _start(factory: RunnerFactory[JobT, ResultT]) -> _Worker[JobT]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, factory), daemon=True)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is the parent's
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        there.close()
    return _Worker(process, here)


def _serve(connection: Connection, factory: RunnerFactory[JobT, ResultT]) -> None:
    """Answer each job with a failure or a result, until the parent closes or dies."""
    try:
        runner = factory()
        connection.send((None, None))
        while (job := connection.recv()) is not None:
            try:
                answer: tuple[str | None, ResultT | None] = (None, runner.run(job))
            except AdpError as error:
                answer = (str(error), None)
            connection.send(answer)
    except AdpError as error:
        connection.send((str(error), None))
    except (EOFError, BrokenPipeError):
        return
