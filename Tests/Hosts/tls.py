"""Certificates, and a client that has one."""

import ssl
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from host import UnixConnection
from origin import base64url


def make_certificate(folder, name):
    """Its own issuer's, in one file with its key."""
    path = folder / f"{name}.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(timezone.utc)
    made = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, now - timedelta(1), now + timedelta(1)).sign(key, hashes.SHA256())
    path.write_bytes(made.public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def thumbprint(certificate):
    return base64url(x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()))


def client_context(certificate):
    """Of a client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate)
    return context


class TLSConnection(UnixConnection):
    def __init__(self, case, path, certificate):
        super().__init__(path)
        self.context = client_context(certificate)
        case.addCleanup(self.close)

    def connect(self):
        super().connect()
        self.sock = self.context.wrap_socket(self.sock)
