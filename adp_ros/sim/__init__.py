"""The twin: a simulated Jaco2 on its table, behind the driver's own interface.

``tasks``, ``items``, ``shapes`` and ``placement`` are plain data and numpy; the other modules
need MuJoCo. Nothing here knows of ROS, of a clock or of a policy.
"""
