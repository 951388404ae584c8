"""The nodes of a campaign as processes that can be killed, held and started again one by one."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...launch_table import NodeSpec
from ...nodes.observers.fault_bench import CHUNKS, TOPICS, tampered
from ..launch.runner import Ended, Program, Runner, node_program

# Pictures go through shared memory: after one of the two was killed inside of it, the other may
# go on writing where nobody reads. A launch ends all nodes when one ends; so these begin together.
PICTURES = ("camera_node", "inference_node")
# The controller knows nothing of the table, so that the arm can be pressed on it.
BLIND = (
    "envelope.table_height:=-0.4",
    "envelope.workspace_low:=[-0.45, -0.75, -0.3]",
)


def campaign_program(spec: NodeSpec, parameters: Sequence[str] = ()) -> Program:
    """Return the process of a node; the controller hears everything through the bench.

    Args:
        spec: Row of the node table.
        parameters: Further parameters ``name:=value`` of the controller.
    """
    program = node_program(spec)
    if spec.executable != "controller_node":
        return program
    driver = f"/{spec.parameters['robot_type']}_driver/out/"
    topics = [*(driver + name for name in TOPICS), CHUNKS]
    words = [f"{topic}:={tampered(topic)}" for topic in topics]
    extra = [word for remap in words for word in ("-r", remap)]
    extra += [word for parameter in (*BLIND, *parameters) for word in ("-p", parameter)]
    return replace(program, words=(*program.words, *extra))


class Processes:
    """Starts and ends the nodes of a campaign; use it from the main thread.

    Args:
        specs: Rows of the node table.
        environment: Environment of every process.
        write_line: Gets node and line of what they say.
        parameters: Further parameters ``name:=value`` of the controller.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        environment: Mapping[str, str],
        write_line: Callable[[str, str], None],
        parameters: Sequence[str] = (),
    ) -> None:
        self._runners = {
            spec.name: Runner([campaign_program(spec, parameters)], environment, write_line)
            for spec in specs
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return tuple(self._runners)

    def start(self) -> None:
        """Start all of them."""
        for runner in self._runners.values():
            runner.start()

    def start_again(self, name: str) -> None:
        """Start a node whose process has ended, and the one it shares memory with.

        What has not ended is ended first.
        """
        names = PICTURES if name in PICTURES else (name,)
        for each in names:
            self._runners[each].stop()
        for each in names:
            self._runners[each].start()

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node."""
        self._runners[name].send_signal(number)

    def ended(self) -> Ended | None:
        """Return a process that has ended, None while all run."""
        found = (runner.ended() for runner in self._runners.values())
        return next((ended for ended in found if ended is not None), None)

    def stop(self) -> None:
        """End all of them."""
        for runner in self._runners.values():
            runner.send_signal(signal.SIGCONT)
            runner.send_signal(signal.SIGINT)
        for runner in self._runners.values():
            runner.stop()
