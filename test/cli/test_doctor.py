"""``adp-ros doctor``: what is broken is found, named, and comes with a fix."""

import json
from pathlib import Path

import pytest

from adp_ros.cli import doctor, main
from adp_ros.cli import doctor as checks
from adp_ros.cli.doctor import Finding, Subject, Verdict, check_checkpoint


def subject(**changes: Path | str | None) -> Subject:
    """Return the default subject with changes."""
    values = {
        "camera": Path("/dev/video0"),
        "robot_type": "j2n6s300",
        "robot_name": "",
        "checkpoint": None,
    }
    return Subject(**{**values, **changes})


def test_missing_camera_is_a_note_with_a_fix() -> None:
    """Without a camera the twin still works: no failure, but what to plug in."""
    finding = checks.check_camera(subject(camera=Path("/dev/video99")))
    assert finding.verdict is Verdict.NOTE
    assert finding.found == "/dev/video99 does not exist"
    assert "plug in" in finding.fix


def test_forbidden_camera_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that may not be opened names the group to join."""
    monkeypatch.setattr(checks.os, "access", lambda *_: False)
    finding = checks.check_camera(subject(camera=Path("/dev/null")))
    assert finding.verdict is Verdict.FAIL
    assert "usermod -aG video" in finding.fix


def test_broken_rendering_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not work is a failure; where egl works, the variable is the cause."""
    monkeypatch.setenv("MUJOCO_GL", "no_such_backend")
    finding = checks.check_rendering(subject())
    assert finding.verdict is Verdict.FAIL
    assert "MUJOCO_GL=no_such_backend" in finding.found
    assert finding.fix == "unset MUJOCO_GL: egl works here"


def test_missing_graphics_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where egl itself does not work, the packages to install are named."""
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(checks, "run_apart", lambda *_words, **_environment: ("", "no context"))
    finding = checks.check_rendering(subject())
    assert finding.verdict is Verdict.FAIL
    assert finding.fix.startswith("unset MUJOCO_GL, then apt install libegl1")


def test_missing_transport_profile_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A profile variable that names no file would lose half of the pictures."""
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(tmp_path / "none.xml"))
    finding = checks.check_transport(subject())
    assert finding.verdict is Verdict.FAIL
    assert finding.found == f"{tmp_path / 'none.xml'} does not exist"


def test_small_shared_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's 64 MiB are too little for pictures."""
    usage = checks.shutil.disk_usage("/")._replace(free=64 * 2**20)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: usage)
    finding = checks.check_shared_memory(subject())
    assert finding.verdict is Verdict.FAIL
    assert finding.found == "64 MiB free in /dev/shm"
    assert "--shm-size" in finding.fix


def test_unusable_checkpoint_is_found(tmp_path: Path) -> None:
    """A directory that is no checkpoint is a failure in the reader's own words."""
    finding = check_checkpoint(subject(checkpoint=tmp_path))
    assert finding.verdict is Verdict.FAIL
    assert str(tmp_path) in finding.found
    assert "merged weights" in finding.fix


def test_checkpoint_of_the_package_is_checked_by_default(
    twin_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checkpoint given, the one that the twin starts with is read."""
    monkeypatch.setattr("adp_ros.cli.doctor.shipped_policy", lambda _: twin_policy)
    finding = check_checkpoint(subject())
    assert (finding.verdict, finding.found.split(": ")[0]) == (Verdict.OK, str(twin_policy))


@pytest.mark.parametrize(("verdict", "status"), [(Verdict.NOTE, 0), (Verdict.FAIL, 1)])
def test_status_tells_whether_something_is_broken(
    verdict: Verdict,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Notes are no failure; ``--json`` holds every finding."""
    finding = Finding("driver", verdict, "nobody publishes", "start it")
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: finding,))
    assert main(["doctor", "--json"]) == status
    expected = {"check": "driver", "verdict": verdict.value, "found": "nobody publishes"}
    assert json.loads(capsys.readouterr().out) == [{**expected, "fix": "start it"}]


def test_findings_are_lines_with_their_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the console the fix stands below the finding."""
    finding = Finding("camera", Verdict.FAIL, "gone", "plug it in")
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: finding,))
    main(["doctor"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["fail", "camera", "gone"]
    assert second.strip() == "-> plug it in"
