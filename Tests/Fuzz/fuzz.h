/* What the targets share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must hold; where it does not, libFuzzer keeps the input. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A block of exactly `count` octets, so that AddressSanitizer sees a read beyond them; the caller's. */
static inline void *fuzz_copy(const void *data, size_t count)
{
    void *copy = malloc(count ? count : 1);
    REQUIRE(copy);
    return memcpy(copy, data, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

#endif
