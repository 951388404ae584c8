"""The driver's topics and services from the driver's side, and the twin's true state."""
