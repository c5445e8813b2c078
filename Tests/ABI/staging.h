/* A host whose fetcher is called by the cache's own thread: what it keeps is looked at under a lock. */
#ifndef STAGING_H
#define STAGING_H

#include "fetching.h"

/* With a fetcher of the host's, on the system's clock. */
int make_stage(void **state);
int end_stage(void **state);
#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, make_stage, end_stage)

/* Makes the host's cache anew, with these options. */
void use_cache(struct host *host, const jwks_cache_options *options);
jwks_cache_options stage_options(struct host *host);

void lock_stage(void);
void unlock_stage(void);
/* Until it has been asked for so many fetches; the test fails if that takes beyond every bound. */
void await_starts(struct host *host, size_t count);
void await_cancels(struct host *host, int count);
/* Answers the oldest with a set of this key. */
void answer_key(struct host *host, unsigned key, const char *kid);
void answer_failure(struct host *host);
/* Asks until it is no longer pending, and gives what it is then. */
jwt_status settle_kid(struct host *host, unsigned key, const char *kid);
/* Asks until it is accepted. */
void await_kid(struct host *host, unsigned key, const char *kid);

/* How many threads this process has of that name, or in all with NULL; how many descriptors. */
size_t threads_named(const char *name);
size_t descriptors(void);
/* Until there are so many threads. */
void await_threads(size_t count);

int64_t real_time(void); /* milliseconds */

#endif
