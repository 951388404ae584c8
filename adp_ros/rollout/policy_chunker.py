"""A checkpoint as the planner, pruned as the gate says: what the inference node does."""

from pathlib import Path

from ..adp_settings import AdpSettings
from ..policy import load_policy
from ..policy.setup import PolicySetup, declare_policy
from ..policy.window import MeasuredMotion, WindowPlanner
from ..types import Observation
from .chunker import Chunker, PlannedChunk
from .config import RolloutConfig
from .view import View


class PolicyChunker:
    """Plans with a checkpoint from the front camera's picture."""

    def __init__(
        self, setup: PolicySetup, adp: AdpSettings | None = None, mover: Chunker | None = None
    ) -> None:
        """Prepare.

        Args:
            setup: The checkpoint; loaded once, it serves any number of chunkers.
            adp: Settings of gate and pruning, None for those of the setup.
            mover: Somebody else whose actions are executed while the checkpoint plans in shadow,
                None for the checkpoint's own.

        Raises:
            ConfigError: The pruner's settings are not allowed.
        """
        self._setup = setup if adp is None else setup.with_adp(adp)
        self._mover = mover
        self._planner: WindowPlanner | None = None
        self._instruction = ""

    @classmethod
    def load(
        cls,
        checkpoint: Path,
        adp: AdpSettings,
        device: str = "cpu",
        mover: Chunker | None = None,
    ) -> "PolicyChunker":
        """Load a checkpoint.

        Raises:
            CheckpointError: It is unusable, or does not declare what moving an arm needs.
            ConfigError: A setting does not fit it.
        """
        return cls(load_setup(checkpoint, adp, device, moves_arm=mover is None), mover=mover)

    def begin(self, config: RolloutConfig) -> None:
        """Take the task's instruction; gate and pruner start anew."""
        self._instruction = config.found_task.instruction
        self._planner = None
        if self._mover is not None:
            self._mover.begin(config)

    def plan(self, view: View) -> PlannedChunk:
        """Plan one window.

        Raises:
            ObservationError: Picture or state does not fit the checkpoint.
            PolicyError: The checkpoint failed.
        """
        setup = self._setup
        executed = None if self._mover is None else self._mover.plan(view)
        convention = setup.convention if executed is None else executed.convention
        if self._planner is None:
            self._planner = setup.planner(convention)
        result = self._planner.plan(
            Observation((view.rgb(),), self._instruction, setup.state(lambda: view.arm)),
            view.window,
            MeasuredMotion(view.measured_path, view.measured_net),
            None if executed is None else executed.actions,
        )
        return PlannedChunk(result.actions, convention, result.prediction.pruned, result)


def load_setup(
    checkpoint: Path, adp: AdpSettings, device: str = "cpu", *, moves_arm: bool = True
) -> PolicySetup:
    """Load a checkpoint once for any number of chunkers.

    Args:
        checkpoint: Its directory.
        adp: Settings of gate and pruning.
        device: ``cpu`` or ``cuda``.
        moves_arm: False lets what it does not declare be assumed.

    Raises:
        CheckpointError: It is unusable, or does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    directory = checkpoint.expanduser()
    policy = load_policy(directory, device=device)
    return declare_policy(policy, directory, adp, moves_arm=moves_arm)
