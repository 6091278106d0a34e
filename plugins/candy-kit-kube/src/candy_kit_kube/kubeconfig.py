"""Kubeconfig files: read, merged, and the part of them that one context means.

The files are merged here and not by the ``kubernetes`` package: it lets the last file's current-context win, where
kubectl takes the first one's, and its errors quote whole entries, tokens among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from candy_core import Invalid, Json, read_yaml
from candy_kit_kube.json_values import elements, members, text

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""Entries that name files, relative to the kubeconfig that they stand in."""


class Unusable(Exception):
    """A configuration that leads to no cluster. The message names file and entry, and repeats no value."""


@frozen(kw_only=True)
class Kubeconfig:
    """What one context says: its cluster and its user, the files that they name made absolute."""

    cluster: Mapping[str, Json]
    user: Mapping[str, Json] = field(repr=False)
    folder: Path
    """Where the user's entry stands: a credential plugin's relative path starts from there."""

    def files(self) -> tuple[Path, ...]:
        """Every further file that it takes to use this."""
        parts = ((self.cluster, _FILES["cluster"]), (self.user, _FILES["user"]))
        return tuple(Path(name) for part, keys in parts for key in keys if (name := text(part.get(key))))


def read_kubeconfig(paths: Sequence[Path], context: str | None) -> Kubeconfig:
    """Merge these files, of which the first to name something wins, and take ``context`` or the current one.

    Files that are not there are passed over, as kubectl does. Reads files. Raises :class:`Unusable`.
    """
    names = ", ".join(map(str, paths))
    documents = [(path, document) for path in paths if (document := _read(path)) is not None]
    if not documents:
        raise Unusable(f"there is no kubeconfig at {names}")
    if context is None:
        current = (text(document.get("current-context")) for _, document in documents)
        context = next(filter(None, current), None)
        if context is None:
            raise Unusable(f"{names}: expected current-context to name a context, or the setting context")
    chosen, _ = _entry(documents, "context", context, names)
    cluster, _ = _entry(documents, "cluster", text(chosen.get("cluster")), names)
    user: Mapping[str, Json] = {}
    folder = documents[0][0].parent
    if name := text(chosen.get("user")):
        user, folder = _entry(documents, "user", name, names)
    return Kubeconfig(cluster=cluster, user=user, folder=folder)


def _entry(
    documents: Sequence[tuple[Path, Mapping[str, Json]]], kind: str, name: str, names: str
) -> tuple[Mapping[str, Json], Path]:
    for path, document in documents:
        for entry in elements(document.get(f"{kind}s")):
            if members(entry).get("name") == name:
                found = dict(members(members(entry).get(kind)))
                folder = path.absolute().parent
                for key in _FILES.get(kind, ()):
                    if file := text(found.get(key)):
                        found[key] = str(folder / Path(file).expanduser())
                return found, folder
    raise Unusable(f"{names}: there is no {kind} of the name {name!r}")


def _read(path: Path) -> Mapping[str, Json] | None:
    try:
        document = read_yaml(path.read_bytes(), path=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    except Invalid as error:
        raise Unusable(str(error)) from None
    if document is not None and not isinstance(document, dict):
        raise Unusable(f"{path}: expected a kubeconfig, an object with clusters, users and contexts")
    return document or {}
