"""One window of an episode: what the gate gets, what the pruner does, what it costs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from adp_ros.adp.cost import DecoderSizes
from adp_ros.adp.gate import Gate
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.adp.rivals import FastVPruner, RandomPruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import GateError, ObservationError, PolicyError
from adp_ros.policies.planner import StageLog, WindowPlanner
from adp_ros.policies.policy import Policy, PolicyInfo, Prediction, StageTimes
from adp_ros.policies.window import STAGES, MeasuredMotion, Window, WindowTimes, read_audit
from adp_ros.types import ActionConvention, Observation

LLM = DecoderSizes(hidden=4096, intermediate=11008, layers=32)
OTHER_TOKENS = 91  # of the paper's tables: 603 tokens with 512 of vision


class ScriptedPolicy(Policy):
    """Moves a scripted distance per window; keeps the first patches of each view."""

    info = PolicyInfo(kind="scripted", chunk_length=8)

    def __init__(self, motions: list[float], views: int = 1) -> None:
        self.motions = motions
        self.views = views
        self.calls: list[bool] = []  # pruned or not
        self.fail = False
        self.episodes = 0

    def predict(self, observation: Observation, pruner=None) -> Prediction:
        """Return eight equal steps along x."""
        if self.fail:
            raise PolicyError("scripted failure")
        self.calls.append(pruner is not None)
        window = int(observation.images[0][0, 0, 0])
        actions = np.zeros((8, 7))
        actions[:, 0] = self.motions[window] / 7  # Eq. 15 counts seven of eight
        total = 256 * self.views
        kept = None
        if pruner is not None:
            per_view = pruner.kept_per_view(self.views, 256)
            kept = np.concatenate([np.arange(n) + 256 * i for i, n in enumerate(per_view)])
        length = OTHER_TOKENS + (total if kept is None else len(kept))
        first = length if pruner is None or pruner.cut_layer == 0 else OTHER_TOKENS + total
        full = OTHER_TOKENS + total
        flops = LLM.flops(full)
        if pruner is not None:
            flops = pruner.flops(LLM, total, full, (first, length))
        return Prediction(
            actions, actions.astype(np.float32), kept, None, (first, length),
            StageTimes(*[0.0] * 6), self.views, total, flops, LLM.flops(full),
        )  # fmt: skip

    def reset(self) -> None:
        """Count the episodes."""
        self.episodes += 1


def observation(window: int) -> Observation:
    """Return a picture whose first pixel is the number of the window."""
    return Observation((np.full((2, 2, 3), window, np.uint8),), "wipe the table")


def planner(policy: ScriptedPolicy, config: GateConfig | None = None, pruner=None) -> WindowPlanner:
    """Return a planner with ADP's pruner."""
    gate = Gate(GateConfig() if config is None else config)
    return WindowPlanner(policy, pruner or TextDrivenPruner(keep=0.5), gate, ActionConvention())


MOTIONS = [0.05, 0.06, 0.02, 0.04, 0.07, 0.08, 0.09, 0.01, 0.05]


def states_by_hand(motions: list[float]) -> list[bool]:
    """Return the states that the gate alone gives for these motions."""
    gate, states = Gate(), []
    for motion in motions:
        states.append(gate.prune)
        gate.close_window(motion)
    return states


def test_each_window_uses_the_state_that_the_motions_before_it_gave() -> None:
    """Pruned or full follows the gate run by hand on the chunks' path lengths."""
    policy = ScriptedPolicy(MOTIONS)
    plan = planner(policy)
    results = [plan.plan(observation(w), w) for w in range(len(MOTIONS))]
    assert policy.calls == states_by_hand(MOTIONS)
    assert [r.prediction.pruned for r in results] == policy.calls
    assert [r.decision.window for r in results] == list(range(len(MOTIONS)))
    np.testing.assert_allclose([r.decision.motion for r in results], MOTIONS)


def test_asking_again_changes_nothing() -> None:
    """A window asked for twice or thrice is planned with the same state, and counted once."""
    policy = ScriptedPolicy(MOTIONS)
    plan = planner(policy)
    decisions = []
    for window in range(len(MOTIONS)):
        for _ in range(1 + window % 3):
            result = plan.plan(observation(window), window)
        decisions.append(result.decision.state)
    assert decisions == states_by_hand(MOTIONS)


def test_failed_policy_leaves_the_gate_alone() -> None:
    """A window that failed and is asked for again goes on as if it had not failed."""
    policy = ScriptedPolicy(MOTIONS)
    plan = planner(policy)
    for window in range(len(MOTIONS)):
        policy.fail = True
        with pytest.raises(PolicyError, match="scripted failure"):
            plan.plan(observation(window), window)
        policy.fail = False
        plan.plan(observation(window), window)
    assert policy.calls == states_by_hand(MOTIONS)


def test_window_zero_starts_a_new_episode() -> None:
    """The second episode decides like the first."""
    policy = ScriptedPolicy(MOTIONS)
    plan = planner(policy)
    for _ in range(2):
        for window in range(len(MOTIONS)):
            plan.plan(observation(window), window)
    assert policy.calls == 2 * states_by_hand(MOTIONS)
    assert policy.episodes == 2


def test_older_window_is_refused() -> None:
    """Only window 0 may follow a later one."""
    plan = planner(ScriptedPolicy(MOTIONS))
    plan.plan(observation(0), 0)
    plan.plan(observation(5), 5)
    with pytest.raises(ObservationError, match=r"window 3 was asked for after window 5"):
        plan.plan(observation(3), 3)


def test_executed_actions_decide_the_motion() -> None:
    """With an expert in charge, the gate gets the expert's path, not the policy's."""
    plan = planner(ScriptedPolicy([9.0] * 9))
    states = []
    for window, motion in enumerate(MOTIONS):
        executed = np.zeros((8, 7))
        executed[:, 1] = motion / 7
        result = plan.plan(observation(window), window, executed=executed)
        states.append(result.decision.state)
        assert result.actions is executed
        assert result.decision.motion == pytest.approx(motion)
    assert states == states_by_hand(MOTIONS)


def test_measured_motion_closes_the_window_before() -> None:
    """With measured motion, window w is decided by what was measured in windows up to w - 1."""
    policy = ScriptedPolicy([9.0] * 9)
    plan = planner(policy, GateConfig(motion_source="measured"))
    first = plan.plan(observation(0), 0)
    assert first.decision is None
    for window in range(1, len(MOTIONS)):
        measured = MeasuredMotion(path=MOTIONS[window - 1], net=0.0)
        result = plan.plan(observation(window), window, measured)
        assert result.decision.window == window - 1
    assert policy.calls == states_by_hand(MOTIONS)


def test_unknown_measured_motion_is_refused() -> None:
    """NaN or none at all is an error that names the setting."""
    plan = planner(ScriptedPolicy(MOTIONS), GateConfig(motion_source="measured"))
    plan.plan(observation(0), 0)
    for measured in (None, MeasuredMotion()):
        with pytest.raises(ObservationError, match=r"motion_source is 'measured', but"):
            plan.plan(observation(1), 1, measured)


def test_motion_that_is_no_number_is_refused() -> None:
    """A chunk with NaN doesn't pass the gate."""
    plan = planner(ScriptedPolicy(MOTIONS))
    with pytest.raises(GateError, match="NaN"):
        plan.plan(observation(0), 0, executed=np.full((8, 7), np.nan))


def flops_by_hand(tokens: int, layers: int) -> float:
    """8SD^2 + 6SDM + 2S^2D per layer."""
    d, m = 4096, 11008
    return float(layers * (8 * tokens * d**2 + 6 * tokens * d * m + 2 * tokens**2 * d))


def test_report_of_a_pruned_window() -> None:
    """Counts per view and cost: the paper's two views of 256, half kept, 40 to 60."""
    config = GateConfig(decision_method="always")
    result = planner(ScriptedPolicy(MOTIONS, views=2), config).plan(observation(0), 0)
    audit = result.audit
    assert audit.pruner == "adp"
    assert (audit.tokens_total, audit.tokens_kept) == (512, 256)
    assert audit.kept_per_view == (102, 154)
    assert audit.sequence_length == (347, 347)
    assert audit.flops_full == flops_by_hand(603, 32) == pytest.approx(7.91e12, abs=0.01e12)
    assert audit.flops == flops_by_hand(347, 32) + 2 * 512 * 4096  # one product per patch


def test_report_of_a_full_window() -> None:
    """Nothing dropped, nothing scored: the cost is that of full vision."""
    audit = planner(ScriptedPolicy(MOTIONS)).plan(observation(0), 0).audit
    assert audit.pruner == "none" and audit.kept is None
    assert audit.tokens_kept == audit.tokens_total == 256
    assert audit.flops == audit.flops_full == flops_by_hand(347, 32)


def test_report_of_a_pruner_inside_the_model() -> None:
    """FastV in front of layer 2: two layers see all, thirty the rest; nothing is scored extra."""
    config = GateConfig(decision_method="always")
    pruner = FastVPruner(keep=0.5, layer=2)
    audit = planner(ScriptedPolicy(MOTIONS), config, pruner).plan(observation(0), 0).audit
    assert audit.sequence_length == (347, 219)
    assert audit.flops == flops_by_hand(347, 2) + flops_by_hand(219, 30)


def test_report_of_blind_and_of_late_scoring() -> None:
    """A random choice costs nothing; a score at layer 4 costs four layers more than Eq. 22."""
    config = GateConfig(decision_method="always")
    blind = planner(ScriptedPolicy(MOTIONS), config, RandomPruner(keep=0.5))
    assert blind.plan(observation(0), 0).audit.flops == flops_by_hand(219, 32)
    late = planner(ScriptedPolicy(MOTIONS), config, TextDrivenPruner(keep=0.5, layer=4))
    extra = late.plan(observation(0), 0).audit.flops - flops_by_hand(219, 32)
    assert flops_by_hand(347, 4) < extra < flops_by_hand(347, 4) * 1.1


def test_same_windows_give_the_same_results_with_the_real_model(golden_policy) -> None:
    """Two planners over the same pictures agree in every number, with pruned windows among them."""
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(6)]

    def run() -> list[Window]:
        plan = WindowPlanner(
            golden_policy,
            TextDrivenPruner(keep=0.5),
            Gate(GateConfig(cold_start_windows=1)),
            ActionConvention(),
        )
        return [
            plan.plan(Observation((rgb,), "wipe the table", np.zeros(8)), w)
            for w, rgb in enumerate(pictures)
        ]

    first, second = run(), run()
    assert any(r.prediction.pruned for r in first)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.actions, b.actions)
        assert a.decision == b.decision
        assert a.audit.flops == b.audit.flops


def test_stage_statistics_cover_the_last_hundred_windows() -> None:
    """Mean and percentiles are those of windows 51 to 150; older ones are forgotten."""
    log = StageLog()
    for value in range(1, 151):
        times = {name: float(value * (i + 1)) for i, name in enumerate(STAGES)}
        found = log.add(WindowTimes(**times))
    last = np.arange(51, 151)[:, None] * np.arange(1, 9)
    np.testing.assert_allclose([s.mean for s in found], last.mean(axis=0))
    np.testing.assert_allclose([s.p50 for s in found], np.median(last, axis=0))
    np.testing.assert_allclose([s.p95 for s in found], np.percentile(last, 95, axis=0))
    np.testing.assert_allclose([s.p99 for s in found], np.percentile(last, 99, axis=0))


def test_merged_windows_are_recorded_and_shown(golden_policy) -> None:
    """Counts, sizes and colour of merged patches; the message carries them, older ones none."""
    plan = WindowPlanner(
        golden_policy,
        TextDrivenPruner(keep=0.1, merge="grid"),
        Gate(GateConfig(decision_method="always")),
        ActionConvention(),
    )
    rgb = np.random.default_rng(5).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    window = plan.plan(Observation((rgb,), "wipe the table", np.zeros(8)), 0)
    audit = window.audit
    assert (audit.merge_grid, audit.tokens_kept, len(audit.merged_sizes)) == (2, 22, 4)
    assert audit.tokens_kept + sum(audit.merged_sizes) == audit.tokens_total == 256
    assert audit.words == "pruned to 22 and 4 means of 256 tokens"
    message = SimpleNamespace(**audit.columns())
    assert read_audit(message) == audit
    del message.merge_grid, message.merged_sizes
    assert read_audit(message).merge_grid == 0
    drawn = audit.draw(rgb, 1.0, ((0, 0, 255), (255, 140, 0)), 255)
    patches = drawn.reshape(16, 14, 16, 14, 3).swapaxes(1, 2).reshape(256, 14 * 14, 3)
    merged = (patches == (255, 140, 0)).all(axis=(1, 2))
    assert np.flatnonzero(~merged).tolist() == sorted(audit.kept)
    plain = replace(audit, merge_grid=0).draw(rgb, 1.0, ((0, 0, 255), (255, 140, 0)), 255)
    assert (plain == (0, 0, 255)).all(axis=-1).sum() == 14 * 14 * merged.sum()
