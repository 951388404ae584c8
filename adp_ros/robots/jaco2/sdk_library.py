"""Where Kinova's libraries lie, and whether they are what this machine can load.

They are Kinova's: the user installs its SDK, or has kinova-ros, which holds them too. The command
layer opens its communication layer by its bare name, so the folder must be in ``LD_LIBRARY_PATH``
when the process starts; loading the communication layer first by its path does not help.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...errors import ConfigError

USUAL_PLACES: Final = (
    "/opt/kinova*/lib*",
    "/opt/kinova*/API/x64",
    "/opt/JACO*/API/x64",
    "/usr/lib/kinova*",
    "/usr/local/lib/kinova*",
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/opt/ros/*/lib",
    "~/kinova-ros/kinova_driver/lib/x86_64-linux-gnu",
    "~/*/src/kinova-ros*/kinova_driver/lib/x86_64-linux-gnu",
)
_PATH: Final = "LD_LIBRARY_PATH"
_ELF_X86_64: Final = (b"\x7fELF\x02", 62)


@dataclass(frozen=True, slots=True)
class SdkLibrary:
    """The libraries of one connection in one folder.

    Attributes:
        folder: Where they lie.
        ethernet: Those for Ethernet; else for USB.
    """

    folder: Path
    ethernet: bool

    @property
    def command_layer(self) -> Path:
        """The library with the functions."""
        return self.folder / f"{self._kind}CommandLayerUbuntu.so"

    @property
    def comm_layer(self) -> Path:
        """The library that it opens by name."""
        return self.folder / f"{self._kind}CommLayerUbuntu.so"

    @property
    def prefix(self) -> str:
        """What the functions' names begin with."""
        return "Ethernet_" if self.ethernet else ""

    @property
    def _kind(self) -> str:
        return "Eth" if self.ethernet else "USB"

    def check(self) -> None:
        """Refuse what can't be loaded.

        Raises:
            ConfigError: Names the folder and what is wrong in it.
        """
        for file in (self.command_layer, self.comm_layer):
            if not file.is_file():
                code = " (2002: communication layer not found)" if file == self.comm_layer else ""
                raise ConfigError(
                    f"sdk_path is {str(self.folder)!r}: there is no {file.name} in it{code}, the "
                    "folder of Kinova's x86-64 libraries is needed"
                )
            with file.open("rb") as stream:
                head = stream.read(20)
            if (head[:5], int.from_bytes(head[18:20], "little")) != _ELF_X86_64:
                bits = {1: "a 32-bit library", 2: "for another processor"}
                kind = bits.get(head[4], "no library") if head[:4] == b"\x7fELF" else "no library"
                raise ConfigError(
                    f"sdk_path is {str(self.folder)!r}: {file.name} is {kind}, x86-64 is needed: "
                    "the folder x86_64-linux-gnu of kinova-ros, or x64 of the SDK"
                )

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variable with which a process must start to use it, empty where it is set."""
        folders = [entry for entry in environ.get(_PATH, "").split(os.pathsep) if entry]
        if str(self.folder) in folders:
            return {}
        return {_PATH: os.pathsep.join([str(self.folder), *folders])}


def find_library(sdk_path: str, ethernet: bool) -> SdkLibrary:
    """Find the libraries and check them.

    Args:
        sdk_path: Their folder; empty for the usual places.
        ethernet: Those for Ethernet; else for USB.

    Raises:
        ConfigError: They are not there, or not for this machine; says where was looked.
    """
    if sdk_path:
        library = SdkLibrary(Path(sdk_path).expanduser().absolute(), ethernet)
        if not library.folder.is_dir():
            raise ConfigError(
                f"sdk_path is {sdk_path!r}: no such folder, the folder of Kinova's x86-64 "
                "libraries is needed"
            )
        library.check()
        return library
    for folder in _usual_folders():
        library = SdkLibrary(folder, ethernet)
        if library.command_layer.is_file():
            library.check()
            return library
    name = SdkLibrary(Path(), ethernet).command_layer.name
    raise ConfigError(
        f"sdk_path is '': {name} of Kinova's SDK is in none of {', '.join(USUAL_PLACES)}; install "
        "the SDK, or give sdk_path:=FOLDER (kinova-ros: kinova_driver/lib/x86_64-linux-gnu)"
    )


def _usual_folders() -> list[Path]:
    found: list[Path] = []
    for place in USUAL_PLACES:
        path = Path(place).expanduser()
        found += sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return found
