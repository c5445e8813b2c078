"""The issuer's keys: one for each algorithm, made anew in each generation."""

import base64
import itertools
import json
import secrets
import warnings

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:
    mldsa = None

warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is deprecated as a name, and meant here


class JoserfcKey:
    """A key of a kind that joserfc signs with."""

    def __init__(self, key):
        self.key, self.kid, self.alg = key, key.kid, key.alg

    def document(self):
        return self.key.as_dict(private=self.alg.startswith("HS"))

    def sign(self, header, claims):
        return jwt.encode(header, claims, self.key, algorithms=[self.alg])


class MLDSAKey:
    """An AKP key (RFC 9964), which joserfc does not know yet: cryptography signs."""

    def __init__(self, kid, alg):
        self.kid, self.alg = kid, alg
        self.key = getattr(mldsa, alg.replace("-", "") + "PrivateKey").generate()

    def document(self):
        public = base64url(self.key.public_key().public_bytes_raw())
        return {"kty": "AKP", "kid": self.kid, "use": "sig", "alg": self.alg, "pub": public}

    def sign(self, header, claims):
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return signed + "." + base64url(self.key.sign(signed.encode()))


class Generation:
    """The keys in force between two rotations: public ones, and secrets that are never published."""

    numbers = itertools.count(1)

    def __init__(self):
        number = next(Generation.numbers)
        self.public = [make(f"{name.lower()}-{number}", alg) for name, alg, make in PUBLIC_KINDS]
        self.secret = [make(f"{name.lower()}-{number}", alg) for name, alg, make in SECRET_KINDS]

    def find(self, alg, kid=None):
        """The key of that kid, or else the first for the algorithm; None if there is none."""
        fitting = [key for key in self.public + self.secret if key.alg == alg]
        return next((key for key in fitting if key.kid == kid), fitting[0] if fitting else None)


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def key_set(keys):
    return {"keys": [key.document() for key in keys]}


def rsa(bits):
    return lambda kid, alg: JoserfcKey(RSAKey.generate_key(bits, {"kid": kid, "use": "sig", "alg": alg}))


def ec(curve):
    return lambda kid, alg: JoserfcKey(ECKey.generate_key(curve, {"kid": kid, "use": "sig", "alg": alg}))


def okp(curve):
    return lambda kid, alg: JoserfcKey(OKPKey.generate_key(curve, {"kid": kid, "use": "sig", "alg": alg}))


def oct(length):
    return lambda kid, alg: JoserfcKey(
        OctKey.import_key(secrets.token_bytes(length), {"kid": kid, "use": "sig", "alg": alg}))


# name (the kid is made of it), alg, maker
PUBLIC_KINDS = [
    *((alg, alg, rsa(2048)) for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ("ES256", "ES256", ec("P-256")),
    ("ES384", "ES384", ec("P-384")),
    ("ES512", "ES512", ec("P-521")),
    ("ES256K", "ES256K", ec("secp256k1")),
    ("EdDSA-Ed25519", "EdDSA", okp("Ed25519")),
    ("EdDSA-Ed448", "EdDSA", okp("Ed448")),
    ("Ed25519", "Ed25519", okp("Ed25519")),
    ("Ed448", "Ed448", okp("Ed448")),
    *((alg, alg, MLDSAKey) for alg in ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87") if mldsa),
]
SECRET_KINDS = [("HS256", "HS256", oct(32)), ("HS384", "HS384", oct(48)), ("HS512", "HS512", oct(64))]
