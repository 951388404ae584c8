"""The simulated arm as a node: real topics, real services, real time."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, WrenchStamped
from kinova_msgs.msg import FingerPosition, JointAngles, KinovaPose, PoseVelocityWithFingers
from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from adp_ros.msg import TwinState
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import forward
from adp_ros.ros.sim_node import SimNode
from adp_ros.settings import config_from_mapping
from adp_ros.sim.sim_settings import DriverConfig, SensorConfig, SimSettings

CONFIG = Path(__file__).parents[2] / "config" / "sim.yaml"
DRIVER = "/j2n6s300_driver"
TOPICS = {
    "joint_angles": JointAngles,
    "joint_command": JointAngles,
    "joint_torques": JointAngles,
    "joint_state": JointState,
    "tool_pose": PoseStamped,
    "cartesian_command": KinovaPose,
    "tool_wrench": WrenchStamped,
    "finger_position": FingerPosition,
}
SERVICES = {
    "stop": Stop,
    "start": Start,
    "home_arm": HomeArm,
    "clear_trajectories": ClearTrajectories,
}


def _domain():
    return 20 + os.getpid() % 80


def _own_domain():
    return {**os.environ, "ROS_DOMAIN_ID": str(_domain() + 1)}


class Probe(Node):
    """Listens to everything and keeps the newest message of each topic, and a count."""

    def __init__(self):
        super().__init__("probe")
        self.newest, self.count = {}, {}
        self.changed = threading.Condition()
        for name, kind in TOPICS.items():
            self._listen(name, kind, f"{DRIVER}/out/{name}")
        self._listen("state", TwinState, "/sim/state")
        self._listen("diagnostics", DiagnosticArray, "/diagnostics")
        self.velocity = self.create_publisher(
            PoseVelocityWithFingers, f"{DRIVER}/in/cartesian_velocity_with_fingers", 1
        )
        self.calls = {
            name: self.create_client(kind, f"{DRIVER}/in/{name}") for name, kind in SERVICES.items()
        }
        self.calls["reset"] = self.create_client(Trigger, "/sim/reset")
        self.calls["parameters"] = self.create_client(SetParameters, "/sim_node/set_parameters")

    def _listen(self, name, kind, topic):
        def keep(message):
            with self.changed:
                self.newest[name] = message
                self.count[name] = self.count.get(name, 0) + 1
                self.changed.notify_all()

        self.create_subscription(kind, topic, keep, 10)

    def wait(self, condition, seconds=10.0):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.newest), seconds), "timed out"
            return dict(self.newest)

    def fresh(self, *names, seconds=10.0):
        """Wait for two further messages of each topic, so that the newest is after this call."""
        with self.changed:
            start = {name: self.count.get(name, 0) for name in names}
        return self.wait(
            lambda _: all(self.count.get(n, 0) >= start[n] + 2 for n in names), seconds
        )

    def call(self, name, request=None, seconds=30.0):
        client = self.calls[name]
        assert client.wait_for_service(seconds), f"no service {name}"
        done = threading.Event()
        answer = client.call_async(request or client.srv_type.Request())
        answer.add_done_callback(lambda _: done.set())
        assert done.wait(seconds), f"no answer from {name}"
        return answer.result()

    def stream(self, y, count, period=0.0101, closure=0.0):
        """Send velocities on absolute deadlines, just below 100 Hz."""
        message = PoseVelocityWithFingers(twist_linear_y=y, fingers_closure_percentage=closure)
        due, pause = time.monotonic(), threading.Event()
        for _ in range(count):
            self.velocity.publish(message)
            due += period
            pause.wait(max(0.0, due - time.monotonic()))

    def y(self):
        return self.fresh("tool_pose")["tool_pose"].pose.position.y


@pytest.fixture(scope="module")
def probe():
    """Run the node with the shipped configuration, and a probe beside it."""
    rclpy.init(args=["--ros-args", "--params-file", str(CONFIG)], domain_id=_domain())
    node, probe = SimNode(), Probe()
    executors = [SingleThreadedExecutor(), SingleThreadedExecutor()]
    threads = []
    for executor, member in zip(executors, (node, probe), strict=True):
        executor.add_node(member)
        threads.append(threading.Thread(target=executor.spin))
        threads[-1].start()
    probe.wait(lambda newest: set(TOPICS) <= set(newest))
    yield probe
    for executor in executors:
        executor.shutdown()
    for thread in threads:
        thread.join()
    node.destroy_node()
    probe.destroy_node()
    rclpy.try_shutdown()


def test_topics_have_the_drivers_units_and_agree(probe):
    """Angles in degrees, torques in N m, pose in m: all describe the same arm at home."""
    news = probe.fresh(*TOPICS)
    angles = [getattr(news["joint_angles"], f"joint{i}") for i in range(1, 7)]
    assert angles == pytest.approx([275.3, 167.6, 57.4, 240.8, 82.8, 75.8], abs=0.1)
    state = news["joint_state"]
    assert list(state.name[:7]) == [f"j2n6s300_joint_{i}" for i in range(1, 7)] + [
        "j2n6s300_joint_finger_1"
    ]
    assert len(state.name) == len(state.position) == len(state.velocity) == 12
    assert list(state.position[:6]) == pytest.approx([math.radians(a) for a in angles], abs=1e-3)
    pose = news["tool_pose"]
    home = forward(arm_model("j2n6s300"), arm_model("j2n6s300").home).position
    at = (pose.pose.position.x, pose.pose.position.y, pose.pose.position.z)
    assert at == pytest.approx(home, abs=1e-3)
    assert pose.header.frame_id == "j2n6s300_link_base"
    assert pose.header.stamp.sec > 0
    assert news["cartesian_command"].x == pytest.approx(at[0], abs=2e-3)
    torques = [getattr(news["joint_torques"], f"joint{i}") for i in range(1, 7)]
    assert list(state.effort[:6]) == pytest.approx(torques, abs=0.2)
    assert abs(torques[1]) < 5.0
    assert news["finger_position"].finger1 == pytest.approx(4627, abs=30)  # the sponge is held


def test_status_comes_at_the_interval_that_is_set(probe):
    """0.02 s in the configuration is 50 messages a second, give or take the machine's load."""
    with probe.changed:
        before = probe.count["joint_torques"]
    began = time.monotonic()
    probe.wait(lambda _: probe.count["joint_torques"] >= before + 60)
    assert 35.0 < 60.0 / (time.monotonic() - began) < 60.0


def test_a_stream_moves_the_arm_and_its_end_stops_it(probe):
    """About 1 s at 100 Hz and 0.05 m/s is 5 cm; 0.3 s after the last message the arm stands."""
    start = probe.y()
    probe.stream(-0.05, 100)
    threading.Event().wait(0.3)
    rest = probe.y()
    assert start - rest == pytest.approx(0.05, abs=0.012)
    assert probe.y() == pytest.approx(rest, abs=3e-4)


def test_stop_erases_what_is_queued_and_start_takes_commands_again(probe):
    """200 points at once would move the arm for 2 s; stop ends that, and silences commands."""
    probe.stream(0.05, 200, period=0.0)
    assert probe.call("stop").stop_result
    threading.Event().wait(0.2)
    stopped = probe.y()
    probe.stream(0.05, 30)
    assert probe.y() == pytest.approx(stopped, abs=3e-4)
    status = probe.fresh("diagnostics")["diagnostics"].status
    driver = next(s for s in status if s.name.endswith("driver"))
    values = {v.key: v.value for v in driver.values}
    assert values["mode"] == "stopped"
    assert int(values["points_ignored"]) > 0
    probe.call("start")
    probe.stream(0.05, 50)
    assert probe.y() > stopped + 0.005


def test_clear_erases_the_queue_without_stopping(probe):
    """After clear_trajectories the queue is empty and the next stream moves the arm."""
    probe.stream(0.02, 150, period=0.0)
    assert probe.call("clear_trajectories").result == ""
    threading.Event().wait(0.15)
    start = probe.y()
    assert probe.y() == pytest.approx(start, abs=3e-4)
    probe.stream(-0.05, 50)
    assert probe.y() < start - 0.005


def test_home_arm_blocks_status_and_stop_as_kinovas_does(probe):
    """Until the arm is there nothing is published and no stop is served; then both are."""
    probe.call("start")
    probe.stream(-0.1, 100)
    home = probe.calls["home_arm"].call_async(HomeArm.Request())
    quiet = threading.Event()
    counts = [0, 1]
    while counts[-1] != counts[-2]:  # until a tenth of a second brings no sample
        assert not home.done(), home.result()
        counts.append(probe.count["joint_torques"])
        quiet.wait(0.1)
    assert not home.done()
    stop = probe.calls["stop"].call_async(Stop.Request())
    quiet.wait(0.2)
    assert not stop.done() and not home.done()
    deadline = time.monotonic() + 30.0
    while not (stop.done() and home.done()) and time.monotonic() < deadline:
        quiet.wait(0.05)
    assert home.result().homearm_result == "arm is home"
    assert stop.done()
    probe.fresh("joint_torques", "tool_pose")
    probe.call("start")


def test_home_answers_when_the_arm_is_there(probe):
    """home_arm brings the arm home, opens the fingers, and answers only then."""
    probe.stream(-0.1, 100)
    assert probe.call("home_arm").homearm_result == "arm is home"
    news = probe.fresh("tool_pose", "finger_position")
    assert news["tool_pose"].pose.position.y == pytest.approx(-0.2566, abs=0.01)
    assert news["finger_position"].finger1 < 200.0
    assert probe.call("home_arm").homearm_result.startswith("nothing done")


def test_reset_begins_the_next_scene(probe):
    """/sim/reset brings the next seed, the arm at home and nothing wiped."""
    before = probe.fresh("state")["state"]
    answer = probe.call("reset")
    assert answer.success
    state = probe.wait(lambda newest: newest["state"].seed == before.seed + 1)["state"]
    assert answer.message == f"new scene, seed {state.seed}"
    assert state.task == "wipe_table"
    assert (len(state.qpos), len(state.cleaned), any(state.cleaned)) == (10, 96, False)


def test_reset_begins_the_scene_of_a_seed_that_is_asked_for(probe):
    """With parameter next_seed set, /sim/reset brings that scene once, then the one after it."""
    request = SetParameters.Request()
    request.parameters = [Parameter("next_seed", value=41).to_parameter_msg()]
    assert probe.call("parameters", request).results[0].successful
    assert probe.call("reset").message == "new scene, seed 41"
    assert probe.wait(lambda newest: newest["state"].seed == 41)["state"].task == "wipe_table"
    assert probe.call("reset").message == "new scene, seed 42"


def test_diagnostics_report_real_time(probe):
    """Physics reports its real-time factor and late ticks once a second."""
    status = probe.fresh("diagnostics")["diagnostics"].status
    physics = next(s for s in status if s.name == "sim_node: physics")
    values = {v.key: v.value for v in physics.values}
    assert 0.5 < float(values["real_time_factor"]) < 1.5
    assert {"late_ticks", "skipped_ticks", "tick_ms_p99"} <= set(values)
    scene = next(s for s in status if s.name == "sim_node: scene")
    values = {v.key: v.value for v in scene.values}
    assert (values["task"], values["success"]) == ("wipe_table", "false")
    assert float(values["contact_force_max_n"]) == 0.0


def test_shipped_configuration_states_the_defaults():
    """config/sim.yaml names every setting once, with its default."""
    values = yaml.safe_load(CONFIG.read_text())["sim_node"]["ros__parameters"]
    driver, sensors = values.pop("driver"), values.pop("sensors")
    for cls, given in ((SimSettings, values), (DriverConfig, driver), (SensorConfig, sensors)):
        assert config_from_mapping(cls, given, "sim.yaml") == cls()
        assert set(given) == set(cls.__dataclass_fields__)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("task:=dance", "task is 'dance', allowed: carrot_to_pan, cube_to_plate"),
        (
            "robot_type:=j2s6s300",
            "robot_type is 'j2s6s300', allowed: one of 'j2n6s300', 'j2n6s200'",
        ),
        ("status_interval_seconds:=5.0", "status_interval_seconds"),
        ("driver.angular_frame:=world", "angular_frame"),
    ],
)
def test_wrong_parameters_are_one_line_and_exit_status_2(parameter, message):
    """A wrong value ends the node with one line that names it."""
    code = "import sys; from adp_ros.ros.sim_node import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--ros-args", "-p", parameter]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert ended.returncode == 2
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in ended.stderr


def test_a_signal_ends_the_node_cleanly():
    """Ctrl-C while the physics runs: exit status 0, no traceback."""
    code = "import sys; from adp_ros.ros.sim_node import main; sys.exit(main())"
    node = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=_own_domain()
    )
    said = iter(node.stderr.readline, "")
    assert any("twin of j2n6s300" in line for line in said)
    node.send_signal(signal.SIGINT)
    _, rest = node.communicate(timeout=30)
    assert node.returncode == 0
    assert "Traceback" not in rest


def test_twin_refuses_to_start_beside_a_living_driver(probe):
    """One line that names the other one and what to do; the other one goes on."""
    code = "import sys; from adp_ros.ros.sim_node import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "ROS_DOMAIN_ID": str(_domain())},
    )
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: /j2n6s300_driver/out/joint_torques is published by sim_node already, one driver "
        "per arm is allowed: end it, set ROS_DOMAIN_ID, or give this arm a robot_name"
    ]
    probe.fresh("joint_torques", "tool_pose")
