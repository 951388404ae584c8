"""``adp-ros faults``: real nodes and the twin, faults at random times, every reaction measured."""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from ..faults.kinds import KINDS, PLANNERS
from ..faults.plan import Fault, check_kinds, make_plan
from ..faults.sdk_kinds import EVERY_KIND, SDK_KINDS
from ..faults.simulated import follow_square, press_all, press_cases, press_table
from ..robots.jaco2.stand_in import VARIABLE
from ..ros.launch_arguments import SIMULATED, resolve_settings
from ..ros.launch_table import NodeSpec
from ..ros.runner import StopRequest, prepare_nodes
from ..ros.twin_run import add_output_arguments, new_directory, use_private_domain
from ..settings import number_between, share_directory
from ..sim.tasks import task_names
from .output import write_result

if TYPE_CHECKING:
    from ..faults.campaign_report import CampaignSummary
    from ..ros.fault_bench import FaultBench
    from ..ros.fault_campaign import Result
    from ..ros.stand_in_faults import StandInFaults

_SHARES: Final = (1.0, 0.8)  # of the commanded speed that the driver reaches
_ALLOWED: Final = 1e-3  # [m]


def run_press(arguments: argparse.Namespace) -> int:
    """Press on the table; return 0 if the arm stopped every time."""
    cases, results = press_cases(), []
    for result in press_all(cases):
        results.append(result)
        sys.stderr.write(f"pressed {len(results)} of {len(cases)} times\n")
    write_result(arguments.json, [asdict(r) for r in results], press_table(results))
    return 0 if all(result.stopped for result in results) else 1


def run_square(arguments: argparse.Namespace) -> int:
    """Follow a square; return 0 if the path is kept to a millimetre."""
    results = {share: follow_square(share) for share in _SHARES}
    values = [{"speed_share": share, **r.to_json()} for share, r in results.items()]
    lines = [f"driver reaches {s:.0%} of the speed: {r.to_text()}" for s, r in results.items()]
    write_result(arguments.json, values, "".join(lines))
    return 0 if all(result.rms < _ALLOWED for result in results.values()) else 1


MOST = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    kinds = "\n".join(f"  {kind.name:<22}{kind.description}" for kind in EVERY_KIND.values())
    parser.description = (
        "Run the real nodes and the twin, inject faults at random times from a seed, "
        "measure the time to the first zero velocity and to standstill, check what must never "
        "happen. Results in RUNS/<time>: faults.json, faults.txt, faults.png, faults.jsonl, "
        "nodes.log. Exit status 0 if and only if nothing was missed, late or against the rules."
    )
    parser.epilog = f"kinds of faults:\n{kinds}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--faults", type=_count, default=100, help="how many (default: 100)")
    parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="default: all")
    parser.add_argument("--seed", type=_seed, default=0, help="of the campaign (default: 0)")
    parser.add_argument("--task", choices=task_names(), default="wipe_table", help="scene")
    parser.add_argument(
        "--robot",
        choices=SIMULATED,
        default="sim",
        help="stand-in: the driver of a real arm over a stand-in for Kinova's SDK, and the faults "
        "at that border, sdk_* (default: sim)",
    )
    parser.add_argument(
        "--light", action="store_true", help="without camera and inference, and their faults"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME:=VALUE",
        help="parameters of the controller, such as torque.slow_share:=0.5",
    )
    add_output_arguments(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--nominal",
        type=number_between(0.1, 600.0, "min"),
        metavar="MINUTES",
        help="instead: no faults, every task in turn, until the arm has moved for so long",
    )
    instead.add_argument(
        "--press", action="store_true", help="instead: press on the table, in simulated time"
    )
    instead.add_argument(
        "--square", action="store_true", help="instead: follow a square, in simulated time"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a campaign, or motion without faults; return 0 if all was well, else 1."""
    if arguments.nominal is not None:
        from ..ros.nominal_run import run_nominal

        return run_nominal(arguments)
    if arguments.press:
        return run_press(arguments)
    if arguments.square:
        return run_square(arguments)
    plan = make_plan(_kinds(arguments), arguments.faults, arguments.seed)
    share = share_directory(os.environ)
    given = {"task": arguments.task, "policy": "hold", "robot": arguments.robot}
    settings = resolve_settings(given, share)
    environment = use_private_domain(pictures=False)
    with StopRequest().listening() as request:
        specs = prepare_nodes(settings, share)
        if arguments.light:
            specs = tuple(spec for spec in specs if spec.name not in PLANNERS)
        directory = new_directory(arguments.runs, datetime.now())
        sys.stderr.write(
            f"{len(plan)} faults, seed {arguments.seed}; results and log in {directory}\n"
        )
        results, trips = _perform(
            arguments, plan, specs, directory, request, environment=environment
        )
    summary = _write(results, trips, directory)
    write_result(arguments.json, summary.to_json(), summary.to_text())
    return 0 if summary.passed and len(results) == len(plan) else 1


def _kinds(arguments: argparse.Namespace) -> tuple[str, ...]:
    own = SDK_KINDS if arguments.robot == "stand-in" else KINDS
    kinds = check_kinds(arguments.kinds or tuple(own))
    if arguments.robot != "stand-in" and set(kinds) & set(SDK_KINDS):
        wrong = ", ".join(name for name in kinds if name in SDK_KINDS)
        raise ConfigError(f"--kinds {wrong} with --robot {arguments.robot}, allowed: stand-in")
    if not arguments.light:
        return kinds
    left_out = [name for name in kinds if set(EVERY_KIND[name].needs) & set(PLANNERS)]
    if arguments.kinds and left_out:
        raise ConfigError(f"--light leaves out {', '.join(left_out)}: no camera and no inference")
    return tuple(name for name in kinds if name not in left_out)


def _stand_in(specs: Sequence[NodeSpec]) -> "StandInFaults | None":
    """Return what orders faults of the stand-in, None where there is none."""
    from ..ros.stand_in_faults import StandInFaults

    for spec in specs:
        if VARIABLE in spec.environment and "sdk_path" in spec.parameters:
            folder = Path(str(spec.parameters["sdk_path"]))
            return StandInFaults(Path(spec.environment[VARIABLE]), folder)
    return None


def _perform(
    arguments: argparse.Namespace,
    plan: Sequence[Fault],
    specs: Sequence[NodeSpec],
    directory: Path,
    request: StopRequest,
    *,
    environment: Mapping[str, str],
) -> "tuple[list[Result], tuple[str, ...]]":
    from ..reports.progress import progress_display
    from ..ros.fault_campaign import Campaign, CampaignError
    from ..ros.fault_injector import Processes
    from ..ros.runner import node_log

    results: list[Result] = []
    trips: list[str] = []
    echo = sys.stderr if arguments.verbose else None
    with (
        node_log(directory / "nodes.log", echo) as log,
        (directory / "faults.jsonl").open("w", encoding="utf-8", buffering=1) as lines,
        progress_display("faults", sys.stderr) as show,
        fault_bench(
            "j2n6s300", answers=arguments.light, twin=arguments.robot == "stand-in"
        ) as bench,
    ):
        stand_in = _stand_in(specs)
        processes = Processes(specs, environment, log.write_line, arguments.set)
        processes.start()
        began = time.monotonic()
        try:
            campaign = Campaign(bench, processes, lambda: request.asked, stand_in)
            trips = campaign.trips
            for fault in plan:
                failed = sum(bool(result.outcome.violations) for result in results)
                words = f"{len(results)} of {len(plan)}, {failed} failed; {fault.kind}"
                show(time.monotonic() - began, len(results) / len(plan), words)
                results.append(campaign.run(fault))
                lines.write(json.dumps(results[-1].to_json()) + "\n")
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
        except CampaignError as error:
            sys.stderr.write(f"error: {error}\n")
        finally:
            if stand_in is not None and results:
                sys.stderr.write(f"the arm's queue held {stand_in.queue_largest} points at most\n")
            processes.stop()
            if stand_in is not None:
                stand_in.close()
    return results, tuple(trips)


@contextmanager
def fault_bench(robot_type: str, *, answers: bool, twin: bool) -> "Iterator[FaultBench]":
    """Run the bench in a thread of its own while the context lasts."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from ..ros.fault_bench import FaultBench

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    bench = FaultBench(robot_type, answers=answers, twin=twin)
    executor = SingleThreadedExecutor()
    executor.add_node(bench)
    ending = threading.Event()

    def spin() -> None:
        while not ending.is_set():
            executor.spin_once(0.1)

    thread = threading.Thread(target=spin, name="bench")
    thread.start()
    try:
        yield bench
    finally:
        ending.set()
        thread.join()
        executor.shutdown()
        bench.destroy_node()
        rclpy.try_shutdown()


def _write(results: "Sequence[Result]", trips: Sequence[str], directory: Path) -> "CampaignSummary":
    from ..faults.campaign_report import draw_campaign, summarise

    summary = summarise([(r.fault.number, r.fault.kind, r.outcome) for r in results], trips)
    text = json.dumps(summary.to_json(), indent=2) + "\n"
    (directory / "faults.json").write_text(text, encoding="utf-8")
    (directory / "faults.txt").write_text(summary.to_text(), encoding="utf-8")
    if results:
        draw_campaign([(r.fault.kind, r.outcome) for r in results], directory / "faults.png")
    return summary


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"is {text!r}, allowed: 1 to {MOST}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"is {text!r}, allowed: a whole number from 0")
    return int(text)
