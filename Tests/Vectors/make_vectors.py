#!/usr/bin/env python3
"""Makes own.jsonl: vectors for each class of attack on a verifier of JSON Web Tokens.

Tokens are signed by joserfc (ML-DSA by cryptography, which joserfc does not offer yet), so that signer and
verifier share no code. All keys are derived from fixed labels: they are test keys, and nobody's secret.

  make_vectors.py FILE           writes the vectors
  make_vectors.py --check FILE   fails unless FILE holds the same rows, but for signatures that are random

A row is one JSON object per line:

  id, class, attack, kind, source, licence, why
  kind      jwt (claims are checked) | jws (payload is opaque) | sig (alg, msg_hex, sig_hex, one key)
            | jwks (expect_usable_kids) | thumbprint (thumbprint_sha256)
  jwks      the key set, or jwks_text where its octets matter
  token     or token_hex where it is not text
  policy    algs, iss, aud (null: not looked at), now, leeway, typ, require, accept_use,
            host_confirms (false: nobody confirms cnf)
  expect    accept | reject, with `status`, the name that the refusal must have, where only one is right
  strength  must | should | policy (a choice that Keyturn made)
"""

import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa, utils
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

NOW = 1893456000
ISSUER = "https://tokens.keyturn.test"
AUDIENCE = "orders-api"
ASYMMETRIC = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
    "EdDSA", "Ed25519", "Ed448",
]
SYMMETRIC = ["HS256", "HS384", "HS512"]
ML_DSA = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]

# ---- Octets and keys from labels


def octets(label, count):
    return hashlib.shake_256(f"keyturn test vectors: {label}".encode()).digest(count)


def number(label, count):
    return int.from_bytes(octets(label, count), "big")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64_number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


SMALL_PRIMES = [p for p in range(3, 2000) if all(p % q for q in range(2, int(p**0.5) + 1))]


def is_prime(candidate):
    if any(candidate % p == 0 for p in SMALL_PRIMES):
        return False
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in SMALL_PRIMES[:24]:
        x = pow(base, odd, candidate)
        if x in (1, candidate - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % candidate
            if x == candidate - 1:
                break
        else:
            return False
    return True


def prime(label, bits, e):
    candidate = number(label, bits // 8) | 3 << (bits - 2) | 1
    while candidate % e == 1 or not is_prime(candidate):
        candidate += 2
    return candidate


class Key:
    """A key pair: `public` is its JWK, `sign` makes a signature for an algorithm."""

    def __init__(self, kid, private, public, joserfc_type=None):
        self.public = {**public, "kid": kid}
        self.private = {**public, **private}
        self.joserfc = joserfc_type.import_key(self.private) if joserfc_type else None

    def sign(self, alg, message):
        return JWSRegistry.algorithms[alg].sign(message, self.joserfc)

    def jwk(self, without=(), **changes):
        jwk = {**self.public, **changes}
        return {name: value for name, value in jwk.items() if name not in without}


def rsa_key(kid, bits=2048, e=65537):
    p, q = prime(f"{kid} p", bits // 2, e), prime(f"{kid} q", bits // 2, e)
    d = pow(e, -1, (p - 1) * (q - 1))
    private = {"d": d, "p": p, "q": q, "dp": d % (p - 1), "dq": d % (q - 1), "qi": pow(q, -1, p)}
    private = {name: b64_number(value) for name, value in private.items()}
    public = {"kty": "RSA", "n": b64_number(p * q), "e": b64_number(e)}
    return Key(kid, private, public, RSAKey)


CURVES = {
    "P-256": (ec.SECP256R1(), 32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "P-384": (ec.SECP384R1(), 48, int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16)),
    "P-521": (
        ec.SECP521R1(),
        66,
        int("1" + "F" * 64 + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
    ),
    "secp256k1": (ec.SECP256K1(), 32, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
}


def ec_key(kid, crv):
    curve, size, order = CURVES[crv]
    secret = number(f"{kid} d", size + 16) % (order - 1) + 1
    point = ec.derive_private_key(secret, curve).public_key().public_numbers()
    public = {"kty": "EC", "crv": crv, "x": b64_number(point.x, size), "y": b64_number(point.y, size)}
    return Key(kid, {"d": b64_number(secret, size)}, public, ECKey)


def okp_key(kid, crv):
    kind, size = {
        "Ed25519": (ed25519.Ed25519PrivateKey, 32),
        "Ed448": (ed448.Ed448PrivateKey, 57),
    }[crv]
    seed = octets(f"{kid} d", size)
    raw = kind.from_private_bytes(seed).public_key().public_bytes_raw()
    return Key(kid, {"d": b64(seed)}, {"kty": "OKP", "crv": crv, "x": b64(raw)}, OKPKey)


def oct_key(kid, size):
    return Key(kid, {}, {"kty": "oct", "k": b64(octets(f"{kid} k", size))}, OctKey)


class MLDSAKey(Key):
    def __init__(self, kid, alg):
        kind = {
            "ML-DSA-44": mldsa.MLDSA44PrivateKey,
            "ML-DSA-65": mldsa.MLDSA65PrivateKey,
            "ML-DSA-87": mldsa.MLDSA87PrivateKey,
        }[alg]
        self.pair = kind.from_seed_bytes(octets(f"{kid} seed", 32))
        raw = self.pair.public_key().public_bytes_raw()
        super().__init__(kid, {}, {"kty": "AKP", "alg": alg, "pub": b64(raw)})

    def sign(self, alg, message):
        return self.pair.sign(message)


RSA = rsa_key("rsa-one")
RSA_OTHER = rsa_key("rsa-two")
RSA_SHORT = rsa_key("rsa-1024", bits=1024)
RSA_CUBE = rsa_key("rsa-cube", e=3)
P256 = ec_key("p256-one", "P-256")
P256_OTHER = ec_key("p256-two", "P-256")
P384 = ec_key("p384-one", "P-384")
P521 = ec_key("p521-one", "P-521")
K256 = ec_key("k256-one", "secp256k1")
ED25519 = okp_key("ed25519-one", "Ed25519")
ED25519_OTHER = okp_key("ed25519-two", "Ed25519")
ED448 = okp_key("ed448-one", "Ed448")
SECRET = oct_key("secret-one", 64)
SECRET_OTHER = oct_key("secret-two", 64)
DSA44, DSA65, DSA87 = (MLDSAKey(f"{alg.lower()}-one", alg) for alg in ML_DSA)

SIGNERS = [
    ("RS256", RSA), ("RS384", RSA), ("RS512", RSA), ("PS256", RSA), ("PS384", RSA), ("PS512", RSA),
    ("ES256", P256), ("ES384", P384), ("ES512", P521), ("ES256K", K256),
    ("EdDSA", ED25519), ("EdDSA", ED448), ("Ed25519", ED25519), ("Ed448", ED448),
    ("HS256", SECRET), ("HS384", SECRET), ("HS512", SECRET),
    ("ML-DSA-44", DSA44), ("ML-DSA-65", DSA65), ("ML-DSA-87", DSA87),
]

# ---- Tokens


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


ABSENT = object()


def changed(base, changes):
    return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}


def claims(**changes):
    base = {"iss": ISSUER, "sub": "device-7", "aud": AUDIENCE, "iat": NOW - 30, "exp": NOW + 300}
    return changed(base, changes)


def header(alg, key, **changes):
    return changed({"alg": alg, "kid": key.public["kid"]}, changes)


def as_octets(value):
    return value if isinstance(value, bytes) else compact(value)


def assemble(head, body, alg, key):
    """A token of parts that are encoded already, signed as they stand."""
    signature = key.sign(alg, f"{head}.{body}".encode("latin-1"))
    return f"{head}.{body}.{b64(signature)}"


def token(alg="ES256", key=P256, head=None, body=None, **header_changes):
    """A token that is signed as it says; head and body may be any octets."""
    head = header(alg, key, **header_changes) if head is None else head
    body = claims() if body is None else body
    return assemble(b64(as_octets(head)), b64(as_octets(body)), alg, key)


def with_signature(text, signature):
    return f"{text.rsplit('.', 1)[0]}.{signature if isinstance(signature, str) else b64(signature)}"


def signature_of(text):
    return unb64(text.rsplit(".", 1)[1])


# ---- Rows

ROWS = []


def keys(*jwks):
    return {"keys": [jwk.public if isinstance(jwk, Key) else jwk for jwk in jwks]}


def policy(**changes):
    base = {"algs": ASYMMETRIC, "iss": ISSUER, "aud": AUDIENCE, "now": NOW, "leeway": 0, "typ": None,
            "require": ["exp"]}
    return {**base, **changes}


class Attack:
    """One class of the attack catalogue; makes its rows."""

    def __init__(self, attack, group=None):
        self.attack, self.group, self.count = attack, group or attack, 0

    def add(self, kind, why, expect, strength, status, reason, **members):
        self.count += 1
        row = {
            "id": f"own-{self.attack}-{self.count:02}", "source": "keyturn", "class": self.group,
            "attack": self.attack, "kind": kind, **members, "expect": expect, "reason": reason,
            "strength": strength, "why": why, "licence": "Apache-2.0",
        }
        if status:
            row["status"] = status
        ROWS.append(row)

    def jwt(self, why, text, jwks=None, rule=None, expect="reject", strength="must", status=None,
            reason=None, kind="jwt"):
        members = {"policy": rule or policy()}
        members["jwks_text" if isinstance(jwks, str) else "jwks"] = jwks if jwks else keys(P256)
        members["token_hex" if isinstance(text, bytes) else "token"] = (
            text.hex() if isinstance(text, bytes) else text
        )
        self.add(kind, why, expect, strength, status, reason, **members)

    def accept(self, why, text=None, jwks=None, rule=None, strength="must", kind="jwt"):
        self.jwt(why, text or token(), jwks, rule, "accept", strength, "JWT_OK", kind=kind)

    def refuse(self, why, text, status=None, jwks=None, rule=None, strength="must", kind="jwt"):
        self.jwt(why, text, jwks, rule, "reject", strength, status, REASONS.get(status), kind)

    def signature(self, why, alg, key, message, signature, expect, strength="must"):
        self.add("sig", why, expect, strength, None, None if expect == "accept" else "signature",
                 jwks=keys(key), alg=alg, msg_hex=message.hex(), sig_hex=signature.hex(),
                 policy={"algs": [alg]})

    def key_set(self, why, jwks, usable, strength="must"):
        member = "jwks_text" if isinstance(jwks, str) else "jwks"
        self.add("jwks", why, "accept", strength, None, None, policy={"min_rsa_bits": 2048},
                 expect_usable_kids=usable, **{member: jwks})


REASONS = {
    "JWT_MALFORMED": "malformed", "JWT_MISSING": "malformed", "JWT_TOO_LARGE": "limit",
    "JWT_BAD_BASE64": "base64", "JWT_BAD_JSON": "json", "JWT_DUPLICATE_MEMBER": "duplicate-member",
    "JWT_LIMIT_EXCEEDED": "limit", "JWT_BAD_HEADER": "header", "JWT_CRITICAL_HEADER": "crit",
    "JWT_ENCRYPTED": "jwe", "JWT_ALGORITHM_NOT_ALLOWED": "alg-not-allowed",
    "JWT_KEY_NOT_FOUND": "key-not-found", "JWT_KEY_MISMATCH": "alg-key-mismatch",
    "JWT_BAD_SIGNATURE": "signature", "JWT_CLAIM_MISSING": "claim-missing",
    "JWT_CLAIM_TYPE": "claim-type", "JWT_ISSUER_UNKNOWN": "claim-iss",
    "JWT_AUDIENCE_MISMATCH": "claim-aud", "JWT_EXPIRED": "claim-exp",
    "JWT_NOT_YET_VALID": "claim-nbf", "JWT_ISSUED_IN_FUTURE": "claim-iat",
    "JWT_TYPE_MISMATCH": "typ", "JWKS_KEYS_UNAVAILABLE": "jwks-invalid",
}

# ---- The classes


def algorithms_for(alg):
    return policy(algs=[alg]) if alg in ML_DSA else policy(algs=ASYMMETRIC + SYMMETRIC)


def baseline():
    it = Attack("baseline")
    for alg, key in SIGNERS:
        kind = key.public.get("crv", "")
        it.accept(f"{alg} {kind}".strip(), token(alg, key), keys(key), algorithms_for(alg))
    for alg, key in SIGNERS:
        if alg not in ("EdDSA", "RS384", "RS512", "PS384", "PS512", "ML-DSA-65", "ML-DSA-87"):
            forged = with_signature(token(alg, key), bytes(len(key.sign(alg, b"any"))))
            it.refuse(f"{alg}: a signature of zeros", forged, "JWT_BAD_SIGNATURE", keys(key),
                      algorithms_for(alg))
    for alg, key in SIGNERS[:3] + SIGNERS[6:7] + SIGNERS[12:13]:
        it.accept(f"the key says that it is for {alg}", token(alg, key), keys(key.jwk(alg=alg, use="sig")))
    it.accept("no kid in the token, one key", token(kid=ABSENT), strength="should")
    it.accept("no kid in the token, two keys, the second is right", token(kid=ABSENT), keys(P256_OTHER, P256),
              strength="policy")
    it.accept("no kid anywhere", token(kid=ABSENT), keys(P256.jwk(without=["kid"])), strength="should")
    it.accept("the key is the last of several", token(), keys(RSA, ED25519, P384, P256))
    it.accept("claims of every JSON type", token(body=claims(
        n=None, t=True, f=False, i=-12, r=2.5, s="déjà vu \u2028 \U0001f511", a=[1, ["x"], {}],
        o={"a/b": {"~": 1}}
    )))
    it.accept("escapes in names and values", token(
        head=b'{"\\u0061lg":"\\u0045S256","k\\u0069d":"p256\\u002done"}',
        body=compact(claims())[:-1] + b',"quote\\"\\\\\\/\\b\\f\\n\\r\\t":"\\ud83d\\udd11\\u00e9"}',
    ))
    it.accept("white space within the JSON texts", token(
        head=json.dumps(header("ES256", P256), indent=2).encode(),
        body=b" \t\r\n" + json.dumps(claims(), indent=1).encode() + b"\n",
    ))
    it.accept("an opaque payload", token(body=b"\x00\xff not JSON"), kind="jws")
    it.accept("an opaque payload under HMAC", token("HS256", SECRET, body=b"%PDF"), keys(SECRET),
              policy(algs=["HS256"]), kind="jws")
    it.refuse("an opaque payload is no claims set", token(body=b"\x00\xff not JSON"), "JWT_BAD_JSON")
    it.refuse("signed by a key of another set", token("ES256", P256_OTHER, kid="p256-one"),
              "JWT_BAD_SIGNATURE")


def alg_none():
    it = Attack("alg-none")
    genuine = token()
    it.accept("the token that the others are forged from", genuine)
    for spelling in ("none", "None", "NONE", "nOnE", "none ", "non\u0435"):
        forged = b64(compact(header(spelling, P256))) + "." + b64(compact(claims(sub="root")))
        it.refuse(f"{spelling!r}, signature left empty", forged + ".", "JWT_MALFORMED")
        it.refuse(f"{spelling!r}, signature kept", forged + "." + genuine.rsplit(".", 1)[1],
                  "JWT_ALGORITHM_NOT_ALLOWED")
    head, body = b64(compact({"alg": "none"})), b64(compact(claims()))
    it.refuse("none, without kid, signature AA", f"{head}.{body}.AA", "JWT_ALGORITHM_NOT_ALLOWED")
    it.refuse("none is on the caller's list", f"{head}.{body}.AA", "JWT_ALGORITHM_NOT_ALLOWED",
              rule=policy(algs=["ES256", "none"]), strength="policy")
    it.refuse("none is all of the caller's list", f"{head}.{body}.AA", rule=policy(algs=["none"]))
    it.refuse("none, opaque payload", f"{head}.{b64(b'text')}.AA", "JWT_ALGORITHM_NOT_ALLOWED", kind="jws")
    it.refuse("none beside a secret", f"{head}.{body}.AA", "JWT_ALGORITHM_NOT_ALLOWED", keys(SECRET),
              policy(algs=SYMMETRIC))


def alg_odd():
    it = Attack("alg-odd", "alg-header")
    it.accept("the control: alg as registered")
    odd = {"absent": ABSENT, "null": None, "number": 256, "boolean": True, "array": ["ES256"],
    "object": {"a": "ES256"}}
    for name, value in odd.items():
        it.refuse(f"alg is {name}", token(alg="ES256", head=header(value, P256)), "JWT_BAD_HEADER")
    for spelling in ("", "es256", "ES256 ", " ES256", "ES-256", "ECDSA", "SHA256withECDSA", "ES2567", "ES25",
                     "ES\uff12\uff15\uff16", "ES256,RS256", "RSA-OAEP", "A128KW", "dir"):
        it.refuse(f"alg is {spelling!r}", token(alg="ES256", head=header(spelling, P256)),
                  "JWT_ALGORITHM_NOT_ALLOWED")


def alg_not_in_allowlist():
    it = Attack("alg-not-in-allowlist", "alg-header")
    it.accept("the only algorithm on the list", token(), rule=policy(algs=["ES256"]))
    cases = [("RS256", RSA, ["RS512"]), ("RS256", RSA, ["PS256"]), ("PS256", RSA, ["RS256"]),
             ("ES256", P256, ["ES384", "RS256"]), ("Ed25519", ED25519, ["EdDSA"]),
             ("EdDSA", ED25519, ["Ed25519"]), ("ES256K", K256, ["ES256"])]
    for alg, key, allowed in cases:
        it.refuse(f"{alg}, where {allowed} are allowed", token(alg, key), "JWT_ALGORITHM_NOT_ALLOWED",
                  keys(key),
                  policy(algs=allowed))
    it.refuse("HS256, not named", token("HS256", SECRET), jwks=keys(SECRET))
    it.refuse("HS512, where HS256 is allowed", token("HS512", SECRET), "JWT_ALGORITHM_NOT_ALLOWED",
              keys(SECRET),
              policy(algs=["HS256"]))
    it.refuse("an empty list allows nothing", token(), rule=policy(algs=[]))


def jwk_alg_mismatch():
    it = Attack("jwk-alg-mismatch", "alg-key-binding")
    it.accept("PS384 by a key for PS384", token("PS384", RSA), keys(RSA.jwk(alg="PS384")))
    for key_alg, alg in (("RS256", "RS384"), ("RS512", "RS256"), ("PS256", "RS256"), ("RS256", "PS256"),
                         ("PS256", "PS512")):
        it.refuse(f"{alg} by a key for {key_alg}", token(alg, RSA), "JWT_KEY_MISMATCH",
                  keys(RSA.jwk(alg=key_alg)))
    it.refuse("HS256 by a secret for HS512", token("HS256", SECRET), "JWT_KEY_MISMATCH",
              keys(SECRET.jwk(alg="HS512")), policy(algs=SYMMETRIC))
    it.refuse("ES256 by a P-256 key whose alg says ES384", token(), "JWT_KEY_NOT_FOUND",
              keys(P256.jwk(alg="ES384"), P384))
    it.refuse("RS256 by an RSA key whose alg says ES256", token("RS256", RSA), "JWT_KEY_NOT_FOUND",
              keys(RSA.jwk(alg="ES256"), P256))
    it.refuse("RS256 by an RSA key for encryption", token("RS256", RSA), "JWT_KEY_NOT_FOUND",
              keys(RSA.jwk(alg="RSA-OAEP-256"), P256))
    it.refuse("ML-DSA-65 by a key whose alg says ML-DSA-44", token("ML-DSA-65", DSA44), None,
              keys(DSA44), policy(algs=ML_DSA))
    it.refuse("ML-DSA-44 by a key of ML-DSA-65's size", token("ML-DSA-44", DSA65), None,
              keys(DSA65.jwk(alg="ML-DSA-44"), DSA44), policy(algs=ML_DSA))


def raw_ecdsa(key, message, digest):
    """An ECDSA signature by any curve and hash, which joserfc does not make."""
    size = CURVES[key.public["crv"]][1]
    r, s = utils.decode_dss_signature(key.joserfc.private_key.sign(message, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def relabelled(alg, key, make):
    text = f"{b64(compact(header(alg, key)))}.{b64(compact(claims()))}"
    return f"{text}.{b64(make(text.encode()))}"


def curve_confusion():
    it = Attack("curve-confusion", "alg-key-binding")
    it.accept("ES384 by P-384", token("ES384", P384), keys(P384))
    for alg, key, digest in (("ES256", P384, hashes.SHA256()), ("ES384", P256, hashes.SHA384()),
                             ("ES256", K256, hashes.SHA256()), ("ES256K", P256, hashes.SHA256()),
                             ("ES512", P256, hashes.SHA512()), ("ES256", P521, hashes.SHA256())):
        text = relabelled(alg, key, lambda message: raw_ecdsa(key, message, digest))
        it.refuse(f"{alg} by a key on {key.public['crv']}", text, "JWT_KEY_MISMATCH", keys(key))
    it.refuse("Ed448 by an Ed25519 key", relabelled("Ed448", ED25519, lambda m: ED25519.sign("EdDSA", m)),
              "JWT_KEY_MISMATCH", keys(ED25519))
    it.refuse("Ed25519 by an Ed448 key", relabelled("Ed25519", ED448, lambda m: ED448.sign("EdDSA", m)),
              "JWT_KEY_MISMATCH", keys(ED448))
    it.refuse("a P-256 point that says secp256k1",
              relabelled("ES256K", P256, lambda m: P256.sign("ES256", m)),
              "JWT_KEY_NOT_FOUND", keys(P256.jwk(crv="secp256k1"), K256))
    it.refuse("EdDSA by an X25519 key", relabelled("EdDSA", ED25519, lambda m: ED25519.sign("EdDSA", m)),
              "JWT_KEY_NOT_FOUND", keys(ED25519.jwk(crv="X25519"), P256))


def kty_confusion():
    it = Attack("kty-confusion", "alg-key-binding")
    pair = keys(RSA, P256, ED25519)
    it.accept("the kid's own type", token("RS256", RSA), pair)
    for alg, key, named in (("RS256", RSA, P256), ("ES256", P256, RSA), ("EdDSA", ED25519, P256),
                            ("PS256", RSA, ED25519), ("ES256", P256, ED25519)):
        it.refuse(f"{alg}, and kid names the {named.public['kty']} key",
                  token(alg, key, kid=named.public["kid"]),
                  "JWT_KEY_MISMATCH", pair)
    it.refuse("the members of an RSA key, and kty EC", token("RS256", RSA), "JWT_KEY_NOT_FOUND",
              keys(RSA.jwk(kty="EC"), P256))
    it.refuse("the members of an EC key, and kty OKP", token(), "JWT_KEY_NOT_FOUND",
              keys(P256.jwk(kty="OKP"), ED25519))


def public_encodings(key):
    pair = key.joserfc.public_key
    form, encoding = serialization.PublicFormat, serialization.Encoding
    pem = pair.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
    yield "PEM", pem
    yield "PEM without the last line end", pem.rstrip(b"\n")
    yield "DER", pair.public_bytes(encoding.DER, form.SubjectPublicKeyInfo)
    yield "its JWK", compact(key.public)
    member = "n" if key is RSA else "x"
    yield f"the text of {member}", key.public[member].encode()
    yield f"the octets of {member}", unb64(key.public[member])


def hs_confusion():
    it = Attack("hs-confusion", "alg-confusion")
    everything = policy(algs=ASYMMETRIC + SYMMETRIC)
    it.accept("HMAC by a secret of a set of secrets", token("HS256", SECRET), keys(SECRET), everything)
    it.accept("RS256 by the same policy", token("RS256", RSA), keys(RSA), everything)
    for key in (RSA, P256, ED25519):
        for name, secret in public_encodings(key):
            forger = Key(key.public["kid"], {}, {"kty": "oct", "k": b64(secret)}, OctKey)
            it.refuse(f"HMAC by the public {key.public['kty']} key: {name}", token("HS256", forger),
                      "JWT_KEY_MISMATCH", keys(key), everything)
    forger = Key("rsa-one", {}, {"kty": "oct", "k": b64(next(public_encodings(RSA))[1])}, OctKey)
    it.refuse("only HS256 is allowed, and the set is public", token("HS256", forger), None, keys(RSA),
              policy(algs=["HS256"]))
    it.refuse("HS512 with the PEM, opaque payload", token("HS512", forger, body=b"text"), "JWT_KEY_MISMATCH",
              keys(RSA), everything, kind="jws")
    it.refuse("the public key dressed as a secret, with kty oct and n", token("HS256", forger), None,
              keys(RSA.jwk(kty="oct"), P256), everything)
    it.refuse("a secret among public keys", token("HS256", SECRET), None, keys(SECRET, P256), everything,
              strength="policy")


def hs_empty_key():
    it = Attack("hs-empty-key", "alg-confusion")
    symmetric = policy(algs=SYMMETRIC)
    it.accept("the control: a secret of 64 octets", token("HS512", SECRET), keys(SECRET), symmetric)

    def hmac_of_empty(message):
        return hmac.digest(b"", message, "sha256")

    forged = relabelled("HS256", RSA, hmac_of_empty)
    it.refuse("an RSA key without alg", forged, "JWT_KEY_MISMATCH", keys(RSA),
              policy(algs=ASYMMETRIC + SYMMETRIC))
    forged = relabelled("HS256", SECRET, hmac_of_empty)
    for name, jwk in (("k is empty", SECRET.jwk(k="")), ("k is absent", SECRET.jwk(without=["k"])),
                      ("k is null", SECRET.jwk(k=None)), ("k is a number", SECRET.jwk(k=0)),
                      ("k is padding alone", SECRET.jwk(k="===="))):
        it.refuse(name, forged, "JWT_KEY_NOT_FOUND", keys(jwk, SECRET_OTHER), symmetric)
    it.refuse("no key at all", forged, None, {"keys": []}, symmetric)


def weak_hmac():
    it = Attack("weak-hmac", "key-weak")
    for alg, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        exact, short = oct_key(f"exact-{size}", size), oct_key(f"short-{size - 1}", size - 1)
        it.accept(f"{alg} by {size} octets", token(alg, exact), keys(exact), policy(algs=[alg]))
        it.refuse(f"{alg} by {size - 1} octets", token(alg, short), None, keys(short, SECRET),
                  policy(algs=[alg]))
    word = Key("word", {}, {"kty": "oct", "k": b64(b"password")}, OctKey)
    it.refuse("HS256 by a word", token("HS256", word), "JWT_KEY_NOT_FOUND", keys(word, SECRET),
              policy(algs=SYMMETRIC))
    it.refuse("HS512 by a secret that is long enough for HS256 alone",
              token("HS512", oct_key("exact-32", 32)),
              None, keys(oct_key("exact-32", 32), SECRET), policy(algs=SYMMETRIC))


def weak_rsa():
    it = Attack("weak-rsa", "key-weak")
    it.accept("2,048 bits", token("RS256", RSA), keys(RSA))
    it.refuse("1,024 bits", token("RS256", RSA_SHORT), "JWT_KEY_NOT_FOUND", keys(RSA_SHORT, P256))
    genuine = token("RS256", RSA)
    n = int.from_bytes(unb64(RSA.public["n"]), "big")
    for name, changes in (("e is 1", {"e": "AQ"}), ("e is 0", {"e": "AA"}),
            ("e is even", {"e": b64_number(65536)}),
                          ("e is empty", {"e": ""}), ("e has 72 bits", {"e": b64_number((1 << 71) + 1)}),
                          ("n is even", {"n": b64_number(n - 1)}), ("n is empty", {"n": ""}),
                          ("n is 0", {"n": "AA"}),
                          ("n has 2,047 bits", {"n": b64_number(n >> 1 | 1)}),
                          ("n has 16,392 bits", {"n": b64_number(number("wide", 2049) | 1 << 16391 | 1)})):
        it.refuse(name, genuine, "JWT_KEY_NOT_FOUND", keys(RSA.jwk(**changes), P256))
    message = f"{b64(compact(header('RS256', RSA)))}.{b64(compact(claims(sub='root')))}"
    block = b"\x00\x01" + b"\xff" * 202 + b"\x00" + sha256_info(message.encode())
    it.refuse("e is 1, and the signature is the padded digest itself", f"{message}.{b64(block)}",
              "JWT_KEY_NOT_FOUND", keys(RSA.jwk(e="AQ"), P256))


def sha256_info(message):
    return bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()


def cube_root(value):
    low, high = 0, 1 << (value.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def rsa_e3_forgery():
    it = Attack("rsa-e3-forgery", "signature")
    it.accept("a genuine signature by a key with e = 3", token("RS256", RSA_CUBE), keys(RSA_CUBE),
              strength="policy")
    message = f"{b64(compact(header('RS256', RSA_CUBE)))}.{b64(compact(claims(sub='root')))}"
    for name, pad in (("one octet of padding", 1), ("eight octets of padding", 8), ("no padding", 0)):
        start = b"\x00\x01" + b"\xff" * pad + b"\x00" + sha256_info(message.encode())
        low = int.from_bytes(start + bytes(256 - len(start)), "big")
        forged = cube_root(low)
        assert (forged**3).to_bytes(256, "big").startswith(start)
        it.refuse(f"a cube root: {name}, then garbage", f"{message}.{b64(forged.to_bytes(256, 'big'))}",
                  "JWT_BAD_SIGNATURE", keys(RSA_CUBE))
        it.signature(f"a cube root: {name}", "RS256", RSA_CUBE, message.encode(), forged.to_bytes(256, "big"),
                     "reject")


def embedded_jwk():
    it = Attack("embedded-jwk", "key-injection")
    it.accept("a genuine token, whose foreign jwk is not looked at", token(jwk=P256_OTHER.jwk()),
              strength="policy")
    certificate = base64.b64encode(octets("no certificate", 90)).decode()
    evil = P256_OTHER
    offers = {
        "jwk": {"jwk": evil.jwk(kid="p256-one")}, "jwk with private members": {"jwk": evil.private},
        "jku": {"jku": "https://evil.keyturn.test/keys"},
        "x5u": {"x5u": "https://evil.keyturn.test/chain.pem"},
        "x5c": {"x5c": [certificate]}, "x5t": {"x5t": b64(octets("x5t", 20))},
        "jwk as a string": {"jwk": "p256-one"},
    }
    for name, members in offers.items():
        it.refuse(f"{name}, kid of the trusted key", token("ES256", evil, kid="p256-one", **members),
                  "JWT_BAD_SIGNATURE")
        it.refuse(f"{name}, kid of its own", token("ES256", evil, **members), "JWT_KEY_NOT_FOUND")
    it.refuse("jwk, no kid", token("ES256", evil, kid=ABSENT, jwk=evil.jwk()), "JWT_BAD_SIGNATURE")
    it.refuse("jwk of a secret", token("HS256", SECRET_OTHER, kid="p256-one", jwk=SECRET_OTHER.jwk()),
              "JWT_KEY_MISMATCH", rule=policy(algs=ASYMMETRIC + SYMMETRIC))


def kid_abuse():
    it = Attack("kid-abuse", "kid")
    it.accept("an unusual kid, spelled alike", token(kid="../keys/1 ' OR ''='"),
              keys(P256.jwk(kid="../keys/1 ' OR ''='")))
    it.accept("a kid with two spellings in JSON", token(head=b'{"alg":"ES256","kid":"p256-\\u006fne"}'))
    for name, kid in (("null", None), ("number", 1), ("boolean", False), ("array", ["p256-one"]),
                      ("object", {"kid": "p256-one"})):
        it.refuse(f"kid is {name}", token(kid=kid), "JWT_BAD_HEADER")
    for kid in ("", "P256-ONE", "p256-one ", " p256-one", "p256-on", "p256-one2", "p256-one\n", "p256%2Done",
                "../../dev/null", "x' UNION SELECT 'k", "$(id)", "p256\u2010one", "\u043f256-one"):
        it.refuse(f"kid {kid!r}", token(kid=kid), "JWT_KEY_NOT_FOUND", strength="policy")
    it.refuse("kid of 1,025 octets", token(kid="k" * 1025), "JWT_LIMIT_EXCEEDED", strength="policy")
    it.refuse("kid names the other key of the set", token(kid="p256-two"), "JWT_BAD_SIGNATURE",
              keys(P256, P256_OTHER))
    it.refuse("kid is a number in the set and in the token", token(kid=7), "JWT_BAD_HEADER",
              keys(P256.jwk(kid=7), P384))


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def sig_tamper():
    it = Attack("sig-tamper", "signature")
    for alg, key in SIGNERS:
        if alg not in ("RS256", "PS512", "ES256", "ES512", "Ed25519", "Ed448", "HS256", "ML-DSA-44"):
            continue
        jwks, rule, genuine = keys(key), algorithms_for(alg), token(alg, key)
        signature = signature_of(genuine)
        it.accept(f"{alg}: before it is tampered with", genuine, jwks, rule)
        it.refuse(f"{alg}: first bit flipped", with_signature(genuine, flip(signature, 7)),
                  "JWT_BAD_SIGNATURE", jwks, rule)
        it.refuse(f"{alg}: last bit flipped", with_signature(genuine,
                  flip(signature, 8 * len(signature) - 8)),
                  "JWT_BAD_SIGNATURE", jwks, rule)
        it.refuse(f"{alg}: an octet short", with_signature(genuine, signature[:-1]), "JWT_BAD_SIGNATURE",
                  jwks, rule)
        it.refuse(f"{alg}: an octet long", with_signature(genuine, signature + b"\0"), "JWT_BAD_SIGNATURE",
                  jwks, rule)
        parts = genuine.split(".")
        parts[1] = b64(compact(claims(sub="root")))
        it.refuse(f"{alg}: another payload", ".".join(parts), "JWT_BAD_SIGNATURE", jwks, rule)
    for alg, key in (("RS256", RSA), ("ES256", P256), ("Ed25519", ED25519), ("HS256", SECRET),
            ("ML-DSA-44", DSA44)):
        message = octets(f"message for {alg}", 40)
        signature = key.sign(alg, message)
        it.signature(f"{alg}, bare", alg, key.jwk(alg=alg), message, signature, "accept")
        it.signature(f"{alg}, bare, empty message", alg, key.jwk(alg=alg), b"", key.sign(alg, b""), "accept")
        it.signature(f"{alg}, bare, message flipped", alg, key.jwk(alg=alg), flip(message, 0), signature,
                     "reject")
        it.signature(f"{alg}, bare, no signature", alg, key.jwk(alg=alg), message, b"", "reject")
    genuine = token()
    it.refuse("the signature of another token",
              with_signature(genuine, signature_of(token(body=claims(sub="root")))),
              "JWT_BAD_SIGNATURE")
    it.refuse("another header of the same meaning",
              ".".join([b64(compact({"kid": "p256-one", "alg": "ES256"})),
                                                              *genuine.split(".")[1:]]), "JWT_BAD_SIGNATURE")
    leading_zero = next(text for text in (token("RS256", RSA, body=claims(jti=str(i))) for i in range(9999))
                        if signature_of(text)[0] == 0)
    it.accept("RS256: a signature that begins with a zero octet", leading_zero, keys(RSA))
    it.refuse("RS256: that octet left out", with_signature(leading_zero, signature_of(leading_zero)[1:]),
              "JWT_BAD_SIGNATURE", keys(RSA))
    wide = int.from_bytes(signature_of(leading_zero), "big") + int.from_bytes(unb64(RSA.public["n"]), "big")
    it.refuse("RS256: the modulus added", with_signature(leading_zero, wide.to_bytes(256, "big")),
              "JWT_BAD_SIGNATURE", keys(RSA))


def der(r, s):
    return utils.encode_dss_signature(r, s)


def psychic():
    it = Attack("psychic", "signature")
    for alg, key in (("ES256", P256), ("ES384", P384), ("ES512", P521), ("ES256K", K256)):
        size, order = CURVES[key.public["crv"]][1:]
        genuine = token(alg, key)
        signature = signature_of(genuine)
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        it.accept(f"{alg}: genuine", genuine, keys(key))
        twin = signature[:size] + (order - s).to_bytes(size, "big")
        it.accept(f"{alg}: the twin (r, n - s), which no RFC forbids", with_signature(genuine, twin),
                  keys(key),
                  strength="should")
        pairs = [("(0, 0)", 0, 0), ("(0, s)", 0, s), ("(r, 0)", r, 0), ("(n, s)", order, s),
        ("(r, n)", r, order),
                 ("(1, 1)", 1, 1), ("(n, n)", order, order),
                 ("(s, r)", s, r)][: None if alg == "ES256" else 4]
        if (r + order).bit_length() <= 8 * size:
            pairs.append(("(r + n, s)", r + order, s))
        for name, first, second in pairs:
            forged = first.to_bytes(size, "big") + second.to_bytes(size, "big")
            it.refuse(f"{alg}: {name}", with_signature(genuine, forged), "JWT_BAD_SIGNATURE", keys(key))
        it.refuse(f"{alg}: in DER", with_signature(genuine, der(r, s)), "JWT_BAD_SIGNATURE", keys(key))
        wider = b"\0" + signature[:size] + b"\0" + signature[size:]
        it.refuse(f"{alg}: each half an octet wider", with_signature(genuine, wider), "JWT_BAD_SIGNATURE",
                  keys(key))
    for key, size, order in (
        (ED25519, 32, 2**252 + 27742317777372353535851937790883648493),
        (ED448, 57, 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885),
    ):
        genuine = token("EdDSA", key)
        signature = signature_of(genuine)
        s = int.from_bytes(signature[size:], "little") + order
        it.refuse(f"{key.public['crv']}: S + L",
                  with_signature(genuine, signature[:size] + s.to_bytes(size, "little")),
                  "JWT_BAD_SIGNATURE", keys(key))
    neutral = b"\1" + bytes(31)
    it.refuse("Ed25519: the neutral point as key, R neutral and S zero",
              with_signature(token("EdDSA", ED25519), neutral + bytes(32)),
              "JWT_KEY_NOT_FOUND", keys(ED25519.jwk(x=b64(neutral)), P256), strength="policy")


def pss_params():
    it = Attack("pss-params", "signature")
    pair = RSA.joserfc.private_key
    it.accept("PS256 as RFC 7518 has it", token("PS256", RSA), keys(RSA))
    cases = [("salt of 0", "PS256", hashes.SHA256(), hashes.SHA256(), 0),
             ("salt of 20", "PS256", hashes.SHA256(), hashes.SHA256(), 20),
             ("salt of 31", "PS256", hashes.SHA256(), hashes.SHA256(), 31),
             ("the longest salt", "PS256", hashes.SHA256(), hashes.SHA256(), 222),
             ("MGF1 with SHA-1", "PS256", hashes.SHA256(), hashes.SHA1(), 32),
             ("MGF1 with SHA-256", "PS512", hashes.SHA512(), hashes.SHA256(), 64),
             ("salt of 32 for SHA-384", "PS384", hashes.SHA384(), hashes.SHA384(), 32),
             ("SHA-512 under the label PS256", "PS256", hashes.SHA512(), hashes.SHA512(), 64)]
    for name, alg, digest, mask, salt in cases:
        scheme = padding.PSS(padding.MGF1(mask), salt)
        it.refuse(f"{alg}: {name}", relabelled(alg, RSA, lambda m: pair.sign(m, scheme, digest)),
                  "JWT_BAD_SIGNATURE", keys(RSA))
        message = octets(name, 24)
        it.signature(f"{alg}: {name}", alg, RSA, message, pair.sign(message, scheme, digest), "reject")
    it.signature("PS384 as RFC 7518 has it", "PS384", RSA, b"text", RSA.sign("PS384", b"text"), "accept")
    it.refuse("a PKCS #1 v1.5 signature under the label PS256",
              relabelled("PS256", RSA, lambda m: RSA.sign("RS256", m)),
              "JWT_BAD_SIGNATURE", keys(RSA))
    it.refuse("a PSS signature under the label RS256",
              relabelled("RS256", RSA, lambda m: RSA.sign("PS256", m)),
              "JWT_BAD_SIGNATURE", keys(RSA))
    no_null = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"
    message = b"no NULL in the AlgorithmIdentifier"
    block = b"\x00\x01" + b"\xff" * 204 + b"\x00" + no_null + hashlib.sha256(message).digest()
    d, n = (int.from_bytes(unb64(RSA.private[m]), "big") for m in ("d", "n"))
    signature = pow(int.from_bytes(block, "big"), d, n).to_bytes(256, "big")
    it.signature("RS256: parameters absent instead of NULL", "RS256", RSA, message, signature, "reject",
                 "should")


def spare_bits(text):
    """The same octets with the unused bits of the last character set, or None."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = {2: 4, 3: 2}.get(len(text) % 4)
    return text[:-1] + alphabet[alphabet.index(text[-1]) | 1 << unused - 1] if unused else None


def b64_strict():
    it = Attack("b64-strict", "base64")
    it.accept("the control")
    head = next(h for h in (compact(header("ES256", P256, z="_" * i)) for i in range(3)) if len(h) % 3 == 1)
    body = next(b for b in (compact(claims(z="?>~" + "?" * i)) for i in range(3)) if len(b) % 3 == 1)
    head, body = b64(head), b64(body)
    assert "-" in body or "_" in body
    it.accept("these parts, as they should be", assemble(head, body, "ES256", P256))

    def oddities(part):
        yield "padded", part + "=="
        yield "padded too little", part + "="
        yield "a space at the end", part + " "
        yield "a line end within", part[:8] + "\n" + part[8:]
        yield "a tab at the start", "\t" + part
        yield "a star within", part[:5] + "*" + part[6:]
        yield "a length that no octets have", part + "A" * ((1 - len(part)) % 4)
        yield "percent-encoded", part[:4] + "%" + f"{ord(part[4]):02X}" + part[5:]
        yield "NUL at the end", part + "\0"
        yield "an octet above 127", part[:5] + "\xff" + part[6:]

    def written(text):
        return text if text.isascii() and text.isprintable() else text.encode("latin-1")

    for name, odd in oddities(head):
        it.refuse(f"header: {name}", written(assemble(odd, body, "ES256", P256)), "JWT_BAD_BASE64")
    for name, odd in oddities(body):
        it.refuse(f"payload: {name}", written(assemble(head, odd, "ES256", P256)), "JWT_BAD_BASE64")
    standard = body.replace("-", "+").replace("_", "/")
    it.refuse("payload: standard alphabet", assemble(head, standard, "ES256", P256), "JWT_BAD_BASE64")
    it.refuse("header: unused bits set", assemble(spare_bits(head), body, "ES256", P256), "JWT_BAD_BASE64",
              strength="policy")
    it.refuse("payload: unused bits set", assemble(head, spare_bits(body), "ES256", P256), "JWT_BAD_BASE64",
              strength="policy")
    genuine = token()
    signature = genuine.rsplit(".", 1)[1]
    for name, odd in oddities(signature):
        it.refuse(f"signature: {name}", written(with_signature(genuine, odd)), "JWT_BAD_BASE64")
    it.refuse("signature: unused bits set", with_signature(genuine, spare_bits(signature)), "JWT_BAD_BASE64",
              strength="policy")
    it.refuse("an opaque payload, padded", assemble(b64(compact(header("ES256", P256))), "eA==", "ES256",
              P256),
              "JWT_BAD_BASE64", kind="jws")


def framing():
    it = Attack("framing")
    genuine = token()
    head, body, signature = genuine.split(".")
    it.accept("the control", genuine)
    cases = {
        "one part": head, "two parts": f"{head}.{body}", "four parts": f"{genuine}.{signature}",
        "empty header": f".{body}.{signature}", "empty payload": f"{head}..{signature}",
        "empty signature": f"{head}.{body}.", "a dot before": f".{genuine}", "a dot after": f"{genuine}.",
        "two dots alone": "..", "a dot alone": ".", "three dots": "...", "twice": f"{genuine}.{genuine}",
    }
    for name, text in cases.items():
        it.refuse(name, text, None if text.count(".") == 4 or ".." in text else "JWT_MALFORMED")
    it.refuse("nothing", "", "JWT_MISSING")
    for name, text in (("the scheme before it", f"Bearer {genuine}"), ("a space before", f" {genuine}"),
                       ("in quotes", f'"{genuine}"'), ("two tokens with a comma", f"{genuine},{genuine}"),
                       ("flattened JSON", json.dumps({"protected": head, "payload": body,
                       "signature": signature})),
                       ("general JSON", json.dumps({"payload": body,
                       "signatures": [{"protected": head, "signature": signature}]})),
                       ("not a token", "an apple"), ("a slash for a dot", genuine.replace(".", "/"))):
        it.refuse(name, text)
    it.refuse("a line end after", f"{genuine}\r\n", "JWT_BAD_BASE64")
    it.refuse("NUL and more after", f"{genuine}\0.x".encode())
    empty = assemble(head, "", "ES256", P256)
    it.accept("an empty payload, signed so: RFC 7515 lets a payload be anything", empty, kind="jws")
    it.refuse("an empty payload is no claims set", empty)
    it.refuse("a detached payload", f"{head}..{signature}", "JWT_BAD_SIGNATURE", kind="jws")



def polyglot():
    it = Attack("polyglot", "framing")
    genuine = token()
    head, body, signature = genuine.split(".")
    evil = b64(compact(claims(sub="root")))
    it.accept("the token inside", genuine)
    it.refuse("JSON that splits into three parts",
              '{" %s.%s.":"","protected":"%s","payload":"%s","signature":"%s"}'
              % (head, evil, head, body, signature), "JWT_BAD_BASE64")
    it.refuse("JSON whose first part decodes if braces are skipped",
              '{"%s.%s.%s":0,"protected":"%s"}' % (head, evil, signature, head), "JWT_BAD_BASE64")
    it.refuse("the forged parts as unprotected members of flattened JSON",
              json.dumps({"x": f"{head}.{evil}.", "protected": head, "payload": body,
              "signature": signature}))


def encrypted(alg, key, **changes):
    return jwe.encrypt_compact({"alg": alg, "enc": "A128GCM", **changes}, compact(claims()), key,
                               algorithms=[alg, "A128GCM", "DEF"])


def sign_encrypt_confusion():
    it = Attack("sign-encrypt-confusion", "jwe")
    secret = OctKey.import_key(octets("dir", 16))
    it.accept("signed, as it should be", token("RS256", RSA), keys(RSA))
    it.refuse("RSA-OAEP to the public key", encrypted("RSA-OAEP", RSA.joserfc, kid="rsa-one"),
              "JWT_ENCRYPTED", keys(RSA))
    it.refuse("RSA-OAEP-256 to the public key", encrypted("RSA-OAEP-256", RSA.joserfc), "JWT_ENCRYPTED",
              keys(RSA))
    it.refuse("ECDH-ES to the public key", encrypted("ECDH-ES", P256.joserfc, kid="p256-one"),
              "JWT_ENCRYPTED")
    it.refuse("ECDH-ES+A128KW to the public key", encrypted("ECDH-ES+A128KW", P256.joserfc), "JWT_ENCRYPTED")
    it.refuse("dir with a secret", encrypted("dir", secret), "JWT_ENCRYPTED", keys(SECRET),
              policy(algs=SYMMETRIC))
    it.refuse("five parts, opaque payload", encrypted("RSA-OAEP", RSA.joserfc), "JWT_ENCRYPTED", keys(RSA),
              kind="jws")
    it.refuse("the header of a JWE on a JWS", token("RS256", RSA, head={"alg": "RSA-OAEP", "enc": "A128GCM"}),
              None, keys(RSA))
    nested = b64(compact(header("RS256", RSA, cty="JWT"))), b64(token("RS256", RSA).encode())
    it.refuse("a signed token within a signed token", assemble(*nested, "RS256", RSA), "JWT_BAD_JSON",
              keys(RSA))


def billion_hashes():
    it = Attack("billion-hashes", "dos")
    it.accept("the control")
    head = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": b64(octets("p2s", 16)), "p2c": 2**31 - 1}
    rest = ".".join(b64(octets(f"part {i}", size)) for i, size in enumerate((24, 12, 40, 16)))
    it.refuse("PBES2 with two thousand million rounds", f"{b64(compact(head))}.{rest}", "JWT_ENCRYPTED")
    it.refuse("the same, and a secret", f"{b64(compact(head))}.{rest}", "JWT_ENCRYPTED", keys(SECRET),
              policy(algs=SYMMETRIC))
    it.refuse("PBES2 in three parts", f"{b64(compact(head))}.{b64(compact(claims()))}.{b64(octets('s', 64))}",
              "JWT_ENCRYPTED")
    bomb = encrypted("RSA-OAEP", RSA.joserfc, zip="DEF")
    it.refuse("a compressed JWE", bomb, "JWT_ENCRYPTED", keys(RSA))
    it.refuse("a compressed payload in a JWS is not inflated", token(head=header("ES256", P256, zip="DEF"),
              body=bytes.fromhex("ab562acd53b25252d2514a2b4a") + bytes(8)), "JWT_BAD_JSON")


def size_limits():
    it = Attack("size-limits", "dos")

    def nested(depth):
        return compact(claims())[:-1] + b',"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    it.accept("nesting of 32", token(body=nested(32)), strength="policy")
    it.refuse("nesting of 33", token(body=nested(33)), "JWT_LIMIT_EXCEEDED", strength="policy")
    it.refuse("nesting of 300", token(body=nested(300)), "JWT_LIMIT_EXCEEDED", strength="policy")
    deep = compact(header("ES256", P256))[:-1] + b',"x":' + b'{"a":' * 300 + b"0" + b"}" * 301
    it.refuse("nesting of 300 in the header", token(head=deep), "JWT_LIMIT_EXCEEDED", strength="policy")
    it.accept("64 header members", token(**{f"x{i}": i for i in range(62)}), strength="policy")
    it.refuse("65 header members", token(**{f"x{i}": i for i in range(63)}), "JWT_LIMIT_EXCEEDED",
              strength="policy")
    it.accept("512 claims members", token(body=claims(**{f"x{i}": i for i in range(507)})), strength="policy")
    it.refuse("513 claims members", token(body=claims(**{f"x{i}": i for i in range(508)})),
              "JWT_LIMIT_EXCEEDED", strength="policy")
    it.accept("a kid of 1,024 octets", token(kid="k" * 1024), keys(P256.jwk(kid="k" * 1024)),
              strength="policy")
    it.accept("12,000 octets of groups", token(body=claims(groups=[octets(f"group {i}",
              16).hex() for i in range(350)])), strength="should")
    it.refuse("more than 32,768 octets", token(body=claims(padding="x" * 25000)), "JWT_TOO_LARGE",
              strength="policy")
    it.refuse("more than 32,768 octets of nothing", "." * 33000, "JWT_TOO_LARGE")


def json_dup():
    it = Attack("json-dup", "json-duplicate")
    it.accept("one name in several objects", token(body=claims(act={"sub": "a", "act": {"sub": "b"}},
              list=[{"sub": 1}, {"sub": 2}])))
    it.accept("names that differ in case", token(body=claims(Iss="x", EXP=0)))
    start, end = compact(header("ES256", P256))[:-1], compact(claims())[:-1]
    headers = {
        "alg, first wins": start + b',"alg":"none"}', "alg, last wins": b'{"alg":"none",' + start[1:] + b"}",
        "alg, escaped": start + b',"\\u0061\\u006c\\u0067":"HS256"}', "kid": start + b',"kid":"p256-two"}',
        "kid, the same value": start + b',"kid":"p256-one"}',
        "a name without meaning": start + b',"x":1,"x":1}',
        "typ": start + b',"typ":"JWT","typ":"at+jwt"}', "nested": start + b',"x":{"y":1,"y":2}}',
    }
    for name, text in headers.items():
        it.refuse(f"header: {name}", token(head=text), "JWT_DUPLICATE_MEMBER", strength="should")
    bodies = {
        "exp, last wins": b'{"exp":1,' + end[1:] + b"}", "exp, first wins": end + b',"exp":1}',
        "iss": end + b',"iss":"https://evil.keyturn.test"}', "aud": end + b',"aud":"another"}',
        "sub, escaped": end + b',"s\\u0075b":"root"}', "the empty name": end + b',"":1,"":2}',
        "nested": end + b',"act":{"sub":"a","sub":"b"}}', "within an array": end + b',"x":[{"y":1,"y":1}]}',
        "a surrogate pair, once escaped": end + ',"\U0001f511":1,"\\ud83d\\udd11":2}'.encode(),
    }
    for name, text in bodies.items():
        it.refuse(f"claims: {name}", token(body=text), "JWT_DUPLICATE_MEMBER", strength="should")


def json_strict():
    it = Attack("json-strict", "json")
    start = compact(claims())[:-1]
    it.accept("a number in each form", token(body=start + b',"x":[0,-0,1.5,1e3,1E+2,-2.5e-1]}'))
    it.accept("a number with a plus sign, and members after it",
              token(body=start + b',"x":1E+2,"y":-0.5e+1,"z":{}}'))

    def odd(good, text):
        yield "a byte order mark", b"\xef\xbb\xbf" + good
        yield "a comment", text + b"/* x */}"
        yield "a comma at the end", text + b",}"
        yield "single quotes", text + b",'x':1}"
        yield "a name without quotes", text + b",x:1}"
        yield "NaN", text + b',"x":NaN}'
        yield "Infinity", text + b',"x":-Infinity}'
        yield "a leading zero", text + b',"x":01}'
        yield "a leading plus", text + b',"x":+1}'
        yield "no digit after the point", text + b',"x":1.}'
        yield "hexadecimal", text + b',"x":0x1F}'
        yield "a bare line end in a string", text + b',"x":"a\nb"}'
        yield "an escape that does not exist", text + b',"x":"\\x41"}'
        yield "half a surrogate pair", text + b',"x":"\\ud83d"}'
        yield "the other half", text + b',"x":"\\udd11 "}'
        yield "a cut escape", text + b',"x":"\\u00"}'
        yield "an octet that is no UTF-8", text + b',"x":"\xff"}'
        yield "an overlong encoding", text + b',"x":"\xc0\xaf"}'
        yield "an encoded surrogate", text + b',"x":"\xed\xa0\xbd"}'
        yield "beyond U+10FFFF", text + b',"x":"\xf4\x90\x80\x80"}'
        yield "no end", text
        yield "two objects", good + good
        yield "a letter after it", good + b"x"
        yield "NUL after it", good + b"\0"
        yield "UTF-16", good.decode().encode("utf-16-le")
        yield "no colon", text + b',"x" 1}'
        yield "capital literals", text + b',"x":True}'
        yield "a form feed for white space", text + b'\f,"x":1}'

    for name, text in odd(start + b"}", start):
        it.refuse(f"claims: {name}", token(body=text), "JWT_BAD_JSON")
    head = compact(header("ES256", P256))
    for name, text in list(odd(head, head[:-1]))[::2]:
        it.refuse(f"header: {name}", token(head=text), "JWT_BAD_JSON")
    for text in (b"[]", b'"x"', b"1", b"null", b"true", b" ", b"{", b"[" + head + b"]"):
        it.refuse(f"header is {text.decode()[:9]}", token(head=text), "JWT_BAD_JSON")
        it.refuse(f"claims are {text.decode()[:9]}", token(body=text), "JWT_BAD_JSON")


def nul_truncation():
    it = Attack("nul-truncation", "json")
    it.accept("U+0000 in a claim that nothing compares", token(body=claims(note="a\0b")), strength="should")
    it.refuse("iss", token(body=claims(iss=ISSUER + "\0.evil.test")), "JWT_ISSUER_UNKNOWN")
    it.refuse("aud", token(body=claims(aud=AUDIENCE + "\0")), "JWT_AUDIENCE_MISMATCH")
    it.refuse("aud in an array", token(body=claims(aud=["x", AUDIENCE + "\0x"])), "JWT_AUDIENCE_MISMATCH")
    it.refuse("kid", token(kid="p256-one\0"), "JWT_KEY_NOT_FOUND", strength="policy")
    it.refuse("alg", token(head=header("ES256\0", P256)), "JWT_ALGORITHM_NOT_ALLOWED")
    it.refuse("typ", token(typ="at+jwt\0"), "JWT_TYPE_MISMATCH", rule=policy(typ="at+jwt"))
    it.refuse("the name of exp", token(body=claims(exp=ABSENT, **{"exp\0": NOW + 9})), "JWT_CLAIM_MISSING")
    it.refuse("a bare NUL in a string", token(body=compact(claims())[:-1] + b',"x":"a\0b"}'), "JWT_BAD_JSON")


def crit():
    it = Attack("crit")
    it.accept("an extension that is not critical", token(**{"keyturn.test/x": 1}))
    shapes = {
        "an extension": (["keyturn.test/x"], {"keyturn.test/x": 1}),
        "exp as an extension": (["exp"], {"exp": NOW + 9}),
        "b64": (["b64"], {"b64": True}), "b64 false": (["b64"], {"b64": False}),
        "a name that is not there": (["x"], {}),
        "two names": (["b64", "x"], {"b64": True, "x": 1}), "the empty name": ([""], {"": 1}),
    }
    for name, (value, members) in shapes.items():
        it.refuse(name, token(crit=value, **members), "JWT_CRITICAL_HEADER")
    broken = {"empty": [], "null": None, "a string": "exp", "an object": {"exp": 1}, "a number in it": [1],
              "a registered name": ["alg"], "a name twice": ["x", "x"], "itself": ["crit"], "true": True}
    for name, value in broken.items():
        it.refuse(f"crit is or has {name}", token(crit=value), "JWT_CRITICAL_HEADER", strength="policy")
    it.refuse("opaque payload", token(body=b"text", crit=["x"], x=1), "JWT_CRITICAL_HEADER", kind="jws")


def claims_time():
    it = Attack("claims-time")
    accepted = {
        "exp a second ahead": ({"exp": NOW + 1}, {}),
        "exp passed within leeway": ({"exp": NOW - 9}, {"leeway": 10}),
        "nbf now": ({"nbf": NOW}, {}), "nbf ahead within leeway": ({"nbf": NOW + 10}, {"leeway": 10}),
        "iat now": ({"iat": NOW}, {}), "iat absent": ({"iat": ABSENT}, {}), "iat long ago": ({"iat": 0}, {}),
        "exp with a fraction": ({"exp": NOW + 0.5}, {}), "exp is 2^53 + 1": ({"exp": 2**53 + 1}, {}),
        "exp is the largest int64_t": ({"exp": 2**63 - 1}, {"leeway": 600}),
        "exp absent, and not required": ({"exp": ABSENT}, {"require": []}),
        "a fraction of zero": ({"nbf": NOW - 0.0}, {}),
    }
    for name, (changes, rule) in accepted.items():
        it.accept(name, token(body=claims(**changes)), rule=policy(**rule))
    it.accept("exp with an exponent", token(body=compact(claims(exp=ABSENT))[:-1] + b',"exp":1.8934563e9}'),
              strength="policy")
    refused = [
        ("exp now", {"exp": NOW}, {}, "JWT_EXPIRED"),
        ("exp a second ago", {"exp": NOW - 1}, {}, "JWT_EXPIRED"),
        ("exp passed by all of leeway", {"exp": NOW - 10}, {"leeway": 10}, "JWT_EXPIRED"),
        ("exp is 0", {"exp": 0}, {}, "JWT_EXPIRED"), ("exp is negative", {"exp": -5}, {}, "JWT_EXPIRED"),
        ("exp a fraction ago", {"exp": NOW - 0.5}, {}, "JWT_EXPIRED"),
        ("exp passed, though not required", {"exp": NOW - 1}, {"require": []}, "JWT_EXPIRED"),
        ("nbf a second ahead", {"nbf": NOW + 1}, {}, "JWT_NOT_YET_VALID"),
        ("nbf a fraction ahead", {"nbf": NOW + 0.5}, {}, "JWT_NOT_YET_VALID"),
        ("nbf beyond leeway", {"nbf": NOW + 11}, {"leeway": 10}, "JWT_NOT_YET_VALID"),
        ("exp absent", {"exp": ABSENT}, {}, "JWT_CLAIM_MISSING"),
        ("a claim that is required is absent", {}, {"require": ["exp", "jti"]}, "JWT_CLAIM_MISSING"),
        ("a claim that is required is null", {"tenant": None}, {"require": ["exp", "tenant"]}, None),
    ]
    for name, changes, rule, status in refused:
        it.refuse(name, token(body=claims(**changes)), status, rule=policy(**rule))
    it.refuse("iat ahead", token(body=claims(iat=NOW + 1)), "JWT_ISSUED_IN_FUTURE", strength="policy")
    it.refuse("iat beyond leeway", token(body=claims(iat=NOW + 11)), "JWT_ISSUED_IN_FUTURE",
              rule=policy(leeway=10), strength="policy")
    for name in ("exp", "nbf", "iat"):
        for value in (str(NOW + 60), None, True, [NOW + 60], {}):
            it.refuse(f"{name} is {json.dumps(value)}", token(body=claims(**{name: value})), "JWT_CLAIM_TYPE")
    early = b'{"x":1e+2,' + compact(claims(nbf=NOW + 1, cnf={}))[1:]
    it.refuse("nbf ahead, after a number with a plus sign", token(body=early), "JWT_NOT_YET_VALID")
    for text in (b"1e999", b"99999999999999999999", b"-1e999"):
        body = compact(claims(exp=ABSENT))[:-1] + b',"exp":' + text + b"}"
        it.refuse(f"exp is {text.decode()}", token(body=body), strength="policy")


def claims_bind():
    it = Attack("claims-bind")
    accepted = {
        "aud is an array with one": {"aud": [AUDIENCE]},
        "aud is an array, ours last": {"aud": ["a", "b", AUDIENCE]},
        "aud has ours twice": {"aud": [AUDIENCE, AUDIENCE]},
    }
    for name, changes in accepted.items():
        it.accept(name, token(body=claims(**changes)))
    it.accept("aud absent, and not looked at", token(body=claims(aud=ABSENT)), rule=policy(aud=None))
    it.accept("iss absent, and not looked at", token(body=claims(iss=ABSENT)), rule=policy(iss=None))
    it.accept("iss with escaped slashes", token(body=compact(claims()).replace(b"/", b"\\/")))
    it.accept("cnf, and the host confirms it", token(body=claims(cnf={"jkt": b64(octets("jkt", 32))})),
              strength="policy")
    it.accept("cnf with a certificate, and the host confirms it",
              token(body=claims(cnf={"x5t#S256": b64(octets("certificate", 32))})), strength="policy")
    it.refuse("cnf after a number with a plus sign, and nobody confirms it",
              token(body=compact(claims())[:-1] + b',"x":1e+2,"cnf":{"jkt":"AA"}}'),
              "JWT_CONFIRMATION_REQUIRED", rule=policy(host_confirms=False), strength="policy")
    it.refuse("cnf, and nobody confirms it", token(body=claims(cnf={"jkt": b64(octets("jkt", 32))})),
              "JWT_CONFIRMATION_REQUIRED",
              rule=policy(host_confirms=False), strength="policy")
    for iss in (ISSUER + "/", ISSUER[:-1], ISSUER.upper(), ISSUER + "x", "http" + ISSUER[5:], " " + ISSUER,
            "",
                "https://evil.keyturn.test", ISSUER.replace("e", "\u0435", 1)):
        it.refuse(f"iss is {iss!r}", token(body=claims(iss=iss)), "JWT_ISSUER_UNKNOWN")
    it.refuse("iss absent", token(body=claims(iss=ABSENT)), "JWT_CLAIM_MISSING")
    for iss in (None, 1, [ISSUER], {"iss": ISSUER}):
        it.refuse(f"iss is {json.dumps(iss)[:9]}", token(body=claims(iss=iss)), "JWT_CLAIM_TYPE")
    for aud in (AUDIENCE + "/", AUDIENCE[:-1], AUDIENCE.upper(), "x" + AUDIENCE, "", f"{AUDIENCE} other", "*",
                [], ["a", "b"], [AUDIENCE + "2"]):
        it.refuse(f"aud is {aud!r}", token(body=claims(aud=aud)), "JWT_AUDIENCE_MISMATCH")
    it.refuse("aud absent", token(body=claims(aud=ABSENT)), "JWT_CLAIM_MISSING")
    for aud in (None, 1, {AUDIENCE: 1}, True):
        it.refuse(f"aud is {json.dumps(aud)}", token(body=claims(aud=aud)), "JWT_CLAIM_TYPE")
    for aud in ([AUDIENCE, 1], [[AUDIENCE]], [None, AUDIENCE]):
        it.refuse(f"aud is {json.dumps(aud)}", token(body=claims(aud=aud)), "JWT_CLAIM_TYPE",
                  strength="policy")
    it.refuse("sub is a number", token(body=claims(sub=7)), "JWT_CLAIM_TYPE", strength="policy")


def typ():
    it = Attack("typ")
    required = policy(typ="at+jwt")
    it.accept("as required", token(typ="at+jwt"), rule=required)
    it.accept("in other case", token(typ="AT+jwt"), rule=required, strength="should")
    it.accept("with application/", token(typ="application/at+jwt"), rule=required)
    it.accept("with Application/", token(typ="Application/At+Jwt"), rule=required, strength="policy")
    it.accept("any, where none is required", token(typ="anything"))
    it.accept("absent, where none is required", token())
    it.refuse("absent", token(), "JWT_TYPE_MISMATCH", rule=required)
    for value in ("JWT", "at", "at+jwt ", "at+jwtx", "xat+jwt", "", "text/at+jwt",
            "application/application/at+jwt",
                  "logout+jwt", "dpop+jwt", "at+jwt;v=1", "application/"):
        it.refuse(f"{value!r}", token(typ=value), "JWT_TYPE_MISMATCH", rule=required)
    it.refuse("an access token, where JWT is required", token(typ="at+jwt"), "JWT_TYPE_MISMATCH",
              rule=policy(typ="JWT"),
              strength="policy")
    for value in (None, 1, ["at+jwt"], {}):
        it.refuse(f"{json.dumps(value)}, where none is required", token(typ=value), "JWT_BAD_HEADER",
                  strength="should")


def jwks_shapes():
    it = Attack("jwks-shapes", "jwks")
    rs256 = token("RS256", RSA)
    n = unb64(RSA.public["n"])
    it.accept("use, alg and members without meaning", rs256,
              keys(RSA.jwk(use="sig", alg="RS256", x5t="x", issuer="y", ext=True)))
    it.accept("a key for encryption stands before it", rs256,
              keys(RSA_OTHER.jwk(use="enc", alg="RSA-OAEP"), RSA))
    it.accept("n begins with a zero octet", rs256, keys(RSA.jwk(n=b64(b"\0" + n))), strength="policy")
    it.accept("e begins with a zero octet", rs256, keys(RSA.jwk(e="AAEAAQ")), strength="policy")
    it.accept("entries that are no keys stand around it", token(),
              keys(None, 7, "x", [], {}, {"kty": 1}, {"kty": "QX"}, P256, {"kty": "EC"}),
              strength="should")
    it.accept("one kid for two types", token(kid="same"), keys(RSA.jwk(kid="same"), P256.jwk(kid="same")),
              strength="should")
    it.accept("one kid for two keys of a type", token(kid="same"),
              keys(P256_OTHER.jwk(kid="same"), P256.jwk(kid="same")), strength="policy")
    it.accept("the same key twice", token(), keys(P256, P256), strength="policy")
    it.accept("key_ops with verify", token(), keys(P256.jwk(key_ops=["verify"])))
    it.accept("key_ops with sign and verify", token(), keys(P256.jwk(key_ops=["sign", "verify"])))
    it.accept("the signing key of a SPIFFE bundle", token(),
              keys(P256.jwk(use="jwt-svid"), RSA_OTHER.jwk(use="x509-svid")),
              policy(accept_use=["jwt-svid"]), strength="policy")
    it.accept("200 keys", token(), keys(*[P384.jwk(kid=f"k{i}") for i in range(3)],
              *[{"kty": "QX", "kid": f"w{i}"} for i in range(196)], P256),
              strength="policy")
    other = [P384]
    unusable = {
        "use enc": P256.jwk(use="enc"), "key_ops derive": P256.jwk(key_ops=["deriveKey"]),
        "no y": P256.jwk(without=["y"]),
        "no x": P256.jwk(without=["x"]), "no crv": P256.jwk(without=["crv"]),
        "no kty": P256.jwk(without=["kty"]),
        "crv in other case": P256.jwk(crv="p-256"), "crv by another name": P256.jwk(crv="prime256v1"),
        "kty in other case": P256.jwk(kty="ec"), "y is a number": P256.jwk(y=1),
        "a point off the curve": P256.jwk(y=b64(flip(unb64(P256.public["y"]), 0))),
        "x is wider than the curve": P256.jwk(x=b64(b"\0" + unb64(P256.public["x"]))),
        "x is narrower": P256.jwk(x=b64(unb64(P256.public["x"])[1:])),
        "x and y are zero": P256.jwk(x=b64(bytes(32)), y=b64(bytes(32))),
        "x is the field's prime or more": P256.jwk(x=b64(b"\xff" * 32)),
        "a character that is not Base64url in x": P256.jwk(x="!" + P256.public["x"][1:]),
        "a line end in x": P256.jwk(x=P256.public["x"][:9] + "\n" + P256.public["x"][9:]),
        "alg of encryption": P256.jwk(alg="ECDH-ES"), "alg is a number": P256.jwk(alg=256),
    }
    for name, jwk in unusable.items():
        it.refuse(name, token(), "JWT_KEY_NOT_FOUND", keys(jwk, *other))
    choices = {
        "key_ops without verify": P256.jwk(key_ops=["sign"]), "key_ops empty": P256.jwk(key_ops=[]),
        "key_ops a string": P256.jwk(key_ops="verify"),
        "key_ops with a number": P256.jwk(key_ops=["verify", 1]), "use empty": P256.jwk(use=""),
        "use a number": P256.jwk(use=1),
        "use tls": P256.jwk(use="tls"), "use jwt-svid outside of SPIFFE": P256.jwk(use="jwt-svid"),
        "private members published": {**P256.private, "kid": "p256-one"},
        "no kid, and the token has one": P256.jwk(without=["kid"]), "kid is a number": P256.jwk(kid=1),
    }
    for name, jwk in choices.items():
        it.refuse(name, token(), "JWT_KEY_NOT_FOUND", keys(jwk, *other), strength="policy")
    x = unb64(ED25519.public["x"])
    for name, jwk in {"short": ED25519.jwk(x=b64(x[1:])), "long": ED25519.jwk(x=b64(x + b"\0")),
            "crv in other case": ED25519.jwk(crv="ed25519"),
                      "kty EC": ED25519.jwk(kty="EC"), "no x": ED25519.jwk(without=["x"])}.items():
        it.refuse(f"Ed25519 key: {name}", token("EdDSA", ED25519), "JWT_KEY_NOT_FOUND", keys(jwk, *other))
    it.refuse("n is absent, and x5c is there", rs256, "JWT_KEY_NOT_FOUND",
              keys(RSA.jwk(without=["n", "e"], x5c=["MIIB"]), *other))
    it.refuse("257 keys", token(), "JWKS_KEYS_UNAVAILABLE",
              keys(P256, *[{"kty": "QX", "kid": str(i)} for i in range(256)]), strength="policy")
    it.key_set("every type of key", keys(RSA, P256, P384, P521, K256, ED25519, ED448), [
        key.public["kid"] for key in (RSA, P256, P384, P521, K256, ED25519, ED448)])
    it.key_set("standard alphabet, padding and a zero octet in n", keys(
        RSA.jwk(n=base64.b64encode(b"\0" + n).decode(), use="sig", alg="RS256"), P256),
        ["rsa-one", "p256-one"], "policy")
    odd = {"kty": "RSA", "n": base64.b64encode(n).decode(), "e": "AQAB"}
    it.refuse("standard alphabet and padding in a key that does not say what it is for",
              token("RS256", RSA, kid=ABSENT), "JWT_KEY_NOT_FOUND", keys(odd, *other), strength="policy")
    it.key_set("unusable ones among usable ones", keys(
        RSA_SHORT, RSA, {"kty": "RSA"}, P256.jwk(use="enc"), None, ED25519, SECRET,
        ED25519.jwk(crv="X25519", kid="x")),
        ["rsa-one", "ed25519-one"])
    for key in (RSA, P256, P384, P521, K256, ED25519, ED448):
        it.add("thumbprint", f"of a key of {key.public['kty']}", "accept", "must", None, None, jwks=keys(key),
               thumbprint_sha256=key.joserfc.thumbprint(), policy={})
    it.add("thumbprint", "members in another order, and more of them", "accept", "must", None, None,
        policy={},
           jwks=keys(dict(reversed(list(RSA.jwk(use="enc", x5t="x").items())))),
           thumbprint_sha256=RSA.joserfc.thumbprint())
    required = {name: DSA44.public[name] for name in ("alg", "kty", "pub")}
    it.add("thumbprint", "of a key of AKP", "accept", "must", None, None, jwks=keys(DSA44),
        policy={"algs": ["ML-DSA-44"]},
           thumbprint_sha256=b64(hashlib.sha256(compact(required)).digest()))


def jwks_document():
    it = Attack("jwks-document")
    good = compact(P256.public).decode()
    genuine = token()
    it.accept("members beside keys", genuine, '{"x":[{"keys":1}],"keys":[%s],"y":null}' % good)
    it.accept("keys is escaped", genuine, '{"\\u006b\\u0065ys":[%s]}' % good)
    it.accept("white space around it", genuine, '\r\n\t {"keys" : [ %s ] } \n' % good)
    broken = {
        "nothing": "", "white space": " ", "null": "null", "an array": f"[{good}]", "a string": '"keys"',
        "an empty object": "{}",
        "keys is null": '{"keys":null}', "keys is an object": '{"keys":{"a":%s}}' % good,
        "keys is a string": '{"keys":"x"}',
        "keys is empty": '{"keys":[]}', "Keys": '{"Keys":[%s]}' % good, "cut off": '{"keys":[%s' % good,
        "more after it": '{"keys":[%s]}x' % good,
        "a comma too many": '{"keys":[%s,]}' % good,
        "a page of HTML": "<html><h1>502 Bad Gateway</h1></html>",
        "a comment": '{"keys":[%s]/**/}' % good, "no usable key": '{"keys":[{"kty":"oct","k":"AA"}]}',
        "NaN": '{"x":NaN,"keys":[%s]}' % good,
    }
    for name, text in broken.items():
        it.refuse(name, genuine, "JWKS_KEYS_UNAVAILABLE", text if text else " ")
    choices = {
        "one key, no set": good, "keys twice": '{"keys":[%s],"keys":[]}' % good,
        "keys twice, the other way": '{"keys":[],"keys":[%s]}' % good,
        "kid twice in a key": '{"keys":[%s]}' % (good[:-1] + ',"kid":"p256-one"}'),
        "x twice in a key": '{"keys":[%s]}' % (good[:-1] + ',"x":"AA"}'),
        "a duplicate beside keys": '{"keys":[%s],"x":1,"x":1}' % good,
        "deep nesting": '{"x":%s,"keys":[%s]}' % ("[" * 3000 + "]" * 3000, good),
    }
    for name, text in choices.items():
        it.refuse(name, genuine, "JWKS_KEYS_UNAVAILABLE", text, strength="policy")


def cache():
    """Attacks on a cache of key sets: what of them one set and one token can show."""
    it = Attack("cache-cross-issuer", "cache")
    it.accept("the issuer's own token", token(kid="shared"), keys(P256.jwk(kid="shared")))
    it.refuse("another issuer's key under the same kid", token("ES256", P256_OTHER, kid="shared"),
              "JWT_BAD_SIGNATURE",
              keys(P256.jwk(kid="shared")))
    it.refuse("another issuer's token, whole",
              token("ES256", P256_OTHER, kid="shared", body=claims(iss="https://other.keyturn.test")),
              "JWT_ISSUER_UNKNOWN", keys(P256.jwk(kid="shared")))
    it.refuse("another issuer's name over this issuer's key",
              token(kid="shared", body=claims(iss="https://other.keyturn.test")),
              "JWT_ISSUER_UNKNOWN", keys(P256.jwk(kid="shared")))
    flood = Attack("cache-kid-flood", "cache")
    flood.accept("a kid that is known")
    for i in range(3):
        flood.refuse("a kid that nobody knows", token(kid=octets(f"kid {i}", 12).hex()), "JWT_KEY_NOT_FOUND",
            strength="policy")


# Not here, because a row holds one set and one token: cache-bad-refresh (a bad document must not take the
# place of a good one: Tests/ABI) and key-object-injection (a secret that is not octets: C has no such argument).
CLASSES = [
    baseline, alg_none, alg_odd, alg_not_in_allowlist, jwk_alg_mismatch, curve_confusion, kty_confusion,
    hs_confusion,
    hs_empty_key, weak_hmac, weak_rsa, rsa_e3_forgery, embedded_jwk, kid_abuse, sig_tamper, psychic,
    pss_params,
    b64_strict, framing, polyglot, sign_encrypt_confusion, billion_hashes, size_limits, json_dup, json_strict,
    nul_truncation, crit, claims_time, claims_bind, typ, jwks_shapes, jwks_document, cache,
]

# ---- Writing and checking


def make():
    for rows in CLASSES:
        rows()
    identifiers = [row["id"] for row in ROWS]
    assert len(set(identifiers)) == len(identifiers)
    for attack in {row["attack"] for row in ROWS}:
        verdicts = [row["expect"] for row in ROWS if row["attack"] == attack]
        assert "accept" in verdicts and verdicts.count("reject") >= 3, attack
    return ROWS


def what_stays(row):
    """A row without what a random signature or encryption makes different each time."""
    row = {name: value for name, value in row.items() if name != "sig_hex"}
    text = row.pop("token", None) or bytes.fromhex(row.pop("token_hex", "")).decode("latin-1")
    is_whole = text.count(".") > 2 or row["class"] == "framing"
    row["text"] = len(text) if is_whole else text.rpartition(".")[0]
    return row


def read(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return {row["id"]: row for row in map(json.loads, file)}


def check(path):
    made, kept = json.loads(json.dumps(make())), read(path)
    stays = {identifier: what_stays(row) for identifier, row in kept.items()}
    differing = [row["id"] for row in made if what_stays(row) != stays.get(row["id"])]
    if differing or len(made) != len(kept):
        sys.exit(f"{path}: {len(kept)} rows, {len(made)} made anew; differing: {differing[:9]}")
    print(f"{path}: {len(kept)} rows, as they are made anew")


def write(path):
    """Rows that are there already stay, so that a change of one is a change of one."""
    made, kept = json.loads(json.dumps(make())), read(path)
    with open(path, "w", encoding="utf-8") as file:
        for row in made:
            old = kept.get(row["id"], row)
            row = old if what_stays(old) == what_stays(row) else row
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    print(f"{path}: {len(made)} rows")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(sys.argv[2])
    elif len(sys.argv) == 2:
        write(sys.argv[1])
    else:
        sys.exit(__doc__)
