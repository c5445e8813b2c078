/* What the store needs of the system: a directory that is opened once, and files in it by name alone. Names are
 * NUL-terminated, without a '/'. Calls that fail answer -1 and leave the reason in errno. */
#ifndef CKEYTURN_STORE_H
#define CKEYTURN_STORE_H

#include "ckeyturn.h"

struct ckeyturn_file {
    uint64_t device;
    uint64_t inode;
    int64_t modified; /* nanoseconds, by the file system's clock */
    int64_t changed;  /* the same, of the inode */
    int64_t size;
    uint32_t owner;
    uint32_t is_regular;
    uint32_t is_guarded; /* writable by neither group nor world */
    uint32_t links;      /* names that it has; 0: it is gone */
};

/* A descriptor of the directory, which execve() closes. */
CKEYTURN_HIDDEN int ckeyturn_store_open(const char *path);
/* The same of a directory in it, which is made where there is none and `is_made`. Follows no link. */
CKEYTURN_HIDDEN int ckeyturn_store_open_within(int directory, const char *name, int is_made);
CKEYTURN_HIDDEN int ckeyturn_store_may_write(int directory);
CKEYTURN_HIDDEN int ckeyturn_store_look(int descriptor, struct ckeyturn_file *file);

CKEYTURN_HIDDEN void ckeyturn_store_close(int descriptor);

CKEYTURN_HIDDEN uint32_t ckeyturn_effective_user(void);

/* The 16 octets that are different each time the machine is started; zeroes where the system does not say. */
CKEYTURN_HIDDEN void ckeyturn_boot_id(void *octets);

/* The user of this name, or of this number. */
CKEYTURN_HIDDEN int ckeyturn_user(const char *name, uint32_t *user);

/* Opens a file to read it. Follows no link, and waits for nobody. */
CKEYTURN_HIDDEN int ckeyturn_store_open_file(int directory, const char *name);

/* Reads from the file's beginning, until `count` octets or its end: how many. */
CKEYTURN_HIDDEN int64_t ckeyturn_store_read(int descriptor, void *octets, size_t count);

/* Puts a file of these octets in the place of the one of this name, in one step that a crash, of the process or
 * of the machine, leaves done or undone; a crash of the machine only where it is `is_for_good`, which waits for the
 * medium. What it takes until then has a name of its own that ends in ".new". */
CKEYTURN_HIDDEN int ckeyturn_store_write(int directory, const char *name, const void *octets, size_t count,
                                         int is_for_good);

/* What the file of this name is. */
CKEYTURN_HIDDEN int ckeyturn_store_look_at(int directory, const char *name, struct ckeyturn_file *file);

/* Opens a file that processes lock, and makes it where there is none. */
CKEYTURN_HIDDEN int ckeyturn_store_open_lock(int directory, const char *name, uint32_t mode);

/* Locks one octet for whoever holds this descriptor, or a copy of it. Waits for nobody. */
CKEYTURN_HIDDEN int ckeyturn_store_lock(int descriptor, int64_t octet);
CKEYTURN_HIDDEN void ckeyturn_store_let_go(int descriptor, int64_t octet);

/* Whether another descriptor holds a lock in the file: 1 or 0. */
CKEYTURN_HIDDEN int ckeyturn_store_is_locked(int descriptor);

/* Gives the locks back, also where a forked child has a copy, and closes. */
CKEYTURN_HIDDEN void ckeyturn_store_unlock(int descriptor);

/* Writes into the midst of a file, and reads from there. */
CKEYTURN_HIDDEN int ckeyturn_store_put(int descriptor, int64_t offset, const void *octets, size_t count);
CKEYTURN_HIDDEN int ckeyturn_store_get(int descriptor, int64_t offset, void *octets, size_t count);

/* Removes what writers that are no more have left half done. */
CKEYTURN_HIDDEN void ckeyturn_store_sweep(int directory);

/* A source's file, by a path whose links are followed: opens it to read it, waiting for nobody; and what there is. */
CKEYTURN_HIDDEN int ckeyturn_path_open(const char *path);
CKEYTURN_HIDDEN int ckeyturn_path_look(const char *path, struct ckeyturn_file *file);

/* Why the last call failed: a `StoreFault`. */
CKEYTURN_HIDDEN int ckeyturn_store_fault(void);

#endif
