"""``adp-ros config``: files and tables come from the settings."""

import json
from pathlib import Path

import pytest

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.cli import main
from adp_ros.cli.config import config_files, markdown
from adp_ros.ros.launch_table import GROUPS
from adp_ros.settings import grouped_names, setting_fields, setting_info

SHARE = Path(__file__).parents[2]
NODES = ("camera", "camera2", "controller", "driver", "inference", "record", "sim")


def test_files_in_config_are_written_by_the_command(tmp_path: Path) -> None:
    """Byte for byte: whoever changes a setting runs ``adp-ros config --force``."""
    assert main(["config", "--output", str(tmp_path)]) == 0
    written = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert set(written) == {
        *(f"{name}.yaml" for name in NODES),
        "adp.yaml",
        "adp_merge.yaml",
        "adp_released.yaml",
        "remote/adp_ros.yaml",
    }
    for name, text in written.items():
        assert text == (SHARE / "config" / name).read_bytes(), name


@pytest.mark.parametrize("node", NODES)
def test_every_setting_stands_with_meaning_range_and_unit(node: str) -> None:
    """What a user needs to know of a setting stands above it."""
    text = " ".join(config_files()[f"{node}.yaml"].replace("#", " ").split())
    for config in GROUPS[f"{node}_node"]().values():
        for item in setting_fields(config):
            info = setting_info(item)
            assert " ".join(info.description.split()).rstrip(".") in text
            if info.low is not None and info.unit != "-":
                unit = (
                    f" each [{info.unit}]" if isinstance(item.default, tuple) else f" [{info.unit}]"
                )
                assert f"{info.range}{unit}" in text


def test_flat_files_hold_the_defaults_and_the_released_gate(tmp_path: Path) -> None:
    """adp.yaml changes nothing; adp_released.yaml is the released code's gate and keep ratio."""
    main(["config", "--output", str(tmp_path)])
    assert AdpSettings.load(tmp_path / "adp.yaml") == AdpSettings()
    released = AdpSettings.load(tmp_path / "adp_released.yaml")
    assert (released.gate.adjacent_variant, released.gate.cold_start_windows) == (
        "extrema_previous",
        3,
    )
    assert (released.pruning.qk_keep_ratio, released.pruning.keep_order) == (0.75, "score")
    assert released.ignored == ()


def test_own_files_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that a user changed is written over only when asked to."""
    main(["config", "--output", str(tmp_path)])
    mine = tmp_path / "sim.yaml"
    mine.write_text("mine")
    capsys.readouterr()
    assert main(["config", "--output", str(tmp_path), "--json"]) == 1
    states = json.loads(capsys.readouterr().out)
    assert states.pop(str(mine)) == "left alone" and set(states.values()) == {"unchanged"}
    assert mine.read_text() == "mine"
    assert main(["config", "--output", str(tmp_path), "--force"]) == 0
    assert mine.read_bytes() == (SHARE / "config" / "sim.yaml").read_bytes()


def test_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be: status 2 and its name."""
    (tmp_path / "file").write_text("")
    assert main(["config", "--output", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err.startswith(f"error: output is '{tmp_path}/file/x': Not a")


def test_tables_name_every_setting() -> None:
    """The documentation's tables are complete and well formed."""
    text = markdown(SHARE)
    for groups in GROUPS.values():
        for name in grouped_names(groups()):
            assert f"| `{name}` |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") in (4, 5)
