"""Certificates of one run: an authority that only its container trusts, and a leaf for each host.

The keys never leave this process: OpenSSL wants files, and gets one that exists in memory only.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AROUND = timedelta(days=2)  # a machine's clock that is set during a run must not end its TLS
_CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "World CA")])
_SERVER_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
_CA_USAGE = x509.KeyUsage(
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


class Authority:
    """Signs for the hosts of one run."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._contexts: dict[str, ssl.SSLContext] = {}

    @cached_property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        key = self._key.public_key()
        return self._sign(
            self._builder(_CA_NAME, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's side of TLS for a declared host, wildcard included."""
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
            context.num_tickets = 0  # each connection names its server anew
            context.set_alpn_protocols(["http/1.1"])
            with os.fdopen(os.memfd_create("certificate"), "wb") as file:
                file.write(self._leaf(host))
                file.flush()
                context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
            self._contexts[host] = context
        return self._contexts[host]

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _leaf_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def _leaf(self, host: str) -> bytes:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        secret = self._leaf_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return secret + self._sign(
            self._builder(_SERVER_NAME, self._leaf_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(issuer, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=_CA_NAME,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=self._now - _AROUND,
            not_valid_after=self._now + _AROUND,
        )
