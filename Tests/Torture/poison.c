/* Linked into the shipped object with --wrap=ckeyturn_free: what the core frees turns into 0xDB first and
 * stays so for a while, so that whoever still reads it cannot miss it, and whoever writes to it is found. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POISON = 0xDB, KEPT = 256 };

void __real_ckeyturn_free(void *memory);
void __wrap_ckeyturn_free(void *memory);

static _Atomic(unsigned char *) kept[KEPT];
static atomic_uint turn;

static void check(const unsigned char *memory)
{
    size_t size = malloc_usable_size((void *)memory);
    for (size_t i = 0; i < size; i++) {
        if (memory[i] != POISON) {
            fprintf(stderr, "torture: memory was written to after it had been freed\n");
            abort();
        }
    }
}

void __wrap_ckeyturn_free(void *memory)
{
    if (memory == NULL)
        return;
    memset(memory, POISON, malloc_usable_size(memory));
    unsigned char *oldest =
        atomic_exchange(&kept[atomic_fetch_add(&turn, 1) % KEPT], (unsigned char *)memory);
    if (oldest == NULL)
        return;
    check(oldest);
    __real_ckeyturn_free(oldest);
}
