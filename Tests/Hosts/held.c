/* Preloaded: counts what each process has allocated and not freed, in a page that Tests/Hosts/soak.py looks at. What is
 * resident does not tell: allocators keep what was freed. With HELD_LOSES each process loses 1 KiB of memory, or a
 * descriptor, as often as the page asks for it: so a test shows that it would notice. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own, under the names that it keeps for such programs as this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

enum { PROCESSES = 255 };

struct process {
    _Atomic int64_t pid, octets;
};

static struct page {
    _Atomic int64_t count, losses;
    struct process each[PROCESSES];
} before, *page = &before;

static struct process *mine = before.each;
static enum loss { NOTHING, MEMORY, DESCRIPTOR } loses;
static _Atomic int64_t lost;

/* A child has what its parent had. */
static void enter(void)
{
    int64_t octets = mine->octets, next = atomic_fetch_add(&page->count, 1);
    if (next >= PROCESSES)
        abort();
    mine = &page->each[next];
    mine->octets = octets;
    mine->pid = getpid();
}

static enum loss kind(const char *name)
{
    if (name && strcmp(name, "memory") == 0)
        return MEMORY;
    return name && strcmp(name, "descriptor") == 0 ? DESCRIPTOR : NOTHING;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HELD");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *shared = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        abort();
    close(file);
    loses = kind(getenv("HELD_LOSES")); /* whose text nginx is to overwrite */
    page = shared;
    enter();
    pthread_atfork(NULL, NULL, enter);
}

static void *gained(void *memory)
{
    mine->octets += (int64_t)malloc_usable_size(memory);
    return memory;
}

static void lose(void)
{
    int64_t asked = page->losses;
    for (int64_t left = asked - atomic_exchange(&lost, asked); left > 0; left--)
        if (loses == MEMORY)
            (void)gained(__libc_malloc(1024));
        else if (loses == DESCRIPTOR)
            (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void *malloc(size_t size)
{
    return gained(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return gained(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    int64_t old = (int64_t)malloc_usable_size(memory);
    void *new = __libc_realloc(memory, size);
    if (new || size == 0)
        mine->octets -= old;
    return gained(new);
}

void *memalign(size_t alignment, size_t size)
{
    return gained(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *new = memalign(alignment, size);
    if (new == NULL)
        return ENOMEM;
    *memory = new;
    return 0;
}

void free(void *memory)
{
    if (lost != page->losses)
        lose();
    mine->octets -= (int64_t)malloc_usable_size(memory);
    __libc_free(memory);
}
