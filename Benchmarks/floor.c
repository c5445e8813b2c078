/* What a verification costs at the least on libcrypto's public API: all that can be kept for a key is kept, digests
 * and HMAC begin from states that are copied, DER is made by hand. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct floor {
    const char *input;
    size_t input_len;
    unsigned char signature[520];
    size_t signature_len;
    int (*verify)(struct floor *floor);

    EVP_PKEY *key;
    EVP_PKEY_CTX *context;
    EVP_MD_CTX *digest_context; /* Ed25519's */
    int bears_reuse;
    SHA256_CTX inner, outer;
};

static size_t write_integer(unsigned char *out, const unsigned char *number, size_t len)
{
    while (len > 1 && *number == 0)
        number++, len--;
    size_t zero = *number > 0x7f;
    out[0] = 2;
    out[1] = (unsigned char)(len + zero);
    out[2] = 0;
    memcpy(out + 2 + zero, number, len);
    return 2 + zero + len;
}

static size_t write_der(unsigned char *out, const unsigned char *pair, size_t len)
{
    unsigned char integers[140];
    size_t size = write_integer(integers, pair, len / 2), head = 0;
    size += write_integer(integers + size, pair + len / 2, len / 2);
    out[head++] = 0x30;
    if (size > 127)
        out[head++] = 0x81;
    out[head++] = (unsigned char)size;
    memcpy(out + head, integers, size);
    return head + size;
}

static int verify_rsa(struct floor *floor)
{
    unsigned char digest[32];
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, floor->input, floor->input_len);
    SHA256_Final(digest, &state);
    return EVP_PKEY_verify(floor->context, floor->signature, floor->signature_len, digest, sizeof digest) ==
           1;
}

static size_t digest_for_curve(const struct floor *floor, unsigned char *digest)
{
    SHA256_CTX half;
    SHA512_CTX state;
    switch (floor->signature_len) {
    case 64:
        SHA256_Init(&half);
        SHA256_Update(&half, floor->input, floor->input_len);
        SHA256_Final(digest, &half);
        return 32;
    case 96:
        SHA384_Init(&state);
        SHA384_Update(&state, floor->input, floor->input_len);
        SHA384_Final(digest, &state);
        return 48;
    default:
        SHA512_Init(&state);
        SHA512_Update(&state, floor->input, floor->input_len);
        SHA512_Final(digest, &state);
        return 64;
    }
}

static int verify_ecdsa(struct floor *floor)
{
    unsigned char digest[64], der[144];
    size_t digest_len = digest_for_curve(floor, digest);
    size_t der_len = write_der(der, floor->signature, floor->signature_len);
    return EVP_PKEY_verify(floor->context, der, der_len, digest, digest_len) == 1;
}

static int verify_edwards(struct floor *floor)
{
    if (!floor->bears_reuse)
        EVP_DigestVerifyInit(floor->digest_context, NULL, NULL, NULL, floor->key);
    return EVP_DigestVerify(floor->digest_context, floor->signature, floor->signature_len,
                            (const unsigned char *)floor->input, floor->input_len) == 1;
}

static int verify_hmac(struct floor *floor)
{
    unsigned char tag[32];
    SHA256_CTX state = floor->inner;
    SHA256_Update(&state, floor->input, floor->input_len);
    SHA256_Final(tag, &state);
    state = floor->outer;
    SHA256_Update(&state, tag, sizeof tag);
    SHA256_Final(tag, &state);
    return CRYPTO_memcmp(tag, floor->signature, sizeof tag) == 0;
}

/* ---- What is kept */

static void start_hmac(SHA256_CTX *state, struct text secret, unsigned char pad)
{
    unsigned char block[64];
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < secret.len; i++)
        block[i] ^= (unsigned char)secret.data[i];
    SHA256_Init(state);
    SHA256_Update(state, block, sizeof block);
}

static void read_key(struct floor *floor, struct text pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    floor->key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!floor->key)
        give_up("libcrypto does not read the key");
}

static void start_context(struct floor *floor, const char *alg)
{
    static const char *const names[] = { "SHA256", "SHA384", "SHA512" };
    const char *name = names[alg[2] == '2' ? 0 : alg[2] == '3' ? 1 : 2];
    int is_pss = alg[0] == 'P';
    floor->context = EVP_PKEY_CTX_new_from_pkey(NULL, floor->key, NULL);
    if (EVP_PKEY_verify_init(floor->context) != 1 ||
        (is_pss && EVP_PKEY_CTX_set_rsa_padding(floor->context, RSA_PKCS1_PSS_PADDING) != 1) ||
        EVP_PKEY_CTX_set_signature_md(floor->context, EVP_get_digestbyname(name)) != 1 ||
        (is_pss && EVP_PKEY_CTX_set_rsa_pss_saltlen(floor->context, RSA_PSS_SALTLEN_DIGEST) != 1))
        give_up("libcrypto does not take the key for %s", alg);
}

/* OpenSSL 3.5 wants each verification begun anew; 3.0 does not. */
static void start_edwards(struct floor *floor)
{
    floor->digest_context = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(floor->digest_context, NULL, NULL, NULL, floor->key);
    floor->bears_reuse = 1;
    if (verify_edwards(floor) != 1 || verify_edwards(floor) != 1)
        floor->bears_reuse = 0;
}

static size_t decode_signature(unsigned char *out, struct text token)
{
    char text[700] = { 0 };
    const char *start = strrchr(token.data, '.') + 1;
    size_t len = strlen(start);
    for (size_t i = 0; i < len; i++)
        text[i] = start[i] == '-' ? '+' : start[i] == '_' ? '/' : start[i];
    size_t padding = (4 - len % 4) % 4;
    memcpy(text + len, "==", padding);
    return (size_t)EVP_DecodeBlock(out, (unsigned char *)text, (int)(len + padding)) - padding;
}

void *floor_new(const char *alg, struct text key, struct text token)
{
    struct floor *floor = calloc(1, sizeof *floor);
    floor->input = token.data;
    floor->input_len = (size_t)(strrchr(token.data, '.') - token.data);
    floor->signature_len = decode_signature(floor->signature, token);
    if (alg[0] == 'H') {
        start_hmac(&floor->inner, key, 0x36);
        start_hmac(&floor->outer, key, 0x5c);
        floor->verify = verify_hmac;
        return floor;
    }
    read_key(floor, key);
    if (strcmp(alg, "EdDSA") == 0)
        start_edwards(floor);
    else
        start_context(floor, alg);
    floor->verify = floor->digest_context ? verify_edwards : alg[0] == 'E' ? verify_ecdsa : verify_rsa;
    return floor;
}

int floor_run(void *state)
{
    struct floor *floor = state;
    return floor->verify(floor);
}
