"""OpenVLA with action tokens: equal to the original code, and nothing but actions moves an arm.

Recorded by running the original code (openvla/openvla c8f03f4) on a tiny random model; runs
``adp.*`` are the original code on patches chosen by the official score, see test/golden/README.md.
"""

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

from adp_ros.adp.rivals import FastVPruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import CheckpointError, ConfigError, ObservationError, PolicyError
from adp_ros.policies.openvla_ar.action_tokens import ActionTokens, read_action_range
from adp_ros.policies.policy import inspect_policy, load_policy
from adp_ros.types import Observation

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = json.loads((GOLDEN / "openvla" / "openvla.json").read_text())
ACTIONS = range(31744, 32000)
WAYS = {
    "plain": {},
    "crop": {"center_crop": True},
    "libero": {"center_crop": True, "jpeg": True},
    "v01": {"prompt": "v0.1"},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The recorded checkpoint, its shards unpacked."""
    directory = tmp_path_factory.mktemp("openvla")
    for source in (GOLDEN / "openvla" / "checkpoint").iterdir():
        if source.suffix == ".xz":
            (directory / source.stem).write_bytes(lzma.decompress(source.read_bytes()))
        else:
            shutil.copy(source, directory)
    shutil.copy(GOLDEN / "checkpoint" / "tokenizer.json", directory)
    return directory


@pytest.fixture(scope="module")
def recorded():
    """The recorded arrays by name."""
    return dict(np.load(GOLDEN / "openvla" / "openvla.npz"))


@pytest.fixture(scope="module")
def policy(checkpoint):
    """The recorded checkpoint, loaded with the data set that has a mask."""
    return load_policy(checkpoint, unnorm_key="tiny_lab")


def pictures(recorded):
    """The recorded pictures, in their order."""
    return [recorded[f"image.{image['name']}.input_uint8"] for image in RUNS["images"]]


def observation(recorded, instruction, picture):
    """An observation of a recorded run, by indices."""
    return Observation((pictures(recorded)[picture],), RUNS["instructions"][instruction])


def ids_of(row):
    """Recorded ids without the filling after a stop."""
    return tuple(int(number) for number in row if number >= 0)


def check_actions(policy, observed, ids, expected):
    """Actions equal the recorded ones; what is no action is refused."""
    if set(ids) <= set(ACTIONS) and len(ids) == 7:
        actions = policy.predict(observed).actions
        assert actions.shape == (1, 7)
        np.testing.assert_allclose(actions[0], expected, rtol=0, atol=1e-9)
    else:
        with pytest.raises(PolicyError, match="no action|of 7 action tokens"):
            policy.predict(observed)


@pytest.mark.parametrize("way", WAYS)
def test_tokens_logits_and_actions_are_the_original_s(checkpoint, recorded, way):
    """Same ids, logits within 3e-4, hidden within 1e-4, actions within 1e-9, in every picture."""
    policy = load_policy(checkpoint, unnorm_key="tiny_lab", **WAYS[way])
    runs = {name: recorded[f"{way}.{name}"] for name in ("chosen_ids", "top5_ids", "top5_logits")}
    hidden, length = recorded[f"{way}.prefill_hidden_last"], recorded[f"{way}.prefill_length"]
    cases = [(i, g) for i in range(6) for g in range(3)]
    if way == "v01":
        cases = [(i,) for i in range(6)]
    for case in cases:
        observed = observation(recorded, case[0], case[1] if len(case) == 2 else 1)
        generated = policy.generate(observed)
        ids = ids_of(runs["chosen_ids"][case])
        if recorded[f"{way}.min_top2_gap"][case] > 1e-3:
            assert generated.ids == ids
            for place, logits in enumerate(generated.logits):
                top = runs["top5_ids"][case][place]
                np.testing.assert_allclose(
                    logits[top], runs["top5_logits"][case][place], rtol=0, atol=3e-4
                )
            if case[-1] == case[0] % 3 or way == "v01":  # every picture and every instruction
                check_actions(policy, observed, ids, recorded[f"{way}.actions.tiny_lab"][case])
        assert generated.length == length[case]
        np.testing.assert_allclose(generated.hidden, hidden[case], rtol=0, atol=1e-4)


def test_statistics_without_a_mask_scale_every_number(checkpoint, recorded):
    """Where the mask is missing, the gripper is scaled too, as upstream does."""
    policy = load_policy(checkpoint, unnorm_key="tiny_field")
    for instruction in range(6):
        observed = observation(recorded, instruction, 2)
        ids = ids_of(recorded["plain.chosen_ids"][instruction, 2])
        expected = recorded["plain.actions.tiny_field"][instruction, 2]
        check_actions(policy, observed, ids, expected)


@pytest.mark.parametrize("strategy", RUNS["resize_strategies"])
def test_other_aspect_ratios_are_treated_as_the_processor_s_file_says(
    checkpoint, recorded, tmp_path, strategy
):
    """Letterbox and resize-crop give the original's tokens."""
    directory = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, directory)
    for name, change in (
        ("preprocessor_config.json", RUNS["resize_strategies"][strategy]),
        ("config.json", {"image_resize_strategy": strategy}),
    ):
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    policy = load_policy(directory, unnorm_key="tiny_lab")
    for picture in range(3):
        generated = policy.generate(observation(recorded, 0, picture))
        assert generated.ids == ids_of(recorded[f"{strategy}.chosen_ids"][picture])


@pytest.mark.parametrize("order", ["index", "score"])
@pytest.mark.parametrize(("name", "keep"), [("keep50", 0.5), ("keep30", 0.3)])
def test_pruned_prefill_is_the_original_on_chosen_patches(policy, recorded, name, keep, order):
    """Kept patches follow the official score; the tokens are those of the original on them."""
    pruner = TextDrivenPruner(keep=keep, order=order)
    for instruction in range(6):
        for picture in range(3):
            observed = observation(recorded, instruction, picture)
            ids = ids_of(recorded[f"adp.{name}.{order}.chosen_ids"][instruction, picture])
            assert policy.generate(observed, pruner).ids == ids
            if not set(ids) <= set(ACTIONS):
                continue
            prediction = policy.predict(observed, pruner)
            kept = recorded[f"adp.{name}.keep_idx_descending"][instruction, picture]
            score = recorded["adp.score"][instruction, picture]
            np.testing.assert_allclose(prediction.scores, score, rtol=0, atol=5e-6)
            assert set(prediction.kept) == set(kept)
            full = policy.generate(observed).length
            assert prediction.sequence_lengths[0] == full - 256 + len(kept)
            assert prediction.flops < prediction.flops_full


@pytest.mark.parametrize("case", RUNS["edge"], ids=lambda case: case["case"])
def test_what_is_no_action_is_refused(policy, recorded, case):
    """A stop or a word among the tokens never becomes a motion; upstream decodes it into one."""
    image = next(i for i, known in enumerate(RUNS["images"]) if known["name"] == case["image"])
    observed = Observation((pictures(recorded)[image],), case["instruction"])
    ids = tuple(case["generated"])
    assert policy.generate(observed).ids == ids
    if set(ids) <= set(ACTIONS) and len(ids) == 7:
        assert np.isfinite(policy.predict(observed).actions).all()
    else:
        with pytest.raises(PolicyError):
            policy.predict(observed)


def test_tokens_stand_for_bin_centres():
    """First, middle and last centre; the two smallest ids are one number, as upstream has it."""
    tokens = ActionTokens()
    decoded = tokens.decode([31999, 31872, 31745, 31744])
    np.testing.assert_allclose(decoded, [-254 / 255, 0.0, 254 / 255, 254 / 255], atol=1e-15)


def test_kind_is_told_by_the_files(checkpoint, golden_checkpoint):
    """Weights without the parts of a fine-tune are OpenVLA; with them OpenVLA-OFT."""
    assert inspect_policy(checkpoint).kind == "openvla"
    assert inspect_policy(golden_checkpoint).kind == "openvla_oft"


def test_what_does_not_fit_is_refused_in_words(policy, recorded, checkpoint):
    """Two pictures, a state, a pruner that cuts inside, an unnamed or unknown data set."""
    image = pictures(recorded)[0]
    with pytest.raises(ObservationError, match="2 images"):
        policy.predict(Observation((image, image), "wipe the table"))
    with pytest.raises(ObservationError, match="takes none"):
        policy.predict(Observation((image,), "wipe the table", np.zeros(8)))
    with pytest.raises(ConfigError, match="inside the language model"):
        policy.predict(Observation((image,), "wipe the table"), FastVPruner())
    with pytest.raises(CheckpointError, match="set unnorm_key to one of: 'tiny_field', 'tiny_lab'"):
        load_policy(checkpoint)
    with pytest.raises(CheckpointError, match="unnorm_key is 'other'"):
        load_policy(checkpoint, unnorm_key="other")


def write_statistics(directory, action):
    """A checkpoint's statistics of one data set."""
    content = {"set": {"action": action}}
    (directory / "dataset_statistics.json").write_text(json.dumps(content))
    return directory


def test_six_numbers_are_six_tokens(tmp_path):
    """Data without a gripper has six numbers; statistics beside the weights come first."""
    found = read_action_range(write_statistics(tmp_path, {"q01": [-1.0] * 6, "q99": [1.0] * 6}))
    assert (found.name, found.low.size, found.scaled.all()) == ("set", 6, True)
    np.testing.assert_array_equal(found.unnormalize(np.full(6, 0.5)), np.full(6, 0.5))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"q01": [0.0] * 7}, "action.q99 is None, a list of numbers is needed"),
        ({"q01": [0.0] * 5, "q99": [1.0] * 5}, "6 or 7 numbers"),
        ({"q01": [2.0] * 7, "q99": [1.0] * 7}, "action: q01 is above q99 at index 0"),
        ({"q01": [0.0] * 7, "q99": [1.0] * 7, "mask": [True] * 6}, "7 booleans"),
    ],
)
def test_broken_statistics_are_refused(tmp_path, action, message):
    """Each with the file, the name and what is needed."""
    with pytest.raises(CheckpointError, match=message):
        read_action_range(write_statistics(tmp_path, action))
