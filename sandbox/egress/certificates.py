"""Certificates of one run: an authority that only its container trusts, and a leaf for each host.

The keys never leave this process: OpenSSL wants files, and gets one that exists in memory only.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_AROUND = timedelta(days=2)  # a machine's clock that is set during a run must not end its TLS


class Authority:
    """Signs for the hosts of one run."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._contexts: dict[str, ssl.SSLContext] = {}

    @cached_property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return _pem(self._root)

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's side of TLS for a declared host, wildcard included."""
        if host not in self._contexts:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            made.minimum_version = ssl.TLSVersion.TLSv1_2
            made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
            made.num_tickets = 0  # each connection names its server anew
            made.set_alpn_protocols(["http/1.1"])
            _load(made, self._leaf(host))
            self._contexts[host] = made
        return self._contexts[host]

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _leaf_key(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _root(self) -> x509.Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        key = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            self._builder(_named("World CA"), key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(self, host: str) -> bytes:
        """Return key and certificate of a host, PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = self._leaf_key
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(_named("server"), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return secret + _pem(certificate)

    def _builder(self, subject: x509.Name, key: object) -> x509.CertificateBuilder:
        from cryptography import x509

        return x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=_named("World CA"),
            public_key=key,  # type: ignore[arg-type]  # a union that has no public name
            serial_number=x509.random_serial_number(),
            not_valid_before=self._now - _AROUND,
            not_valid_after=self._now + _AROUND,
        )


def _named(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
