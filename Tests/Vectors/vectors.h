/* What the parts of the vector runner tell each other: a row is decided (decide.c), its result is held against
 * the row (results.c), and the verdict is counted (vectors.c). */
#ifndef VECTORS_H
#define VECTORS_H

#include <jansson.h>
#include <keyturn.h>
#include <stdbool.h>

/* A fault put into the runner on purpose: a run with one of them must fail. */
enum mutant {
    MUTANT_NONE,
    MUTANT_ACCEPT_ALL, /* every verdict is "accept" */
    MUTANT_REJECT_ALL, /* every verdict is "reject" */
    MUTANT_STATUS,     /* every refusal has another status */
    MUTANT_PAYLOAD,    /* the payload is an octet short */
    MUTANT_LEFTOVER,   /* a refusal leaves a claim behind */
    MUTANT_QUEUE,      /* each call leaves an OpenSSL error behind */
    MUTANT_KEYS        /* a usable key is not listed */
};
extern enum mutant mutant;

enum verdict { VERDICT_REJECT, VERDICT_ACCEPT, VERDICT_SKIPPED };

typedef uint32_t (*verify_signature)(const char *set, size_t set_len, const char *alg, size_t alg_len,
                                     const unsigned char *message, size_t message_len,
                                     const unsigned char *signature, size_t signature_len);

/* Of a library with the probe: a key that is kept, with a table of points, or NULL if it can have none. */
struct tables {
    void *(*key_new)(const char *set, size_t set_len, int32_t table);
    uint32_t (*key_verify)(void *key, const char *alg, size_t alg_len, const unsigned char *message,
                           size_t message_len, const unsigned char *signature, size_t signature_len);
    void (*key_release)(void *key);
};

struct row {
    json_t *json;
    const char *id;
    const char *kind;
    jwt_status status; /* what the call that decided it answered */
};

/* ---- vectors.c */

/* One more thing that is not as promised: printed, and the run fails. */
void complain(const char *id, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- decide.c */

/* NULL where rows of kind "sig" cannot be decided. */
extern verify_signature probe;
extern struct tables tables;
extern unsigned long with_table; /* signatures that were decided that way too */

enum verdict decide(struct row *row);

/* Of kind "jwt": how many were accepted, and of how many the result was at last that of a token that is known. */
extern unsigned accepted_rows, recognized_rows;

/* The list of the keys in a document that stands alone, or NULL if it was refused. */
jwks_key_list *keys_of_document(const char *id, const char *text, size_t len);
jwks_key_info key_at(const char *id, const jwks_key_list *list, size_t position);

/* Around each call into Keyturn: an error is put into OpenSSL's queue, and must be all that is in it after. */
void mark_error_queue(void);
void expect_marked_error_queue(const char *id);
#define KEEPING_QUEUE(id, call) (mark_error_queue(), (call), expect_marked_error_queue(id))

/* ---- results.c */

struct verified {
    const jwt_result *result;
    const char *token;
    size_t token_len;
    const char *issuer;
    const jwks_key_list *keys;
    bool claims; /* of jwt_verify, not jws_verify */
};

/* Every accessor tells what the token says. */
void expect_result(const struct row *row, const struct verified *verified);
/* Every accessor answers absent. */
void expect_no_result(const struct row *row, const jwt_result *result, jwt_status status);

#endif
