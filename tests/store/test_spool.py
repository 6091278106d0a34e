"""Undelivered results survive a restart (contract section 7, ``CANDY_SPOOL_DIR``)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candy_core import Callback, Event
from candy_core.errors import SettingsError
from candy_core.store.spool import FOLDER, Spool, SpooledDelivery


def entry(delivery_id: str = "d-1", **more: object) -> SpooledDelivery:
    values: dict[str, object] = {
        "id": delivery_id,
        "task_id": "task-1",
        "reporter": "callback",
        "callback": Callback(
            url="http://hooks.example.com/x",
            headers={"Authorization": "Bearer geheim"},
            params={"票": [1, None, {"a": 2.5}]},
            events=(Event.ENDED, Event.PROGRESS),
        ),
        "document": '{"task_id":"task-1","message":"值"}'.encode(),
        "created_at": 1_700_000_000.25,
        "max_age": 86400.0,
    }
    return SpooledDelivery(**{**values, **more})  # type: ignore[arg-type]  # the fields' own types, by name


def test_the_next_process_reads_what_was_written(tmp_path: Path) -> None:
    dead = entry("d-2", dead="answered 404", attempts=3, created_at=1.0, callback=None, given_up_at=2.0)
    with Spool(tmp_path / "spool") as spool:
        spool.write(entry())
        spool.write(dead)
    with Spool(tmp_path / "spool") as spool:
        assert spool.load() == [dead, entry()]
        assert spool.set_aside == ()


def test_a_delivery_can_be_overwritten_and_removed(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.write(entry())
        spool.write(entry(attempts=5))
        assert spool.load() == [entry(attempts=5)]
        spool.remove("d-1")
        spool.remove("d-1")
        spool.remove("never-there")
        assert spool.load() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(delivery_id=st.text(max_size=200), document=st.binary(max_size=2000))
def test_any_id_and_any_document_are_restored(tmp_path: Path, delivery_id: str, document: bytes) -> None:
    with Spool(tmp_path) as spool:
        spool.write(entry(delivery_id, document=document))
        assert spool.load() == [entry(delivery_id, document=document)]
        spool.remove(delivery_id)


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """A task's callback may contain secrets in its headers."""
    old = os.umask(0)
    try:
        with Spool(tmp_path) as spool:
            spool.write(entry())
    finally:
        os.umask(old)
    folder = tmp_path / FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "garbage"])
def test_a_damaged_file_is_set_aside_and_the_rest_is_read(tmp_path: Path, damage: str) -> None:
    with Spool(tmp_path) as spool:
        spool.write(entry("d-1"))
        spool.write(entry("d-2"))
        victim = min((tmp_path / FOLDER).glob("*.delivery"))
        content = victim.read_bytes()
        flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
        victim.write_bytes({"cut": content[:-5], "empty": b"", "flipped": flipped, "garbage": b"\xff\n{}"}[damage])
        assert len(spool.load()) == 1
        assert spool.set_aside == (victim.with_suffix(".corrupt").name,)
        assert victim.with_suffix(".corrupt").exists()
        assert len(spool.load()) == 1
        assert not spool.set_aside


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        (tmp_path / FOLDER / "abc.part").write_bytes(b"half a fi")
        assert spool.load() == []
        assert not (tmp_path / FOLDER / "abc.part").exists()


def test_a_second_agent_on_one_folder_is_an_error(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(SettingsError, match="in use by another agent"):
        Spool(tmp_path)
    Spool(tmp_path).close()


def test_an_unusable_folder_is_a_settings_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SettingsError, match=r"^spool_dir: "):
        Spool(file)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match=r"^spool_dir: "):
        Spool(tmp_path)


def test_a_shared_parent_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    Spool(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_a_full_disk_is_an_error_that_changes_nothing(tmp_path: Path) -> None:
    """A file size limit simulates the full disk: in both cases a write fails."""
    code = f"""
        import resource, signal
        from pathlib import Path
        from candy_core.store.spool import Spool, SpooledDelivery
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        def entry(size, attempts=0):
            return SpooledDelivery(id="d-1", task_id="t", reporter="r", callback=None, document=b"x" * size,
                                   created_at=1.0, max_age=2.0, attempts=attempts)
        spool = Spool(Path({str(tmp_path)!r}))
        spool.write(entry(10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            spool.write(entry(100_000, attempts=1))
        except OSError as error:
            print("failed", error.errno)
        assert spool.load() == [entry(10)]
        assert [file.suffix for file in spool.folder.iterdir() if file.name != "lock"] == [".delivery"]
        spool.write(entry(20))
        assert spool.load() == [entry(20)]
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.splitlines() == ["failed 27", "fine"], done.stderr
