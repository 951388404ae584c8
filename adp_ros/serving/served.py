"""A checkpoint as it is served: what every client may know of it, and what each one gets."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .. import __version__
from ..adp.adp_settings import AdpSettings
from ..adp.gate import Gate
from ..policies.checkpoints import checkpoint_fingerprint, learnt_in_simulation
from ..policies.planner import PrunablePolicy, WindowPlanner
from ..policies.policy import Policy, Prediction
from ..policies.setup import PolicySetup, gate_config
from ..types import FloatArray, Observation
from .wire import ENCODINGS

if TYPE_CHECKING:
    from ..adp.pruner import Pruner

SERVER: Final = "adp_ros"  # by this name in the metadata a client knows ours
LIBERO_UNITS: Final = np.array([0.05] * 3 + [0.5] * 3 + [1.0])
"""Metres and radians that robosuite's arm controller moves at an action of 1; the gripper stays."""


@dataclass(frozen=True, slots=True)
class _InUnits:
    """A policy whose numbers are a controller's units, with actions in metres and radians."""

    policy: Policy
    units: FloatArray

    def predict(self, observation: Observation, pruner: "Pruner | None" = None) -> Prediction:
        prediction = self.policy.predict(observation, pruner)
        return replace(prediction, actions=prediction.actions * self.units)

    def reset(self) -> None:
        self.policy.reset()


@dataclass(frozen=True, slots=True)
class Served:
    """A checkpoint and how it is served.

    Attributes:
        setup: Policy, pruner, gate, convention and layout.
        adp: Settings of gate and pruning.
        fingerprint: Hash of the checkpoint.
        simulation: It was trained in simulation.
        libero: Its numbers are LIBERO's, in units of robosuite's controller, and are sent so,
            with the gripper at -1 open, 1 closed; else metres, radians and 0 closed, 1 open.
    """

    setup: PolicySetup
    adp: AdpSettings
    fingerprint: str
    simulation: bool
    libero: bool = False

    @classmethod
    def of(cls, setup: PolicySetup, adp: AdpSettings, checkpoint: Path, libero: bool) -> "Served":
        """Describe a loaded checkpoint.

        Raises:
            CheckpointError: Its directory can't be read.
        """
        simulation = learnt_in_simulation(checkpoint)
        return cls(setup, adp, checkpoint_fingerprint(checkpoint), simulation, libero)

    @property
    def policy(self) -> PrunablePolicy:
        """The policy with actions in metres and radians, as gate and planner count."""
        policy = self.setup.policy
        return _InUnits(policy, LIBERO_UNITS) if self.libero else policy

    def planner(self) -> WindowPlanner:
        """Return a planner of one client, with a gate and a pruner of its own."""
        pruner, gate = self.adp.pruning.make_pruner(), Gate(gate_config(self.adp))
        return WindowPlanner(self.policy, pruner, gate, self.setup.convention)

    def sent(self, actions: FloatArray) -> FloatArray:
        """Return a chunk as clients take it.

        Args:
            actions: Shape (T, 7), in [m] and [rad], gripper 0 closed to 1 open.
        """
        if not self.libero:
            return actions
        chunk: FloatArray = actions / LIBERO_UNITS
        chunk[:, 6] = np.where(actions[:, 6] > 0.5, -1.0, 1.0)
        return chunk

    def metadata(self) -> dict[str, Any]:
        """Return what a client may know before it asks; plain data."""
        info, layout = self.setup.policy.info, self.setup.layout
        return {
            "server": SERVER,
            "version": __version__,
            "checkpoint": self.fingerprint,
            "simulation": self.simulation,
            "kind": info.kind,
            "chunk_length": info.chunk_length,
            "views": info.views or 1,
            "state": [] if layout is None else list(layout.names),
            "convention": asdict(self.setup.convention),
            "actions": "libero" if self.libero else "metres",
            "layers": info.layers,
            "crop_area": info.crop_area,
            "pruner": pruner_settings(self.setup.pruner),
            "gate": asdict(self.setup.gate_config),
            "encodings": list(ENCODINGS),
        }


def pruner_settings(pruner: "Pruner") -> dict[str, Any]:
    """Return a pruner as plain data: its name, and settings that make its like."""
    values = asdict(pruner).items()
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values}
    return {"name": pruner.name} | plain
