"""Input and output of training: what is damaged, full or read-only costs one line and no file."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from demonstration_data import demonstration
from training_data import small_start

from adp_ros.cli import main
from adp_ros.errors import CheckpointError, DemonstrationError
from adp_ros.learning.dataset import DatasetInfo, create_dataset, write_episode
from adp_ros.learning.demonstrations import Frames, NoOpFilter
from adp_ros.learning.examples import PICTURES, load_training_set
from adp_ros.learning.run_files import append_line, read_lines, replacing
from adp_ros.policies.openvla.preprocess import encode_jpeg

SMALL_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)  # as a full disk
from adp_ros.cli import main
sys.exit(main(sys.argv[2:]))
"""
RECIPE = """
size: tiny
validate_every: 2
save_every: 1
stages: [{samples: 8, batch: 4}]
"""


@pytest.fixture
def dataset(tmp_path):
    """Three episodes."""
    dataset = create_dataset(tmp_path / "made", DatasetInfo())
    for seed in range(3):
        dataset.write(f"e{seed}", demonstration(seed))
    return dataset


def load(dataset, spare=None):
    """Read it for training."""
    return load_training_set([dataset.directory], 0.0, 8, NoOpFilter(), spare)


def cached(dataset):
    """Files of the cache."""
    return sorted((dataset.directory / PICTURES).iterdir())


def files_below(folder):
    """Every file, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def rewritten(path, **changes):
    """Change arrays of an episode as another program would, which decodes as well as before."""
    with np.load(path) as stored:
        arrays = dict(stored)
    with path.open("wb") as file:
        np.savez(file, **(arrays | changes))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_cache_file_is_made_again(dataset, damage):
    """Cut off, a bit flipped, empty, or of another episode: the pictures are the right ones."""
    before = np.array(load(dataset).examples.pictures[0])
    first, second, _ = cached(dataset)
    data = bytearray(first.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data.clear()
    else:
        data = second.read_bytes()[:-1] + b"x"
    first.write_bytes(data)
    assert np.array_equal(load(dataset).examples.pictures[0], before)
    assert np.array_equal(load(dataset).examples.pictures[0], before)  # now from the new file


def test_cache_goes_elsewhere_where_the_data_cannot_be_written(dataset, tmp_path):
    """A file stands where the folder would be; nothing is left beside the data."""
    blocked = dataset.directory / PICTURES
    blocked.write_text("in the way")
    before = files_below(dataset.directory)
    spare = tmp_path / "run"
    pictures = [np.array(shown) for shown in load(dataset, spare).examples.pictures]
    assert files_below(dataset.directory) == before
    assert len(files_below(spare)) == 3
    blocked.unlink()
    for one, other in zip(load(dataset).examples.pictures, pictures, strict=True):
        assert np.array_equal(one, other)
    blocked.rename(tmp_path / "gone")
    blocked.write_text("in the way")
    with pytest.raises(DemonstrationError, match=rf"{PICTURES}.* can't be written: "):
        load(dataset)


def test_a_full_disk_ends_training_with_one_line_and_nothing_half(dataset, tmp_path):
    """At each size that a file may have the run ends with status 2 and whole files only."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    load(dataset)  # the cache is there
    for limit in (100, 2_000_000, 10_000_000):
        out = tmp_path / f"run{limit}"
        words = ["train", str(recipe), "--data", str(dataset.directory), "--out", str(out)]
        result = subprocess.run(
            [sys.executable, "-c", SMALL_FILES, str(limit), *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 2, result.stderr
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and "can't be written: " in errors[0]
        assert "Traceback" not in result.stderr
        assert set(files_below(out) if out.exists() else []) <= {"metrics.jsonl"}


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path, capsys):
    """Data that is not there: one line that names it."""
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    assert main(["train", str(recipe), "--data", str(tmp_path / "no"), "--out", str(out)]) == 2
    assert f"{tmp_path / 'no' / 'dataset.json'} can't be read" in capsys.readouterr().err
    assert not out.exists()
    out.write_text("a file")
    assert main(["train", str(recipe), "--data", str(tmp_path / "no"), "--out", str(out)]) == 2
    assert f"{out} can't be made" in capsys.readouterr().err


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path):
    """Any error, an interruption too, leaves the old content and no second file."""
    path = tmp_path / "file"
    path.write_text("old")
    space, stop = OSError("no space left"), KeyboardInterrupt()
    for reason, kind, text in ((space, CheckpointError, "no space left"), (stop, type(stop), "^$")):
        with pytest.raises(kind, match=text), replacing(path, CheckpointError) as work:
            work.write_text("half")
            raise reason
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_lines_go_on_after_one_that_was_cut_off(tmp_path):
    """The cut line does not count, and the next one begins on a line of its own."""
    path = tmp_path / "lines.jsonl"
    assert read_lines(path) == []
    append_line(path, {"a": 1})
    append_line(path, {"a": 2})
    path.write_bytes(path.read_bytes()[:-4])
    append_line(path, {"a": 3})
    append_line(path, {"a": 4})
    assert [line["a"] for line in read_lines(path)] == [1, 3, 4]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("state", lambda values: values + 1e-3),
        ("action", lambda values: values[::-1]),
        ("instruction", lambda values: np.array("place the red cube on the plate")),
        ("frame_data", lambda values: np.concatenate([values[:999], values[998:-1]])),
        ("seed", lambda values: values + 1),
    ],
)
def test_damage_that_still_decodes_is_found(dataset, name, change):
    """Values that another program wrote into the file: refused by file and field."""
    path = dataset.path("e1")
    with np.load(path) as stored:
        rewritten(path, **{name: change(stored[name])})
    with pytest.raises(DemonstrationError, match=rf"e1\.npz is damaged: {name} does not fit"):
        dataset.read("e1")


def test_every_flipped_bit_is_found_or_changes_nothing(dataset):
    """Bits all over the file: what is read is what was written, or the file is refused."""
    path, wanted = dataset.path("e1"), demonstration(1)
    good = path.read_bytes()
    found = 0
    for place in np.random.default_rng(0).integers(0, len(good), 60):
        data = bytearray(good)
        data[place] ^= 1 << int(place % 8)
        path.write_bytes(data)
        try:
            episode = dataset.read("e1")
        except DemonstrationError as error:
            found += 1
            assert str(error).startswith(str(path))
            continue
        assert np.array_equal(episode.frames.data, wanted.frames.data)
        assert np.array_equal(episode.state, wanted.state)
    assert found > 50


def test_files_without_checksums_are_read(dataset):
    """Data sets of earlier versions have none."""
    path = dataset.path("e1")
    with np.load(path) as stored:
        older = {name: stored[name] for name in stored.files if name != "digests"}
    with path.open("wb") as file:
        np.savez(file, **older)
    assert np.array_equal(dataset.read("e1").state, demonstration(1).state)


def test_other_pictures_or_states_are_other_data(dataset):
    """A run goes on with the very same data only."""
    prints = [load(dataset).fingerprint]
    for changes in ({"state": demonstration(1).state + 1.0}, {"frames": demonstration(9).frames}):
        write_episode(dataset.path("e1"), replace(demonstration(1), **changes))
        prints.append(load(dataset).fingerprint)
    assert len(set(prints)) == 3


def test_errors_name_file_and_picture(dataset):
    """A JPEG that can't be decoded, and one of another size, by file and number."""
    episode = demonstration(1)
    begin, end = episode.frames.offset[1:3]
    data = episode.frames.data.copy()
    data[begin + 2 : end - 2] = 0
    path = dataset.path("e1")
    write_episode(path, replace(episode, frames=replace(episode.frames, data=data)))
    with pytest.raises(DemonstrationError, match=rf"{path}: picture 1: .*no good JPEG"):
        load(dataset)
    small = Frames.of([0], [encode_jpeg(np.zeros((240, 320, 3), np.uint8))])
    write_episode(path, demonstration(1, steps=1, frames=small, chunk_label=None, landmarks=None))
    with pytest.raises(DemonstrationError, match=r"e1\.npz: picture 0 is 320x240, the data set"):
        load(dataset)


def test_hidden_files_are_no_episodes(dataset):
    """Such as those that file managers of other systems leave."""
    (dataset.path("e0").with_name("._e0.npz")).write_bytes(b"Mac OS X")
    dataset.path("e0").with_name(".e9.npz.77.part").write_bytes(b"half")
    assert dataset.names() == ("e0", "e1", "e2")
    assert load(dataset).episodes == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pick up the <s> cube", "contains <s>"),
        ("pick up the cube </s>", "contains </s>"),
    ],
)
def test_an_instruction_that_no_policy_can_be_told_is_refused_at_training(dataset, text, words):
    """Before anything is learnt, with the file that has it."""
    dataset.write("e1", demonstration(1, instruction=text))
    found = load(dataset)
    start, _, _ = small_start(found.examples)
    with pytest.raises(DemonstrationError, match=rf"{dataset.path('e1')}: instruction .*{words}"):
        found.refuse_instructions(start.parts.tokenizer.encode)


@pytest.mark.parametrize("text", ["move\0", "\0", "move\nit", "move \udce4", " "])
def test_an_instruction_is_one_line_of_text(dataset, text):
    """What a file would give back as another text, or no tokeniser takes, is not written."""
    with pytest.raises(DemonstrationError, match=r"e1\.npz: instruction is "):
        dataset.write("e1", demonstration(1, instruction=text))


def test_the_command_names_the_file_with_such_an_instruction(dataset, tmp_path, capsys):
    """One line, status 2, no folder left."""
    write_episode(dataset.path("e2"), demonstration(2, instruction="take <unk>"))
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    words = ["train", str(recipe), "--data", str(dataset.directory), "--out", str(out)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{Path(dataset.path('e2'))}: instruction 'take <unk>' contains <unk>" in said
    assert not out.exists()
    assert json.loads((dataset.directory / "dataset.json").read_text())["version"] == 1
