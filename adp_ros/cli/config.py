"""``adp-ros config``: the files of ``config/`` and the tables of the documentation."""

import argparse
import inspect
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any, Final

from ..adp.adp_settings import GateSwitches, OverlaySettings, PruningSettings
from ..adp.gate_settings import GateConfig, ReleasedGateSettings
from ..errors import ConfigError
from ..ros.argument_table import launch_arguments
from ..ros.launch_table import GROUPS
from ..serving.mapping import RemoteMapping
from ..serving.serve_settings import ServeSettings
from ..settings import (
    Groups,
    field_kind,
    setting_fields,
    setting_info,
    share_directory,
    yaml_value,
)
from .output import write_result

WIDTH: Final = 100


Sections = Mapping[type[Any], Mapping[str, Any] | None]
"""Dataclass -> name and value of the settings that are written; None: all with their defaults."""

FLAT_FILES: Final[Mapping[str, tuple[str, Sections]]] = {
    "adp.yaml": (
        "Action-aware Dynamic Pruning: which vision tokens are dropped, when, and how it is shown. "
        "Names of the paper's Table 14 and of the released code are taken as they are; unknown "
        "names and values out of range are refused by name. Defaults: the paper's text and "
        "experiments. For the released code's gate, see adp_released.yaml.\n"
        "Accepted and reported as without effect, so that the authors' files load as they are: "
        "L_eff, min_delta_rot, hysteresis_up, hysteresis_down, tol_equal (never read by their code "
        "either) and the names of their evaluation script (qk_debug, qk_log_topk, task_suite_name, "
        "save_videos, ...).",
        dict.fromkeys((PruningSettings, GateSwitches, GateConfig, OverlaySettings)),
    ),
    "adp_merge.yaml": (
        "Every window pruned to a tenth of the vision tokens, and the dropped patches merged into "
        "four mean tokens per view that count for as many as they stand for. Everything that is "
        "not named here is as in adp.yaml. 'adp-ros importance' shows for a checkpoint of your own "
        "whether it holds.",
        {
            PruningSettings: {"qk_keep_ratio": 0.1, "merge": "grid", "merge_grid": 2},
            GateSwitches: {"use_dynamic_visual_strategy": False},
        },
    ),
    "remote/adp_ros.yaml": (
        "Mapping file of a policy server: what it wants and gives. This one, the defaults, is for "
        "a server of our own (adp-ros serve), which says most of it itself and prunes as the gate "
        "of the client decides. The others in this folder are starts for other people's servers.",
        {RemoteMapping: None},
    ),
    "adp_released.yaml": (
        "The released code's configuration and its gate, exactly: motion is the net displacement "
        "of measured poses, the extrema leave the current window out, the first three windows are "
        "full. Everything that is not named here is as in adp.yaml. The paper's Table 14 has "
        "qk_keep_ratio 0.5.",
        {
            GateSwitches: {"gate_version": "released"},
            PruningSettings: {
                "qk_keep_enabled": True,
                "qk_keep_ratio": 0.75,
                "qk_keep_split": (0.4, 0.6),
                "qk_layer": 0,
                "keep_order": "score",
                "keep_counts": "code",
                "keep_positions": "reindexed",
            },
            ReleasedGateSettings: {
                "use_dynamic_visual_strategy": True,
                "decision_method": "adjacent",
                "adjacent_extrema_window": 3,
                "adjacent_last_state": False,
                "initial_state": 0,
                "delta_method": "net",
                "min_delta_pos": 0.0,
                "limit_consecutive_pruned_enabled": True,
                "limit_max_consecutive_pruned": 3,
            },
        },
    ),
}
NODE_FILES: Final[Mapping[str, str]] = {
    "camera": "Camera node. Names are those of usb_cam where it has the same setting; the launch "
    "argument `camera` sets source, video_device and path.",
    "camera2": "Second camera (camera2:=...), as camera.yaml; the launch sets camera_name too.",
    "controller": "Controller. The launch arguments robot_type and dry_run win over this file; all "
    "values are defaults. Read-only at run time.",
    "driver": "Driver of a real arm over Kinova's SDK (robot:=kinova). The launch arguments "
    "robot_type, sdk_path, robot_ip and serial_number win over this file.",
    "inference": "Inference node. The launch sets policy, checkpoint, adp, instruction and "
    "robot_type.",
    "record": "Recorder (record:=true, or adp-ros record). Bags are MCAP, for ros2 bag and "
    "adp-ros replay.",
    "sim": "The simulated arm (robot:=sim). The launch arguments task, robot_type and seed win "
    "over this file.",
}


def config_files() -> dict[str, str]:
    """Return the files of ``config/`` that hold settings: name -> text."""
    nodes = {
        f"{name}.yaml": _node_file(f"{name}_node", header, GROUPS[f"{name}_node"]())
        for name, header in NODE_FILES.items()
    }
    return nodes | {name: _flat_file(*file) for name, file in FLAT_FILES.items()}


def _flat_file(header: str, sections: Sections) -> str:
    parts = [_comment(header, "")]
    for config, values in sections.items():
        parts.append("\n".join([_heading(config, ""), *_settings(config, values, "")]))
    return "\n\n".join(parts) + "\n"


def _node_file(node: str, header: str, groups: Groups) -> str:
    lines = [_comment(header, ""), f"{node}:", "  ros__parameters:"]
    for group, config in groups.items():
        indent = "    "
        if group:
            lines += ["", _heading(config, indent), f"{indent}{group}:"]
            indent += "  "
        lines += _settings(config, None, indent)
    return "\n".join(lines) + "\n"


def _settings(config: type[Any], values: Mapping[str, Any] | None, indent: str) -> Iterator[str]:
    for item in setting_fields(config):
        if values is not None and item.name not in values:
            continue
        value = item.default if values is None else values[item.name]
        description, allowed = setting_info(item).description.rstrip(".") + ".", _allowed(item)
        short = len(description) + len(allowed) < WIDTH - len(indent) - 2
        yield _comment(f"{description}{' ' if short else chr(10)}{allowed}".rstrip(), indent)
        yield f"{indent}{item.name}: {yaml_value(value)}"


def _title(config: type[Any]) -> str:
    return (inspect.getdoc(config) or "").splitlines()[0]


def _heading(config: type[Any], indent: str) -> str:
    return _comment(f"--- {_title(config).rstrip('.')} ---", indent)


def _comment(text: str, indent: str) -> str:
    mark = f"{indent}# "
    lines = text.split("\n")
    filled = (textwrap.fill(t, WIDTH, initial_indent=mark, subsequent_indent=mark) for t in lines)
    return "\n".join(filled)


def _allowed(item: "Field[Any]") -> str:
    info = setting_info(item)
    if info.choices:
        return " | ".join(str(choice) for choice in info.choices)
    unit = "" if info.unit == "-" else f"[{info.unit}]"
    if info.range == "any":
        return unit
    each = " each" if field_kind(item).sequence else ""
    return " ".join(part for part in (f"{info.range}{each}", unit) if part)


def markdown(share: Path) -> str:
    """Return every setting as Markdown tables, for the documentation.

    Args:
        share: Directory that holds ``config/``.
    """
    parts = ["## Launch arguments", _table(("argument", "default", "meaning"), _arguments(share))]
    for name in NODE_FILES:
        parts.append(f"## config/{name}.yaml")
        for group, config in GROUPS[f"{name}_node"]().items():
            parts += [_title(config), _rows(config, group)]
    parts.append("## config/adp.yaml")
    for config in FLAT_FILES["adp.yaml"][1]:
        parts += [_title(config), _rows(config, "")]
    parts += ["## config/remote/adp_ros.yaml", _title(RemoteMapping), _rows(RemoteMapping, "")]
    parts += ["## adp-ros serve", _title(ServeSettings), _rows(ServeSettings, "")]
    return "\n\n".join(parts) + "\n"


def _arguments(share: Path) -> Iterator[tuple[str, ...]]:
    for argument in launch_arguments(share):
        default = argument.default.removeprefix(f"{share}{os.sep}")
        yield f"`{argument.name}`", f"`{default}`", argument.meaning


def _rows(config: type[Any], group: str) -> str:
    rows = (
        (
            f"`{group}.{item.name}`" if group else f"`{item.name}`",
            f"`{yaml_value(item.default)}`",
            _allowed(item).replace("|", "\\|"),
            setting_info(item).description,
        )
        for item in setting_fields(config)
    )
    return _table(("setting", "default", "allowed", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Write the settings files of config/ with every default, unit, range and "
        "meaning, as a start for your own. A file that differs is left alone without --force."
    )
    parser.add_argument(
        "--output", type=Path, default=Path("config"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--force", action="store_true", help="write over files that differ")
    parser.add_argument(
        "--markdown", action="store_true", help="print the tables of the documentation instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files, or print the tables; 1 when a file that differs was left alone."""
    if arguments.markdown:
        sys.stdout.write(markdown(share_directory(os.environ)))
        return 0
    folder: Path = arguments.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        states = {
            str(folder / name): _write(folder / name, text, arguments.force)
            for name, text in sorted(config_files().items())
        }
    except OSError as error:
        raise ConfigError(f"output is {str(folder)!r}: {error.strerror}") from error
    text = "\n".join(f"{state:<10} {path}" for path, state in states.items())
    write_result(arguments.json, states, text)
    return int("left alone" in states.values())


def _write(path: Path, text: str, force: bool) -> str:
    if path.exists():
        if path.read_bytes() == text.encode():
            return "unchanged"
        if not force:
            return "left alone"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return "written"
