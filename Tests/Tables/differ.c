/* differ COUNT - so many signatures, decided by a key with a table and by EVP_PKEY_verify: each verdict must be the same.
 *
 * They are genuine, genuine with one thing changed, and made for the edges of the arithmetic: a key can be found for any
 * r and s (SEC 1 section 4.1.6), so that there are genuine signatures with the smallest r, the largest s, and sums that
 * are a doubling or nothing at all. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *keyturn_probe_key_new(const char *set, size_t len, int32_t table);
uint32_t keyturn_probe_key_verify(void *key, const char *alg, size_t alg_len, const unsigned char *input,
                                  size_t input_len, const unsigned char *signature, size_t signature_len);
void keyturn_probe_key_release(void *key);

enum { JWT_OK = 0, JWT_BAD_SIGNATURE = 203, MAX_FIELD = 66, MESSAGE = 32 };

static const struct curve {
    const char *alg, *name, *crv, *digest;
    int nid;
    size_t octets;
    double share; /* of all signatures */
} curves[] = {
    { "ES256", "P-256", "P-256", "SHA256", NID_X9_62_prime256v1, 32, 0.90 },
    { "ES384", "P-384", "P-384", "SHA384", NID_secp384r1, 48, 0.05 },
    { "ES512", "P-521", "P-521", "SHA512", NID_secp521r1, 66, 0.05 },
};

static unsigned long accepted, refused, differing;

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "differ: %s, line %d\n", #what, __LINE__);                                       \
            exit(2);                                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- What the edges are made of */

static const struct curve *curve;
static EC_GROUP *group;
static const BIGNUM *order;
static BN_CTX *numbers;

static BIGNUM *random_number(void)
{
    BIGNUM *number = BN_new();
    do
        MUST(BN_rand_range(number, order));
    while (BN_is_zero(number));
    return number;
}

static BIGNUM *small(int value)
{
    BIGNUM *number = BN_new();
    MUST(BN_set_word(number, (BN_ULONG)abs(value)));
    if (value < 0)
        MUST(BN_sub(number, order, number));
    return number;
}

static BIGNUM *quotient(const BIGNUM *dividend, const BIGNUM *divisor)
{
    BIGNUM *result = BN_new();
    MUST(BN_mod_inverse(result, divisor, order, numbers));
    MUST(BN_mod_mul(result, result, dividend, order, numbers));
    return result;
}

static void digest_of(const unsigned char *message, unsigned char *digest, unsigned *len)
{
    MUST(EVP_Digest(message, MESSAGE, digest, len, EVP_get_digestbyname(curve->digest), NULL));
}

static BIGNUM *number_of(const unsigned char *message)
{
    unsigned char digest[64];
    unsigned len;
    digest_of(message, digest, &len);
    return BN_bin2bn(digest, (int)len, NULL);
}

/* ---- A key, as both have it */

struct key {
    EC_POINT *point;
    EVP_PKEY *evp;
    EVP_PKEY_CTX *context;
    void *keyturn;
};

static size_t encode(char *text, const unsigned char *octets, size_t len)
{
    size_t written = (size_t)EVP_EncodeBlock((unsigned char *)text, octets, (int)len);
    while (written > 0 && text[written - 1] == '=')
        written--;
    text[written] = 0;
    for (size_t i = 0; i < written; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    return written;
}

static void *keyturn_key(const unsigned char *point)
{
    char x[128], y[128], set[512];
    encode(x, point + 1, curve->octets);
    encode(y, point + 1 + curve->octets, curve->octets);
    int len =
        snprintf(set, sizeof set, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                 curve->crv, x, y);
    void *key = NULL;
    for (int tries = 0; !key && tries < 20;
         tries++) /* where the machine is busy it may look as if nothing were gained */
        key = keyturn_probe_key_new(set, (size_t)len, 1);
    return key;
}

static struct key new_key(const EC_POINT *point)
{
    struct key key = { EC_POINT_dup(point, group), NULL, NULL, NULL };
    unsigned char octets[1 + 2 * MAX_FIELD];
    size_t len =
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof octets, numbers);
    OSSL_PARAM parameters[] = { OSSL_PARAM_construct_utf8_string("group", (char *)curve->name, 0),
                                OSSL_PARAM_construct_octet_string("pub", octets, len),
                                OSSL_PARAM_construct_end() };
    EVP_PKEY_CTX *importing = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    MUST(EVP_PKEY_fromdata_init(importing) == 1);
    MUST(EVP_PKEY_fromdata(importing, &key.evp, EVP_PKEY_PUBLIC_KEY, parameters) == 1);
    EVP_PKEY_CTX_free(importing);
    key.context = EVP_PKEY_CTX_new_from_pkey(NULL, key.evp, NULL);
    MUST(EVP_PKEY_verify_init(key.context) == 1);
    MUST(key.keyturn = keyturn_key(octets));

    return key;
}

static struct key key_of(const BIGNUM *secret)
{
    EC_POINT *point = EC_POINT_new(group);
    MUST(EC_POINT_mul(group, point, secret, NULL, NULL, numbers));
    struct key key = new_key(point);
    EC_POINT_free(point);
    return key;
}

static void free_key(struct key *key)
{
    keyturn_probe_key_release(key->keyturn);
    EVP_PKEY_CTX_free(key->context);
    EVP_PKEY_free(key->evp);
    EC_POINT_free(key->point);
}

/* ---- Two verdicts */

static int evp_accepts(const struct key *key, const unsigned char *message, const unsigned char *pair)
{
    unsigned char digest[64], *der = NULL;
    unsigned digest_len;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    digest_of(message, digest, &digest_len);
    MUST(ECDSA_SIG_set0(signature, BN_bin2bn(pair, (int)curve->octets, NULL),
                        BN_bin2bn(pair + curve->octets, (int)curve->octets, NULL)));
    int len = i2d_ECDSA_SIG(signature, &der);
    int verdict = EVP_PKEY_verify(key->context, der, (size_t)len, digest, digest_len);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    return verdict == 1;
}

/* 1 if both accept. */
static int compare(const struct key *key, const unsigned char *message, const unsigned char *pair,
                   const char *what)
{
    int expected = evp_accepts(key, message, pair);
    uint32_t status =
        keyturn_probe_key_verify(key->keyturn, curve->alg, 5, message, MESSAGE, pair, 2 * curve->octets);
    *(expected ? &accepted : &refused) += 1;
    if (status != (expected ? JWT_OK : JWT_BAD_SIGNATURE)) {
        differing++;
        printf("FAIL %s, %s: libcrypto %s, with a table it is %u\n", curve->alg, what,
               expected ? "accepts" : "refuses", status);
    }
    return expected;
}

static int compare_numbers(const struct key *key, const unsigned char *message, const BIGNUM *r,
                           const BIGNUM *s, const char *what)
{
    unsigned char pair[2 * MAX_FIELD];
    if (BN_bn2binpad(r, pair, (int)curve->octets) < 0 ||
        BN_bn2binpad(s, pair + curve->octets, (int)curve->octets) < 0)
        return 0; /* it does not fit into a JWS */
    return compare(key, message, pair, what);
}

/* ---- Genuine ones, and what is changed in them */

static void sign(const BIGNUM *secret, const unsigned char *message, BIGNUM **r, BIGNUM **s)
{
    BIGNUM *nonce = random_number(), *z = number_of(message), *sum = BN_new();
    EC_POINT *point = EC_POINT_new(group);
    *r = BN_new();
    MUST(EC_POINT_mul(group, point, nonce, NULL, NULL, numbers));
    MUST(EC_POINT_get_affine_coordinates(group, point, *r, NULL, numbers));
    MUST(BN_nnmod(*r, *r, order, numbers));
    MUST(BN_mod_mul(sum, *r, secret, order, numbers) && BN_mod_add(sum, sum, z, order, numbers));
    *s = quotient(sum, nonce);
    EC_POINT_free(point);
    BN_free(nonce);
    BN_free(z);
    BN_free(sum);
}

static void flip(unsigned char *octets, size_t count)
{
    unsigned char at[3];
    MUST(RAND_bytes(at, sizeof at) == 1);
    octets[(at[0] << 8 | at[1]) % count] ^= (unsigned char)(1 << at[2] % 8);
}

/* So many signatures by one key. */
static void compare_changed(unsigned long count)
{
    BIGNUM *secret = random_number(), *r = NULL, *s = NULL;
    struct key key = key_of(secret);
    unsigned char message[MESSAGE], genuine[2 * MAX_FIELD], changed[2 * MAX_FIELD];
    size_t len = 2 * curve->octets, half = curve->octets;
    for (unsigned long i = 0; i < count; i++) {
        if (i % 8 == 0) {
            BN_free(r);
            BN_free(s);
            MUST(RAND_bytes(message, sizeof message) == 1);
            sign(secret, message, &r, &s);
            MUST(BN_bn2binpad(r, genuine, (int)half) > 0 && BN_bn2binpad(s, genuine + half, (int)half) > 0);
        }
        memcpy(changed, genuine, len);
        switch (i % 8) {
        case 0:
            MUST(compare(&key, message, genuine, "genuine"));
            break;
        case 1: /* the other signature with the same r, genuine too */
            MUST(BN_sub(s, order, s));
            MUST(compare_numbers(&key, message, r, s, "n - s"));
            break;
        case 2:
            flip(changed, half);
            compare(&key, message, changed, "a bit of r");
            break;
        case 3:
            flip(changed + half, half);
            compare(&key, message, changed, "a bit of s");
            break;
        case 4:
            memcpy(changed, genuine + half, half);
            memcpy(changed + half, genuine, half);
            compare(&key, message, changed, "r and s changed round");
            break;
        case 5:
            MUST(RAND_bytes(changed, (int)len) == 1);
            compare(&key, message, changed, "noise");
            break;
        case 6:
            memset(changed + (i / 8 % 2) * half, i / 16 % 2 ? 0xff : 0, half);
            compare(&key, message, changed, "all zeros or ones");
            break;
        default:
            flip(message, sizeof message);
            compare(&key, message, genuine, "a bit of the message");
        }
    }
    BN_free(r);
    BN_free(s);
    BN_free(secret);
    free_key(&key);
}

/* ---- Edges */

/* The point with this x, if there is one. */
static EC_POINT *point_at(const BIGNUM *x)
{
    EC_POINT *point = EC_POINT_new(group);
    if (EC_POINT_set_compressed_coordinates(group, point, x, 0, numbers) == 1)
        return point;
    EC_POINT_free(point);
    return NULL;
}

/* The key whose signature (r, s) of the message is genuine, where R is the point that is r's: (s R - z G) / r. */
static struct key recover(const EC_POINT *point, const BIGNUM *r, const BIGNUM *s,
                          const unsigned char *message)
{
    BIGNUM *z = number_of(message), *of_base = quotient(z, r), *of_point = quotient(s, r);
    EC_POINT *found = EC_POINT_new(group);
    MUST(BN_sub(of_base, order, of_base) && BN_nnmod(of_base, of_base, order, numbers));
    MUST(EC_POINT_mul(group, found, of_base, point, of_point, numbers));
    struct key key = new_key(found);
    EC_POINT_free(found);
    BN_free(z);
    BN_free(of_base);
    BN_free(of_point);
    return key;
}

/* What stands for r or s where it is not one. */
static void compare_beyond(const struct key *key, const unsigned char *message, const BIGNUM *r,
                           const BIGNUM *s)
{
    BIGNUM *more = BN_new(), *edges[] = { small(0), BN_dup(order), small(1), small(-1), BN_dup(order) };
    MUST(BN_add_word(edges[4], 1));
    MUST(BN_add(more, r, order));
    compare_numbers(key, message, more, s, "r + n");
    MUST(BN_add(more, s, order));
    compare_numbers(key, message, r, more, "s + n");
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        compare_numbers(key, message, edges[i], s, "r at an edge");
        compare_numbers(key, message, r, edges[i], "s at an edge");
        for (size_t j = 0; j < sizeof edges / sizeof *edges; j++)
            compare_numbers(key, message, edges[i], edges[j], "both at an edge");
    }
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        BN_free(edges[i]);
    BN_free(more);
}

static void compare_recovered(const BIGNUM *x, const BIGNUM *s, const char *what)
{
    unsigned char message[MESSAGE];
    BIGNUM *r = BN_new();
    EC_POINT *point = point_at(x);
    if (point) {
        MUST(RAND_bytes(message, sizeof message) == 1);
        MUST(BN_nnmod(r, x, order, numbers));
        struct key key = recover(point, r, s, message);
        MUST(compare_numbers(&key, message, r, s, what));
        compare_beyond(&key, message, r, s);
        free_key(&key);
    }
    EC_POINT_free(point);
    BN_free(r);
}

/* Small and large x, below and beyond n, and s the same: with the right key each is genuine. */
static void compare_edges(void)
{
    static const int s_edges[] = { 1, 2, -1, -2 };
    BIGNUM *x = BN_new(), *s;
    int below = 0, beyond = 0;
    for (int i = 1; i <= 8; i++) {
        s = i <= 4 ? small(s_edges[i - 1]) : random_number();
        compare_recovered(s, s, "r and s alike");
        MUST(BN_set_word(x, (BN_ULONG)i));
        compare_recovered(x, s, "a small r");
        below++;
        MUST(BN_sub(x, order, x));
        compare_recovered(x, s, "a large r");
        MUST(BN_set_word(x, (BN_ULONG)i) && BN_add(x, x, order));
        compare_recovered(x, s, "x beyond n");
        beyond++;
        BN_free(s);
    }
    MUST(below == 8 && beyond == 8);
    BN_free(x);
}

/* With the key z/r, times `sign`, both products are the same point, or add up to nothing: r is genuine if it is that of the doubled
 * one. */
static void compare_sum(int sign, int is_genuine)
{
    unsigned char message[MESSAGE];
    BIGNUM *nonce = random_number(), *r = BN_new(), *two = small(2), *z, *half, *s, *secret;
    EC_POINT *point = EC_POINT_new(group);
    MUST(RAND_bytes(message, sizeof message) == 1);
    z = number_of(message);
    MUST(EC_POINT_mul(group, point, nonce, NULL, NULL, numbers));
    MUST(EC_POINT_get_affine_coordinates(group, point, r, NULL, numbers));
    MUST(BN_nnmod(r, r, order, numbers));
    half = quotient(nonce, two);
    s = quotient(z, half);
    secret = quotient(z, r);
    if (sign < 0)
        MUST(BN_sub(secret, order, secret));
    struct key key = key_of(secret);
    MUST(compare_numbers(&key, message, r, s, sign < 0 ? "nothing" : "a doubling") == is_genuine);
    compare_beyond(&key, message, r, s);
    free_key(&key);
    EC_POINT_free(point);
    BIGNUM *all[] = { nonce, r, two, z, half, s, secret };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        BN_free(all[i]);
}

/* The key is the generator itself, or its negative. */
static void compare_generator(int factor)
{
    unsigned char message[MESSAGE];
    BIGNUM *secret = small(factor), *r, *s;
    struct key key = key_of(secret);
    MUST(RAND_bytes(message, sizeof message) == 1);
    sign(secret, message, &r, &s);
    MUST(compare_numbers(&key, message, r, s, "a small key"));
    compare_beyond(&key, message, r, s);
    BN_free(secret);
    BN_free(r);
    BN_free(s);
    free_key(&key);
}

/* ---- All of it */

static void compare_curve(unsigned long count)
{
    enum { OF_ONE_KEY = 800 };
    unsigned long accepted_before = accepted, refused_before = refused;
    group = EC_GROUP_new_by_curve_name(curve->nid);
    order = EC_GROUP_get0_order(group);
    numbers = BN_CTX_new();
    compare_edges();
    for (int i = 0; i < 4; i++) {
        compare_sum(1, 1);
        compare_sum(-1, 0);
    }
    for (int factor = 1; factor <= 3; factor++) {
        compare_generator(factor);
        compare_generator(-factor);
    }
    for (unsigned long done = 0; done < count; done += OF_ONE_KEY)
        compare_changed(count - done < OF_ONE_KEY ? count - done : OF_ONE_KEY);
    BN_CTX_free(numbers);
    EC_GROUP_free(group);
    printf("%s: %lu accepted, %lu refused\n", curve->alg, accepted - accepted_before,
           refused - refused_before);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        curve = &curves[i];
        compare_curve((unsigned long)((double)count * curve->share));
    }
    if (accepted < count / 8 || refused < count / 2 || accepted + refused < count)
        differing++, puts("FAIL: too few were compared");
    printf("%lu signatures, %lu differ\n", accepted + refused, differing);
    return differing > 0;
}
