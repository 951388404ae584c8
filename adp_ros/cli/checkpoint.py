"""``adp-ros checkpoint``: make a checkpoint, describe one, merge a LoRA adapter."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from ..policies.openvla.describe import describe
from ..policies.openvla.lora import merge_lora
from ..settings import add_flags, given_flags
from .output import complete, write_result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Make a checkpoint with random weights, describe one, or merge the LoRA "
        "adapter of an unmerged fine-tune into its base model."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, run: Any) -> argparse.ArgumentParser:
        description = text[0].upper() + text[1:] + "."
        return complete(actions.add_parser(name, help=text, description=description), run)

    new = action("new", "make a checkpoint with random weights", _run_new)
    new.add_argument("directory", type=Path, help="new or empty directory")
    new.add_argument(
        "--size", choices=tuple(SIZES), default="small", help="size of the model (default: small)"
    )
    new.add_argument("--views", type=int, choices=(1, 2), default=1, help="pictures (default: 1)")
    add_flags(new, NewCheckpoint, "seed", "state", "dataset")
    inspect = action("inspect", "describe a checkpoint", _run_inspect)
    inspect.add_argument("directory", type=Path, help="checkpoint")
    merge = action("merge-lora", "merge lora_adapter/ into the base model", _run_merge)
    merge.add_argument("checkpoint", type=Path, help="fine-tune that holds lora_adapter/")
    merge.add_argument("base", type=Path, help="model it was fine-tuned from")
    merge.add_argument("output", type=Path, help="new or empty directory")


def _run_new(arguments: argparse.Namespace) -> int:
    settings = NewCheckpoint(**given_flags(arguments, NewCheckpoint))
    create_checkpoint(
        arguments.directory, replace(SIZES[arguments.size], views=arguments.views), settings
    )
    values = {"directory": str(arguments.directory), "size": arguments.size, **asdict(settings)}
    line = f"{arguments.directory}: random weights of size {arguments.size}, seed {settings.seed}"
    write_result(arguments.json, values, line)
    return 0


def _run_merge(arguments: argparse.Namespace) -> int:
    changed = merge_lora(arguments.checkpoint, arguments.base, arguments.output)
    values = {"directory": str(arguments.output), "weights_changed": changed}
    write_result(arguments.json, values, f"{arguments.output}: {changed} weights changed")
    return 0


def _run_inspect(arguments: argparse.Namespace) -> int:
    description = describe(arguments.directory)
    where = {"directory": str(arguments.directory), "complete": description.complete}
    values = asdict(description) | where
    write_result(arguments.json, values, description.text)
    return 0 if description.complete else 1
