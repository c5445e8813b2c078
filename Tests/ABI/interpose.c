#include "interpose.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* glibc's own, under the names that it keeps for such programs as this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

/* ---- Whose code asks */

static struct range {
    uintptr_t start, end;
    enum owner owner;
} ranges[8];
static size_t range_count;

static enum owner owner_named(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (strncmp(name, "libkeyturn", 10) == 0)
        return OF_KEYTURN;
    if (strncmp(name, "libcrypto", 9) == 0)
        return OF_LIBCRYPTO;
    if (strncmp(name, "libjansson", 10) == 0)
        return OF_JANSSON;
    return OF_OTHERS;
}

static int note_range(struct dl_phdr_info *info, size_t size, void *unused)
{
    enum owner owner = owner_named(info->dlpi_name);
    (void)size;
    (void)unused;
    if (owner == OF_OTHERS)
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || range_count == 8)
            continue;
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        ranges[range_count++] = (struct range){ start, start + segment->p_memsz, owner };
    }
    return 0;
}

void find_owners(void)
{
    range_count = 0;
    dl_iterate_phdr(note_range, NULL);
}

static enum owner owner_of(const void *caller)
{
    for (size_t i = 0; i < range_count; i++)
        if ((uintptr_t)caller >= ranges[i].start && (uintptr_t)caller < ranges[i].end)
            return ranges[i].owner;
    return OF_OTHERS;
}

/* ---- Counting and failing */

static atomic_ulong counts[OF_OTHERS + 1];
static atomic_long live, octets;
static atomic_uint failing_owners;
static atomic_long until_failure;
static atomic_int came;

unsigned long allocations_of(enum owner owner)
{
    return counts[owner];
}

long live_blocks(void)
{
    return live;
}

long live_octets(void)
{
    return octets;
}

void fail_allocation(unsigned owners, unsigned long nth)
{
    failing_owners = nth ? owners : 0;
    until_failure = (long)nth;
    if (nth)
        came = 0;
}

int failure_came(void)
{
    return came;
}

static int must_fail(const void *caller)
{
    enum owner owner = owner_of(caller);
    atomic_fetch_add(&counts[owner], 1);
    if (!(failing_owners & owner) || atomic_fetch_sub(&until_failure, 1) != 1)
        return 0;
    came = 1;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory)
{
    if (memory) {
        atomic_fetch_add(&live, 1);
        atomic_fetch_add(&octets, (long)malloc_usable_size(memory));
    }
    return memory;
}

static void discounted(long size)
{
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&octets, size);
}

/* ---- The functions that everyone calls */

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return must_fail(CALLER) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return must_fail(CALLER) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (must_fail(CALLER))
        return NULL;
    long before = memory ? (long)malloc_usable_size(memory) : 0;
    void *moved = __libc_realloc(memory, size);
    if (memory && (moved || size == 0))
        discounted(before);
    return counted(moved);
}

void *memalign(size_t alignment, size_t size)
{
    return must_fail(CALLER) ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return must_fail(CALLER) ? NULL : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = must_fail(CALLER) ? NULL : counted(__libc_memalign(alignment, size));
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

void free(void *memory)
{
    if (memory)
        discounted((long)malloc_usable_size(memory));
    __libc_free(memory);
}
