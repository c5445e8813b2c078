/* libcrypto, for the files of Sources/Keyturn/JOSE. */
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#define OPENSSL_SUPPRESS_DEPRECATED /* SHA-2 without EVP, and tables of points: see below */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <errno.h>
#include <string.h>

/* Macros that Swift cannot read. */

static inline int copenssl_errno(void)
{
    return errno;
}

static inline void copenssl_set_errno(int number)
{
    errno = number;
}

static inline int copenssl_is_out_of_memory(unsigned long error)
{
    return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
}

static inline int copenssl_import_public_key(EVP_PKEY_CTX *context, EVP_PKEY **key, OSSL_PARAM *parameters)
{
    return EVP_PKEY_fromdata(context, key, EVP_PKEY_PUBLIC_KEY, parameters);
}

/* Has the multiples of the generator looked up from now on. Deprecated since OpenSSL 3.0, and with it there is nothing to put in its
 * place: where libcrypto no longer has it, there are no tables. */
int EC_GROUP_precompute_mult(EC_GROUP *group, BN_CTX *numbers) __attribute__((weak));

static inline int copenssl_precompute(EC_GROUP *group, BN_CTX *numbers)
{
    return EC_GROUP_precompute_mult ? EC_GROUP_precompute_mult(group, numbers) : 0;
}

/* A point as libcrypto calculates with it, x/z². Deprecated in the same way: where it is missing, points are divided. */
int EC_POINT_get_Jprojective_coordinates_GFp(const EC_GROUP *group, const EC_POINT *point, BIGNUM *x,
                                             BIGNUM *y, BIGNUM *z, BN_CTX *numbers) __attribute__((weak));

static inline int copenssl_undivided(const EC_GROUP *group, const EC_POINT *point, BIGNUM *x, BIGNUM *z,
                                     BN_CTX *numbers)
{
    return EC_POINT_get_Jprojective_coordinates_GFp
               ? EC_POINT_get_Jprojective_coordinates_GFp(group, point, x, NULL, z, numbers)
               : 0;
}

/* ---- HMAC from states that are kept with the secret. EVP's cannot be copied without an allocation, which costs more
 * than the hashing. */

typedef union copenssl_sha2 {
    SHA256_CTX of_32;
    SHA512_CTX of_64;
} copenssl_sha2;

static inline void copenssl_sha2_start(copenssl_sha2 *state, int octets)
{
    if (octets == 32)
        SHA256_Init(&state->of_32);
    else if (octets == 48)
        SHA384_Init(&state->of_64);
    else
        SHA512_Init(&state->of_64);
}

static inline void copenssl_sha2_add(copenssl_sha2 *state, int octets, const void *text, size_t count)
{
    if (octets == 32)
        SHA256_Update(&state->of_32, text, count);
    else
        SHA512_Update(&state->of_64, text, count);
}

static inline void copenssl_sha2_end(copenssl_sha2 *state, int octets, unsigned char *digest)
{
    if (octets == 32)
        SHA256_Final(digest, &state->of_32);
    else
        SHA512_Final(digest, &state->of_64);
}

/* Two states, of the inner and the outer hash, behind the padded key (RFC 2104 section 4). */
static inline void copenssl_hmac_start(copenssl_sha2 states[2], int octets, const void *key, size_t count)
{
    unsigned char block[128] = { 0 };
    size_t size = octets == 32 ? 64 : 128;
    if (count > size) {
        copenssl_sha2_start(states, octets);
        copenssl_sha2_add(states, octets, key, count);
        copenssl_sha2_end(states, octets, block);
    } else if (count > 0) {
        memcpy(block, key, count);
    }
    for (size_t i = 0; i < size; i++)
        block[i] ^= 0x36;
    copenssl_sha2_start(states, octets);
    copenssl_sha2_add(states, octets, block, size);
    for (size_t i = 0; i < size; i++)
        block[i] ^= 0x36 ^ 0x5c;
    copenssl_sha2_start(states + 1, octets);
    copenssl_sha2_add(states + 1, octets, block, size);
    OPENSSL_cleanse(block, sizeof block);
}

static inline void copenssl_hmac_end(const copenssl_sha2 states[2], int octets, const void *text,
                                     size_t count, unsigned char *tag)
{
    copenssl_sha2 state = states[0];
    copenssl_sha2_add(&state, octets, text, count);
    copenssl_sha2_end(&state, octets, tag);
    state = states[1];
    copenssl_sha2_add(&state, octets, tag, (size_t)octets);
    copenssl_sha2_end(&state, octets, tag);
}

#endif
