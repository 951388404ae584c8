"""``adp-ros serve``: a checkpoint for clients that speak openpi, vla-eval or OpenVLA-OFT's HTTP."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..policies.window import finite
from ..serving.serve_settings import ServeSettings
from ..settings import add_flags, given_flags, share_directory

if TYPE_CHECKING:
    from ..serving.served import Served
    from ..serving.server import PolicyServer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Serve a checkpoint, with ADP or with full vision. Each client has a gate of its own. "
        "Clients of openpi connect to ws://HOST:PORT, those of vla-eval to ws://HOST:PORT/vla-eval "
        "(?chunks=whole: whole chunks), those of OpenVLA-OFT post to http://HOST:PORT/act; "
        "http://HOST:PORT/health says what is served. Ends with Ctrl-C."
    )
    parser.add_argument("checkpoint", type=Path, help="directory of the checkpoint")
    parser.add_argument("--adp", type=Path, help="default: config/adp.yaml")
    parser.add_argument("--full", action="store_true", help="full vision in every window")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda; default: %(default)s")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--unnorm-key", default="", help="data set whose statistics are used")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; default: %(default)s")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="add one line of JSON per window to a file"
    )
    add_flags(parser, ServeSettings)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from ..serving.server import PolicyServer

    settings = ServeSettings(**given_flags(arguments, ServeSettings))
    served = _served(arguments, settings)
    with ExitStack() as stack:
        record = None
        if arguments.record is not None:
            try:
                record = stack.enter_context(arguments.record.open("a", encoding="utf-8"))
            except OSError as error:
                raise ConfigError(
                    f"record is {str(arguments.record)!r}: {error.strerror}"
                ) from error

        def log(values: Mapping[str, Any]) -> None:
            if record is not None:
                record.write(json.dumps(finite(dict(values)), allow_nan=False) + "\n")
                record.flush()

        def say(line: str) -> None:
            sys.stderr.write(f"{line}\n")

        server = PolicyServer(served, settings, log, say)
        asyncio.run(_serve(server, served, settings))
    return 0


def _served(arguments: argparse.Namespace, settings: ServeSettings) -> "Served":
    import torch

    from ..adp.adp_settings import AdpSettings
    from ..policies.policy import inspect_policy, load_policy
    from ..policies.setup import InferenceSettings, adp_file, set_up_policy, warm_up
    from ..serving.served import Served

    directory = arguments.checkpoint.expanduser()
    views = inspect_policy(directory).views or 1
    chosen = InferenceSettings(
        policy="hold",  # what the checkpoint doesn't declare is assumed: clients move the arm
        checkpoint=str(directory),
        device=arguments.device,
        dtype=arguments.dtype,
        unnorm_key=arguments.unnorm_key,
        adp="" if arguments.adp is None else str(arguments.adp),
        threads=arguments.threads,
        image_topics=("picture",) * views,
    )
    torch.set_num_threads(chosen.threads)
    adp = AdpSettings.load(adp_file(chosen, share_directory(os.environ)))
    adp = adp.full_vision() if arguments.full else adp
    setup = set_up_policy(chosen, adp, load_policy)
    for warning in setup.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    warm_up(setup, chosen)
    return Served.of(setup, adp, directory, libero=settings.actions == "libero")


async def _serve(server: "PolicyServer", served: "Served", settings: ServeSettings) -> None:
    async with server.running() as port:
        host = settings.host
        if host not in ("127.0.0.1", "::1", "localhost") and not settings.token:
            sys.stderr.write(f"warning: {host} is open to the network and there is no token\n")
        gate, pruner = served.setup.gate_config.rule, served.setup.pruner
        sys.stdout.write(
            f"ready at ws://{host}:{port} ({settings.protocol}): {served.setup.policy.info}; "
            f"pruner {pruner.name} keeps {pruner.keep:g}, gate {gate}\n"
        )
        sys.stdout.flush()
        await asyncio.Event().wait()
