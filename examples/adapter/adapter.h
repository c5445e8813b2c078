/* adapter.h - what every gateway's adapter to Keyturn has in common.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The token out of a request, the reply to a verdict, the options and their names, claims as text, and how a process comes
 * by its keys: the same in each host, so that an adapter holds only what its host makes necessary. Plain C99, without a
 * host's types and without memory of its own; whatever it is given is the caller's. */
#ifndef ADAPTER_H
#define ADAPTER_H

#include <keyturn.h>

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* ---- The token of a request (bearer.c) ------------------------------------------------------- */

/* What a request brought, from all the places that the configuration names. Begin with zeros. */
typedef struct adapter_token {
    keyturn_span text; /* borrowed from the request; what it holds is jwt_verify's to judge */
    unsigned found;    /* how many there were: more than one is ADAPTER_TWO_TOKENS (RFC 6750 section 2) */
} adapter_token;

/* An Authorization field: a token if its scheme is Bearer, in any case (RFC 6750 section 2.1). Several of them may have
 * been joined by commas on their way (RFC 9110 section 5.3); no token has one. */
void adapter_take_field(adapter_token *token, const char *field, size_t len);

/* A cookie, an argument or the like, which is the token and nothing else. Empty: none. */
void adapter_take_value(adapter_token *token, const char *value, size_t len);

/* ---- The reply (reply.c) ---------------------------------------------------------------------- */

/* A jwt_status, or one of the adapters' own. */
typedef int adapter_status;
enum {
    ADAPTER_TWO_TOKENS = 1, /* the request holds more than one (400) */
    ADAPTER_UNFIT_CLAIM = 2 /* a claim for a header of the request holds control characters (403) */
};

/* jwt_verify of what the request brought. */
adapter_status adapter_verify(const jwt_policy *policy, const adapter_token *token, jwt_result *result);

/* What an accepted token is bound to (RFC 8705) is the client's certificate, or it is not accepted; without the option
 * host_confirms none that is bound comes here. `digest` writes the SHA-256 of that certificate, or returns 0: the client
 * has shown none. Whoever holds its key has proved that to TLS, also where nobody verified who issued it: the token says
 * whose it is. */
adapter_status adapter_confirm(const jwt_result *accepted,
                               int (*digest)(void *host, unsigned char sha256[32]), void *host);

/* As jwt_status_http, jwt_status_name and jwt_status_message. */
int adapter_http(adapter_status status);
const char *adapter_name(adapter_status status);
const char *adapter_message(adapter_status status);

/* As jwt_challenge: nothing for a status that is told without. */
jwt_status adapter_challenge(adapter_status status, const jwt_challenge_options *options, char *buffer,
                             size_t capacity, size_t *len);

/* Seconds for the Retry-After of a 503: until the first of these issuers that is not ready is asked again, from 1 to
 * 300. */
unsigned adapter_retry_after(jwks_issuer *const *issuers, size_t count);

/* ---- Claims as text (text.c) ------------------------------------------------------------------ */

/* A string is its content in UTF-8, a number or a boolean its JSON text, an array or an object compact enough for one
 * line: its JSON text without control characters, which are but white space there. */
typedef enum adapter_fitness {
    ADAPTER_ABSENT, /* absent or null */
    ADAPTER_FIT,
    ADAPTER_UNFIT /* it has an octet below 0x20, or 0x7F, in a string: that could end a header, or a line of a log */
} adapter_fitness;
adapter_fitness adapter_fits(jwt_value value);

/* Writes the text of a value that fits, of at most value.text.len octets, and returns its length. */
size_t adapter_text(jwt_value value, char *buffer);

/* The claim of a result by its name, or by JSON pointer if it begins with '/'. */
jwt_value adapter_claim(const jwt_result *result, const char *claim, size_t len);

/* Whether two names of header fields are one to somebody behind the gateway: in any case, with '-' like '_' and
 * whatever else is neither letter nor digit, since CGI and its heirs make '_' of that. */
int adapter_same_name(const char *name, size_t len, const char *other, size_t other_len);

/* ---- Options (options.c) ---------------------------------------------------------------------- */

/* The struct of keyturn.h that an option is in. */
typedef enum adapter_struct {
    ADAPTER_CACHE,    /* jwks_cache_options */
    ADAPTER_ISSUER,   /* jwks_issuer_options */
    ADAPTER_POLICY,   /* jwt_policy_options; issuers and rules are each host's to say */
    ADAPTER_CHALLENGE /* jwt_challenge_options */
} adapter_struct;

typedef enum adapter_kind {
    ADAPTER_TEXT,
    ADAPTER_TEXTS,
    ADAPTER_FLAG,       /* on, off */
    ADAPTER_NUMBER,     /* from 1 on */
    ADAPTER_LIMIT,      /* from 1 on, or off: KEYTURN_OFF. An int64_t */
    ADAPTER_COUNT,      /* as ADAPTER_NUMBER, in an int64_t */
    ADAPTER_ALGORITHMS, /* names: RS256 */
    ADAPTER_WORD
} adapter_kind;

/* A number's name in configurations. The last has none. */
typedef struct adapter_word {
    const char *word;
    int number;
} adapter_word;

/* An option under its one name, which is that of the header's field, as the header explains it. */
typedef struct adapter_option {
    const char *name;
    adapter_struct of;
    adapter_kind kind;
    size_t offset; /* in its struct */
    size_t count;  /* of ADAPTER_TEXTS: where their number is */
    const adapter_word *words;
    const char *unset; /* what it is when nobody sets it */
} adapter_option;

extern const adapter_option ADAPTER_OPTIONS[]; /* the last has no name */

/* The option of a struct, or NULL. */
const adapter_option *adapter_option_named(adapter_struct of, const char *name, size_t len);

/* Puts the values that a configuration gives into the struct, which keeps the pointers: texts and, for ADAPTER_TEXTS,
 * the array itself. NULL, or a sentence that says what is wrong, static. What the library refuses it says itself. */
const char *adapter_set(const adapter_option *option, void *options, const char *const *values, size_t count);

/* A rule from words: CLAIM, CLAIM KIND, or CLAIM KIND VALUE...; kinds are present, equals, one_of, prefix, contains,
 * has_word, spiffe_trust_domain. NULL, or a sentence. */
const char *adapter_set_rule(jwt_rule *rule, const char *const *words, size_t count);

/* ---- The keys of a process (cache.c) ----------------------------------------------------------- */

/* jwks_cache_new. A store that cannot be used costs no request: then keys live in memory alone, and `store`, which the
 * caller gives empty, says why. */
jwt_status adapter_cache_new(const jwks_cache_options *options, jwks_cache **cache, jwks_error *store);

/* How loudly a log tells what has become of keys. */
typedef enum adapter_gravity { ADAPTER_NOTICE, ADAPTER_WARNING, ADAPTER_ERROR } adapter_gravity;
adapter_gravity adapter_gravity_of(jwks_event_kind kind);

/* ---- Keys for people and scripts (keys.c) ------------------------------------------------------ */

/* Writes a JSON object of this process's id, the issuers and the keys that they publish, as far as capacity goes,
 * without a NUL, and returns the length that all of it takes: come back with some more, since it may grow. */
size_t adapter_keys(jwks_issuer *const *issuers, const char *const *names, size_t count, char *buffer,
                    size_t capacity);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
