/* Made-up tokens and key sets, and a clock that stands still: what needs no Keyturn.
 *
 * Tokens are minted with Ed25519 keys, numbered by their seed, so that a test can show the claims it is about.
 * That every other algorithm is accepted is shown with tokens of another signer (fixtures.h). */
#ifndef MINTING_H
#define MINTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keyturn.h"

#define NOW INT64_C(1800000000)
#define ISSUER "https://issuer.example"
#define AUDIENCE "api"

/* Members of a claims set that the policy of `world` accepts, but for the one a test is about. */
#define ISS "\"iss\":\"" ISSUER "\""
#define AUD "\"aud\":\"" AUDIENCE "\""
#define EXP "\"exp\":1800000300"
#define GOOD ISS "," AUD "," EXP
#define GOOD_CLAIMS "{" GOOD "}"
#define CLAIMS_WITH(members) "{" GOOD "," members "}"

/* The header of a token signed by key 1, under the kid that `world` knows it by. */
#define GOOD_HEADER "{\"alg\":\"EdDSA\",\"kid\":\"one\"}"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Tokens and sets. What these return is the caller's, to be freed. */

char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *base64url(const void *octets, size_t len);

/* A compact JWS of exactly these octets, signed with key number `key`. */
char *mint_octets(unsigned key, const void *header, size_t header_len, const void *payload,
                  size_t payload_len);
char *mint(unsigned key, const char *header, const char *payload);

/* The public key number `key`; a kid of NULL leaves it out. */
char *jwk(unsigned key, const char *kid);
/* A set of `count` keys from number `first`; with kids "kid-<number>", or none. */
char *jwks(unsigned first, unsigned count, int with_kids);

int64_t standing_clock(void *now);

#endif
