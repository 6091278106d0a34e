"""A complete plugin with a rule backend that keeps each rule as a YAML file in a folder.

An object is ``<folder>/<namespace>/<object name>.yaml``. A file without ``managed: true`` is not managed. A version is
a digest of the file. A lock makes each write atomic in this process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from attrs import Factory, evolve, frozen

from candy_core import (
    Absent,
    BackendUnavailable,
    Exists,
    Expect,
    FieldConflict,
    Health,
    Invalid,
    Meta,
    NotFound,
    NotManaged,
    PluginContext,
    Problem,
    Rule,
    RuleBackendSpec,
    RulePage,
    RuleRef,
    Secret,
    Stale,
    StoredRule,
    Version,
    hookimpl,
)

Text = Annotated[str, Meta(min_length=1)]


@frozen(kw_only=True)
class FolderRule:
    """One rule of a group."""

    expr: Text
    alert: str | None = None
    record: str | None = None
    for_: str | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None


@frozen(kw_only=True)
class FolderGroup:
    """A group of a rule file."""

    name: Text
    interval: str | None = None
    limit: int | None = None
    rules: tuple[FolderRule, ...]


@frozen(kw_only=True)
class FolderSettings:
    """Where the files are. ``password`` is not used; a real backend would have one."""

    path: Path | None = None
    password: Secret = Factory(lambda: Secret(""))


def object_name(name: str) -> str:
    """The name of a rule's object."""
    stem = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return stem if 0 < len(stem) < 200 else "rule-" + hashlib.sha256(name.encode()).hexdigest()[:8]


class FolderBackend:
    """See the module."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = asyncio.Lock()

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        after = _from_cursor(cursor)
        names = await asyncio.to_thread(self._names, namespace)
        rest = [name for name in names if name > after]
        found = [await asyncio.to_thread(self._read, *name) for name in rest[:limit]]
        more = len(rest) > limit
        return RulePage(
            rules=tuple(stored for stored in found if stored is not None),
            next_cursor=_to_cursor(rest[limit - 1]) if more else None,
        )

    async def get(self, ref: RuleRef) -> StoredRule:
        stored = await asyncio.to_thread(self._read, ref.namespace, object_name(ref.name))
        if stored is None or stored.rule.ref != ref:
            raise NotFound(f"There is no rule {ref.name!r} in {ref.namespace}.")
        return stored

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        problems = []
        for group_index, group in enumerate(rule.groups):
            rules: Any = group["rules"]
            for rule_index, each in enumerate(rules):
                if each["expr"].count("(") != each["expr"].count(")"):
                    path = f"$.groups[{group_index}].rules[{rule_index}].expr"
                    problems.append(Problem(path, "a parenthesis is not closed"))
        return problems

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._lock:
            name = object_name(rule.ref.name)
            current = await asyncio.to_thread(self._read, rule.ref.namespace, name)
            if isinstance(expect, Absent) and current is not None:
                raise Exists(f"The object {name} exists.")
            if current is not None or isinstance(expect, Version):
                _check(current, rule.ref, expect)
            if current is not None and "frozen-by" in current.rule.annotations:
                raise FieldConflict(f"groups: owned by {current.rule.annotations['frozen-by']}.")
            now = datetime.now(UTC)
            document = {
                "managed": True,
                "name": rule.ref.name,
                "created": (current.created_at if current is not None and current.created_at else now).isoformat(),
                "annotations": dict(rule.annotations),
                "groups": [dict(group) for group in rule.groups],
            }
            if current is None or current.rule != rule:
                document["updated"] = now.isoformat()
            else:
                document["updated"] = current.updated_at.isoformat() if current.updated_at else None
            text = yaml.safe_dump(document, sort_keys=False)
            if not dry_run:
                await asyncio.to_thread(self._write, rule.ref.namespace, name, text)
            return self._stored(rule.ref.namespace, name, text)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._lock:
            name = object_name(ref.name)
            current = _check(await asyncio.to_thread(self._read, ref.namespace, name), ref, expect)
            if not dry_run:
                await asyncio.to_thread(self._path(ref.namespace, name).unlink)
            return current

    def _path(self, namespace: str, name: str) -> Path:
        return self._root / namespace / f"{name}.yaml"

    def _names(self, namespace: str | None) -> Sequence[tuple[str, str]]:
        if not self._root.is_dir():
            raise BackendUnavailable("The folder does not exist.")
        return sorted((path.parent.name, path.stem) for path in self._root.glob(f"{namespace or '*'}/*.yaml"))

    def _read(self, namespace: str, name: str) -> StoredRule | None:
        if not self._root.is_dir():
            raise BackendUnavailable("The folder does not exist.")
        try:
            text = self._path(namespace, name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return self._stored(namespace, name, text)

    def _write(self, namespace: str, name: str, text: str) -> None:
        path = self._path(namespace, name)
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def _stored(self, namespace: str, name: str, text: str) -> StoredRule:
        document = yaml.safe_load(text)
        managed = document.get("managed") is True
        created, updated = document.get("created"), document.get("updated")
        return StoredRule(
            rule=Rule(
                ref=RuleRef(name=document["name"] if managed else name, namespace=namespace),
                groups=tuple(document.get("groups") or ()),
                annotations=document.get("annotations") or {},
            ),
            version=hashlib.sha256(text.encode()).hexdigest()[:16],
            object_name=name,
            managed=managed,
            created_at=datetime.fromisoformat(created) if created else None,
            updated_at=datetime.fromisoformat(updated) if updated else None,
        )


def _check(current: StoredRule | None, ref: RuleRef, expect: Expect) -> StoredRule:
    """Check that an object exists, is managed, and has the expected version."""
    if current is None or isinstance(expect, Absent) or (current.managed and current.rule.ref != ref):
        raise NotFound(f"There is no rule {ref.name!r} in {ref.namespace}.")
    if not current.managed:
        raise NotManaged(f"The object {current.object_name} is not managed by the agent.")
    if isinstance(expect, Version) and expect.version != current.version:
        raise Stale(f"The rule {ref.name!r} has changed since it was read.")
    return current


def _to_cursor(last: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("/".join(last).encode()).decode()


def _from_cursor(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return ("", "")
    try:
        namespace, name = base64.urlsafe_b64decode(cursor.encode()).decode().split("/")
    except ValueError:
        raise Invalid([Problem("$.cursor", "expected the next_cursor of an earlier page")]) from None
    return (namespace, name)


@asynccontextmanager
async def open_folder(context: PluginContext, settings: FolderSettings) -> AsyncIterator[FolderBackend]:
    """Opens without I/O; each call checks whether the folder exists."""
    yield FolderBackend(settings.path or Path("/nonexistent"))


@asynccontextmanager
async def open_second(context: PluginContext, settings: FolderSettings) -> AsyncIterator[FolderBackend]:
    """Another folder, with the suffix ``-second``."""
    path = settings.path or Path("/nonexistent")
    yield FolderBackend(path.with_name(f"{path.name}-second"))


async def check_folder(backend: FolderBackend) -> Health:
    """Whether the folder exists."""
    try:
        await backend.list(None, limit=1, cursor=None)
    except BackendUnavailable as error:
        return Health(ok=False, detail=str(error))
    return Health(ok=True)


SPEC = RuleBackendSpec(
    name="folder",
    aliases=("Folder", "dir"),
    wire_name="Folder",
    settings=FolderSettings,
    open=open_folder,
    group=FolderGroup,
    check=check_folder,
)


@hookimpl
def candy_rule_backends() -> Sequence[RuleBackendSpec[Any]]:
    """One with a class for its groups, and one that accepts any groups."""
    return (SPEC, evolve(SPEC, name="second", open=open_second, aliases=(), wire_name=None, group=None))
