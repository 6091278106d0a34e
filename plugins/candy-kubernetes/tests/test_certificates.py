"""The check ``certificates``: TLS secrets, whose keys are never exposed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from candy_core import Locale
from candy_testbed.kubernetes_plugin import Agent, Objects

KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certificate(days: float, begins: float = -1000) -> bytes:
    """A certificate in PEM that is valid from ``begins`` to ``days`` days from now."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def with_unknown_version(pem: bytes) -> bytes:
    """The same certificate with a version that does not exist."""
    encoded = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    version = b"\xa0\x03\x02\x01"
    body = base64.encodebytes(encoded.replace(version + b"\x02", version + b"\x09", 1))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def secret(objects: Objects, name: str, chain: bytes, kind: str = "kubernetes.io/tls") -> None:
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(PRIVATE).decode()}
    objects.apply("v1", "Secret", name, type=kind, data=data)


async def test_an_expired_or_expiring_certificate_is_an_offender(agent: Agent, objects: Objects) -> None:
    secret(objects, "good", certificate(90))
    secret(objects, "b-soon", certificate(10.5))
    secret(objects, "a-sooner", certificate(2.5))
    secret(objects, "expired", certificate(-3.5))
    secret(objects, "opaque", certificate(-3), kind="Opaque")
    outcome = await agent.run("certificates", namespace=objects.namespace, locale=Locale.ZH_CN)
    assert (outcome.status, outcome.value) == ("warning", "3")
    where = objects.namespace
    assert outcome.message == f"有 3 个证书超过阈值 0.00，最高值为 {where}/expired 的 3.00"
    expired, sooner, soon = outcome.details.splitlines()[-3:]
    assert expired.startswith(f"{where}/expired (已于 ")
    assert expired.endswith("Z 过期 3.5 天)")
    assert sooner.startswith(f"{where}/a-sooner (将于 ")
    assert sooner.endswith("剩余 2.5 天)")
    assert soon.startswith(f"{where}/b-soon (")
    assert {key: outcome.stats[key] for key in ("offenders", "total", "expired", "expiring", "unreadable")} == {
        "offenders": 3,
        "total": 4,
        "expired": 1,
        "expiring": 2,
        "unreadable": 0,
    }
    assert outcome.stats["soonest_days"] == pytest.approx(-3.5, abs=0.02)


async def test_the_item_sets_the_number_of_days(agent: Agent, objects: Objects) -> None:
    secret(objects, "web", certificate(40))
    values = {
        days: (await agent.run("certificates", namespace=objects.namespace, days=days)).value
        for days in ("0", "30", "39", "41", "365")
    }
    assert values == {"0": "0", "30": "0", "39": "0", "41": "1", "365": "1"}


async def test_a_chain_expires_with_its_first_certificate(agent: Agent, objects: Objects) -> None:
    secret(objects, "web", certificate(300) + certificate(5))
    outcome = await agent.run("certificates", namespace=objects.namespace)
    assert (outcome.value, outcome.stats["expiring"]) == ("1", 1)


@pytest.mark.parametrize(
    ("chain", "issue"),
    [
        (b"", "holds no readable certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no readable certificate"),
        (PRIVATE, "holds no readable certificate"),
        (with_unknown_version(certificate(300)), "holds no readable certificate"),
        (certificate(300, begins=20), "not valid before 20"),
    ],
    ids=["empty", "broken", "a key", "unknown version", "early"],
)
async def test_an_unusable_certificate_is_an_offender(agent: Agent, objects: Objects, chain: bytes, issue: str) -> None:
    secret(objects, "web", chain)
    outcome = await agent.run("certificates", namespace=objects.namespace)
    assert outcome.value == "1"
    assert issue in outcome.details


async def test_no_private_key_is_exposed(agent: Agent, objects: Objects, capfd: pytest.CaptureFixture[str]) -> None:
    """Contract §1: no secret is exposed: not in an outcome, not in the log."""
    secret(objects, "web", PRIVATE + certificate(2))
    outcome = await agent.run("certificates", namespace=objects.namespace)
    assert outcome.value == "1"
    output = str(outcome) + "".join(capfd.readouterr())
    for line in PRIVATE.decode().splitlines()[1:-1]:
        assert line not in output
    assert base64.b64encode(PRIVATE).decode()[:40] not in output
