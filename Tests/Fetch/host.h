/* A host with one cache, libkeyturn-fetch.so and issuers that are stages (stage.h): what the tests of both libraries
 * together have in common. Its cases run side by side, each in a thread of its own. */
#ifndef HOST_H
#define HOST_H

#include "../ABI/minting.h"
#include "clock.h"
#include "stage.h"

/* How the cache that all cases share is driven. */
enum driving {
    POLLED,  /* by a thread of the host's, through a fetcher that the host has made */
    STARTED, /* by jwks_cache_start, which opens libkeyturn-fetch.so.0 itself */
    FLAWED   /* as POLLED, but the fetcher lies: whatever fails has brought another key */
};

/* The wall clock stands still at NOW. */
extern jwks_cache *cache;
/* "start" is STARTED, "flawed" FLAWED; anything else, and nothing, POLLED. */
enum driving driving_of(int argc, char **argv);
void begin_driving(enum driving driving);
void end_driving(void);

/* One issuer, and a policy for it. */
struct site {
    const char *name; /* of its stage, too */
    char issuer[256], url[256];
    jwks_issuer_options options; /* by url, or what the case makes of it before `add` */
    jwks_issuer *handle;
    jwt_policy *policy;
    jwt_result *result;
};

/* Of this name, at one of the servers; to be added. */
void begin_site(struct site *site, const char *server, const char *name);
void add_site(struct site *site);
void end_site(struct site *site);

/* What key `key` has signed under the kid `kid`. To be freed. */
char *token_of(const struct site *site, unsigned key, const char *kid);
/* Verifies a token that key `key` has signed under the kid `kid`. */
jwt_status ask(struct site *site, unsigned key, const char *kid);
/* What becomes of an unknown kid while the issuer fails: it waited for a fetch that failed, or is refused unasked. */
int is_not_served(jwt_status status);
/* The same as ask until it is neither pending nor `passing`, where one that is not served passes as the other;
 * JWKS_PENDING if that takes a minute. */
jwt_status ask_until_not(struct site *site, unsigned key, const char *kid, jwt_status passing);
/* Adds it, until the first key's token is accepted; and so is each one for so long. */
void serve_site(struct site *site);
void serve_for(struct site *site, int64_t milliseconds);
/* Until the stage was asked so often; false if that takes a minute. */
int await_asked(const char *stage, size_t count);

/* The stage plays a set of key `key` as `kid`. */
void play_key(const char *stage, unsigned key, const char *kid, const char *fields);
/* "answer 200 OK", these header fields (each with its line feed), and a set of key `key` as `kid`. To be freed. */
char *act_of_key(unsigned key, const char *kid, const char *fields);

/* What jwks_issuer_keys says, as "KID:FAULT ..." in document order, or the status. To be freed. */
char *keys_of(struct site *site);

/* ---- Cases */

#define CHECK_KEYS(site, expected) check_keys(site, expected, __FILE__, __LINE__)
void check_keys(struct site *site, const char *expected, const char *file, int line);

/* Names the case and the line, and ends its thread. */
#define CHECK(holds)                                                                                         \
    do {                                                                                                     \
        if (!(holds))                                                                                        \
            fail_case(__FILE__, __LINE__, #holds);                                                           \
    } while (0)
_Noreturn void fail_case(const char *file, int line, const char *condition);
#define CHECK_STATUS(actual, expected) check_status(actual, expected, __FILE__, __LINE__)
void check_status(jwt_status actual, jwt_status expected, const char *file, int line);

/* Runs it in a thread; name and argument live on. */
void begin_case(const char *name, void (*body)(const char *name, const void *argument), const void *argument);
/* Waits for all, and gives how many have failed. */
int end_cases(void);

#endif
