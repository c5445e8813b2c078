#!/usr/bin/env python3
"""Writes signatures.json: for each algorithm a key, one signature by it, and the key's RFC 7638 thumbprint.

Made with the PyPI package `cryptography`, which shares no code with the core. Keys are new on each run.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa, utils

INPUT = b"eyJhbGciOiJ0aGUgaGVhZGVyIn0.eyJzdWIiOiJ0aGUgY2xhaW1zIn0"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def text(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value):
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_case(name):
    digest = HASHES[name[2:]]
    key = rsa.generate_private_key(65537, 2048)
    scheme = padding.PKCS1v15()
    if name.startswith("PS"):
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}, key.sign(INPUT, scheme, digest)


def ec_case(curve, name, digest):
    key = ec.generate_private_key(curve)
    length = (curve.key_size + 7) // 8
    r, s = utils.decode_dss_signature(key.sign(INPUT, ec.ECDSA(digest)))
    numbers = key.public_key().public_numbers()
    x, y = (text(value.to_bytes(length, "big")) for value in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": name, "x": x, "y": y}
    return jwk, r.to_bytes(length, "big") + s.to_bytes(length, "big")


def edwards_case(kind, curve):
    key = kind.generate()
    return {"kty": "OKP", "crv": curve, "x": text(key.public_key().public_bytes_raw())}, key.sign(INPUT)


def hmac_case(name):
    digest = "sha" + name[2:]
    secret = secrets.token_bytes(int(name[2:]) // 8)
    return {"kty": "oct", "k": text(secret)}, hmac.new(secret, INPUT, digest).digest()


def mldsa_case(kind, name):
    key = kind.generate()
    return {"kty": "AKP", "alg": name, "pub": text(key.public_key().public_bytes_raw())}, key.sign(INPUT)


def thumbprint(jwk):
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return text(hashlib.sha256(canonical.encode()).digest())


def cases():
    for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        yield name, rsa_case(name)
    yield "ES256", ec_case(ec.SECP256R1(), "P-256", HASHES["256"])
    yield "ES384", ec_case(ec.SECP384R1(), "P-384", HASHES["384"])
    yield "ES512", ec_case(ec.SECP521R1(), "P-521", HASHES["512"])
    yield "ES256K", ec_case(ec.SECP256K1(), "secp256k1", HASHES["256"])
    yield "EdDSA", edwards_case(ed25519.Ed25519PrivateKey, "Ed25519")
    yield "EdDSA", edwards_case(ed448.Ed448PrivateKey, "Ed448")
    yield "Ed25519", edwards_case(ed25519.Ed25519PrivateKey, "Ed25519")
    yield "Ed448", edwards_case(ed448.Ed448PrivateKey, "Ed448")
    for name in ("HS256", "HS384", "HS512"):
        yield name, hmac_case(name)
    yield "ML-DSA-44", mldsa_case(mldsa.MLDSA44PrivateKey, "ML-DSA-44")
    yield "ML-DSA-65", mldsa_case(mldsa.MLDSA65PrivateKey, "ML-DSA-65")
    yield "ML-DSA-87", mldsa_case(mldsa.MLDSA87PrivateKey, "ML-DSA-87")


def main():
    lines = [
        {"alg": name, "jwk": jwk, "thumbprint": thumbprint(jwk), "input": INPUT.decode(), "signature": text(made)}
        for name, (jwk, made) in cases()
    ]
    target = pathlib.Path(__file__).with_name("signatures.json")
    target.write_text("[\n" + ",\n".join(json.dumps(line) for line in lines) + "\n]\n")


main()
