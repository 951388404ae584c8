"""The controller node's parts: the driver as it sees it, its services, whom it watches."""
