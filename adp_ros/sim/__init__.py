"""The twin: a simulated Jaco2 on its table, behind the driver's own interface."""
