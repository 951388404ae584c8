"""Results of two states of the twin are told apart, wherever it is installed."""

import shutil
from pathlib import Path

import adp_ros.sim
from adp_ros.sim.twin import twin_fingerprint

SOURCE = Path(adp_ros.sim.__file__).parent


def test_a_copy_is_the_same_twin_and_a_changed_one_is_another(tmp_path):
    """The place does not matter; a constant of the physics, a new and a renamed file do."""
    shutil.copytree(SOURCE, tmp_path / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    found = [twin_fingerprint(), twin_fingerprint(tmp_path / "sim")]
    scene = tmp_path / "sim" / "scene.py"
    scene.write_text(scene.read_text().replace("impratio = 10.0", "impratio = 9.0"))
    found.append(twin_fingerprint(tmp_path / "sim"))
    scene.rename(scene.with_name("hall.py"))
    found.append(twin_fingerprint(tmp_path / "sim"))
    (tmp_path / "sim" / "more.py").write_text("")
    found.append(twin_fingerprint(tmp_path / "sim"))
    assert found[0] == found[1]
    assert len(set(found)) == 4
