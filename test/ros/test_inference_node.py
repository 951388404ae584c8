"""The inference node with real ROS: which picture, which actions, and what happens on failure."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from kinova_msgs.msg import FingerPosition
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from ros_bench import Bench, bench
from scenes import scene_of
from sensor_msgs.msg import Image

from adp_ros.adp.overlay import draw_pruned, pruned_patches
from adp_ros.errors import PolicyError
from adp_ros.msg import (
    ActionChunk,
    ChunkRequest,
    GateState,
    InferenceLatency,
    PruneState,
    TwinState,
)
from adp_ros.policies.planner import STAGES
from adp_ros.policies.policy import Policy, PolicyInfo, Prediction, StageTimes, load_policy
from adp_ros.ros.inference_node import InferenceNode, main
from adp_ros.ros.picture_messages import image_message, image_to_rgb
from adp_ros.ros.stamps import seconds, time_message

CONFIG = Path(__file__).parents[2] / "config"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DECLARED = ["translation_frame:=tool", "rotation_frame:=base", "rotation:=rpy"]


class FakePolicy(Policy):
    """Plans steps along x as long as the first pixel is bright; keeps every second patch."""

    info = PolicyInfo(kind="fake", chunk_length=8, crop_area=0.9)

    def __init__(self) -> None:
        self.fail = False
        self.calls = 0
        self.go = threading.Event()
        self.go.set()

    def predict(self, observation, pruner=None) -> Prediction:
        """Wait for permission, then plan."""
        self.calls += 1
        self.go.wait(10.0)
        if self.fail:
            raise PolicyError("the head gave NaN")
        actions = np.zeros((8, 7))
        actions[:, 0] = observation.images[0][0, 0, 0] * 1e-4
        kept = None if pruner is None else np.arange(0, 256, 2)
        length = 333 if kept is None else 205
        return Prediction(
            actions, actions.astype(np.float32), kept, None, (length, length),
            StageTimes(0.001, 0.002, 0.003, 0.004, 0.005, 0.015), 1, 256, 1e6 * length, 333e6,
        )  # fmt: skip


class Probe(Node):
    """Sends pictures and requests, keeps answers."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.chunks: list[ActionChunk] = []
        self.gates: list[GateState] = []
        self.prunes: list[PruneState] = []
        self.latencies: list[InferenceLatency] = []
        self.overlays: list[Image] = []
        self.health: dict[str, list[tuple[int, str, dict[str, str]]]] = {}
        self.pictures = self.create_publisher(Image, "/camera/image_raw", qos_profile_sensor_data)
        self.requests = self.create_publisher(ChunkRequest, "/adp/chunk_request", 1)
        self.states = self.create_publisher(TwinState, "/sim/state", 10)
        self.fingers = self.create_publisher(
            FingerPosition, "/j2n6s300_driver/out/finger_position", 1
        )
        listen = self.create_subscription
        listen(ActionChunk, "/adp/action_chunk", self.chunks.append, 1)
        listen(GateState, "/adp/gate_state", self.gates.append, LATCHED)
        listen(PruneState, "/adp/prune_state", self.prunes.append, 10)
        listen(InferenceLatency, "/adp/latency", self.latencies.append, 10)
        listen(Image, "/adp/overlay", self.overlays.append, qos_profile_sensor_data)
        listen(DiagnosticArray, "/diagnostics", self._on_health, 10)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            found = self.health.setdefault(status.name, [])
            found.append((status.level[0], status.message, values))

    def picture(self, bright: int = 100, age: float = 0.0, size: tuple[int, int] = (640, 480)):
        """Publish a grey picture of that age; returns its stamp in [s]."""
        rgb = np.full((size[1], size[0], 3), bright, np.uint8)
        stamp = time_message(time.time() - age)
        self.pictures.publish(image_message(rgb, stamp, "camera"))
        return seconds(stamp)

    def ask(self, window: int) -> None:
        """Ask for a window."""
        self.requests.publish(
            ChunkRequest(window=window, measured_path=float("nan"), measured_net=float("nan"))
        )


@contextmanager
def running(
    parameters: Sequence[str], load: Callable[..., object]
) -> Iterator[tuple[Bench, Probe]]:
    """Run the node with a probe; both know each other."""
    with bench(["robot_type:=j2n6s300", *parameters]) as ros:
        probe, node = ros.add(Probe()), ros.add(InferenceNode(load))
        heard = {subscription.topic_name for subscription in probe.subscriptions}
        ours = [publisher for publisher in node.publishers if publisher.topic_name in heard]
        assert {publisher.topic_name for publisher in ours} == heard
        sent = (probe.pictures, probe.requests, *ours)
        ros.until(lambda: all(publisher.get_subscription_count() for publisher in sent))
        yield ros, probe


def with_fake(policy: FakePolicy, *more: str, mover: str = "oft"):
    """Run the node with a fake policy, which need not wait until nobody wants the processor."""
    parameters = ["checkpoint:=/fake", "idle:=false", f"policy:={mover}", *DECLARED, *more]
    return running(parameters, lambda *args, **options: policy)


def answered(ros: Bench, probe: Probe, window: int, **picture) -> ActionChunk:
    """Send a picture and a request, return the chunk."""
    count = len(probe.chunks)
    probe.picture(**picture)
    probe.ask(window)
    ros.until(lambda: len(probe.chunks) > count)
    return probe.chunks[-1]


def test_chunk_comes_from_the_newest_picture_and_says_so() -> None:
    """Of three pictures the last one counts; stamp, convention and frame are the chunk's."""
    with with_fake(FakePolicy()) as (ros, probe):
        for bright in (10, 20):
            probe.picture(bright)
        answered(ros, probe, 0, bright=30)
        probe.picture(40)
        newest = probe.picture(50)
        ros.until(lambda: True)
        probe.ask(1)
        ros.until(lambda: len(probe.chunks) == 2)
    first, second = probe.chunks
    assert first.actions[0] == pytest.approx(30e-4)
    assert second.actions[0] == pytest.approx(50e-4)
    assert seconds(second.header.stamp) == pytest.approx(newest, abs=1e-6)
    assert (second.window, second.policy, second.step_period) == (1, "oft", 0.1)
    assert second.header.frame_id == "j2n6s300_link_base"
    convention = (second.translation_frame, second.rotation_frame, second.rotation)
    assert convention == ("tool", "base", "rpy")
    assert len(second.actions) == 56


def test_each_window_is_audited() -> None:
    """Gate, pruning and latency of each window agree with what the policy did."""
    with with_fake(FakePolicy()) as (ros, probe):
        for window in range(4):
            answered(ros, probe, window)
            ros.until(
                lambda: (
                    len(probe.latencies) == len(probe.prunes) == len(probe.chunks)
                    and len(probe.gates) == len(probe.chunks)
                )
            )
    assert [g.state for g in probe.gates] == [c.pruned for c in probe.chunks] == [0, 0, 1, 1]
    assert [g.window for g in probe.gates] == [0, 1, 2, 3]
    assert probe.gates[0].reason == "cold_start" and probe.gates[-1].rule == "adjacent/extrema"
    assert probe.gates[-1].motion == pytest.approx(7 * 100e-4)
    full, pruned = probe.prunes[0], probe.prunes[3]
    assert (full.pruner, full.tokens_kept, len(full.kept_indices)) == ("none", 256, 0)
    assert (pruned.pruner, pruned.tokens_kept, pruned.tokens_total) == ("adp", 128, 256)
    assert list(pruned.kept_indices) == list(range(0, 256, 2))
    assert list(pruned.sequence_length) == [205, 205] and list(pruned.kept_per_view) == [128]
    assert pruned.flops < pruned.flops_full == full.flops
    latency = probe.latencies[-1]
    assert (latency.preprocess, latency.llm, latency.total) == pytest.approx((1.0, 4.0, 15.0))
    assert latency.frame_to_chunk >= latency.frame_age > 0
    assert list(latency.stages)[-1] == "frame_to_chunk" and len(latency.p99) == 8


def test_stages_are_the_fields_of_the_message_in_its_order() -> None:
    """A stage that the message lacks, or has in another place, would be published as another."""
    fields = list(InferenceLatency.get_fields_and_field_types())
    assert tuple(fields[fields.index("window") + 1 : fields.index("stages")]) == STAGES


def test_components_that_the_aggregator_expects_are_published() -> None:
    """One that is expected and never comes would be stale for ever."""
    text = (CONFIG / "diagnostics_aggregator.yaml").read_text()
    policy = yaml.safe_load(text)["analyzers"]["ros__parameters"]["policy"]
    with with_fake(FakePolicy()) as (ros, probe):
        ros.until(lambda: set(policy["expected"]) <= set(probe.health))
    ours = {name for name in probe.health if name.startswith(tuple(policy["startswith"]))}
    assert ours - set(policy["expected"]) == {"inference_node: camera"}


def test_overlay_shows_what_was_pruned() -> None:
    """The picture of a pruned window, with every second patch masked, under the same stamp."""
    with with_fake(FakePolicy()) as (ros, probe):
        ros.until(lambda: probe.count_subscribers("/adp/overlay") == 1)
        for window in range(3):
            chunk = answered(ros, probe, window, bright=200)
        stamp = seconds(chunk.header.stamp)
        ros.until(lambda: probe.overlays and seconds(probe.overlays[-1].header.stamp) == stamp)
    grey = np.full((480, 640, 3), 200, np.uint8)
    expected = draw_pruned(grey, pruned_patches(np.arange(0, 256, 2), 0), 0.9)
    np.testing.assert_array_equal(image_to_rgb(probe.overlays[-1]), expected)


def test_late_subscriber_sees_the_last_decision() -> None:
    """The gate's state is latched."""
    with with_fake(FakePolicy()) as (ros, probe):
        answered(ros, probe, 0)
        late: list[GateState] = []
        ros.until(lambda: probe.gates)
        probe.create_subscription(GateState, "/adp/gate_state", late.append, LATCHED)
        ros.until(lambda: late)
    assert late[0].window == 0


def test_requests_while_busy_are_not_piled_up() -> None:
    """Repetitions of the window in work are answered once; of newer ones the newest counts."""
    policy = FakePolicy()
    with with_fake(policy) as (ros, probe):
        answered(ros, probe, 0)
        policy.go.clear()
        before = policy.calls
        probe.picture()
        probe.ask(1)
        ros.until(lambda: policy.calls == before + 1)
        probe.ask(1)
        ros.until(lambda: probe.count_publishers("/adp/chunk_request") == 1)
        policy.go.set()
        ros.until(lambda: len(probe.chunks) == 2)
        answered(ros, probe, 2)
    assert [c.window for c in probe.chunks] == [0, 1, 2]


def test_old_picture_gives_no_chunk_and_says_so() -> None:
    """Older than max_frame_age: an error in diagnostics, no chunk; a fresh one is planned from."""
    with with_fake(FakePolicy(), "max_frame_age:=0.4") as (ros, probe):
        probe.picture(age=1.0)
        probe.ask(0)
        health = "inference_node: policy"
        ros.until(lambda: probe.health.get(health) and probe.health[health][-1][0] == 2)
        assert "s old, allowed: up to 0.4 s" in probe.health[health][-1][1]
        assert probe.chunks == []
        answered(ros, probe, 0)
        ros.until(lambda: probe.health[health][-1][0] == 0)
    assert len(probe.chunks) == 1


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ({"size": (1280, 720)}, "picture on /camera/image_raw is 1280x720, 640x480 is needed"),
        ({"age": -5.0}, "s in the future, allowed: up to 0.1 s; synchronise the clocks"),
        ({"age": -0.3}, "s in the future, allowed: up to 0.1 s; synchronise the clocks"),
    ],
)
def test_unusable_pictures_give_no_chunk(picture: dict[str, object], words: str) -> None:
    """Wrong size and wrong clock are named; the node lives on."""
    with with_fake(FakePolicy()) as (ros, probe):
        probe.picture(**picture)
        probe.ask(0)
        health = "inference_node: policy"
        ros.until(lambda: probe.health.get(health) and probe.health[health][-1][0] == 2)
        assert words in probe.health[health][-1][1]
        assert probe.chunks == []


def test_policy_error_gives_no_chunk_and_the_next_window_works() -> None:
    """One failed call is no end: no chunk for it, an error in diagnostics, then on."""
    policy = FakePolicy()
    with with_fake(policy) as (ros, probe):
        answered(ros, probe, 0)
        policy.fail = True
        probe.picture()
        probe.ask(1)
        health = "inference_node: policy"
        ros.until(lambda: probe.health.get(health) and probe.health[health][-1][0] == 2)
        assert "no chunk: the head gave NaN" in probe.health[health][-1][1]
        assert len(probe.chunks) == 1
        policy.fail = False
        assert answered(ros, probe, 1).window == 1


def test_hold_moves_nothing_but_the_policy_runs() -> None:
    """Zeros, the gripper as measured (3400 of 6800 ticks: half open), pruning still audited."""
    policy = FakePolicy()
    with with_fake(policy, mover="hold") as (ros, probe):
        ros.until(probe.fingers.get_subscription_count)
        probe.fingers.publish(FingerPosition(finger1=3400.0, finger2=3400.0, finger3=3400.0))
        ros.until(lambda: policy.calls == 2)  # tried once full, once pruned
        chunk = answered(ros, probe, 0)
        ros.until(lambda: probe.prunes)
    actions = np.array(chunk.actions).reshape(8, 7)
    assert not actions[:, :6].any() and chunk.policy == "hold"
    np.testing.assert_allclose(actions[:, 6], 0.5)
    assert policy.calls == 3
    assert probe.gates[-1].motion == 0.0


def test_expert_plans_from_the_twin_at_the_time_of_the_picture() -> None:
    """The chunk is the expert's for the state whose stamp is the picture's, not a later one."""
    from adp_ros.sim.scene import build_scene
    from adp_ros.sim.task import make_expert

    scene = build_scene(scene_of("wipe_table", 2, "j2n6s300"))
    first = scene.model.qpos0.copy()
    later = first.copy()
    later[:6] += 0.2
    with with_fake(FakePolicy(), mover="expert") as (ros, probe):
        ros.until(probe.states.get_subscription_count)
        stamp = time.time()
        for qpos, at in ((first, stamp), (later, stamp + 0.05)):
            state = TwinState(task="wipe_table", seed=2, qpos=qpos.tolist())
            state.cleaned = [False] * len(scene.cells)
            state.header.stamp = time_message(at)
            probe.states.publish(state)
        message = image_message(np.zeros((480, 640, 3), np.uint8), time_message(stamp), "camera")
        probe.pictures.publish(message)
        ros.until(lambda: True)
        probe.ask(0)
        ros.until(lambda: probe.chunks and probe.gates)
    cleaned = np.zeros(len(scene.cells), np.bool_)
    expected = make_expert(scene_of("wipe_table", 2, "j2n6s300")).plan(first, cleaned)
    chunk = probe.chunks[0]
    np.testing.assert_allclose(np.array(chunk.actions).reshape(8, 7), expected)
    assert (chunk.policy, chunk.translation_frame, chunk.rotation) == ("expert", "base", "rotvec")
    motion = np.linalg.norm(expected[:7, :3], axis=1).sum()
    assert probe.gates[0].motion == pytest.approx(motion)


def test_pictures_are_counted_and_timed() -> None:
    """Rate and transport at the node are in diagnostics, as the demo reports them."""
    with with_fake(FakePolicy()) as (ros, probe):
        for _ in range(30):
            probe.picture()
            ros.until(lambda: True)
        health = "inference_node: camera"
        ros.until(lambda: any(v["received"] != "0" for _, _, v in probe.health.get(health, [])))
    values = next(v for _, _, v in probe.health[health] if v["received"] != "0")
    assert 0.0 < float(values["transport_ms_p50"]) < 100.0


def test_real_checkpoint_end_to_end(golden_checkpoint) -> None:
    """The recorded checkpoint, state from the driver: the chunk is what the library computes."""
    from geometry_msgs.msg import PoseStamped
    from sensor_msgs.msg import JointState

    from adp_ros.types import Observation

    layout = "state_layout:='x y z qx qy qz finger_1 joint_2'"
    parameters = [f"checkpoint:={golden_checkpoint}", *DECLARED, layout]
    with running(parameters, load_policy) as (ros, probe):
        out = "/j2n6s300_driver/out/"
        poses = probe.create_publisher(PoseStamped, out + "tool_pose", 1)
        joints = probe.create_publisher(JointState, out + "joint_state", 1)
        ros.until(
            lambda: (
                poses.get_subscription_count()
                and joints.get_subscription_count()
                and probe.fingers.get_subscription_count()
            )
        )
        pose = PoseStamped()
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = 0.2, -0.3, 0.25
        pose.pose.orientation.x, pose.pose.orientation.w = 0.6, 0.8
        names = [f"j2n6s300_joint_{i}" for i in range(1, 7)]
        poses.publish(pose)
        joints.publish(JointState(name=names, position=[0.1, 2.5, 0.3, 0.4, 0.5, 0.6]))
        probe.fingers.publish(FingerPosition(finger1=6800.0, finger2=0.0, finger3=0.0))
        ros.until(lambda: True)
        chunk = answered(ros, probe, 0, bright=90)
    state = np.array([0.2, -0.3, 0.25, 0.6, 0.0, 0.0, np.radians(80.0), 2.5])
    rgb = np.full((480, 640, 3), 90, np.uint8)
    expected = load_policy(golden_checkpoint).predict(Observation((rgb,), "wipe the table", state))
    np.testing.assert_allclose(np.array(chunk.actions).reshape(8, 7), expected.actions, atol=1e-6)


def run_main(*parameters: str) -> int:
    """Run the node as its command does."""
    args = ["--ros-args"]
    for parameter in parameters:
        args += ["-p", parameter]
    return main(args)


def one_error(text: str) -> str:
    """Return the one error line."""
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in text
    return lines[0]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ((), "checkpoint is '', the directory of an OpenVLA-OFT fine-tune is needed"),
        (("checkpoint:=/no/such",), "/no/such"),
        (("policy:=magic",), "policy is 'magic', allowed: one of 'oft', 'remote', 'expert'"),
        (("checkpoint:=/x", "threads:=0"), "threads"),
        (("checkpoint:=/x", "rotation:=rpy"), "give all or none"),
        (("checkpoint:=/x", "robot_type:=ur5"), "robot_type is 'ur5', allowed: j2n6s200"),
        (("checkpoint:=/x", "adp:=/no/adp.yaml"), "adp is '/no/adp.yaml': no such file"),
        (("checkpoint:=/x", "instruction:=' '"), "instruction is empty"),
    ],
)
def test_bad_settings_end_in_one_line(capfd, parameters: tuple[str, ...], words: str) -> None:
    """Exit status 2 and one line that names the thing and what is allowed."""
    assert run_main(*parameters) == 2
    assert words in one_error(capfd.readouterr().err)


def test_wrong_value_in_the_adp_file(capfd, golden_checkpoint, tmp_path: Path) -> None:
    """The file's name, the setting and its range are in the line."""
    (tmp_path / "adp.yaml").write_text("qk_keep_ratio: 1.5\n")
    path = tmp_path / "adp.yaml"
    assert run_main(f"checkpoint:={golden_checkpoint}", f"adp:={path}", *DECLARED) == 2
    said = one_error(capfd.readouterr().err)
    assert "adp.yaml: qk_keep_ratio is 1.5, allowed: 0 to 1" in said


def test_undeclared_actions_do_not_move_an_arm(capfd, golden_checkpoint) -> None:
    """Policy oft refuses a checkpoint without convention, naming file and parameters."""
    assert run_main(f"checkpoint:={golden_checkpoint}") == 2
    said = one_error(capfd.readouterr().err)
    assert "action_convention.json is missing" in said and "translation_frame" in said


def test_undeclared_state_does_not_move_an_arm(capfd, golden_checkpoint) -> None:
    """The same for the layout of the state."""
    assert run_main(f"checkpoint:={golden_checkpoint}", *DECLARED) == 2
    assert "state_layout.json is missing" in one_error(capfd.readouterr().err)


def test_unmerged_checkpoint_is_explained(capfd, tmp_path: Path) -> None:
    """A directory with only lora_adapter/ is told how to merge it."""
    (tmp_path / "lora_adapter").mkdir()
    assert run_main(f"checkpoint:={tmp_path}", *DECLARED) == 2
    assert "no merged weights, only lora_adapter/" in one_error(capfd.readouterr().err)


def test_checkpoint_for_two_views_needs_two(capfd, golden_checkpoint, tmp_path: Path) -> None:
    """What does not fit is found by a trial before any motion."""
    import json

    for source in golden_checkpoint.iterdir():
        shutil.copy(source, tmp_path / source.name)
    config = json.loads((tmp_path / "config.json").read_text())
    config["num_images_in_input"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run_main(f"checkpoint:={tmp_path}", "policy:=hold") == 2
    assert "observation has 1 images, this checkpoint needs 2" in one_error(capfd.readouterr().err)


def test_two_cameras_on_one_topic_give_no_chunk() -> None:
    """Both are named, by the picture's component as well; with one of them gone it goes on."""
    with with_fake(FakePolicy()) as (ros, probe):
        answered(ros, probe, 0)
        second = Node("usb_cam")
        publisher = second.create_publisher(Image, "/camera/image_raw", qos_profile_sensor_data)
        ros.until(lambda: probe.count_publishers("/camera/image_raw") == 2)
        health, words = "inference_node: camera", "/camera/image_raw has 2 publishers, one is"
        ros.until(lambda: health in probe.health and probe.health[health][-1][1].startswith(words))
        assert probe.health[health][-1][0] == 2 and "/usb_cam" in probe.health[health][-1][1]
        probe.picture()
        probe.ask(1)
        policy = "inference_node: policy"
        ros.until(lambda: policy in probe.health and words in probe.health[policy][-1][1])
        assert len(probe.chunks) == 1
        second.destroy_publisher(publisher)
        ros.until(lambda: probe.count_publishers("/camera/image_raw") == 1)
        assert answered(ros, probe, 1).window == 1
        second.destroy_node()
