/* Leaks a cache, so that valgrind has something to find: the mutant of the tests that run under it. */
#include <keyturn.h>
#include <stdlib.h>

static __attribute__((noinline)) int leak(void)
{
    jwks_cache *cache;
    return jwks_cache_new(NULL, &cache, NULL) == JWT_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
    return leak();
}
