"""Demonstrations on disk: nothing is lost, and nothing that is wrong is read."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from demonstration_data import demonstration, picture

from adp_ros.errors import ConfigError, DemonstrationError
from adp_ros.learning.dataset import DatasetInfo, create_dataset, open_dataset, write_statistics
from adp_ros.learning.demonstrations import Frames, NoOpFilter, chunk_labels
from adp_ros.policies.openvla.normalisation import load_statistics
from adp_ros.policies.openvla.preprocess import encode_jpeg, resize, shrink
from adp_ros.types import ActionConvention


@pytest.fixture
def dataset(tmp_path):
    """An empty data set."""
    return create_dataset(tmp_path / "set", DatasetInfo(source="test"))


def assert_same(one, other):
    """Every field of two dataclasses is equal, arrays with their types."""
    for item in fields(one):
        mine, yours = (object.__getattribute__(d, item.name) for d in (one, other))
        if isinstance(mine, np.ndarray):
            assert mine.dtype == yours.dtype and np.array_equal(mine, yours), item.name
        elif hasattr(mine, "__dataclass_fields__"):
            assert_same(mine, yours)
        else:
            assert mine == yours, item.name


@pytest.mark.parametrize("changes", [{}, {"chunk_label": None, "landmarks": None, "seed": -1}])
def test_what_is_read_is_what_was_written(dataset, changes):
    """Every field comes back as it was, optional ones too, and the folder says what they mean."""
    episode = demonstration(**changes)
    dataset.write("one", episode)
    again = open_dataset(dataset.directory)
    assert again.info == dataset.info
    assert again.names() == ("one",) and len(again) == 1
    assert_same(again.read("one"), episode)
    assert [e.steps for e in again] == [episode.steps]


def test_pictures_are_those_that_inference_sees():
    """A kept picture, decoded and shrunk, equals the preprocessing of the camera's picture."""
    rng = np.random.default_rng(1)
    pictures = [picture(rng), rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)]
    frames = Frames.of([0, 5], [encode_jpeg(picture) for picture in pictures])
    for index, image in enumerate(pictures):
        assert frames.picture(index).shape == image.shape
        assert np.array_equal(shrink(frames.picture(index)), resize(image))


def test_file_is_there_as_a_whole_or_not_at_all(dataset, monkeypatch):
    """When writing fails half-way nothing is left behind, and what was there stays."""
    dataset.write("one", demonstration())
    before = dataset.path("one").read_bytes()

    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(DemonstrationError, match=r"one\.npz can't be written: no space left"):
        dataset.write("one", demonstration(seed=1))
    assert dataset.path("one").read_bytes() == before
    assert [p.name for p in dataset.path("one").parent.iterdir()] == ["one.npz"]


def with_nan(values, *at):
    """A copy with a NaN in one place."""
    changed = values.copy()
    changed[at] = np.nan
    return changed


GOOD = demonstration()
DAMAGED = {
    "state": ({"state": with_nan(GOOD.state, 3, 1)}, r"state has nan at \(3, 1\)"),
    "state's size": ({"state": GOOD.state[:, :8]}, r"state has shape \(12, 8\), \(12, 10\) is"),
    "action's length": ({"action": GOOD.action[:-1]}, r"action has shape \(11, 7\), \(12, 7\) is"),
    "action's type": ({"action": GOOD.action.astype(int)}, "action is of int64, floats"),
    "gripper": ({"gripper": GOOD.gripper[:, None]}, r"gripper has shape \(12, 1\)"),
    "label": ({"chunk_label": with_nan(GOOD.chunk_label, 0, 1, 2)}, "chunk_label has nan"),
    "labels": ({"chunk_label": GOOD.chunk_label[:1]}, r"chunk_label has shape \(1, 8, 7\)"),
    "rate": ({"time": 2 * GOOD.time}, r"time has 0\.200 s between steps \d+ and \d+, the step"),
    "slow rate": ({"time": 1.04 * GOOD.time}, r"time has steps of 0\.1040 s on average"),
    "order": ({"time": GOOD.time[::-1].copy()}, r"time has -0\.100 s between steps"),
    "empty": ({"time": GOOD.time[:0]}, "time is empty"),
    "instruction": ({"instruction": " "}, "instruction is empty"),
    "source": ({"source": "dream"}, "source is 'dream', allowed: expert, noisy, policy, tele"),
    "frames' order": (
        {"frames": replace(GOOD.frames, step=GOOD.frames.step[::-1].copy())},
        "frame_step is not ascending",
    ),
    "frames outside": (
        {"frames": replace(GOOD.frames, step=GOOD.frames.step + 8)},
        "frame_step names steps outside of 0 to 11",
    ),
    "cut off": (
        {"frames": replace(GOOD.frames, data=GOOD.frames.data[:-9])},
        "frame_offset does not divide the",
    ),
    "no picture": (
        {"frames": replace(GOOD.frames, data=np.zeros_like(GOOD.frames.data))},
        "frame_data has no JPEG as picture 0",
    ),
    "landmarks": (
        {"landmarks": replace(GOOD.landmarks, positions=with_nan(GOOD.landmarks.positions, 0))},
        "landmarks has nan",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_episode_is_refused_with_file_and_field(dataset, name):
    """NaN, wrong shapes, rates and pictures are told by name, in reading and in writing."""
    changes, text = DAMAGED[name]
    with pytest.raises(DemonstrationError, match=rf"bad\.npz: {text}"):
        dataset.write("bad", replace(GOOD, **changes))
    assert len(dataset) == 0
    from adp_ros.learning.dataset import write_episode

    write_episode(dataset.path("bad"), replace(GOOD, **changes))
    with pytest.raises(DemonstrationError, match=rf"bad\.npz: {text}"):
        dataset.read("bad")


def test_cut_off_file_missing_field_and_pickles_are_refused(dataset):
    """A file that an interruption, a disk or somebody else damaged is never half read."""
    dataset.write("one", GOOD)
    path = dataset.path("one")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DemonstrationError, match=r"one\.npz can't be read, it is damaged"):
        dataset.read("one")
    with path.open("wb") as file:
        np.savez(file, instruction=np.array("x"))
    with pytest.raises(DemonstrationError, match=r"one\.npz lacks the field"):
        dataset.read("one")
    with path.open("wb") as file:
        np.savez(file, instruction=np.array([{}], dtype=object))
    with pytest.raises(DemonstrationError, match="damaged"):
        dataset.read("one")
    with pytest.raises(DemonstrationError, match=r"two\.npz can't be read"):
        dataset.read("two")


def test_folder_of_other_meaning_is_refused(dataset):
    """Going on in a folder needs the same layout, convention and settings."""
    assert create_dataset(dataset.directory, dataset.info).info == dataset.info
    for changes, text in (
        ({"state": ("x", "y")}, "state is "),
        ({"convention": ActionConvention(rotation="rpy")}, "convention is "),
        ({"made": {"noise": 2.0}}, "made is "),
    ):
        with pytest.raises(DemonstrationError, match=rf"dataset\.json: {text}.*another folder"):
            create_dataset(dataset.directory, replace(dataset.info, **changes))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version is 2, this program reads 1"),
        ({"format": "rlds"}, "format is not 'adp_ros demonstrations'"),
        ({"state": ["x", "up"]}, "state_layout: 'up' is unknown"),
        ({"step_period": 0.0}, r"step_period is 0\.0, above 0"),
        ({"colour": "red"}, "a field is missing or not allowed"),
    ],
)
def test_other_versions_and_broken_descriptions_are_refused(dataset, change, text):
    """What dataset.json says is checked, by field."""
    path = dataset.directory / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DemonstrationError, match=rf"dataset\.json: {text}"):
        open_dataset(dataset.directory)


def test_folder_without_description_is_refused(tmp_path):
    """A folder that holds something else is not taken for demonstrations."""
    with pytest.raises(DemonstrationError, match=r"dataset\.json can't be read"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DemonstrationError, match="is not JSON"):
        open_dataset(tmp_path)


def test_labels_come_from_the_expert_or_from_the_next_actions():
    """Without labels of its own an episode teaches what was done; at its end the arm stands."""
    assert np.array_equal(chunk_labels(GOOD, 8), GOOD.chunk_label)
    assert np.array_equal(chunk_labels(GOOD, 4), GOOD.chunk_label[:, :4])
    done = replace(GOOD, chunk_label=None)
    labels = chunk_labels(done, 8)
    assert np.array_equal(labels[0], GOOD.action[:8])
    assert np.array_equal(labels[2][:4], GOOD.action[8:])
    assert labels[2][4:, :6].any() == np.False_ and (labels[2][4:, 6] == 0.0).all()


def test_no_ops_are_left_out_but_for_a_few():
    """Frames in which nothing is commanded go, except the first of each stand."""
    still = np.zeros((12, 8, 7))
    still[..., 6] = 1.0
    moving = still.copy()
    moving[0:3, :, 0] = 0.01  # moves
    moving[7, 4, 6] = 0.0  # closes
    moving[9, 2, 5] = 0.1  # turns
    frames = replace(GOOD.frames, step=np.arange(12), offset=np.arange(13) * 5)
    episode = replace(GOOD, frames=frames, chunk_label=moving, gripper=np.ones(12))
    kept = NoOpFilter(keep=1).kept(episode)
    assert np.flatnonzero(kept).tolist() == [0, 1, 2, 3, 7, 8, 9, 10]
    all_still = replace(episode, chunk_label=still)
    assert NoOpFilter(keep=0).kept(all_still).sum() == 0
    opens = replace(all_still, gripper=np.linspace(0.0, 1.0, 12))
    assert NoOpFilter(keep=0).kept(opens).sum() == 11  # the fingers are on their way
    with pytest.raises(ConfigError, match="keep is -1"):
        NoOpFilter(keep=-1)


def test_statistics_are_those_of_upstream_and_load_with_a_checkpoint(dataset):
    """q01 and q99 of what is learnt, gripper unscaled, counts; our loader takes the file."""
    episodes = [demonstration(seed=s) for s in range(3)]
    for episode in episodes:
        dataset.write(f"e{episode.seed}", episode)
    ((name, values),) = write_statistics(dataset).items()
    written = (dataset.directory / "dataset_statistics.json").read_text()
    assert json.loads(written) == {name: values}
    states = np.concatenate([e.state[e.frames.step] for e in episodes])
    assert (values["num_transitions"], values["num_trajectories"]) == (9, 3)
    assert values["action"]["mask"] == [True] * 6 + [False]
    assert values["proprio"]["q01"] == pytest.approx(np.quantile(states, 0.01, axis=0))
    assert values["proprio"]["std"] == pytest.approx(states.std(0))
    loaded = load_statistics(dataset.directory)
    assert loaded.name == name == "set" and loaded.proprio.size == 10
    assert np.array_equal(loaded.action.scaled, [True] * 6 + [False])


def test_statistics_of_nothing_are_refused(dataset):
    """An empty data set leaves no file behind."""
    with pytest.raises(DemonstrationError, match="there is no frame"):
        write_statistics(dataset)
    assert not (dataset.directory / "dataset_statistics.json").exists()


def test_numbers_can_be_read_without_the_pictures(dataset):
    """Everything else is there and checked; the pictures' bytes are not touched."""
    dataset.write("one", GOOD)
    episode = dataset.read("one", pictures=False)
    assert np.array_equal(episode.chunk_label, GOOD.chunk_label)
    assert np.array_equal(episode.frames.step, GOOD.frames.step)
    assert (len(episode.frames), episode.frames.data.size) == (3, 0)
