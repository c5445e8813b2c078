#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

/* A folder takes a step, and so does a link. */
enum { LONGEST_WAY = 4096, MOST_STEPS = 4096, MOST_READS = 64 };

/* Not what is made: a file of the store is told when it has its name. */
#define OF_STORE (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF)
#define OF_FILES (OF_STORE | IN_CREATE | IN_MOVE_SELF)

int ckeyturn_watch_new(void)
{
    return inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

static int add(int watch, const char *directory, uint32_t what)
{
    return inotify_add_watch(watch, directory, what | IN_MASK_ADD | IN_ONLYDIR) < 0 ? -1 : 0;
}

int ckeyturn_watch_directory(int watch, int directory)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    return add(watch, path, OF_STORE);
}

struct way {
    char folder[LONGEST_WAY]; /* with no link in it that was not seen; ends in a slash, or is empty */
    char rest[LONGEST_WAY];   /* from there to the file */
};

/* 1, or 0 where that is longer than any way. */
static int go_on(struct way *way, const char *folder, const char *slash, const char *rest)
{
    struct way next;
    if ((size_t)snprintf(next.folder, LONGEST_WAY, "%s%s", folder, slash) >= LONGEST_WAY ||
        (size_t)snprintf(next.rest, LONGEST_WAY, "%s", rest) >= LONGEST_WAY)
        return 0;
    *way = next;
    return 1;
}

/* 1 if there are more steps, 0 at the end of the way, -1 where a folder cannot be watched. */
static int step(int watch, struct way *way)
{
    char place[2 * LONGEST_WAY], target[2 * LONGEST_WAY];
    const char *name = way->rest + strspn(way->rest, "/");
    int length = (int)strcspn(name, "/");
    if (name != way->rest && *way->folder == '\0')
        return go_on(way, "/", "", name);
    snprintf(place, sizeof place, "%s%.*s", way->folder, length, name);
    ssize_t end = readlink(place, target, LONGEST_WAY - 1);
    if (end < 0 && name[length] != '\0')
        return go_on(way, place, "/", name + length);
    if (add(watch, *way->folder ? way->folder : ".", OF_FILES) != 0)
        return -1;
    if (end < 0)
        return 0;
    snprintf(target + end, sizeof target - (size_t)end, "%s", name + length);
    return go_on(way, *target == '/' ? "" : way->folder, "", target);
}

int ckeyturn_watch_path(int watch, const char *path)
{
    struct way way;
    int more = go_on(&way, "", "", path);
    for (int steps = 0; more > 0 && steps < MOST_STEPS; steps++)
        more = step(watch, &way);
    return more >= 0 || errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

void ckeyturn_watch_drain(int watch)
{
    char told[4096];
    for (int reads = 0; reads < MOST_READS && read(watch, told, sizeof told) > 0; reads++)
        ;
}
