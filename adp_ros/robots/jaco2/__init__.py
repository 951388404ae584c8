"""Kinova Jaco2: the driver's interface and units, kinematics, gravity."""
