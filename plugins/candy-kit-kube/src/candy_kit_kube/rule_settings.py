"""The settings of a plugin that stores rules in a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import Factory, frozen

from candy_core import Mismatch
from candy_kit_kube.object_name import is_object_name
from candy_kit_kube.rule_objects import MANAGED_BY
from candy_kit_kube.settings import ClusterSettings

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@frozen(kw_only=True)
class RuleObjectSettings(ClusterSettings):
    """The cluster, and the ``labels`` to set on every rule object, for example for an operator's ``ruleSelector``.

    Names and values of labels are checked by Kubernetes' rules.
    """

    labels: Mapping[str, str] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        for name, value in self.labels.items():
            prefix, slash, last = name.rpartition("/")
            if not _NAME.fullmatch(last) or (slash and not is_object_name(prefix)):
                raise Mismatch(
                    "expected labels with names that Kubernetes accepts, such as release or example.com/team"
                )
            if value and not _NAME.fullmatch(value):
                raise Mismatch(f"expected labels.{name} to be at most 63 letters, digits, -, _ and .")
        if MANAGED_BY in self.labels:
            raise Mismatch(f"expected labels without {MANAGED_BY}, which marks the objects that the agent manages")
