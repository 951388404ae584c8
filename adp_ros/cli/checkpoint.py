"""``adp-ros checkpoint``: make a checkpoint, describe one, merge a LoRA adapter."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from ..policies.openvla.describe import Description, describe
from ..policies.openvla.lora import merge_lora
from ..settings import setting_info
from .output import complete

_LISTED = 5  # keys spelled out in the text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Make a checkpoint with random weights, describe one, or merge the LoRA "
        "adapter of an unmerged fine-tune into its base model."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_new(actions)
    _add_inspect(actions)
    _add_merge(actions)


def _add_new(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _action(actions, "new", "make a checkpoint with random weights", _run_new)
    parser.add_argument("directory", type=Path, help="new or empty directory")
    parser.add_argument(
        "--size", choices=tuple(SIZES), default="small", help="size of the model (default: small)"
    )
    parser.add_argument(
        "--views", type=int, choices=(1, 2), default=1, help="pictures (default: 1)"
    )
    for item in ("seed", "state", "dataset"):
        field = NewCheckpoint.__dataclass_fields__[item]
        info = setting_info(field)
        text = f"{info.description} Default: {field.default}."
        parser.add_argument(f"--{item}", type=type(field.default), default=field.default, help=text)


def _add_inspect(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _action(actions, "inspect", "describe a checkpoint", _run_inspect)
    parser.add_argument("directory", type=Path, help="checkpoint")


def _add_merge(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _action(actions, "merge-lora", "merge lora_adapter/ into the base model", _run_merge)
    parser.add_argument("checkpoint", type=Path, help="fine-tune that holds lora_adapter/")
    parser.add_argument("base", type=Path, help="model it was fine-tuned from")
    parser.add_argument("output", type=Path, help="new or empty directory")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Any,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return complete(parser, run)


def _run_new(arguments: argparse.Namespace) -> int:
    settings = NewCheckpoint(seed=arguments.seed, state=arguments.state, dataset=arguments.dataset)
    create_checkpoint(
        arguments.directory, replace(SIZES[arguments.size], views=arguments.views), settings
    )
    values = {"directory": str(arguments.directory), "size": arguments.size, **asdict(settings)}
    line = f"{arguments.directory}: random weights of size {arguments.size}, seed {settings.seed}"
    _print(values, line, arguments.json)
    return 0


def _run_merge(arguments: argparse.Namespace) -> int:
    changed = merge_lora(arguments.checkpoint, arguments.base, arguments.output)
    values = {"directory": str(arguments.output), "weights_changed": changed}
    _print(values, f"{arguments.output}: {changed} weights changed", arguments.json)
    return 0


def _run_inspect(arguments: argparse.Namespace) -> int:
    description = describe(arguments.directory)
    values = asdict(description) | {
        "directory": str(arguments.directory),
        "complete": description.complete,
    }
    _print(values, _text(description), arguments.json)
    return 0 if description.complete else 1


def _print(values: dict[str, Any], text: str, as_json: bool) -> None:
    sys.stdout.write((json.dumps(values, indent=2) if as_json else text) + "\n")


def _text(d: Description) -> str:
    llm, dino, siglip = d.model.llm, d.model.dino, d.model.siglip
    types = ", ".join(f"{count} {name}" for name, count in d.dtypes.items())
    sets = ", ".join(f"{s.name} (state {s.state_size})" for s in d.datasets)
    rows = [
        ("weights", f"{d.weight_bytes / 1e9:.2f} GB in {len(d.shards)} files ({types})"),
        ("parameters", f"{d.parameters / 1e6:.1f} M"),
        ("decoder", f"hidden {llm.hidden_size}, MLP {llm.intermediate_size}, "
                    f"{llm.num_hidden_layers} layers, {llm.num_attention_heads} heads"),
        ("towers", f"DINOv2 {dino.width} x {dino.depth}, SigLIP {siglip.width} x {siglip.depth}"),
        ("views", str(d.model.views or "not declared")),
        ("chunk", f"{d.model.chunk_length} actions of {d.action_size} numbers"),
        ("state", f"{d.state_size} numbers" if d.state_size else "none"),
        ("data sets", sets),
        ("convention", _convention(d)),
        ("prompt", f"{d.prompt_length} tokens for 'wipe the table'"),
        ("unused keys", f"{len(d.unused)} (last tower blocks, norms, pool, lm_head)"),
        ("missing keys", _keys(d.missing)),
        ("misshapen keys", _keys(d.misshapen)),
        ("unknown keys", _keys(d.unknown)),
    ]  # fmt: skip
    return "\n".join([str(d.directory), *(f"  {name:<15}{value}" for name, value in rows)])


def _convention(d: Description) -> str:
    if d.convention is None:
        return "not declared (action_convention.json)"
    return ", ".join(f"{name} {value}" for name, value in asdict(d.convention).items())


def _keys(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more if names else "none"
