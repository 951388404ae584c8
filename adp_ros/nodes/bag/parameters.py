"""Parameters of the other nodes, asked for once each."""

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterValue
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

Take = Callable[[str, dict[str, Any]], None]


class ParameterCollector:
    """Asks every node that comes up for its parameters.

    Args:
        node: Owner of the service clients.
        take: Gets node name and parameter name -> value.
    """

    def __init__(self, node: Node, take: Take) -> None:
        self._node = node
        self._take = take
        self._clients: dict[str, AsyncParameterClient] = {}
        self._asked: set[str] = set()

    def look(self) -> None:
        """Ask the nodes that have come up and answer by now."""
        own = self._node.get_fully_qualified_name()
        for name, namespace in self._node.get_node_names_and_namespaces():
            full = f"{namespace.rstrip('/')}/{name}"
            if full != own and full not in self._clients and not name.startswith("_"):
                self._clients[full] = AsyncParameterClient(self._node, full)
        for full, client in self._clients.items():
            if full not in self._asked and client.services_are_ready():
                self._asked.add(full)
                client.list_parameters(callback=self._listed(full, client))

    def _listed(self, full: str, client: AsyncParameterClient) -> Callable[[Future], None]:
        def listed(future: Future) -> None:
            answer = future.result()
            if answer is not None:
                names = list(answer.result.names)
                client.get_parameters(names, callback=self._got(full, names))

        return listed

    def _got(self, full: str, names: list[str]) -> Callable[[Future], None]:
        def got(future: Future) -> None:
            answer = future.result()
            if answer is not None:
                pairs = zip(names, answer.values, strict=True)
                self._take(full, {name: _plain(value) for name, value in pairs})

        return got


def _plain(value: ParameterValue) -> Any:
    plain = parameter_value_to_python(value)
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    return list(plain)
