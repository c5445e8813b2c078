#define _GNU_SOURCE
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Behind the name of a file that is not whole yet: a random number, and what tells it from others. */
static const char UNFINISHED[] = ".new";
enum { LONGEST_NAME = 128 };

int ckeyturn_store_open(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int ckeyturn_store_open_within(int directory, const char *name, int is_made)
{
    if (is_made && mkdirat(directory, name, 0755) != 0 && errno != EEXIST)
        return -1;
    return openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int ckeyturn_store_may_write(int directory)
{
    return faccessat(directory, ".", W_OK | X_OK, AT_EACCESS);
}

static int64_t nanoseconds(struct timespec time)
{
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void describe(const struct stat *found_at, struct ckeyturn_file *file)
{
    struct stat found = *found_at;
    *file = (struct ckeyturn_file){ .device = found.st_dev,
                                    .inode = found.st_ino,
                                    .modified = nanoseconds(found.st_mtim),
                                    .changed = nanoseconds(found.st_ctim),
                                    .size = found.st_size,
                                    .owner = found.st_uid,
                                    .links = (uint32_t)found.st_nlink,
                                    .is_regular = S_ISREG(found.st_mode),
                                    .is_guarded = (found.st_mode & (S_IWGRP | S_IWOTH)) == 0 };
}

int ckeyturn_store_look(int descriptor, struct ckeyturn_file *file)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0)
        return -1;
    describe(&found, file);
    return 0;
}

int ckeyturn_store_look_at(int directory, const char *name, struct ckeyturn_file *file)
{
    struct stat found;
    if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    describe(&found, file);
    return 0;
}

void ckeyturn_store_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

uint32_t ckeyturn_effective_user(void)
{
    return geteuid();
}

static unsigned digit(char text)
{
    return text <= '9' ? (unsigned)(text - '0') : (unsigned)(text - 'a') + 10;
}

/* Written as a UUID: pairs of digits, here and there with a dash between. */
void ckeyturn_boot_id(void *octets)
{
    char text[36];
    unsigned char id[16];
    size_t count = 0;
    memset(octets, 0, sizeof id);
    int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    int is_whole = ckeyturn_store_read(descriptor, text, sizeof text) == (int64_t)sizeof text;
    close(descriptor);
    for (size_t i = 0; is_whole && i + 1 < sizeof text && count < sizeof id; i += 2) {
        if (text[i] == '-')
            i++;
        id[count++] = (unsigned char)(digit(text[i]) << 4 | digit(text[i + 1]));
    }
    if (count == sizeof id)
        memcpy(octets, id, sizeof id);
}

static int user_by_number(const char *text, uint32_t *user)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX)
        return -1;
    *user = (uint32_t)number;
    return 0;
}

int ckeyturn_user(const char *name, uint32_t *user)
{
    struct passwd entry, *found = NULL;
    char *room = malloc(16384);
    if (room == NULL)
        return -1;
    if (getpwnam_r(name, &entry, room, 16384, &found) == 0 && found != NULL)
        *user = found->pw_uid;
    free(room);
    return found != NULL ? 0 : user_by_number(name, user);
}

/* ---- Files */

int ckeyturn_store_open_file(int directory, const char *name)
{
    return openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int64_t ckeyturn_store_read(int descriptor, void *octets, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = pread(descriptor, (char *)octets + done, count - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

static int write_all(int descriptor, const void *octets, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t put = write(descriptor, (const char *)octets + done, count - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

int ckeyturn_store_open_lock(int directory, const char *name, uint32_t mode)
{
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return openat(directory, name, flags, mode);
}

static int set_lock(int descriptor, short type, int64_t octet, int64_t count)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = count };
    return fcntl(descriptor, F_OFD_SETLK, &range);
}

int ckeyturn_store_lock(int descriptor, int64_t octet)
{
    return set_lock(descriptor, F_WRLCK, octet, 1);
}

void ckeyturn_store_let_go(int descriptor, int64_t octet)
{
    set_lock(descriptor, F_UNLCK, octet, 1);
}

int ckeyturn_store_is_locked(int descriptor)
{
    struct flock any = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(descriptor, F_OFD_GETLK, &any) == 0 && any.l_type != F_UNLCK;
}

void ckeyturn_store_unlock(int descriptor)
{
    set_lock(descriptor, F_UNLCK, 0, 0); /* to the end of the file */
    close(descriptor);
}

int ckeyturn_store_put(int descriptor, int64_t offset, const void *octets, size_t count)
{
    return pwrite(descriptor, octets, count, offset) == (ssize_t)count ? 0 : -1;
}

int ckeyturn_store_get(int descriptor, int64_t offset, void *octets, size_t count)
{
    return pread(descriptor, octets, count, offset) == (ssize_t)count ? 0 : -1;
}

/* The lock is how a sweep tells a file that is being written from one whose writer is no more. Readable by all: the
 * readers of an agent are other users, and nothing in the store is secret. */
static int fill(int descriptor, const void *octets, size_t count, int is_for_good)
{
    if (ckeyturn_store_lock(descriptor, 0) != 0 || fchmod(descriptor, 0644) != 0)
        return -1;
    if (write_all(descriptor, octets, count) != 0)
        return -1;
    return is_for_good ? fsync(descriptor) : 0;
}

static int write_once(int directory, const char *name, const void *octets, size_t count, int is_for_good)
{
    char unfinished[LONGEST_NAME];
    uint64_t number;
    if (ckeyturn_random(&number, sizeof number) != 0)
        return -1;
    int length =
        snprintf(unfinished, sizeof unfinished, "%s.%016llx%s", name, (unsigned long long)number, UNFINISHED);
    if (length < 0 || (size_t)length >= sizeof unfinished) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int descriptor =
        openat(directory, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return -1;
    int failed = fill(descriptor, octets, count, is_for_good) != 0 ||
                 renameat(directory, unfinished, directory, name) != 0;
    int reason = errno;
    if (failed)
        unlinkat(directory, unfinished, 0);
    close(descriptor);
    errno = reason;
    if (failed)
        return -1;
    return is_for_good ? fsync(directory) : 0;
}

/* Again where another process's sweep came between the file and its lock. */
int ckeyturn_store_write(int directory, const char *name, const void *octets, size_t count, int is_for_good)
{
    for (int attempt = 0; attempt < 4; attempt++)
        if (write_once(directory, name, octets, count, is_for_good) == 0)
            return 0;
        else if (errno != EAGAIN && errno != ENOENT)
            break;
    return -1;
}

static int is_unfinished(const char *name)
{
    size_t length = strlen(name), ending = sizeof UNFINISHED - 1;
    return length > ending && strcmp(name + length - ending, UNFINISHED) == 0;
}

static void sweep_one(int directory, const char *name)
{
    int descriptor = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    if (ckeyturn_store_lock(descriptor, 0) == 0)
        unlinkat(directory, name, 0);
    close(descriptor);
}

void ckeyturn_store_sweep(int directory)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again < 0 ? NULL : fdopendir(again);
    if (list == NULL) {
        ckeyturn_store_close(again);
        return;
    }
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (is_unfinished(entry->d_name))
            sweep_one(directory, entry->d_name);
    closedir(list);
}

int ckeyturn_path_open(const char *path)
{
    return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int ckeyturn_path_look(const char *path, struct ckeyturn_file *file)
{
    struct stat found;
    if (fstatat(AT_FDCWD, path, &found, 0) != 0)
        return -1;
    describe(&found, file);
    return 0;
}

/* The numbers are those of StoreFault in Swift. */
int ckeyturn_store_fault(void)
{
    static const unsigned char faults[][2] = {
        { ENOENT, 1 },  { ELOOP, 5 },   { EISDIR, 5 },  { ENXIO, 5 },  { EACCES, 10 },
        { EPERM, 10 },  { ENOSPC, 11 }, { EDQUOT, 11 }, { EFBIG, 11 }, { EROFS, 12 },
        { EMFILE, 14 }, { ENFILE, 14 }, { ENOMEM, 16 },
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i][0] == errno)
            return faults[i][1];
    return 15;
}
