"""Kubeconfig files: reads and merges them, and selects the cluster and the user of one context.

They are not merged by the ``kubernetes`` package: it takes the current-context of the last file, where kubectl takes
that of the first, and its errors quote whole entries, including tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from candy_core import Invalid, Json, read_yaml
from candy_kit_kube.json_values import as_list, as_object, as_text

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""Entries that name files, relative to the folder of the kubeconfig."""


class UnusableConfig(Exception):
    """The configuration cannot be used. The message names the file and the entry, and repeats no value."""


@frozen(kw_only=True)
class Kubeconfig:
    """The cluster and the user of one context, with the paths of their files made absolute."""

    cluster: Mapping[str, Json]
    user: Mapping[str, Json] = field(repr=False)
    folder: Path
    """The folder of the file with the user's entry: a credential plugin's relative path starts there."""

    def files(self) -> tuple[Path, ...]:
        """The other files that the cluster and the user name."""
        entries = ((self.cluster, _FILES["cluster"]), (self.user, _FILES["user"]))
        return tuple(Path(name) for entry, keys in entries for key in keys if (name := as_text(entry.get(key))))


def read_kubeconfig(paths: Sequence[Path], context: str | None) -> Kubeconfig:
    """Merge these files, the first to define an entry wins, and select ``context`` or the current one.

    Missing files are skipped, as kubectl does. Reads files. Raises :class:`UnusableConfig`.
    """
    names = ", ".join(map(str, paths))
    documents = [(path, document) for path in paths if (document := _read_file(path)) is not None]
    if not documents:
        raise UnusableConfig(f"there is no kubeconfig at {names}")
    if context is None:
        current = (as_text(document.get("current-context")) for _, document in documents)
        context = next(filter(None, current), None)
        if context is None:
            raise UnusableConfig(f"{names}: expected current-context to name a context, or the setting context")
    chosen, _ = _entry(documents, "context", context, names)
    cluster, _ = _entry(documents, "cluster", as_text(chosen.get("cluster")), names)
    user: Mapping[str, Json] = {}
    folder = documents[0][0].parent
    if name := as_text(chosen.get("user")):
        user, folder = _entry(documents, "user", name, names)
    return Kubeconfig(cluster=cluster, user=user, folder=folder)


def _entry(
    documents: Sequence[tuple[Path, Mapping[str, Json]]], kind: str, name: str, names: str
) -> tuple[Mapping[str, Json], Path]:
    for path, document in documents:
        for entry in as_list(document.get(f"{kind}s")):
            if as_object(entry).get("name") == name:
                found = dict(as_object(as_object(entry).get(kind)))
                folder = path.absolute().parent
                for key in _FILES.get(kind, ()):
                    if file := as_text(found.get(key)):
                        found[key] = str(folder / Path(file).expanduser())
                return found, folder
    raise UnusableConfig(f"{names}: there is no {kind} named {name!r}")


def _read_file(path: Path) -> Mapping[str, Json] | None:
    try:
        document = read_yaml(path.read_bytes(), path=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnusableConfig(f"{path} cannot be read: {error.strerror}") from None
    except Invalid as error:
        raise UnusableConfig(str(error)) from None
    if document is not None and not isinstance(document, dict):
        raise UnusableConfig(f"{path}: expected a kubeconfig, an object with clusters, users and contexts")
    return document or {}
