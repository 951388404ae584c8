"""Normalisation of actions and proprioception, against the original code's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from adp_ros.errors import CheckpointError, ObservationError
from adp_ros.policies.openvla.normalisation import load_statistics

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED = np.load(GOLDEN / "normalisation.npz")
CASES = sorted({name.split(".")[0] for name in RECORDED.files})
ROW = {"mean": 0.0, "std": 1.0, "min": -2.0, "max": 2.0, "q01": -1.0, "q99": 1.0}


def rows(size, **changes):
    """Return statistics of some dimensions."""
    return {key: [changes.get(key, value)] * size for key, value in ROW.items()}


def write(directory, datasets):
    """Write dataset_statistics.json."""
    (directory / "dataset_statistics.json").write_text(json.dumps(datasets))
    return directory


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_original_code(case):
    """States and actions of the recorded runs come out as OpenVLA-OFT computed them."""
    statistics = load_statistics(GOLDEN / "checkpoint")
    state = statistics.normalize_proprio(RECORDED[f"{case}.state"])
    actions = statistics.unnormalize(RECORDED[f"{case}.norm_actions"])
    assert state.dtype == np.float32
    assert actions.dtype == np.float64
    assert np.abs(state - RECORDED[f"{case}.state_normalized"]).max() < 1e-6
    assert np.abs(actions - RECORDED[f"{case}.actions"]).max() < 1e-7


def test_gripper_is_not_scaled():
    """A dimension whose mask is False passes as the head gave it, even beyond its range."""
    actions = np.zeros((8, 7), dtype=np.float32)
    actions[:, 6] = 1.25
    assert (load_statistics(GOLDEN / "checkpoint").unnormalize(actions)[:, 6] == 1.25).all()


def test_state_is_not_changed_in_place():
    """The caller's state keeps its values."""
    state = RECORDED[f"{CASES[0]}.state"].copy()
    load_statistics(GOLDEN / "checkpoint").normalize_proprio(state)
    assert np.array_equal(state, RECORDED[f"{CASES[0]}.state"])


def test_constant_dimension_is_what_released_inference_gives(tmp_path):
    """A dimension that never changed gives -1 as released code does, or 0 as in training."""
    proprio = rows(3)
    for key in ("min", "max", "q01", "q99"):
        proprio[key][1] = 0.5
    statistics = load_statistics(write(tmp_path, {"one": {"action": rows(7), "proprio": proprio}}))
    state = [0.25, 0.5, -4.0]
    assert statistics.normalize_proprio(state).tolist() == [0.25, -1.0, -1.0]
    trained = statistics.normalize_proprio(state, constant="training")
    assert trained.tolist() == [0.25, 0.0, -1.0]


@pytest.mark.parametrize("size", [0, 7, 9])
def test_wrong_state_size_names_both(size):
    """A state of another size is refused with the size it has and the size that is needed."""
    with pytest.raises(ObservationError) as caught:
        load_statistics(GOLDEN / "checkpoint").normalize_proprio(np.zeros(size))
    text = f"state has shape ({size},), data set 'jaco_tiny_public' needs (8,)"
    assert text in str(caught.value)


def test_state_that_is_not_finite_is_refused():
    """NaN in the state is refused with its place."""
    with pytest.raises(ObservationError, match="not finite at index 3, 5"):
        load_statistics(GOLDEN / "checkpoint").normalize_proprio([0, 0, 0, np.nan, 0, np.inf, 0, 0])


def test_state_without_proprioception_is_refused(tmp_path):
    """A state is refused where the data set recorded none."""
    statistics = load_statistics(write(tmp_path, {"plain": {"action": rows(7)}}))
    with pytest.raises(ObservationError, match="'plain' has no proprioception"):
        statistics.normalize_proprio([0.0])


def test_several_data_sets_must_be_chosen_from(tmp_path):
    """With several data sets and no unnorm_key the error lists them; a name picks one."""
    write(tmp_path, {"left": {"action": rows(7)}, "right": {"action": rows(7, q99=3.0)}})
    with pytest.raises(CheckpointError, match="set unnorm_key to one of: 'left', 'right'"):
        load_statistics(tmp_path)
    with pytest.raises(CheckpointError, match="unnorm_key is 'up', .* has: 'left', 'right'"):
        load_statistics(tmp_path, "up")
    assert load_statistics(tmp_path, "right").action.high.tolist() == [3.0] * 7


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({}, "holds no data set"),
        ({"a": {}}, "data set 'a' has no 'action' statistics"),
        ({"a": {"action": rows(14)}}, "a.action has 14 dimensions, this package drives one arm"),
        ({"a": {"action": rows(7) | {"q01": [0] * 6}}}, "q01 has 6 numbers, q99 has 7"),
        ({"a": {"action": rows(7, q01=5.0)}}, "q01 is above q99 at index 0"),
        ({"a": {"action": rows(7) | {"mask": [1] * 7}}}, "7 booleans are needed"),
        ({"a": {"action": rows(7, q99=float("nan"))}}, "a list of numbers is needed"),
        ({"a": {"action": rows(7) | {"q99": None}}}, "a.action.q99 is None"),
        ({"a": {"action": []}}, "a.action.q01 is None"),
    ],
)
def test_broken_statistics_are_named(tmp_path, datasets, message):
    """Broken statistics are refused with the data set, the row and what is wrong."""
    with pytest.raises(CheckpointError) as caught:
        load_statistics(write(tmp_path, datasets))
    assert message in str(caught.value)


def test_missing_statistics_are_explained(tmp_path):
    """Without the file the error says what it is for."""
    with pytest.raises(CheckpointError, match=r"dataset_statistics\.json is missing: without it"):
        load_statistics(tmp_path)
