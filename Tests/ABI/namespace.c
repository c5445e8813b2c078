#include "namespace.h"
#include "support.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, CHILD_TIME = 100 };

static void give_up(const char *what)
{
    printf("SKIPPED: %s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    fflush(stdout);
    _exit(SKIPPED);
}

void write_line(const char *path, const char *line)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(line, file) < 0 || fclose(file) != 0)
        give_up(path);
}

void mount_tmpfs(const char *path, unsigned long flags, const char *options)
{
    if (mount("tmpfs", path, "tmpfs", flags, options) != 0)
        give_up("mount() is not permitted");
}

/* This one alone, as root. */
static void map(const char *path, unsigned id)
{
    char line[32];
    snprintf(line, sizeof line, "0 %u 1", id);
    write_line(path, line);
}

static void enter(void)
{
    unsigned user = geteuid(), group = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        give_up("unshare() is not permitted");
    write_line("/proc/self/setgroups", "deny");
    map("/proc/self/uid_map", user);
    map("/proc/self/gid_map", group);
    if (mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0)
        give_up("mount() is not permitted");
}

void in_namespace(void (*body)(const char *path), const char *path)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(CHILD_TIME);
        enter();
        body(path);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}
