/* keyturn.h - verify JSON Web Tokens against JWK Sets that rotate.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conventions, which hold for every function unless it says otherwise:
 *
 * - JWT_OK is 0 and the only success. Every other status is a refusal or a failure, with a number
 *   that never changes; the hundreds are classes (see jwt_status).
 * - Outputs are written only on success, but for jwks_error and jwt_result, which exist to say why not.
 * - Options are structs that begin with `size`; set it by starting from the struct's _INIT macro.
 *   Zero in every other field is the secure default; where a number's default is not "none", none is
 *   said with KEYTURN_OFF. A `size` below that of the first release, or above 4,096, is
 *   JWKS_INVALID_OPTION (JWKS_INVALID_ARGUMENT in a struct that the call fills); fields
 *   beyond `size` count as zero, and octets beyond what this library knows, and `reserved`, must be
 *   zero. Flags are 0 or 1, and anything else is refused.
 * - Whatever options point to is copied before the call returns.
 * - Strings in options are NUL-terminated UTF-8 without control characters, not empty, and at most 4,096
 *   octets long unless their field says less. Texts that come from a
 *   peer go in as pointer and length, may hold any octets, and a NULL pointer is refused, not read.
 * - Spans and strings that come out are borrowed: they live as long as their function says. Spans are
 *   not NUL-terminated. A span that has nothing to say has len 0.
 * - Handles are made by _new, _add_issuer, _keys or _revocations. Those with a _retain are
 *   reference-counted: each _retain needs one _release, and the memory goes with the last holder.
 *   _release(NULL) does nothing.
 * - Handles that say "shared" may be used by any thread at any time; one that says "one thread at a
 *   time" may move between threads, but not be used by two at once.
 * - Nothing here prints or changes a signal handler. Only jwks_cache_start starts threads, and where the host
 *   has given no fetcher of its own, opens the library that does network I/O. No file is touched but those of a
 *   store and those that issuers name, where there are any, and openssl.cnf, which the first jwks_cache_new has
 *   libcrypto read. A medium that hangs holds up the calls that say they read, and polling, but no verification.
 * - No call may be made from a signal handler, or left by longjmp. After fork() the child may go on
 *   using every handle, and its jwt_result objects are its own; of a cache that was started it has the keys, and
 *   what asks for more is JWKS_FORKED until the child calls jwks_cache_start itself. Threads that verify end before
 *   exit() is called, or the process leaves by _exit(): exit() takes libcrypto down under them.
 * - "Takes no lock" is said of Keyturn; what libcrypto does within itself is its own.
 * - OpenSSL's error queue is the host's: it is left as it was found, as far as its 16 places reach.
 *
 * RFC numbers name the source of a rule: 7515 JWS, 7517 JWK, 7518 algorithms, 7519 JWT, 7638
 * thumbprints, 6750 bearer tokens, 8725 best practice. */
#ifndef KEYTURN_H
#define KEYTURN_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KEYTURN_API __attribute__((visibility("default")))
#else
#define KEYTURN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ------------------------------------------------------------------------------ */

#define KEYTURN_VERSION_MAJOR 0
#define KEYTURN_VERSION_MINOR 1
#define KEYTURN_VERSION_PATCH 0
#define KEYTURN_VERSION "0.1.0"
/* 0x00MMmmpp: comparable. */
#define KEYTURN_VERSION_NUMBER 0x000100u

/* The version of the loaded library, which may be newer than this header. Static strings and
 * numbers: any thread, at any time, never fails. */
KEYTURN_API const char *keyturn_version(void);
KEYTURN_API uint32_t keyturn_version_number(void);

/* ---- Status ------------------------------------------------------------------------------- */

typedef enum jwt_status {
    JWT_OK = 0,

    /* 1xx: not a token that could be read (HTTP 401) */
    JWT_MALFORMED = 100,        /* not three parts with two dots, or an empty one (RFC 7515 section 3.1) */
    JWT_TOO_LARGE = 101,        /* longer than the policy's max_token */
    JWT_BAD_BASE64 = 102,       /* a part is not canonical Base64url without padding (RFC 7515 section 2) */
    JWT_BAD_JSON = 103,         /* header or claims are not one JSON object in UTF-8 (RFC 8259) */
    JWT_DUPLICATE_MEMBER = 104, /* a member name twice in one object (RFC 7515 section 4) */
    JWT_LIMIT_EXCEEDED = 105,   /* more members, deeper nesting or a longer kid than the policy bears */
    JWT_BAD_HEADER = 106,       /* alg absent, or alg, kid or typ not a string (RFC 7515 section 4.1) */
    JWT_CRITICAL_HEADER = 107,  /* crit is present; no extension is understood (RFC 7515 section 4.1.11) */
    JWT_ENCRYPTED = 108,        /* a JWE, not a JWS (RFC 7516 section 9) */
    JWT_MISSING = 109,          /* no token at all: length 0 */

    /* 2xx: key and signature (HTTP 401) */
    JWT_ALGORITHM_NOT_ALLOWED = 200, /* not on the list, unknown, or "none" (RFC 8725 section 3.1) */
    JWT_KEY_NOT_FOUND = 201,         /* the issuer publishes no such usable key */
    JWT_KEY_MISMATCH = 202,          /* the key named does not serve the token's algorithm */
    JWT_BAD_SIGNATURE = 203,
    JWT_KEY_REVOKED = 204, /* the key named, or every one that could serve, is revoked */

    /* 3xx: claims and type (HTTP 401) */
    JWT_CLAIM_MISSING = 300,          /* a claim that the policy requires is absent */
    JWT_CLAIM_TYPE = 301,             /* a registered claim has the wrong JSON type or is out of range */
    JWT_ISSUER_UNKNOWN = 302,         /* iss is none of the policy's issuers */
    JWT_AUDIENCE_MISMATCH = 303,      /* aud names none of the policy's audiences */
    JWT_EXPIRED = 304,                /* now >= exp + leeway (RFC 7519 section 4.1.4) */
    JWT_NOT_YET_VALID = 305,          /* now < nbf - leeway (RFC 7519 section 4.1.5) */
    JWT_ISSUED_IN_FUTURE = 306,       /* now < iat - leeway */
    JWT_LIFETIME_TOO_LONG = 307,      /* exp - iat is beyond the policy's max_lifetime_s */
    JWT_TYPE_MISMATCH = 308,          /* typ is not the one required (RFC 8725 section 3.11) */
    JWT_CONFIRMATION_REQUIRED = 309,  /* bound to a key (cnf, RFC 7800), and nobody would check it */
    JWT_CONFIRMATION_MISMATCH = 310,  /* bound to another certificate (RFC 8705 section 3) */
    JWT_REVOKED = 311,                /* its jti, its sub or the time of its issue is revoked */

    /* 4xx: genuine, but not entitled (HTTP 403) */
    JWT_RULE_FAILED = 400, /* a value rule of the policy does not hold */

    /* 5xx: no verdict; the keys are not at hand (HTTP 503) */
    JWKS_KEYS_UNAVAILABLE = 500, /* the issuer has no accepted key set, or it has grown too old */
    JWKS_PENDING = 501,          /* a fetch that may bring the key is under way: worth one more try soon */

    /* 9xx: misuse and environment (HTTP 500) */
    JWKS_INVALID_ARGUMENT = 900, /* a NULL or nonsensical argument */
    JWKS_INVALID_OPTION = 901,   /* an option's value is refused; jwks_error names it */
    JWKS_INVALID_DOCUMENT = 902, /* not an acceptable JWK Set; the keys before it stay */
    JWKS_NO_MEMORY = 903,        /* nothing was changed */
    JWKS_BUSY = 904,             /* a stalled reader holds back too many retired sets; nothing was changed */
    JWKS_CRYPTO_FAILURE = 905,   /* libcrypto could not do its work: no verdict */
    JWKS_REMOVED = 906,          /* the issuer was removed from its cache */
    JWKS_FULL = 907,             /* as many revocations as there may be; nothing was changed */
    JWKS_NOT_FOUND = 908,        /* nothing of that kind and value is revoked */
    JWKS_NO_FETCHER = 909,       /* the cache has no fetcher, or the issuer nothing to fetch */
    JWKS_THROTTLED = 910,        /* the issuer was asked too often */
    JWKS_FORKED = 911,           /* the cache was started before a fork, and not in this process */
    JWKS_RETRY = 912,            /* what the token waited for is over: verify it again at once */
    JWKS_NOT_DURABLE = 913,      /* it holds in this process, but could not be written to the store */
    JWKS_NO_THREAD = 915         /* the system gives no thread or no descriptor; nothing was started */
} jwt_status;

/* A status's identifier ("JWT_EXPIRED") and one plain sentence. Static strings; an unknown number
 * gives "JWT_UNKNOWN" and a sentence that says so. Any thread; never fails. */
KEYTURN_API const char *jwt_status_name(jwt_status status);
KEYTURN_API const char *jwt_status_message(jwt_status status);

/* The HTTP status a resource server answers with: 200, 401, 403, 503, or 500 for misuse and for a
 * number that is no status.
 * Any thread; never fails. (RFC 6750 section 3.1) */
KEYTURN_API int jwt_status_http(jwt_status status);

/* What was wrong, for the person who wrote the configuration or the document. Holds no key material.
 * The caller's; written by the call that it is passed to, cleared on success. NULL is fine. */
typedef struct jwks_error {
    size_t size;
    char option[64];   /* the option or argument at fault ("rules[2].claim"), or "" */
    char message[256]; /* one sentence, or "" */
} jwks_error;
#define JWKS_ERROR_INIT { sizeof(jwks_error), { 0 }, { 0 } }

/* ---- Common values ------------------------------------------------------------------------ */

/* Explicitly none, where 0 would mean the default. */
#define KEYTURN_OFF (-1)

/* Borrowed octets. */
typedef struct keyturn_span {
    const char *data;
    size_t len;
} keyturn_span;

/* Sets of algorithms are bits in a uint64_t (RFC 7518 section 3.1, 8037, 8812, 9864, 9964). A set
 * given as 0 means every asymmetric algorithm; HS must always be named. "none" does not exist. */
#define JWT_ALG_RS256 (UINT64_C(1) << 0)
#define JWT_ALG_RS384 (UINT64_C(1) << 1)
#define JWT_ALG_RS512 (UINT64_C(1) << 2)
#define JWT_ALG_PS256 (UINT64_C(1) << 3)
#define JWT_ALG_PS384 (UINT64_C(1) << 4)
#define JWT_ALG_PS512 (UINT64_C(1) << 5)
#define JWT_ALG_ES256 (UINT64_C(1) << 6)
#define JWT_ALG_ES384 (UINT64_C(1) << 7)
#define JWT_ALG_ES512 (UINT64_C(1) << 8)
#define JWT_ALG_ES256K (UINT64_C(1) << 9)
#define JWT_ALG_EDDSA (UINT64_C(1) << 10) /* either curve, as the key has it; deprecated by RFC 9864 */
#define JWT_ALG_ED25519 (UINT64_C(1) << 11)
#define JWT_ALG_ED448 (UINT64_C(1) << 12)
#define JWT_ALG_HS256 (UINT64_C(1) << 13)
#define JWT_ALG_HS384 (UINT64_C(1) << 14)
#define JWT_ALG_HS512 (UINT64_C(1) << 15)
#define JWT_ALG_ML_DSA_44 (UINT64_C(1) << 16)
#define JWT_ALG_ML_DSA_65 (UINT64_C(1) << 17)
#define JWT_ALG_ML_DSA_87 (UINT64_C(1) << 18)

/* The bit of a registered name ("ES256", exact case), or 0. Any thread; never fails. */
KEYTURN_API uint64_t jwt_algorithm_from_name(const char *name, size_t len);

/* The registered name of exactly one bit, or NULL. A static string. Any thread; never fails. */
KEYTURN_API const char *jwt_algorithm_name(uint64_t algorithm);

/* The algorithms that the libcrypto at hand offers: ML-DSA needs OpenSSL 3.5. Asked at run time.
 * Any thread; never fails. */
KEYTURN_API uint64_t jwt_algorithms_supported(void);

/* ---- Cache -------------------------------------------------------------------------------- */

/* The issuers and their keys. Shared. */
typedef struct jwks_cache jwks_cache;

/* A time. Called by jwt_verify in any thread: must not block, must not call back, and answers
 * INT64_MAX if it does not know the time: then every token, or every fetched key set, has expired. */
typedef int64_t (*keyturn_clock)(void *context);

typedef struct jwks_fetcher jwks_fetcher;

typedef struct jwks_cache_options {
    size_t size;
    keyturn_clock clock; /* Unix seconds; NULL: the system's wall clock */
    void *clock_context; /* handed to clock; must outlive the cache */
    uint32_t max_issuers; /* 0: 16,384; 1 to 1,048,576 */
    uint32_t max_revocations; /* of all issuers together; 0: 65,536; 1 to 1,048,576 */
    const jwks_fetcher *fetcher; /* fetches the keys of issuers with a URL; copied; NULL: none */
    keyturn_clock monotonic; /* milliseconds that no wall clock moves, for ages and timers; NULL: CLOCK_BOOTTIME */
    void *monotonic_context; /* as clock_context */
    uint32_t max_fetches; /* at once; 0: 64; 1 to 4,096. Issuers that are failing have a quarter of it, at least 1 */
    uint32_t max_events; /* that wait to be pulled; 0: 1,024; 1 to 65,536. For each, 128 octets are taken at once: fewer
                            wait where names are long */
    const char *store; /* path of a directory, where what was fetched and revoked is kept over restarts, up to 4,096
                          octets; NULL: nowhere. Opened by jwks_cache_new, which is the last use of the path. It belongs
                          to root, to the effective user or to store_user, and neither group nor others may write in
                          it */
    const char *store_user; /* name or number of a user whose files there are believed, up to 256 octets; NULL: none */
    uint32_t store_reader; /* 1: an agent fetches what this cache needs; it calls no fetcher and writes nothing into the
                              store, where it need not be able to; what it revokes is JWKS_NOT_DURABLE. Needs store, and
                              is no agent itself */
    uint32_t store_agent; /* 1: this cache fetches for the readers of its store: those of its own issuers that they
                             name. One cache of a store at a time. Needs store */
    int64_t key_tables; /* for a P-256, P-384 or P-521 key that has verified 100 tokens, from which on each takes about
                           half the time: some 200 KiB and 20 ms of work for each, at most 64 in the process. 0: the
                           thread of jwks_cache_start makes them; 1: jwks_cache_poll does too, one in each call;
                           KEYTURN_OFF: nobody */
    int64_t token_cache; /* octets, for tokens that jwt_verify has accepted, so that it need not check their signature
                            again: everything else is looked at each time. Cells of 1,024: a token takes as many as its
                            text and its decoded claims need, up to 8; a larger one is not kept. Memory is taken as it
                            is needed. 0: 16,777,216; KEYTURN_OFF, or 65,536 to 68,719,476,736 */
} jwks_cache_options;
#define JWKS_CACHE_OPTIONS_INIT                                                                              \
    { sizeof(jwks_cache_options), NULL, NULL, 0, 0, NULL, NULL, NULL, 0, 0, NULL, NULL, 0, 0, 0, 0 }

/* Makes a cache without issuers; options may be NULL. With a store, an issuer that is fetched is served from the moment
 * it is added, if the store has keys of it that are younger than its hard limit: their age goes on through restarts, of
 * the machine too, where it counts by the wall clock. Each set that is accepted is written there. Processes that share
 * a store make the fetches of one, and each has what another's has brought within a second, if it polls when it should.
 * A set that cannot be written, or is damaged, changes nothing in memory. Revocations are kept there too: see
 * jwks_cache_revoke. An issuer whose file of revocations cannot be read, or is gone, has no verdict on any token
 * (JWKS_KEYS_UNAVAILABLE) until it can be read.
 * An agent listens from here on at a socket in the store, agent.sock, for whatever its readers ask; it reads that in
 * jwks_cache_poll, or in the thread of jwks_cache_start, of the process that made it. A reader is connected to it from
 * here on, and later to another that has taken its place (without /proc by unshare(CLONE_FS) in the thread that looks,
 * which the chdir and chroot of others then move no longer); it needs jwks_cache_poll or jwks_cache_start as well, for
 * neither of them a fetcher, to see what the agent has brought. A token that the agent was asked for is JWKS_PENDING
 * until then, or until fetch_timeout_ms have passed.
 * On success *out is a new reference.
 * JWKS_INVALID_ARGUMENT, JWKS_INVALID_OPTION, JWKS_NO_MEMORY. */
KEYTURN_API jwt_status jwks_cache_new(const jwks_cache_options *options, jwks_cache **out, jwks_error *error);
KEYTURN_API jwks_cache *jwks_cache_retain(jwks_cache *cache); /* returns its argument */
KEYTURN_API void jwks_cache_release(jwks_cache *cache);

/* ---- Issuers ------------------------------------------------------------------------------ */

/* One issuer and the keys it publishes. Keys of one issuer never serve another, whatever their kid.
 * Shared. It holds its cache, and leaves it when the last handle and the last policy with it are gone. */
typedef struct jwks_issuer jwks_issuer;

/* Which `use` a key must have, if it has one (RFC 7517 section 4.2). */
typedef enum jwks_key_use {
    JWKS_USE_SIG = 0,     /* "sig" */
    JWKS_USE_JWT_SVID = 1 /* "jwt-svid": a SPIFFE bundle, where it must be there. A bundle whose spiffe_sequence is
                             lower than that of the one in force is refused whole; spiffe_refresh_hint counts where HTTP
                             says nothing; without a usable key nothing is valid */
} jwks_key_use;

/* Where an issuer says what the URL of its JWK Set is. */
typedef enum jwks_discovery {
    JWKS_DISCOVERY_NONE = 0,
    JWKS_DISCOVERY_OPENID = 1, /* <issuer>/.well-known/openid-configuration */
    JWKS_DISCOVERY_OAUTH = 2   /* <origin>/.well-known/oauth-authorization-server<path> (RFC 8414 section 3.1) */
} jwks_discovery;

/* What becomes of an answer without any usable key. */
typedef enum jwks_empty_set {
    JWKS_EMPTY_DEFAULT = 0, /* hold; obey for JWKS_USE_JWT_SVID */
    JWKS_EMPTY_HOLD = 1,    /* the keys before it stay until it was repeated for empty_hold_ms; not for
                               JWKS_USE_JWT_SVID */
    JWKS_EMPTY_OBEY = 2
} jwks_empty_set;

/* With neither jwks_url nor discovery the keys come from `file` or from jwks_issuer_load, and of the fields from
 * jwks_url to rekey_interval_ms only stale_warning_ms may be set. URLs are
 * https, without user, password and fragment, up to 2,048 octets; times are milliseconds. What `headers` and
 * the client's certificate prove, and the proxy, are for the origin of jwks_url, or of the issuer with
 * discovery, and no other. */
typedef struct jwks_issuer_options {
    size_t size;
    const char *issuer;       /* required: the exact value of iss, compared octet by octet; up to 1,024 octets */
    uint64_t algorithms;      /* keys of other algorithms are left out; 0: every asymmetric algorithm */
    jwks_key_use use;
    uint32_t allow_symmetric; /* 1: `oct` keys are read; a set with keys of another kind is refused whole; algorithms
                                 must name HS */
    uint32_t max_keys;        /* 0: 256; 1 to 4,096. A set with more is refused whole */
    uint32_t max_document;    /* octets; 0: 524,288; up to 16,777,216 */

    const char *jwks_url;     /* where its JWK Set is */
    jwks_discovery discovery; /* instead of jwks_url; then `issuer` is a URL, and the answer must name exactly it */
    uint32_t allow_http;      /* 1: http URLs too: whoever is on the way can then forge tokens */
    uint32_t lazy;            /* 1: first fetched when a token names it, not at the next jwks_cache_poll */
    const char *const *jwks_hosts; /* that a discovered jwks_uri may stand on, beside the issuer's own; up to 64;
                                      none: any but private, loopback and link-local addresses */
    size_t jwks_host_count;
    const char *const *headers; /* of the request: "Name: value"; up to 32 */
    size_t header_count;
    const char *ca_file;            /* PEM; NULL: the system's. Files are the fetcher's to open */
    const char *client_certificate; /* PEM file, with client_key; NULL: none */
    const char *client_key;         /* PEM file */
    const char *proxy;              /* an http or https URL; NULL: none, whatever the environment says */
    uint32_t max_redirects;         /* 0: none is followed; up to 3, from https to https alone; none from a discovered
                                       jwks_uri */
    uint32_t connect_timeout_ms;    /* 0: 2,000; 10 to 60,000 */
    uint32_t fetch_timeout_ms;      /* of all requests that one fetch takes; 0: 5,000; 10 to 60,000 */
    uint32_t min_freshness_ms;      /* F, how long an answer is fresh, is what the issuer says between these two: */
    uint32_t max_freshness_ms;      /* 0: 60,000 and 3,600,000; 1,000 to 604,800,000 */
    uint32_t default_freshness_ms;  /* where it says nothing; 0: 300,000; 1,000 to 604,800,000 */
    uint32_t hard_limit_ms;         /* H, the age from which nothing is accepted; 0: 86,400,000; max_freshness_ms
                                       to 604,800,000. Set alone it lowers the defaults above */
    uint32_t honor_must_revalidate; /* 1: Cache-Control's must-revalidate ends the keys at F */
    jwks_empty_set empty_set;
    uint32_t same_kid_rekey; /* 1: for an issuer that puts new keys under old kids: a bad signature under a known kid
                                has it asked, too, once in rekey_interval_ms, and is JWKS_PENDING meanwhile */

    /* How often it is asked, and what for: docs/refresh.md tells of each. Where OFF is named, KEYTURN_OFF is 0. */
    int64_t backoff_base_ms;         /* after the first failure; 0: 5,000; 10 to 3,600,000 */
    int64_t backoff_max_ms;          /* 0: 300,000; 10 to 3,600,000; not below backoff_base_ms */
    int64_t backoff_max_unserved_ms; /* while no key is served; 0: 15,000; 10 to 3,600,000 */
    int64_t max_retry_after_ms;      /* 0: 300,000; OFF, or 1 to 3,600,000 */
    int64_t demand_burst;            /* fetches that tokens with unknown kids may cause at once; 0: 2; 1 to 100, */
    int64_t demand_interval_ms;      /* and one more after each of these; 0: 30,000; 100 to 3,600,000 */
    int64_t total_burst;             /* requests of all kinds but an operator's; 0: 5; 1 to 1,000, */
    int64_t total_interval_ms;       /* 0: 15,000; 100 to 3,600,000 */
    int64_t kept_for_schedule;       /* of total_burst, and less than it; 0: 1; OFF, or 1 to 10 */
    int64_t operator_burst;          /* jwks_issuer_refresh; 0: 6; 1 to 100, */
    int64_t operator_interval_ms;    /* 0: 10,000; 100 to 3,600,000 */
    int64_t refused_kids;            /* how many are remembered; 0: 1,024; 8 to 65,536 */
    int64_t refused_short_ms;        /* while another fetch could be had; 0: 5,000; OFF, or 1 to 3,600,000 */
    int64_t refused_long_ms;         /* while not; 0: 60,000; OFF, or 1 to 3,600,000; not below refused_short_ms */
    int64_t max_waiters;             /* on one fetch; 0: 256; 1 to 65,536 */
    int64_t idle_ms;                 /* unnamed for so long it is not refreshed; 0: 86,400,000; 1,000 to
                                        31,622,400,000 */
    int64_t rediscovery_ms;          /* 0: 86,400,000; 1,000 to 2,592,000,000 */
    int64_t regression_ms;           /* 0: 5,000; OFF, or 1 to 3,600,000 */
    int64_t empty_hold_ms;           /* 0: 600,000; OFF, or 1 to 604,800,000 */
    int64_t stale_warning_ms;        /* 0: 3,600,000; 1,000 to 86,400,000 */
    int64_t lock_timeout_ms;         /* 0: 15,000, or three times fetch_timeout_ms; 20 to 300,000; above it */
    int64_t rekey_interval_ms;       /* 0: 300,000; 1,000 to 86,400,000 */

    int64_t pinned_max_age_ms; /* of keys that are not fetched: how long they count from when they came; 0: without end;
                                  up to 31,622,400,000 */
    int64_t valid_until;       /* of the same: Unix seconds, by `clock`, from which they count no more; 0: without
                                  end */

    /* Of any source, pushed keys included: */
    const char *const *pins; /* RFC 7638 thumbprints with SHA-256, in Base64url: no other key is used; up to 64;
                                none: any key */
    size_t pin_count;
    int64_t grace_ms; /* for how long a key is used still that is absent from an accepted set, counted from the first
                         such set; 0: not at all; up to 600,000 */
    const char *signed_by; /* a JWK Set as JSON text, up to 524,288 octets. What is fetched or loaded must then be a
                              compact JWS of typ jwk-set+jwt that one of these keys has signed, its payload the JWK Set.
                              In it iss and sub, if any, are the issuer, and exp, nbf and iat, if any, hold now (30 s
                              leeway). Discovery asks for signed_jwks_uri (OpenID Federation 1.0). NULL: unsigned */
    const char *file; /* path of a JWK Set, instead of jwks_url and discovery: a regular file, links to which are
                         followed; read by the call, and again when it has changed; NULL: none */
    int64_t file_check_ms; /* how often it is looked at; 0: 1,000; 100 to 3,600,000 */
} jwks_issuer_options;
#define JWKS_ISSUER_OPTIONS_INIT \
    { sizeof(jwks_issuer_options), NULL, 0, JWKS_USE_SIG, 0, 0, 0, NULL, JWKS_DISCOVERY_NONE, 0, 0, NULL, 0, NULL, 0, \
      NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, JWKS_EMPTY_DEFAULT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL, NULL, 0 }

/* Adds an issuer, at any time; it has no keys until jwks_issuer_load, or until a fetch has brought them. Until the
 * first fetch has ended its tokens are JWKS_PENDING, or JWKS_KEYS_UNAVAILABLE while the cache has no fetcher and was
 * not started. The keys of a `file` are in force when the call returns; one that cannot be read is
 * JWKS_INVALID_OPTION, one that holds no acceptable JWK Set JWKS_INVALID_DOCUMENT. Later it is looked at by the
 * thread of a started cache, or by jwks_cache_poll, which needs no fetcher as long as no issuer of the cache is
 * fetched; then a file that is bad or has gone changes nothing. On success *out is a new reference. An issuer that
 * the cache has already is JWKS_INVALID_OPTION. JWKS_INVALID_ARGUMENT, JWKS_INVALID_OPTION, JWKS_INVALID_DOCUMENT,
 * JWKS_BUSY, JWKS_FULL (its stored revocations do not fit), JWKS_NO_MEMORY; in a cache that is started also
 * JWKS_NO_FETCHER, JWKS_NO_THREAD, JWKS_FORKED. */
KEYTURN_API jwt_status jwks_cache_add_issuer(jwks_cache *cache, const jwks_issuer_options *options,
                                             jwks_issuer **out, jwks_error *error);
KEYTURN_API jwks_issuer *jwks_issuer_retain(jwks_issuer *issuer); /* returns its argument */
KEYTURN_API void jwks_issuer_release(jwks_issuer *issuer);

/* Puts other options in place of an issuer's, at any time, for every policy that has it; `issuer` must be its name. Its
 * revocations stay, and its keys as far as the new options admit them. Where those ask for something else than before,
 * or in another way, a fetch under way is given up, what the issuer's servers had said is forgotten, and the next
 * jwks_cache_poll fetches; what was spent of the bounds on fetches stays spent. Keys that come to stand without a
 * fetch (no jwks_url and no discovery any more) stay only if they have not expired. A `file` is read as when an issuer
 * is added, whatever it was before. On failure nothing has changed. JWKS_INVALID_ARGUMENT, JWKS_INVALID_OPTION,
 * JWKS_INVALID_DOCUMENT, JWKS_REMOVED, JWKS_NO_MEMORY, JWKS_BUSY. */
KEYTURN_API jwt_status jwks_issuer_update(jwks_issuer *issuer, const jwks_issuer_options *options, jwks_error *error);

/* Takes the issuer, its keys and its revocations out, at once for every policy: for verifications that
 * begin later its tokens are JWKS_KEYS_UNAVAILABLE. Its name may be added again, as another issuer.
 * JWKS_INVALID_ARGUMENT; JWKS_REMOVED the second time. */
KEYTURN_API jwt_status jwks_issuer_remove(jwks_issuer *issuer);

/* Puts a JWK Set in place of the issuer's keys, in one step that no verification waits for. A key that
 * is not in the new set is trusted by no verification that begins after this returned, or after its grace_ms.
 * Single unusable keys are left out, with a reason that jwks_issuer_keys tells; a document that is not a JWK Set,
 * or (but for JWKS_USE_JWT_SVID) holds no usable key, is JWKS_INVALID_DOCUMENT, and the keys before it stay.
 * Calls for one process are taken one after the other. For an issuer that is fetched it counts as a fetch that ends
 * now, for instance with a copy that the host has kept.
 * JWKS_INVALID_ARGUMENT, JWKS_REMOVED, JWKS_NO_MEMORY, JWKS_BUSY. (RFC 7517 section 5) */
KEYTURN_API jwt_status jwks_issuer_load(jwks_issuer *issuer, const char *json, size_t len, jwks_error *error);

/* ---- Fetching ----------------------------------------------------------------------------- */

/* One fetch under way. The cache's: from the hook's call until jwks_fetch_complete, which ends it. */
typedef struct jwks_fetch jwks_fetch;

/* What to fetch, by GET. Borrowed: valid until the fetch is completed. */
typedef struct jwks_request {
    size_t size;
    const char *url;
    const char *if_none_match;     /* NULL: none (RFC 9110 section 13.1.2) */
    const char *if_modified_since; /* NULL: none */
    const char *const *headers;    /* "Name: value", not to be sent to another origin */
    size_t header_count;
    const char *ca_file;            /* PEM; NULL: the system's */
    const char *client_certificate; /* PEM file; NULL: none */
    const char *client_key;         /* PEM file; NULL: none */
    const char *proxy;              /* URL; NULL: none, whatever the environment says */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;    /* of the whole */
    uint32_t max_body;      /* octets, counted as they come; more: JWKS_FETCH_TOO_LARGE */
    uint32_t max_redirects; /* 0: none is followed; only https to https */
    uint32_t allow_http;    /* 1: http is allowed too */
    uint32_t public_only;   /* 1: the URL is an issuer's word alone: connect to public addresses only, whatever its
                               name resolves to; else JWKS_FETCH_REFUSED */
} jwks_request;

/* Why there is no HTTP answer. Numbers never change. */
typedef enum jwks_fetch_failure {
    JWKS_FETCH_ANSWERED = 0, /* there is one: http_status tells */
    JWKS_FETCH_REFUSED = 1,  /* the URL, protocol, redirect or address is not allowed */
    JWKS_FETCH_RESOLVE = 2,
    JWKS_FETCH_CONNECT = 3,
    JWKS_FETCH_TLS = 4,
    JWKS_FETCH_TIMEOUT = 5,
    JWKS_FETCH_TOO_LARGE = 6,
    JWKS_FETCH_BROKEN = 7, /* the connection ended, or what came was not HTTP */
    JWKS_FETCH_CANCELLED = 8,
    JWKS_FETCH_OTHER = 9
} jwks_fetch_failure;

/* What came back. Borrowed for the call of jwks_fetch_complete. Header values are the field's, combined by
 * commas where it came twice; len 0: absent. */
typedef struct jwks_response {
    size_t size;
    jwks_fetch_failure failure;
    uint32_t http_status;
    uint32_t requests; /* HTTP requests made: redirects and a retry on a dead connection count; 0 counts as 1 */
    keyturn_span body;
    keyturn_span cache_control;
    keyturn_span age;
    keyturn_span date;
    keyturn_span expires;
    keyturn_span etag;
    keyturn_span last_modified;
    keyturn_span retry_after;
} jwks_response;
#define JWKS_RESPONSE_INIT \
    { sizeof(jwks_response), JWKS_FETCH_ANSWERED, 0, 0, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, \
      { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }

/* The host's HTTP client. Both functions are required; neither is called under a lock, nor from jwt_verify.
 * `context` must outlive every fetch, which may outlive the cache: a fetch ends with its completion alone. */
struct jwks_fetcher {
    size_t size;
    /* Starts a fetch and returns at once; called by jwks_cache_poll, or in the cache's thread. It is completed at
     * any time, in any thread, also before this returns. */
    void (*start)(void *context, jwks_fetch *fetch, const jwks_request *request);
    /* Asks to complete soon (as JWKS_FETCH_CANCELLED), because the answer is no longer wanted. Called as start,
     * and without a thread of the cache's also in the one that takes an issuer out; `fetch` may be being completed
     * at this moment, and is valid until this returns. */
    void (*cancel)(void *context, jwks_fetch *fetch);
    void *context;
};
#define JWKS_FETCHER_INIT { sizeof(jwks_fetcher), NULL, NULL, NULL }

/* Ends a fetch, once, from any thread; the handle is gone after it. Copies what it needs, and reads no document: the
 * next jwks_cache_poll does. A NULL response, or one of another size, is JWKS_FETCH_OTHER. */
KEYTURN_API void jwks_fetch_complete(jwks_fetch *fetch, const jwks_response *response);

/* The fetcher's own pointer with a fetch, NULL at first. The fetcher sees to it that its threads agree. */
KEYTURN_API void jwks_fetch_set_user(jwks_fetch *fetch, void *user);
KEYTURN_API void *jwks_fetch_user(const jwks_fetch *fetch);

/* Does what is due: reads answers, starts fetches, cancels those that took too long. The host calls it after
 * *next_ms (may be NULL; UINT32_MAX: nothing is due), and at once when a fetch was completed, a token was
 * JWKS_PENDING, or an issuer was added. It costs little when nothing is due. Any thread; while one is in it, others
 * return at once. After fork() the child's first call forgets the parent's fetches, and begins its own.
 * JWKS_INVALID_ARGUMENT, JWKS_NO_FETCHER, JWKS_FORKED. */
KEYTURN_API jwt_status jwks_cache_poll(jwks_cache *cache, uint32_t *next_ms);

/* Does it all in a thread of the cache's own ("keyturn", which takes no signal of the host's), until
 * jwks_cache_stop; a poll then only wakes it. Where the cache has no fetcher and something is to be fetched, now or
 * by an issuer that is added later, it opens libkeyturn-fetch.so.0, from beside this library or where the
 * loader finds it. Call it after fork(). JWT_OK if it is started already. Shared, but not to be called by a
 * fetcher's function. JWKS_INVALID_ARGUMENT, JWKS_NO_FETCHER, JWKS_NO_THREAD, JWKS_NO_MEMORY. */
KEYTURN_API jwt_status jwks_cache_start(jwks_cache *cache, jwks_error *error);

/* Ends what jwks_cache_start began, and cancels what is being fetched: within a second, whatever the network does, as
 * far as the fetcher's functions return at once. Keys go on being served up to their hard limit, and the cache may be
 * started or polled again. Nothing happens if it is not started. The last handle (cache, issuer or policy) does it
 * too: when its release has returned, no function of the host's is called any more. Shared, but neither it nor that
 * release is to be called by a fetcher's function. */
KEYTURN_API void jwks_cache_stop(jwks_cache *cache);

/* Has the engine (the thread, or the next jwks_cache_poll) fetch the issuer's keys, whatever their age, at most 6 times
 * a minute. Does not wait. A reader's agent is asked: unless the reader runs as the agent's user or as root, it
 * does for that what it would do for a token with an unknown kid.
 * JWKS_INVALID_ARGUMENT, JWKS_REMOVED, JWKS_NO_FETCHER, JWKS_THROTTLED, JWKS_FORKED. */
KEYTURN_API jwt_status jwks_issuer_refresh(jwks_issuer *issuer);

/* ---- Keys --------------------------------------------------------------------------------- */

/* What the issuer's accepted document held, key by key, and what is used beside it, at one moment. One thread at a
 * time. */
typedef struct jwks_key_list jwks_key_list;

/* Why a key of an accepted set is left out. Numbers never change. */
typedef enum jwks_key_fault {
    JWKS_KEY_USABLE = 0,
    JWKS_KEY_NOT_AN_OBJECT = 1,
    JWKS_KEY_UNKNOWN_TYPE = 2,      /* kty absent, not a string or not known (RFC 7517 section 5) */
    JWKS_KEY_UNKNOWN_CURVE = 3,     /* crv absent, not a string or not known */
    JWKS_KEY_UNKNOWN_ALGORITHM = 4, /* alg not a string, or no signature algorithm known here */
    JWKS_KEY_ALGORITHM_MISMATCH = 5, /* alg does not fit kty, crv or the size */
    JWKS_KEY_NOT_ALLOWED = 6,       /* its algorithm is not among the issuer's */
    JWKS_KEY_OTHER_USE = 7,         /* use, or key_ops, is for something else (RFC 7517 sections 4.2 and 4.3) */
    JWKS_KEY_BAD_MEMBER = 8,        /* a member is missing, not a string, not Base64url or of a wrong length */
    JWKS_KEY_TOO_WEAK = 9,          /* RSA below 2,048 bits; a secret shorter than its hash (RFC 7518) */
    JWKS_KEY_TOO_LARGE = 10,        /* RSA above 16,384 bits, or an exponent above 64 bits */
    JWKS_KEY_BAD_VALUE = 11,        /* even modulus or exponent, a point off the curve or of small order */
    JWKS_KEY_PRIVATE = 12,          /* private members are published: the key is compromised */
    JWKS_KEY_SYMMETRIC = 13,        /* an `oct` key where symmetric keys are not allowed */
    JWKS_KEY_NOT_OFFERED = 14,      /* the libcrypto at hand does not offer the algorithm */
    JWKS_KEY_REPEATED = 15,         /* the same kid and key as one before it */
    JWKS_KEY_NOT_PINNED = 16        /* none of the issuer's pins is its thumbprint */
} jwks_key_fault;

/* One key. Spans live as long as the list. */
typedef struct jwks_key_info {
    size_t size;
    size_t index;            /* its place in the document's `keys` */
    jwks_key_fault fault;    /* JWKS_KEY_USABLE, or why it is left out */
    uint32_t lenient;        /* 1: read from Base64 that the RFC does not allow, but issuers publish */
    keyturn_span kid;        /* decoded; len 0 also where there is none */
    keyturn_span thumbprint; /* RFC 7638 with SHA-256, in Base64url; len 0 if it could not be made */
    uint64_t algorithms;     /* what it may verify (see jwt_policy_options.algorithms); 0 if left out */
    uint32_t bits;           /* of the RSA modulus, the curve or the secret; 0 if not known */
    uint32_t revoked;        /* 1: by thumbprint or kid; it verifies nothing, usable or not */
    int64_t grace_ms;        /* not 0: it is absent from the document, and used for so long still (see
                                jwks_issuer_options.grace_ms); index is its place in the last that had it */
    uint64_t accepted;       /* tokens that it has verified and that were accepted */
    int64_t latest_exp;      /* the latest `exp` among them, in Unix seconds: who takes the key out after that rejects
                                none of them; INT64_MAX if one had none; 0: no claims set was among them */
    int64_t first_use;       /* of its tokens the first and the last that was accepted, in Unix seconds; 0: none */
    int64_t last_use;
    int64_t first_seen;      /* when it came in force here, in Unix seconds; 0 if left out */
    int64_t last_seen;       /* when the issuer, or jwks_issuer_load, last confirmed it; 0 if left out, or in its
                                grace */
    uint32_t has_table;      /* 1: jwks_cache_options.key_tables */
    uint32_t gapless;        /* 1: no token that it has verified since first_use is known to have gone uncounted, as
                                those of a process do that was killed; 0 also if left out */
} jwks_key_info;
#define JWKS_KEY_INFO_INIT \
    { sizeof(jwks_key_info), 0, JWKS_KEY_USABLE, 0, { NULL, 0 }, { NULL, 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* A list of the issuer's keys, those left out included, in document order, and then those in their grace. With a
 * store, accepted to last_use and gapless are of all processes that write in it, of those before a restart too, and
 * are read there. On success *out is the caller's, to be released.
 * JWKS_INVALID_ARGUMENT, JWKS_KEYS_UNAVAILABLE, JWKS_NO_MEMORY. */
KEYTURN_API jwt_status jwks_issuer_keys(jwks_issuer *issuer, jwks_key_list **out);
KEYTURN_API void jwks_key_list_release(jwks_key_list *list);
KEYTURN_API size_t jwks_key_list_count(const jwks_key_list *list);

/* Fills *out, whose size must be set, with the key at `position` (from 0). JWKS_INVALID_ARGUMENT. */
KEYTURN_API jwt_status jwks_key_list_get(const jwks_key_list *list, size_t position, jwks_key_info *out);

/* ---- Revocation --------------------------------------------------------------------------- */

/* What is revoked. Numbers never change. */
typedef enum jwks_revocation_kind {
    JWKS_REVOKE_THUMBPRINT = 1,   /* a key: value is its RFC 7638 thumbprint with SHA-256, in Base64url */
    JWKS_REVOKE_KID = 2,          /* every key of this kid */
    JWKS_REVOKE_JTI = 3,          /* the token with this jti (RFC 7519 section 4.1.7) */
    JWKS_REVOKE_SUBJECT = 4,      /* every token with this sub */
    JWKS_REVOKE_ISSUED_BEFORE = 5 /* every token whose iat is before a date, and every one without iat */
} jwks_revocation_kind;

/* A revocation. 0 is no kind. */
typedef struct jwks_revocation {
    size_t size;
    jwks_issuer *issuer;       /* required; of the cache: what it revokes is revoked for this issuer alone */
    jwks_revocation_kind kind; /* required */
    const char *value;         /* unescaped, 1 to 4,096 octets; none for ISSUED_BEFORE */
    size_t value_len;
    int64_t issued_before;     /* Unix seconds, for ISSUED_BEFORE alone */
    int64_t until;             /* Unix seconds: over from then on, by the cache's clock; 0: for good */
} jwks_revocation;
#define JWKS_REVOCATION_INIT { sizeof(jwks_revocation), NULL, (jwks_revocation_kind)0, NULL, 0, 0, 0 }

/* Revokes. When it returns it is in force: no verification that starts later accepts what is revoked, and
 * none waits for it; jws_verify, which reads no claims, obeys the kinds that are about keys. It may come before
 * the keys, and survives jwks_issuer_load: a revoked key that is published again stays revoked. One of the same
 * kind and value (date, for ISSUED_BEFORE) takes the new `until`; otherwise several hold side by side, with at
 * most 16 dates for an issuer. Nothing in force makes room for another: JWKS_FULL. An `until` that is not in
 * the future is JWKS_INVALID_OPTION. Without a store it lives in memory: after a restart the host revokes again.
 *
 * With a store it is durable when the call returns: it survives restarts, the machine's too, and processes that share
 * the store obey it within a second, if they poll when jwks_cache_poll says so. The call then writes a file, waits for
 * the disk, and up to 2 s for other processes. Where it cannot be written the answer is JWKS_NOT_DURABLE: it is in
 * force in this process, and written with the issuer's next change that can be; to repeat the call is one. Shared.
 * JWKS_INVALID_ARGUMENT, JWKS_INVALID_OPTION, JWKS_REMOVED, JWKS_NO_MEMORY, JWKS_FULL, JWKS_NOT_DURABLE. */
KEYTURN_API jwt_status jwks_cache_revoke(jwks_cache *cache, const jwks_revocation *revocation, jwks_error *error);

/* Takes one back, for verifications that start later: that of exactly this issuer, kind and value, or date;
 * `until` is not looked at. JWKS_NOT_FOUND if there is none, or it is over; otherwise as jwks_cache_revoke, but that
 * what is not durable comes back with the next change of a sibling, or a restart. */
KEYTURN_API jwt_status jwks_cache_unrevoke(jwks_cache *cache, const jwks_revocation *revocation,
                                           jwks_error *error);

/* What is revoked of an issuer, at one moment. One thread at a time. */
typedef struct jwks_revocation_list jwks_revocation_list;

/* A list of the issuer's revocations that are in force, in no order; empty for an issuer that was removed. On
 * success *out is the caller's, to be released. JWKS_INVALID_ARGUMENT, JWKS_NO_MEMORY. */
KEYTURN_API jwt_status jwks_issuer_revocations(jwks_issuer *issuer, jwks_revocation_list **out);
KEYTURN_API void jwks_revocation_list_release(jwks_revocation_list *list);
KEYTURN_API size_t jwks_revocation_list_count(const jwks_revocation_list *list);

/* Fills *out, whose size must be set, with the revocation at `position` (from 0), all but its issuer, which is
 * left as it is. Its value lives as long as the list. JWKS_INVALID_ARGUMENT. */
KEYTURN_API jwt_status jwks_revocation_list_get(const jwks_revocation_list *list, size_t position,
                                                jwks_revocation *out);

/* ---- Policies ----------------------------------------------------------------------------- */

/* What a token must be. Immutable. Shared. It holds its issuers and their cache. */
typedef struct jwt_policy jwt_policy;

/* How a rule looks at its claim. Strings are compared octet by octet after JSON unescaping; a number or
 * a boolean is compared by its JSON text, so "true" fits both true and "true". */
typedef enum jwt_rule_kind {
    JWT_RULE_PRESENT = 0,            /* the claim is there, and not null */
    JWT_RULE_EQUALS = 1,             /* it is the one value */
    JWT_RULE_ONE_OF = 2,             /* it is one of the values */
    JWT_RULE_PREFIX = 3,             /* it is a string that begins with one of the values */
    JWT_RULE_CONTAINS = 4,           /* it is an array with at least one of the values in it */
    JWT_RULE_HAS_WORD = 5,           /* it is a space-separated string (scope, RFC 8693 section 4.2) with one of the
                                        values */
    JWT_RULE_SPIFFE_TRUST_DOMAIN = 6 /* it is a SPIFFE ID of one of these trust domains */
} jwt_rule_kind;

/* A rule on one claim. All rules of a policy must hold. All elements of an array of rules have the same
 * size. An absent claim is JWT_CLAIM_MISSING; any other failure, null among them, JWT_RULE_FAILED. */
typedef struct jwt_rule {
    size_t size;
    jwt_rule_kind kind;
    const char *claim;         /* a member's name, or a JSON pointer (RFC 6901) if it begins with '/'; up to 1,024
                                  octets */
    const char *const *values; /* none for PRESENT, one for EQUALS, 1 to 256 otherwise */
    size_t value_count;
} jwt_rule;
#define JWT_RULE_INIT { sizeof(jwt_rule), JWT_RULE_PRESENT, NULL, NULL, 0 }

typedef struct jwt_policy_options {
    size_t size;
    jwks_issuer *const *issuers;   /* of the policy's cache; up to 16,384 */
    size_t issuer_count;
    const char *const *audiences;  /* the token's aud must name one of them; up to 256 */
    size_t audience_count;
    uint64_t algorithms;           /* 0: every asymmetric algorithm, not none; but an RSA key without `alg` serves
                                      RS256 alone, unless RS and PS algorithms are named here */
    const char *type;              /* required typ ("at+jwt", RFC 9068), case and "application/" ignored; up to 256
                                      octets; NULL: any */
    const jwt_rule *rules;         /* up to 256 */
    size_t rule_count;
    int64_t leeway_s;              /* for exp, nbf and iat; 0: 30; up to 600; KEYTURN_OFF: none */
    int64_t max_lifetime_s;        /* of exp - iat, both then required; 0 or KEYTURN_OFF: no maximum */
    uint32_t allow_any_issuer;     /* 1: any iss will do, or none; exactly one issuer must be given, whose keys count */
    uint32_t allow_any_audience;   /* 1: any aud will do, or none; no audiences may be given */
    uint32_t allow_no_expiry;      /* 1: a token without exp is not refused for that */
    uint32_t host_confirms;        /* 1: the host checks cnf, for instance by jwt_result_confirm_certificate */
    uint32_t max_token;            /* octets; 0: 32,768; 64 to 1,048,576 */
    uint32_t max_kid;              /* octets, unescaped; 0: 1,024; up to 4,096 */
    uint32_t max_header_members;   /* in the header, nested ones counted; 0: 64; up to 4,096 */
    uint32_t max_claims_members;   /* in the claims, nested ones counted; 0: 512; up to 4,096 */
    uint32_t max_nesting;          /* of objects and arrays; 0: 32; up to 64 */
    uint32_t reserved;
} jwt_policy_options;
#define JWT_POLICY_OPTIONS_INIT \
    { sizeof(jwt_policy_options), NULL, 0, NULL, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Makes a policy. One without issuers, or without audiences and allow_any_audience, is refused, and so
 * is an issuer of another cache, or one that was removed. On success *out is a new reference. JWKS_INVALID_ARGUMENT,
 * JWKS_INVALID_OPTION, JWKS_NO_MEMORY. (RFC 8725 sections 3.1, 3.8, 3.9) */
KEYTURN_API jwt_status jwt_policy_new(jwks_cache *cache, const jwt_policy_options *options, jwt_policy **out,
                                      jwks_error *error);
KEYTURN_API jwt_policy *jwt_policy_retain(jwt_policy *policy); /* returns its argument */
KEYTURN_API void jwt_policy_release(jwt_policy *policy);

/* ---- Verification ------------------------------------------------------------------------- */

/* What was verified, or why not: owns its octets, is cleared first by each verification, and is meant
 * to be used again. One thread at a time. */
typedef struct jwt_result jwt_result;

/* On success *out is the caller's, to be released; until it is used its status is JWKS_INVALID_ARGUMENT.
 * JWKS_INVALID_ARGUMENT, JWKS_NO_MEMORY. */
KEYTURN_API jwt_status jwt_result_new(jwt_result **out);
KEYTURN_API void jwt_result_release(jwt_result *result);

/* Verifies a compact JWS whose payload is a claims set: form, algorithm, type, issuer, times and audience,
 * then the signature, then the remaining claims. Thread-safe; takes no lock, does no I/O, waits for
 * nobody, and for a known key makes no system call; once a thread and a result are warm Keyturn itself
 * allocates nothing. A token without kid, or whose kid several keys share, is tried against the first four
 * that fit, in the order of the document. A token that was accepted before under the same policy, by a key that
 * alone could have signed it, is accepted without another look at its signature (token_cache), with the same
 * result. `result` is required, and the token does not lie in it. Returns what jwt_result_status then answers.
 * (RFC 7519 section 7.2, RFC 8725 section 3) */
KEYTURN_API jwt_status jwt_verify(const jwt_policy *policy, const char *token, size_t len, jwt_result *result);

typedef struct jws_options {
    size_t size;
    uint64_t algorithms; /* 0: every asymmetric algorithm */
    const char *type;    /* required typ, up to 256 octets; NULL: any */
    uint32_t max_token;  /* octets; 0: 32,768; 64 to 1,048,576 */
    uint32_t reserved;
} jws_options;
#define JWS_OPTIONS_INIT { sizeof(jws_options), 0, NULL, 0, 0 }

/* Verifies a compact JWS whose payload may be anything, even empty, against the keys of one issuer. As
 * jwt_verify with a policy's default bounds, without claims: claim accessors answer absent. options may be NULL. Also
 * JWKS_INVALID_OPTION. (RFC 7515 section 5.2) */
KEYTURN_API jwt_status jws_verify(jwks_issuer *issuer, const jws_options *options, const char *token, size_t len,
                                  jwt_result *result);

/* ---- Waiting ------------------------------------------------------------------------------ */

/* As jwt_verify, but where that is JWKS_PENDING it waits for the fetch, and asks again when it has ended: for at most
 * timeout_ms (0: the issuer's fetch_timeout_ms) in all, after which it is JWKS_KEYS_UNAVAILABLE. For hosts with
 * threads: it blocks, and somebody else does the engine's work. */
KEYTURN_API jwt_status jwt_verify_wait(const jwt_policy *policy, const char *token, size_t len, uint32_t timeout_ms,
                                       jwt_result *result);

/* What an event loop waits with, so that no thread blocks. One for each loop, made after fork(); it holds its cache.
 * Shared, though one thread will mostly use it. */
typedef struct jwks_loop jwks_loop;

typedef struct jwks_loop_options {
    size_t size;
    void (*notify)(void *context); /* for loops that watch no descriptor: called when one of its waiters has woken, by
                                      any thread that is in a call other than jwt_verify, or by the cache's own; it may
                                      only hand over, and call nothing of this library. NULL: jwks_loop_fd tells */
    void *context;                 /* must outlive the loop and its waiters */
} jwks_loop_options;
#define JWKS_LOOP_OPTIONS_INIT { sizeof(jwks_loop_options), NULL, NULL }

/* options may be NULL. On success *out is the caller's, to be released. JWKS_INVALID_ARGUMENT, JWKS_INVALID_OPTION,
 * JWKS_NO_MEMORY, JWKS_NO_THREAD, JWKS_FORKED. */
KEYTURN_API jwt_status jwks_loop_new(jwks_cache *cache, const jwks_loop_options *options, jwks_loop **out);

/* From then on nobody is told of its waiters, which still need their jwt_wait_cancel. */
KEYTURN_API void jwks_loop_release(jwks_loop *loop);

/* Readable when a waiter has woken, and until jwks_loop_next has given NULL; of a cache that is not started also when
 * jwks_cache_poll is to be called at once. The loop's; not to be read or closed. -1 with `notify`, which tells the
 * same. */
KEYTURN_API int jwks_loop_fd(const jwks_loop *loop);

/* The `user` of the next waiter that has woken, each once, or NULL. Its token is then verified again. */
KEYTURN_API void *jwks_loop_next(jwks_loop *loop);

/* One token that waits. */
typedef struct jwt_waiter jwt_waiter;

/* Parks a token whose jwt_verify was JWKS_PENDING with this result, which need not be kept. When the fetch that it
 * waits for has ended (or the issuer was removed, the cache stopped, or fetch_timeout_ms passed) the loop gives `user`,
 * once. On success *out needs exactly one jwt_wait_cancel, whether it wakes or not. JWKS_RETRY: that is over already,
 * so verify again at once. JWKS_KEYS_UNAVAILABLE: as many wait for this issuer as may. JWKS_INVALID_ARGUMENT (also for
 * a result that is not pending, another cache's loop, and a NULL `user`), JWKS_NO_MEMORY, JWKS_FORKED. */
KEYTURN_API jwt_status jwt_wait(const jwt_result *pending, jwks_loop *loop, void *user, jwt_waiter **out);

/* Ends a waiter, at any time and in any thread: once it has returned, jwks_loop_next does not give its `user`. */
KEYTURN_API void jwt_wait_cancel(jwt_waiter *waiter);

/* ---- Results ------------------------------------------------------------------------------ */

/* Spans live until the result is used for another verification or released. After a refusal, all but
 * status, detail and the confirmation answer absent, empty, 0 or NULL. None fails; NULL is answered
 * like a refusal. */

/* What the last verification with it returned. */
KEYTURN_API jwt_status jwt_result_status(const jwt_result *result);

/* What the status is about ("aud", "rules[1] /roles"), for a log: names that the header or the policy
 * uses, never a value of the token. "" if there is nothing to add. */
KEYTURN_API const char *jwt_result_detail(const jwt_result *result);

/* What was signed: for jwt_verify the JSON text of the claims set. */
KEYTURN_API keyturn_span jwt_result_payload(const jwt_result *result);

/* Of the key that verified: its kid, its RFC 7638 thumbprint in Base64url, and the algorithm's name as
 * the token's header has it (a static string). */
KEYTURN_API keyturn_span jwt_result_kid(const jwt_result *result);
KEYTURN_API keyturn_span jwt_result_thumbprint(const jwt_result *result);
KEYTURN_API const char *jwt_result_algorithm(const jwt_result *result);

/* The issuer whose key verified, as it was configured. */
KEYTURN_API keyturn_span jwt_result_issuer(const jwt_result *result);

/* exp in Unix seconds, rounded down; INT64_MAX for a token without; 0 after a refusal. */
KEYTURN_API int64_t jwt_result_expiry(const jwt_result *result);

typedef enum jwt_kind {
    JWT_ABSENT = 0,
    JWT_NULL = 1,
    JWT_BOOLEAN = 2,
    JWT_NUMBER = 3,
    JWT_STRING = 4,
    JWT_ARRAY = 5,
    JWT_OBJECT = 6
} jwt_kind;

/* A JSON value. For a string, text is its content, unescaped, which may hold any character, NUL
 * included; for all others it is the JSON text of the value. */
typedef struct jwt_value {
    jwt_kind kind;
    keyturn_span text;
} jwt_value;

/* A member of the claims set by name, or a value anywhere in it by JSON pointer ("/realm_access/roles/0",
 * RFC 6901); and the same for the JOSE header. Nothing is allocated. */
KEYTURN_API jwt_value jwt_result_claim(const jwt_result *result, const char *name, size_t len);
KEYTURN_API jwt_value jwt_result_claim_at(const jwt_result *result, const char *pointer, size_t len);
KEYTURN_API jwt_value jwt_result_header(const jwt_result *result, const char *name, size_t len);
KEYTURN_API jwt_value jwt_result_header_at(const jwt_result *result, const char *pointer, size_t len);

/* 1 and *out if the value is a number that is exactly an int64_t (1.5e1 is 15), else 0. Any thread. */
KEYTURN_API int jwt_value_integer(jwt_value value, int64_t *out);

/* Whether the token is bound to the client's certificate: JWT_OK if cnf has an x5t#S256 that equals the
 * SHA-256 of the DER certificate, compared in constant time; JWT_CONFIRMATION_MISMATCH if it differs;
 * JWT_CONFIRMATION_REQUIRED if the token holds no such binding; after a refusal, that refusal.
 * (RFC 8705 section 3.1) */
KEYTURN_API jwt_status jwt_result_confirm_certificate(const jwt_result *result, const unsigned char sha256[32]);

/* ---- Replies ------------------------------------------------------------------------------ */

typedef struct jwt_challenge_options {
    size_t size;
    const char *realm;             /* up to 1,024 octets; NULL: none */
    const char *scope;             /* told with a 403; up to 1,024 octets; NULL: none */
    const char *resource_metadata; /* a URL (RFC 9728 section 5.1), up to 2,048 octets; NULL: none */
} jwt_challenge_options;
#define JWT_CHALLENGE_OPTIONS_INIT { sizeof(jwt_challenge_options), NULL, NULL, NULL }

/* Writes the value of WWW-Authenticate for a status, NUL-terminated, and its length without the NUL:
 * nothing for one that is neither 401 nor 403, and no error code for JWT_MISSING. All refusals with 401
 * read alike, so that a client learns nothing from them. options may be NULL; control characters in them
 * are JWKS_INVALID_OPTION; a buffer that is too small (NULL, with capacity 0) is JWKS_INVALID_ARGUMENT,
 * with *len what it takes.
 * Any thread. (RFC 6750 section 3) */
KEYTURN_API jwt_status jwt_challenge(jwt_status status, const jwt_challenge_options *options, char *buffer,
                                     size_t capacity, size_t *len);

/* ---- Being watched ------------------------------------------------------------------------ */

/* Counters only grow. Each thread counts for itself, and who asks adds up, so that verifications do not wait for each
 * other. With a store the counters of jwks_cache_metrics, jwks_issuer_stats_get and jwks_issuer_keys are those of all
 * processes that write in it, since it was made, but for store_troubles: each adds what it has counted to its sums once
 * a second, in jwks_cache_poll or the thread of jwks_cache_start, in jwks_cache_stop and with the last handle, and who
 * asks reads them there. docs/watching.md says what may be missing. A reader, and each process without a store, tells
 * its own. After fork() the child goes on from its parent's own counters, and adds to the sums what it counts after
 * jwks_cache_start, or its first jwks_cache_poll, has returned there. Tokens of before are in no sum, and `gapless` is
 * 0 for their keys. */

/* How many tokens jwt_verify and jws_verify have answered with this status in this process: of the issuer, and of the
 * cache those that were refused before their issuer was known. Any thread; 0 for NULL; never fails. */
KEYTURN_API uint64_t jwks_issuer_tokens(const jwks_issuer *issuer, jwt_status status);
KEYTURN_API uint64_t jwks_cache_tokens(const jwks_cache *cache, jwt_status status);

/* How an issuer's keys stand. Numbers never change. */
typedef enum jwks_issuer_state {
    JWKS_ISSUER_EMPTY = 0,   /* no key set was ever accepted */
    JWKS_ISSUER_FRESH = 1,   /* younger than its freshness lifetime F */
    JWKS_ISSUER_STALE = 2,   /* older, and still served: nobody has confirmed the keys in time */
    JWKS_ISSUER_EXPIRED = 3, /* older than the hard limit H: nothing is accepted */
    JWKS_ISSUER_PINNED = 4,  /* nothing is fetched */
    JWKS_ISSUER_DISABLED = 5 /* removed */
} jwks_issuer_state;

/* Why the issuer was asked. Numbers never change. */
typedef enum jwks_fetch_reason {
    JWKS_FETCH_START = 0,
    JWKS_FETCH_SCHEDULE = 1,
    JWKS_FETCH_RETRY = 2,
    JWKS_FETCH_MISSING_KID = 3,
    JWKS_FETCH_REKEY = 4,
    JWKS_FETCH_OPERATOR = 5, /* jwks_issuer_refresh */
    JWKS_FETCH_ELSEWHERE = 6 /* by another process of the store */
} jwks_fetch_reason;

/* What became of it. From NEW_SET to NOT_MODIFIED it succeeded; all others leave the keys before it as they are.
 * Numbers never change. */
typedef enum jwks_fetch_result {
    JWKS_FETCHED_NEW_SET = 0,
    JWKS_FETCHED_UNCHANGED = 1,    /* 200 with the document in force */
    JWKS_FETCHED_NOT_MODIFIED = 2, /* 304 */
    JWKS_FETCHED_EMPTIED = 3,      /* a set without usable keys, held back (jwks_empty_set) */
    JWKS_FETCHED_REGRESSED = 4,    /* a set that is older than the one in force, held back */
    JWKS_FETCHED_REFUSED = 5,      /* up to OTHER what the fetcher said: jwks_fetch_failure */
    JWKS_FETCHED_RESOLVE = 6,
    JWKS_FETCHED_CONNECT = 7,
    JWKS_FETCHED_TLS = 8,
    JWKS_FETCHED_TIMEOUT = 9,
    JWKS_FETCHED_TOO_LARGE = 10,
    JWKS_FETCHED_BROKEN = 11,
    JWKS_FETCHED_CANCELLED = 12,
    JWKS_FETCHED_OTHER = 13,
    JWKS_FETCHED_HTTP_STATUS = 14, /* neither 200 nor a 304 that was asked for */
    JWKS_FETCHED_DOCUMENT = 15,    /* no JWK Set that could be accepted */
    JWKS_FETCHED_DISCOVERY = 16,   /* no discovery document that could be */
    JWKS_FETCHED_LOCAL = 17        /* no memory, no free place, or a stalled reader: nothing of the issuer's doing */
} jwks_fetch_result;

/* What can be amiss with a store. It takes no keys away: those in memory serve as ever, but for REVOCATIONS, which
 * closes the issuer. Numbers never change. */
typedef enum jwks_store_trouble {
    JWKS_TROUBLE_KEYS = 0,        /* the issuer's stored keys are not used */
    JWKS_TROUBLE_REVOCATIONS = 1, /* what is revoked of the issuer is not known: its tokens are JWKS_KEYS_UNAVAILABLE */
    JWKS_TROUBLE_WRITING = 2,     /* what was accepted, or revoked, could not be written; tried again with the next */
    JWKS_TROUBLE_DIRECTORY = 3,   /* the directory has been removed; only a new cache opens another */
    JWKS_TROUBLE_AGENT = 4,       /* a reader hears nothing of its agent */
    JWKS_TROUBLE_WATCHING = 5     /* the system tells nothing of changes, which are seen at the next look */
} jwks_store_trouble;

/* Why. Numbers never change. */
typedef enum jwks_store_fault {
    JWKS_STORE_SOUND = 0,
    JWKS_STORE_ABSENT = 1,
    JWKS_STORE_DAMAGED = 2,
    JWKS_STORE_OTHER_FORM = 3, /* whole, and of another release's form */
    JWKS_STORE_FOREIGN = 4,    /* of a user who is not trusted, or others may write it */
    JWKS_STORE_IRREGULAR = 5,  /* a link, or what else is no regular file */
    JWKS_STORE_TOO_LARGE = 6,
    JWKS_STORE_TOO_MANY = 7,   /* more revocations than max_revocations leave room for */
    JWKS_STORE_FROM_FUTURE = 8,
    JWKS_STORE_NOT_ACCEPTED = 9, /* whole, but this cache's options refuse it */
    JWKS_STORE_DENIED = 10,
    JWKS_STORE_NO_SPACE = 11,
    JWKS_STORE_READ_ONLY = 12,
    JWKS_STORE_SILENT = 13,
    JWKS_STORE_EXHAUSTED = 14, /* descriptors, or watches */
    JWKS_STORE_SYSTEM = 15,    /* any other failure of the system or the medium */
    JWKS_STORE_NO_MEMORY = 16
} jwks_store_fault;

/* For people: "there is no space left". A static string; "" for SOUND and numbers that are none. */
KEYTURN_API const char *jwks_store_fault_text(jwks_store_fault fault);

/* How an issuer stands in this process, and what has happened there. Milliseconds, and -1 for never or not at all. From
 * misses_pending on it is counted since the issuer was added; all of that but generation, set_digest and last_fetch_ms
 * are sums over the store, unless `own` is 1. */
typedef struct jwks_issuer_stats {
    size_t size;
    jwks_issuer_state state;
    jwks_fetch_result last_failure; /* if since_failure_ms is not -1 */
    int64_t age_ms;                 /* of the keys, from the start of the fetch that last confirmed them */
    int64_t fresh_ms;               /* left to F */
    int64_t served_ms;              /* left to H; INT64_MAX: no end */
    int64_t next_fetch_ms;          /* 0: due, or under way */
    int64_t since_success_ms;
    int64_t since_failure_ms;
    uint32_t failures; /* in a row */
    uint32_t waiters;  /* tokens parked until the fetch under way ends */
    uint32_t keys;     /* usable ones in force */
    uint32_t revocations;
    uint64_t misses_pending;   /* tokens of an unknown kid: worth a fetch, */
    uint64_t misses_throttled; /* refused because no fetch was to be had, */
    uint64_t misses_listed;    /* or because the issuer was asked for that kid a short while ago */
    jwks_store_fault store_faults[8]; /* by jwks_store_trouble, from WRITING on of the cache: what there is now, */
    uint64_t store_troubles[8];       /* and how often it was met in this process */

    uint64_t generation;        /* sets put in force */
    unsigned char set_digest[32]; /* equal wherever the same kids and thumbprints are in force; 0: no set yet */
    uint64_t fetches;             /* that have ended: each with all its requests, and counted once by reason and
                                     result */
    uint64_t by_reason[8];        /* by jwks_fetch_reason */
    uint64_t by_result[32];       /* by jwks_fetch_result */
    uint64_t received_octets;     /* of bodies */
    uint64_t fetch_ms;            /* that they took, all together */
    uint64_t last_fetch_ms;
    uint64_t keys_added;
    uint64_t keys_removed;
    uint64_t disjoint_sets;     /* that had no key in common with the one before */
    uint64_t duplicate_kids;    /* keys that came with the kid of another key of their set */
    uint64_t revoked_keys;      /* keys that were published although they are revoked */
    uint64_t keys_left_out[32]; /* by jwks_key_fault */

    uint32_t own; /* read by the call: 1: what this process alone has counted */
    uint32_t reserved;
} jwks_issuer_stats;
#define JWKS_ISSUER_STATS_INIT \
    { sizeof(jwks_issuer_stats), JWKS_ISSUER_EMPTY, JWKS_FETCHED_NEW_SET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      { JWKS_STORE_SOUND }, { 0 }, 0, { 0 }, \
      0, { 0 }, { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, { 0 }, 0, 0 }

/* Fills *out, whose size, and own where it is wanted, must be set, as things stand at this moment. Shared.
 * JWKS_INVALID_ARGUMENT. */
KEYTURN_API jwt_status jwks_issuer_stats_get(jwks_issuer *issuer, jwks_issuer_stats *out);

/* Whether tokens of the issuer can be verified now: JWT_OK if a key is served; JWKS_PENDING if its first fetch is under
 * way, or begins with its next token; JWKS_KEYS_UNAVAILABLE; JWKS_REMOVED. For a readiness probe. Causes no fetch.
 * Shared. JWKS_INVALID_ARGUMENT. */
KEYTURN_API jwt_status jwks_issuer_ready(jwks_issuer *issuer);

typedef struct jwks_metrics_options {
    size_t size;
    uint32_t per_key;    /* 1: metrics of each key too, under its kid and thumbprint */
    uint32_t max_series; /* of keys; 0: 10,000; 1 to 1,000,000: what is beyond is left out */
    uint32_t own;        /* 1: what this process alone has counted; 0: all processes of the store, if there is one */
    uint32_t reserved;
} jwks_metrics_options;
#define JWKS_METRICS_OPTIONS_INIT { sizeof(jwks_metrics_options), 0, 0, 0, 0 }

/* Writes the cache's metrics as Prometheus reads them (text format 0.0.4, "text/plain; version=0.0.4"), NUL-terminated,
 * and the length without the NUL; docs/watching.md says what each means. Counters that are 0 may be left out. No kid is
 * in it that no issuer publishes. options may be NULL. A buffer that is too small (NULL, with capacity 0) is
 * JWKS_INVALID_ARGUMENT, with *len what it takes at that moment: numbers grow, so come back with some more. Shared.
 * JWKS_INVALID_OPTION. */
KEYTURN_API jwt_status jwks_cache_metrics(jwks_cache *cache, const jwks_metrics_options *options, char *buffer,
                                          size_t capacity, size_t *len);

/* What has happened. Numbers never change. */
typedef enum jwks_event_kind {
    JWKS_EVENT_ISSUER_ADDED = 1,
    JWKS_EVENT_ISSUER_REMOVED = 2,
    JWKS_EVENT_KEYS_CHANGED = 3,    /* a set is in force with `count` new keys; `removed` have left */
    JWKS_EVENT_DISJOINT_SET = 4,    /* it has no key of the one before */
    JWKS_EVENT_KEYS_LEFT_OUT = 5,   /* `count` keys of it cannot be used; reason: jwks_key_fault */
    JWKS_EVENT_PRIVATE_KEY = 6,     /* `count` private keys are published, and compromised */
    JWKS_EVENT_DUPLICATE_KIDS = 7,  /* `count` keys share their kid with another one */
    JWKS_EVENT_REVOKED_KEY = 8,     /* the issuer publishes this key, which is revoked and stays so */
    JWKS_EVENT_FETCH_FAILED = 9,    /* for the `count`th time in a row; reason: jwks_fetch_result */
    JWKS_EVENT_RECOVERED = 10,      /* a fetch has succeeded after one that had not */
    JWKS_EVENT_STALE = 11,          /* nobody has confirmed the keys for long; told again and again until H */
    JWKS_EVENT_EXPIRED = 12,        /* the keys are served no more */
    JWKS_EVENT_EMPTIED_HELD = 13,   /* an answer without usable keys was not obeyed */
    JWKS_EVENT_EMPTIED_OBEYED = 14, /* a set without usable keys is in force */
    JWKS_EVENT_REGRESSED_HELD = 15, /* an answer older than the set in force was not obeyed */
    JWKS_EVENT_MISSES_REFUSED = 16, /* `count` tokens of unknown kids were refused unasked; at most once a minute */
    JWKS_EVENT_MISSES_RISE = 17,    /* tokens of unknown kids come at `count` a minute, much more than they used to */
    JWKS_EVENT_REVOKED = 18,        /* reason: jwks_revocation_kind; also for one that got another end */
    JWKS_EVENT_UNREVOKED = 19,      /* the same */
    JWKS_EVENT_END_NEAR = 20,       /* keys that are not fetched are served but a short while longer */

    /* A jwks_store_trouble has begun; reason: jwks_store_fault; count: how often it was met so far. Each is told once
       in a * minute at most, those from STORE_UNWRITTEN on for the cache as a whole. */
    JWKS_EVENT_STORE_REFUSED = 21,
    JWKS_EVENT_REVOCATIONS_UNKNOWN = 22,
    JWKS_EVENT_STORE_UNWRITTEN = 23,
    JWKS_EVENT_STORE_GONE = 24,
    JWKS_EVENT_AGENT_SILENT = 25,
    JWKS_EVENT_UNWATCHED = 26,
    JWKS_EVENT_STORE_SOUND = 27     /* it is over; reason: the jwks_event_kind that told of it */
} jwks_event_kind;

/* One of them. Holds nothing of a token, and no kid that no issuer publishes. */
typedef struct jwks_event {
    size_t size;
    jwks_event_kind kind;
    uint32_t reason;  /* see the kind; 0: none */
    int64_t time;     /* Unix seconds, by the cache's clock as it is now */
    uint64_t count;   /* see the kind; 1: no more to say */
    uint64_t removed;
    uint64_t dropped; /* events that were lost just before this one was taken, for want of room */
    const char *name;    /* of the kind: "keys_changed". A static string */
    char issuer[1028];   /* NUL-terminated, like the two below */
    char kid[256];       /* of a published key; "" also if it is longer, or has control characters */
    char thumbprint[44]; /* of it; "" for a secret's */
} jwks_event;
#define JWKS_EVENT_INIT \
    { sizeof(jwks_event), (jwks_event_kind)0, 0, 0, 0, 0, 0, NULL, { 0 }, { 0 }, { 0 } }

/* Takes the oldest event: 1 and *out, whose size must be set; 0 if there is none, or for misuse. Whoever wants to log
 * them pulls after each jwks_cache_poll, or from time to time. Verifications make no events: what they count becomes
 * one when the engine next looks at the issuer. Shared: each event goes to one caller. */
KEYTURN_API int jwks_event_next(jwks_cache *cache, jwks_event *out);

#ifdef __cplusplus
}
#endif
#endif /* KEYTURN_H */
