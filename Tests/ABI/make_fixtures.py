#!/usr/bin/env python3
"""Writes fixtures.h: keys and tokens that the C tests verify, for a clock that stands at NOW.

The keys come from fixed seeds, are published here and serve for nothing but tests. The signers are joserfc and
cryptography, so that what is accepted was not signed by the code under test. Needs: pip install joserfc cryptography>=47

    ./make_fixtures.py > fixtures.h
"""
import hashlib
import hmac
import json
import random

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64encode

NOW = 1800000000
CLAIMS = {"iss": "https://issuer.example", "aud": "api", "sub": "alice", "iat": NOW, "exp": NOW + 300}


def b64(octets):
    return urlsafe_b64encode(octets).decode()


def number(value, length):
    return b64(value.to_bytes(length, "big"))


# ---- Keys from seeds ----


def seed(label, length=32):
    return hashlib.shake_256(b"keyturn test key, never trust it: " + label.encode()).digest(length)


def is_prime(n, rng):
    if any(n % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(24):
        x = pow(rng.randrange(2, n - 1), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(bits, rng):
    while True:
        n = rng.getrandbits(bits) | (3 << (bits - 2)) | 1
        if n % 65537 != 1 and is_prime(n, rng):
            return n


def rsa_key(label, bits=2048):
    rng = random.Random(seed(label))
    p, q = prime(bits // 2, rng), prime(bits // 2, rng)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    parts = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return parts.private_key()


def ec_key(label, curve):
    bits = curve.key_size if curve.key_size != 521 else 520
    return ec.derive_private_key(int.from_bytes(seed(label, bits // 8), "big") >> 1, curve)


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


KINDS = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey, "HS": OctKey}
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
ED_SIZES = {ed25519.Ed25519PrivateKey: 32, ed448.Ed448PrivateKey: 57}
RSA = rsa_key("rsa")


def signing_key(algorithm, label):
    """A joserfc key of the kind that the algorithm needs."""
    kind = KINDS[algorithm[:2]]
    if kind is RSAKey:
        return RSAKey.import_key(pem(RSA))
    if kind is ECKey:
        return ECKey.import_key(pem(ec_key(label, CURVES[algorithm])))
    if kind is OctKey:
        return OctKey.import_key(seed(label, int(algorithm[2:]) // 8))
    make = ed448.Ed448PrivateKey if "448" in label else ed25519.Ed25519PrivateKey
    return OKPKey.import_key(pem(make.from_private_bytes(seed(label, ED_SIZES[make]))))


def public_jwk(key, **members):
    jwk = key.as_dict(private=isinstance(key, OctKey))
    return {**{name: jwk[name] for name in jwk if name != "kid"}, **members}


THUMBPRINTED = {"RSA": "e kty n", "EC": "crv kty x y", "OKP": "crv kty x", "oct": "k kty", "AKP": "alg kty pub"}


def thumbprint(jwk):
    """RFC 7638."""
    text = json.dumps({name: jwk[name] for name in THUMBPRINTED[jwk["kty"]].split()}, separators=(",", ":"))
    return b64(hashlib.sha256(text.encode()).digest())


# ---- Tokens ----


def sign(key, header, claims=None):
    payload = json.dumps(claims or CLAIMS, separators=(",", ":"))
    return jws.serialize_compact(header, payload, key, algorithms=[header["alg"]])


def accepted(label, algorithm):
    """One row: a set of one key that states its algorithm, and a token signed with it."""
    key = signing_key(algorithm, label)
    jwk = public_jwk(key, kid=label, alg=algorithm, use="sig")
    return label, algorithm, {"keys": [jwk]}, sign(key, {"alg": algorithm, "kid": label})


def accepted_ml_dsa(algorithm, kind):
    """RFC 9964 through cryptography: joserfc does not know it yet."""
    key = kind.from_seed_bytes(seed(algorithm))
    jwk = {"kty": "AKP", "alg": algorithm, "pub": b64(key.public_key().public_bytes_raw()), "kid": algorithm}
    parts = [json.dumps(part, separators=(",", ":")) for part in ({"alg": algorithm, "kid": algorithm}, CLAIMS)]
    signed = ".".join(b64(part.encode()) for part in parts)
    return algorithm, algorithm, {"keys": [jwk]}, signed + "." + b64(key.sign(signed.encode()))


def rows():
    for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K"):
        yield accepted(algorithm, algorithm)
    yield accepted("EdDSA on Ed25519", "EdDSA")
    yield accepted("EdDSA on Ed448", "EdDSA")
    yield accepted("Ed25519", "Ed25519")
    yield accepted("Ed448", "Ed448")
    for algorithm in ("HS256", "HS384", "HS512"):
        yield accepted(algorithm, algorithm)
    yield accepted_ml_dsa("ML-DSA-44", mldsa.MLDSA44PrivateKey)
    yield accepted_ml_dsa("ML-DSA-65", mldsa.MLDSA65PrivateKey)
    yield accepted_ml_dsa("ML-DSA-87", mldsa.MLDSA87PrivateKey)


# ---- Keys that are left out, each with its reason ----


def faulty_keys():
    p256 = public_jwk(signing_key("ES256", "ES256"))
    ed = public_jwk(signing_key("EdDSA", "EdDSA on Ed25519"))
    modulus = RSA.public_key().public_numbers().n
    weak = rsa_key("weak", 1024).public_key().public_numbers().n
    size = 256
    exponent = "AQAB"

    def rsa_jwk(**members):
        return {"kty": "RSA", "n": number(modulus, size), "e": exponent, **members}

    def off_curve():
        return {**p256, "y": p256["x"]}

    yield "NOT_AN_OBJECT", "a string"
    yield "UNKNOWN_TYPE", {"kty": "XYZ"}
    yield "UNKNOWN_TYPE", {"n": number(modulus, size), "e": exponent}
    yield "UNKNOWN_TYPE", {"kty": 5}
    yield "UNKNOWN_CURVE", {**p256, "crv": "P-999"}
    yield "UNKNOWN_CURVE", {**ed, "crv": "X25519"}
    yield "UNKNOWN_ALGORITHM", rsa_jwk(alg="RS1")
    yield "UNKNOWN_ALGORITHM", rsa_jwk(alg=256)
    yield "UNKNOWN_ALGORITHM", rsa_jwk(alg="none")
    yield "ALGORITHM_MISMATCH", rsa_jwk(alg="ES256")
    yield "ALGORITHM_MISMATCH", {**p256, "alg": "ES384"}
    yield "ALGORITHM_MISMATCH", rsa_jwk(alg="HS256")
    yield "OTHER_USE", rsa_jwk(use="enc")
    yield "OTHER_USE", rsa_jwk(key_ops=["sign"])
    yield "BAD_MEMBER", {"kty": "RSA", "n": number(modulus, size)}
    yield "BAD_MEMBER", {"kty": "RSA", "n": "!!!", "e": exponent}
    yield "BAD_MEMBER", {**p256, "x": p256["x"][:-4]}
    yield "BAD_MEMBER", {**ed, "x": ed["x"][:-4]}
    yield "TOO_WEAK", {"kty": "RSA", "n": number(weak, 128), "e": exponent}
    yield "TOO_LARGE", {"kty": "RSA", "n": number((1 << 16392) + 1, 2050), "e": exponent}
    yield "TOO_LARGE", rsa_jwk(e=number((1 << 64) + 1, 9))
    yield "BAD_VALUE", {"kty": "RSA", "n": number(modulus - 1, size), "e": exponent}
    yield "BAD_VALUE", rsa_jwk(e="Ag")
    yield "BAD_VALUE", rsa_jwk(e="AQ")
    yield "BAD_VALUE", off_curve()
    yield "BAD_VALUE", {**ed, "x": b64(bytes(32))}
    yield "PRIVATE", {**p256, "d": number(5, 32)}
    yield "PRIVATE", rsa_jwk(d="AQ")
    yield "SYMMETRIC", {"kty": "oct", "k": b64(seed("oct"))}
    yield "USABLE", rsa_jwk(kid="same")
    yield "REPEATED", rsa_jwk(kid="same")


# ---- The header ----


def literal(text):
    return json.dumps(text, ensure_ascii=True)


def define(name, text):
    return f"#define {name} \\\n    {literal(text)}\n"


def confused_token(secret):
    """RFC 8725 section 2.1: a public key misused as a shared secret."""
    header = {"alg": "HS256", "kid": "rsa"}
    parts = [b64(json.dumps(part).encode()) for part in (header, CLAIMS)]
    signed = ".".join(parts)
    return signed + "." + b64(hmac.digest(secret, signed.encode(), "sha256"))


def short_salt_token():
    """PS256 with a salt of 20 octets, where RFC 7518 section 3.5 asks for 32."""
    signed = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "PS256", "kid": "rsa"}, CLAIMS))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 20)
    return signed + "." + b64(RSA.sign(signed.encode(), scheme, hashes.SHA256()))


def print_rows():
    print("static const struct fixture {")
    print("    const char *label; /* also the kid */\n    uint64_t algorithm;\n    const char *name;")
    print("    const char *jwks;\n    const char *thumbprint;\n    const char *token;\n} fixtures[] = {")
    for label, algorithm, jwks, token in rows():
        bit = "JWT_ALG_" + algorithm.upper().replace("-", "_")
        print(f"    {{ {literal(label)}, {bit}, {literal(algorithm)},")
        print(f"      {literal(json.dumps(jwks))},\n      {literal(thumbprint(jwks['keys'][0]))},")
        print(f"      {literal(token)} }},")
    print("};\n")


def print_faults():
    keys, faults = [], []
    for fault, jwk in faulty_keys():
        keys.append(jwk)
        faults.append(f"JWKS_KEY_{fault}")
    print(define("FAULTY_JWKS", json.dumps({"keys": keys})))
    print("static const jwks_key_fault faulty_reasons[] = {")
    print("".join(f"    {fault},\n" for fault in faults) + "};\n")


def main():
    print("/* Made by make_fixtures.py; keys for tests only. */")
    print("/* clang-format off */")
    print('#ifndef FIXTURES_H\n#define FIXTURES_H\n\n#include "keyturn.h"\n')
    print(f"#define FIXTURE_NOW INT64_C({NOW})\n")
    print_rows()
    key = RSAKey.import_key(pem(RSA))
    print(define("RSA_JWKS_WITHOUT_ALG", json.dumps({"keys": [public_jwk(key, kid="rsa")]})))
    for algorithm in ("RS256", "RS384", "PS256"):
        print(define(f"RSA_TOKEN_{algorithm}", sign(key, {"alg": algorithm, "kid": "rsa"})))
    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    print(define("PS256_TOKEN_OF_SHORT_SALT", short_salt_token()))
    print(define("HS256_TOKEN_KEYED_WITH_RSA_PEM", confused_token(public)))
    print_faults()
    print("#endif")


main()
