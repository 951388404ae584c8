"""What the arm touches, and how hard."""

import mujoco
import numpy as np
from numpy.typing import NDArray


class ArmContacts:
    """Looks at the contacts between the arm and the rest of a scene."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._is_arm = _subtree(model, "b_base")

    def touched(self, data: mujoco.MjData) -> set[str]:
        """Return the names of the bodies that the arm touches."""
        _, others = self._between(data)
        return {self._model.body(int(other)).name for other in others}

    def force(self, data: mujoco.MjData) -> float:
        """Return the sum of the forces between the arm and all else, in [N]."""
        total, wrench = 0.0, np.zeros(6)
        for number in self._between(data)[0]:
            mujoco.mj_contactForce(self._model, data, int(number), wrench)
            total += float(np.linalg.norm(wrench[:3]))
        return total

    def _between(self, data: mujoco.MjData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the contacts between arm and scene, and the other bodies."""
        bodies = self._model.geom_bodyid[data.contact.geom]  # (contacts, 2)
        arm = self._is_arm[bodies]
        numbers = np.flatnonzero(arm[:, 0] != arm[:, 1])
        others = np.where(arm[numbers, 0], bodies[numbers, 1], bodies[numbers, 0])
        return numbers, others


def _subtree(model: mujoco.MjModel, root: str) -> NDArray[np.bool_]:
    """Tell for each body whether it is or hangs on another. Shape (nbody,)."""
    inside = np.zeros(model.nbody, dtype=bool)
    inside[model.body(root).id] = True
    for body in range(model.nbody):
        inside[body] |= inside[model.body_parentid[body]]
    return inside
