"""Distances of the arm by MuJoCo, for tests: convex hulls of the meshes, not our capsules."""

import mujoco
import numpy as np

from adp_ros.robots.robot import robot_named
from adp_ros.sim.arm_model import build_arm


class Oracle:
    """MuJoCo's distances between the convex hulls of the arm's meshes."""

    def __init__(self, robot_type):
        self.robot = robot_named(robot_type)
        self.model = build_arm(robot_type).compile()
        self.model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        self.data = mujoco.MjData(self.model)
        parts = {"base": ["base"], "shoulder": ["link_1"], "upper arm": ["link_2"]}
        parts |= {"forearm": ["link_3"], "wrist 1": ["link_4"], "wrist 2": ["link_5"]}
        parts |= {"hand": ["hand_link_6_main"], "palm": ["hand_link_6_insert"]}
        for i in range(1, self.robot.fingers + 1):
            parts[f"finger {i}"] = [f"hand_finger_knuckle_{i}", f"hand_finger_tip_{i}"]
        self.geoms = {name: [self.model.geom(g).id for g in of] for name, of in parts.items()}

    def pose(self, joints, fingers):
        """Put the arm into a posture."""
        self.data.qpos[:6] = joints
        self.data.qpos[6 : 6 + len(fingers)] = fingers
        mujoco.mj_kinematics(self.model, self.data)

    def above(self, part, normal, offset):
        """Smallest distance of a part's mesh to a plane."""
        lowest = []
        for geom in self.geoms[part]:
            mesh = self.model.geom_dataid[geom]
            first, count = self.model.mesh_vertadr[mesh], self.model.mesh_vertnum[mesh]
            points = self.model.mesh_vert[first : first + count]
            turned = points @ self.data.geom_xmat[geom].reshape(3, 3).T + self.data.geom_xpos[geom]
            lowest.append((turned @ normal).min() - offset)
        return min(lowest)

    def between(self, one, two):
        """Distance of two parts of the arm, at most 0.3 m."""
        line = np.zeros(6)
        pairs = ((a, b) for a in self.geoms[one] for b in self.geoms[two])
        return min(mujoco.mj_geomDistance(self.model, self.data, a, b, 0.3, line) for a, b in pairs)

    def distance(self, names, pair, planes):
        """Distance of two parts by their indices, or of a part and one of the planes by name."""
        one, two = (names[i] for i in pair)
        if two in planes:
            return self.above(one, np.array(planes[two][:3]), planes[two][3])
        return self.between(one, two)
