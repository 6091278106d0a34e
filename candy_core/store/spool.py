"""Undelivered results on disk, so that they outlive the process (contract section 7, ``CANDY_SPOOL_DIR``).

One file per delivery: a line with the checksum of the rest, a line of JSON, and the document unchanged. A file is
written under a temporary name, synced and renamed, so that it is either whole or absent; it is removed once it has been
delivered. Only the owner can read the files, since a task's own callback may have secrets in its headers.

Everything here blocks on the disk: call it in a thread (``asyncio.to_thread``).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog
from attrs import asdict, field, fields, frozen

from candy_core.codec import encode, loads, tolerant_reader
from candy_core.errors import CandyError, SettingsError
from candy_core.model.task import Callback

_log = structlog.get_logger("candy.spool")

FOLDER = "candy-deliveries"
"""A subfolder of the configured folder, since that may be shared, and the mode of a mounted volume is not ours."""
_FORMAT = 1
_SUFFIX = ".delivery"
_PART = ".part"
_SET_ASIDE = ".corrupt"
_LOCK = "lock"


@frozen(kw_only=True)
class _Head:
    """The line of JSON, which is the delivery without its document."""

    format: int = _FORMAT
    id: str
    task_id: str
    reporter: str
    callback: Callback | None = field(repr=False)
    created_at: float
    max_age: float
    dead: str | None = None
    attempts: int = 0
    given_up_at: float | None = None


@frozen(kw_only=True)
class SpooledDelivery(_Head):
    """A delivery that has neither arrived nor been dropped.

    ``created_at`` and ``given_up_at`` in Unix seconds, ``max_age`` in seconds; ``dead`` says why it became a dead
    letter, ``None`` while it is waiting.
    """

    document: bytes = field(repr=False)


class Spool:
    """The files of one agent. ``set_aside`` lists those that :meth:`load` could not read, by their new names."""

    def __init__(self, folder: Path) -> None:
        """Take the folder. Raises :class:`SettingsError` where it cannot be used, or another agent has it."""
        self.folder = folder / FOLDER
        self.set_aside: tuple[str, ...] = ()
        self._guard = threading.Lock()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise SettingsError(f"spool_dir: {folder} cannot be used ({error.strerror}); expected a folder") from None
        try:
            self._take(folder)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, folder: Path) -> None:
        found = os.fstat(self._descriptor)
        if found.st_uid != os.geteuid():
            raise SettingsError(f"spool_dir: {self.folder} belongs to another user; choose another folder")
        try:
            os.fchmod(self._descriptor, 0o700)
            self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self._descriptor)
        except OSError as error:
            raise SettingsError(f"spool_dir: {folder} cannot be written to ({error.strerror})") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise SettingsError(f"spool_dir: {folder} is in use by another agent; each needs its own") from None

    def load(self) -> list[SpooledDelivery]:
        """Everything on disk, oldest first. What cannot be read is set aside, and never stops the agent."""
        entries: list[SpooledDelivery] = []
        aside: list[str] = []
        with self._guard:
            for name in sorted(os.listdir(self._descriptor)):  # noqa: PTH208  # the open folder, even if it was renamed
                if name.endswith(_PART):
                    os.unlink(name, dir_fd=self._descriptor)  # never finished, so nothing was acknowledged
                elif name.endswith(_SUFFIX):
                    try:
                        entries.append(_decode(self._read(name)))
                    except (OSError, ValueError, CandyError):
                        aside.append(self._put_aside(name))
        self.set_aside = tuple(aside)
        for name in aside:
            _log.error("spooled_delivery_set_aside", file=str(self.folder / name))
        return sorted(entries, key=lambda entry: entry.created_at)

    def write(self, entry: SpooledDelivery) -> None:
        """Keep a delivery, in place of what was kept under its id. Raises ``OSError``, and then nothing has changed."""
        name = _name(entry.id)
        with self._guard:
            try:
                self._write(name + _PART, _encode(entry))
                os.rename(name + _PART, name + _SUFFIX, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError:
                self._unlink(name + _PART)
                raise
            os.fsync(self._descriptor)

    def remove(self, delivery_id: str) -> None:
        """Forget a delivery; one that is not there is no mistake."""
        with self._guard:
            self._unlink(_name(delivery_id) + _SUFFIX)
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def _write(self, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=self._descriptor), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def _put_aside(self, name: str) -> str:
        new = name.removesuffix(_SUFFIX) + _SET_ASIDE
        try:
            os.rename(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:
            return name  # it stays where it is, and is met again at the next start
        return new


def _name(delivery_id: str) -> str:
    """A file name for any id."""
    return hashlib.sha256(delivery_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _encode(entry: SpooledDelivery) -> bytes:
    head = _Head(**{name.name: getattr(entry, name.name) for name in fields(_Head)})
    content = encode(head) + b"\n" + entry.document
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _decode(file: bytes) -> SpooledDelivery:
    checksum, _, content = file.partition(b"\n")
    if checksum != hashlib.sha256(content).hexdigest().encode():
        raise ValueError("not a whole delivery")
    line, _, document = content.partition(b"\n")
    head = tolerant_reader.read(loads(line), _Head)
    if head.format != _FORMAT:
        raise ValueError("a delivery of another version of the agent")
    return SpooledDelivery(document=document, **asdict(head, recurse=False))
