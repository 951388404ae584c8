"""One launch per arm and ROS domain: a second one is refused, and the first is not touched."""

import os
import signal
import subprocess
import sys

import pytest

from adp_ros.errors import ConfigError
from adp_ros.ros.arm_claim import ArmClaim, claim_arm, domain_of
from adp_ros.ros.lifeline import LifelineWatch, lifeline_address

DOMAIN = 120 + os.getpid() % 80
HOLDER = """
import sys
from adp_ros.ros.arm_claim import ArmClaim
claim = ArmClaim(int(sys.argv[1]), "j2n6s300")
print("held", flush=True)
sys.stdin.read()
"""


def test_second_claim_is_refused_and_names_the_first() -> None:
    """The message has the process, the arm, the domain, and what to do."""
    with ArmClaim(DOMAIN, "j2n6s300"), pytest.raises(ConfigError) as caught:
        ArmClaim(DOMAIN, "j2n6s300")
    assert str(caught.value) == (
        f"another launch (process {os.getpid()}) has the arm j2n6s300 in ROS domain {DOMAIN}, one "
        "is allowed: end it, or set ROS_DOMAIN_ID"
    )


def test_other_arms_and_domains_are_free() -> None:
    """A claim is on one arm in one domain, and ends when it is closed."""
    with ArmClaim(DOMAIN, "a"):
        ArmClaim(DOMAIN, "b").close()
        ArmClaim(DOMAIN + 1, "a").close()
    ArmClaim(DOMAIN, "a").close()


def test_killed_launch_leaves_nothing() -> None:
    """After SIGKILL of its holder an arm can be claimed at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(DOMAIN)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match=f"another launch .process {process.pid}. has the arm"):
        ArmClaim(DOMAIN, "j2n6s300")
    process.send_signal(signal.SIGKILL)
    process.wait()
    ArmClaim(DOMAIN, "j2n6s300").close()


def test_controller_started_by_hand_counts_and_does_not_notice() -> None:
    """A controller without a launch has its arm too; asking it changes nothing for it."""
    found, lost = [], []
    watch = LifelineWatch(
        lifeline_address(DOMAIN, "j2n6s300"), found.append, lambda *words: lost.append(words)
    )
    try:
        for _ in range(3):
            with pytest.raises(ConfigError, match="another controller .* has the arm j2n6s300"):
                ArmClaim(DOMAIN, "j2n6s300")
    finally:
        watch.close()
    assert (found, lost) == ([], [])
    ArmClaim(DOMAIN, "j2n6s300").close()


@pytest.mark.parametrize(
    ("value", "domain"), [(None, 0), ("", 0), ("7", 7), (" 7", 7), ("0x10", 16)]
)
def test_domain_is_that_of_ros(value: str | None, domain: int) -> None:
    """The claim is on the domain that ROS reads from the same variable."""
    environ = {} if value is None else {"ROS_DOMAIN_ID": value}
    assert domain_of(environ) == domain
    with claim_arm("x", {"ROS_DOMAIN_ID": str(DOMAIN)}), pytest.raises(ConfigError):
        ArmClaim(DOMAIN, "x")


def test_second_launch_ends_before_any_node_starts() -> None:
    """One line, exit status 2, nothing on standard output, where nodes would speak."""
    with ArmClaim(DOMAIN, "j2n6s300"):
        result = subprocess.run(
            [sys.executable, "-m", "adp_ros.cli", "launch", "jaco2_task", "policy:=hold"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)},
            check=False,
        )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: another launch") and result.stderr.count("\n") == 1
