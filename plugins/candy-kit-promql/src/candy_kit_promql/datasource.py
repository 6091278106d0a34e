"""Datasources as the configuration describes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen

from candy_core import HttpUrl, Meta, Mismatch, Secret

DEFAULT = "default"
"""The name of the datasource that the plugin's own settings describe."""

MAX_BATCH = 50
"""Different queries in one request: more are no faster, and delay each other."""


@frozen(kw_only=True)
class Datasource:
    """One server and its credentials. ``url`` is the address below which ``/api/v1/query`` is found.

    Any secret may be in a file instead (``…_file``). The file is read again every few seconds, so that a rotated token
    is used. ``ca_file`` adds to the trusted authorities; ``cert_file`` and ``key_file`` are the agent's own
    certificate. ``headers`` go with every request (``X-Scope-OrgID`` of a multi-tenant server). ``timeout`` in seconds.
    """

    url: HttpUrl | None = None
    bearer_token: Secret | None = None
    bearer_token_file: Path | None = None
    username: str | None = None
    password: Secret | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    headers: Mapping[str, Secret] = field(factory=dict, repr=False)
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 30.0

    def __attrs_post_init__(self) -> None:
        bearer = self.bearer_token is not None or self.bearer_token_file is not None
        if self.bearer_token is not None and self.bearer_token_file is not None:
            raise Mismatch("expected bearer_token or bearer_token_file, not both")
        if self.password is not None and self.password_file is not None:
            raise Mismatch("expected password or password_file, not both")
        if bearer and self.username is not None:
            raise Mismatch("expected bearer_token or username, not both")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise Mismatch("expected a username with the password")
        if self.username is not None and ":" in self.username:
            raise Mismatch("expected a username without a colon")
        if (self.cert_file is None) != (self.key_file is None):
            raise Mismatch("expected cert_file and key_file together")
        for name, value in self.headers.items():
            if not name.replace("-", "").isalnum() or not name.isascii() or not value.reveal().isprintable():
                raise Mismatch("expected headers with plain names and values of one line")


@frozen(kw_only=True)
class MetricSettings(Datasource):
    """A metric plugin's section: the datasource named ``default``, and further ones by name.

    ``default_datasource`` is for items that name none; unset, it is the plugin's own ``url``. ``max_connections``
    bounds the connections to each datasource. ``batch_size`` bounds the different queries in one request; with 0 or 1
    each has a request of its own.
    """

    datasources: Mapping[str, Datasource] = Factory(dict)
    default_datasource: str | None = None
    max_connections: Annotated[int, Meta(ge=1, le=1000)] = 32
    batch_size: Annotated[int, Meta(ge=0, le=MAX_BATCH)] = MAX_BATCH

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name, datasource in self.datasources.items():
            if datasource.url is None:
                raise Mismatch(f"expected a url in datasources.{name}")
        if self.url is not None and DEFAULT in self.datasources:
            raise Mismatch(f"expected url or datasources.{DEFAULT}, not both")
        if self.default_datasource is not None and self.default_datasource not in self.named():
            raise Mismatch("expected default_datasource to name one of the datasources")

    def named(self) -> dict[str, Datasource]:
        """Every configured datasource by its name."""
        own: dict[str, Datasource] = {} if self.url is None else {DEFAULT: self}
        return own | dict(self.datasources)

    def default(self) -> str:
        """The name of the datasource for items that name none."""
        return self.default_datasource or DEFAULT
