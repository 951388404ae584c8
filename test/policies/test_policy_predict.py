"""A call of the policy: what it refuses, what it caches, what it reports."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adp_ros.adp.registry import PRUNERS, make_pruner
from adp_ros.adp.rivals import RandomPruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import ObservationError, PolicyError
from adp_ros.policies.openvla.oft_policy import OpenVlaPolicy
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

IMAGE = np.full((224, 224, 3), 90, np.uint8)
STATE = np.zeros(8)


def observe(**changes):
    """A plain observation with changes."""
    return replace(Observation((IMAGE,), "wipe the table", STATE), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": None}, "state is missing, this checkpoint needs 8 numbers"),
        ({"state": np.zeros(7)}, r"state has shape \(7,\), .* needs \(8,\)"),
        ({"state": np.full(8, np.nan)}, "state is not finite"),
        ({"images": (IMAGE,) * 16}, "16 views .* make 4173 tokens, .* made for 4096"),
    ],
)
def test_unusable_observations_are_refused(golden_policy, changes, message):
    """What doesn't fit the checkpoint is named before the model runs."""
    with pytest.raises(ObservationError, match=message):
        golden_policy.predict(observe(**changes))


def test_state_that_the_checkpoint_does_not_take_is_refused(golden_checkpoint, tmp_path):
    """A checkpoint without proprio projector takes no state and runs without one."""
    for source in golden_checkpoint.iterdir():
        if not source.name.startswith("proprio"):
            (tmp_path / source.name).symlink_to(source.resolve())
    policy = load_policy(tmp_path)
    assert policy.state_size is None
    with pytest.raises(ObservationError, match="state is given, but this checkpoint takes none"):
        policy.predict(observe())
    result = policy.predict(observe(state=None))
    assert result.sequence_lengths == (332, 332)  # 256 patches, no state token, 19 + 57 others


def test_number_of_views_is_checked_where_it_is_known(golden_policy):
    """A checkpoint that says how many pictures it takes refuses another number."""
    config = replace(golden_policy.parts.config, views=2)
    policy = rebuilt(golden_policy, parts=replace(golden_policy.parts, config=config))
    with pytest.raises(ObservationError, match="observation has 1 images, .* needs 2"):
        policy.predict(observe())


def rebuilt(policy, **changes):
    """The same weights in another policy."""
    arguments = {"parts": policy.parts, "run": policy._run, "clock": policy._clock} | changes
    return OpenVlaPolicy(policy.model, **arguments)


def test_actions_that_are_not_finite_are_an_error(golden_checkpoint):
    """Weights that overflow at run time stop the call instead of moving the arm."""
    policy = load_policy(golden_checkpoint)
    with torch.inference_mode():
        policy.model.action_head.fc2.bias[0] = float("inf")
    with pytest.raises(PolicyError, match="not finite"):
        policy.predict(observe())


def test_instruction_is_prepared_once(golden_checkpoint):
    """A second call with the same words neither tokenises nor folds again."""
    policy = load_policy(golden_checkpoint)
    calls = []
    fold = policy.model.fold_text
    policy.model.fold_text = lambda layer, text: calls.append(len(text)) or fold(layer, text)
    for words in ("wipe the table", "wipe the table", "place the blue cube on the plate"):
        policy.predict(observe(instruction=words), TextDrivenPruner())
    assert calls == [20, 24]  # 18 and 22 ids, the bare word boundary and the stop token


def test_times_of_the_stages(golden_policy):
    """Each stage is timed with the clock given; together they don't exceed the whole."""
    ticks = iter(range(1000))
    policy = rebuilt(golden_policy, clock=lambda: float(next(ticks)))
    full = policy.predict(observe()).timing
    assert (full.preprocess, full.vision, full.scoring, full.llm, full.head) == (1, 1, 0, 1, 1)
    assert full.total == 9  # begin, four stages of two readings each, end
    pruned = policy.predict(observe(), TextDrivenPruner()).timing
    assert (pruned.scoring, pruned.llm, pruned.total) == (1, 1, 11)


@pytest.mark.parametrize("name", PRUNERS.names)
@pytest.mark.parametrize("views", [1, 2])
def test_every_pruner_has_the_same_budget(golden_policy, name, views):
    """For one ratio all pruners keep the same number of patches, and the lengths show it."""
    pruner = make_pruner(name, keep=0.3)
    result = golden_policy.predict(observe(images=(IMAGE,) * views), pruner)
    kept = {1: 77, 2: 154}[views]
    assert len(result.kept) == kept
    assert result.vision_tokens == 256 * views
    full, pruned = 256 * views + 77, kept + 77
    first = full if pruner.cut_layer else pruned
    assert result.sequence_lengths == (first, pruned)
    assert result.kept.dtype == np.int64
    assert result.scores is None or (result.scores.dtype, len(result.scores)) == (
        np.float32,
        256 * views,
    )


def test_keeping_everything_is_no_pruning(golden_policy):
    """At ratio 1 nothing is scored and the result says that nothing was pruned."""
    result = golden_policy.predict(observe(), TextDrivenPruner(keep=1))
    assert not result.pruned
    assert result.kept_per_view == (256,)
    np.testing.assert_array_equal(result.actions, golden_policy.predict(observe()).actions)


def test_frame_difference_follows_the_episode(golden_policy):
    """What changed in the picture is what is kept from the second frame on, until a reset."""
    pruner = make_pruner("frame_difference", keep=0.02)
    changed = IMAGE.copy()
    changed[90:134, 90:134] = 200
    first = golden_policy.predict(observe(), pruner)
    second = golden_policy.predict(observe(images=(changed,)), pruner)
    assert first.scores is None
    rows, columns = np.divmod(second.kept, 16)
    assert len(second.kept) == 5
    assert set(rows) | set(columns) <= set(range(5, 11))
    pruner.reset()
    again = golden_policy.predict(observe(images=(changed,)), pruner)
    np.testing.assert_array_equal(again.kept, first.kept)


def test_random_choice_repeats_after_a_reset(golden_policy):
    """Draws differ from frame to frame and begin again with the episode."""
    pruner = RandomPruner(keep=0.1, seed=4)
    first, second = (golden_policy.predict(observe(), pruner).kept for _ in range(2))
    assert not np.array_equal(first, second)
    pruner.reset()
    np.testing.assert_array_equal(golden_policy.predict(observe(), pruner).kept, first)
