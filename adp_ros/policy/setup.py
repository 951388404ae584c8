"""From a checkpoint and the settings of pruning to a policy that is ready to plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..adp_settings import AdpSettings
from ..gate import Gate, GateConfig
from ..pruning import Pruner, make_pruner
from ..types import ActionConvention, FloatArray
from .declared import action_convention, state_layout
from .openvla import OpenVlaPolicy
from .state_layout import ArmState, StateLayout
from .window import WindowPlanner


@dataclass(frozen=True, slots=True)
class PolicySetup:
    """A loaded checkpoint and how it is used.

    Attributes:
        policy: The checkpoint.
        pruner: Drops vision tokens where the gate says so.
        gate_config: Settings of the gate.
        convention: Frames and rotation order of the checkpoint's actions.
        layout: Its proprioceptive state, None when it takes none.
        warnings: What was assumed.
    """

    policy: OpenVlaPolicy
    pruner: Pruner
    gate_config: GateConfig
    convention: ActionConvention
    layout: StateLayout | None
    warnings: tuple[str, ...] = ()

    def planner(self, executed: ActionConvention) -> WindowPlanner:
        """Return a planner; ``executed`` is the convention of the actions that are executed."""
        llm = self.policy.parts.config.llm
        return WindowPlanner(self.policy, llm, self.pruner, Gate(self.gate_config), executed)

    def state(self, arm: Callable[[], ArmState]) -> FloatArray | None:
        """Return the policy's state, asking the arm only when it is needed."""
        return None if self.layout is None else self.layout.assemble(arm())

    def with_adp(self, adp: AdpSettings) -> "PolicySetup":
        """Return the same checkpoint with other settings of gate and pruning.

        Raises:
            ConfigError: The pruner's settings are not allowed.
        """
        return replace(self, pruner=_pruner(adp), gate_config=_gate(adp))


def declare_policy(
    policy: OpenVlaPolicy,
    directory: Path,
    adp: AdpSettings,
    *,
    given: ActionConvention | None = None,
    layout_names: str = "",
    moves_arm: bool = True,
) -> PolicySetup:
    """Put a loaded checkpoint together with what it declares and how it is pruned.

    Args:
        policy: The checkpoint.
        directory: Where it was loaded from.
        adp: Settings of gate and pruning.
        given: Convention of its actions in place of the declared one.
        layout_names: Names of its state's numbers in place of the declared ones.
        moves_arm: False lets what is not declared be assumed, with a warning.

    Raises:
        CheckpointError: It does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    convention, first = action_convention(directory, given, moves_arm)
    layout, second = state_layout(directory, policy.state_size, layout_names, moves_arm)
    warnings = tuple(text for text in (first, second) if text is not None)
    return PolicySetup(policy, _pruner(adp), _gate(adp), convention, layout, warnings)


def _gate(adp: AdpSettings) -> GateConfig:
    return adp.gate if adp.enabled else GateConfig(decision_method="never")


def _pruner(adp: AdpSettings) -> Pruner:
    return make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
