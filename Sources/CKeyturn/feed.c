#define _GNU_SOURCE
#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char NAME[] = "agent.sock";

typedef int action(int, const struct sockaddr *, socklen_t);

static int new_socket(action *act, const struct sockaddr_un *address)
{
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || act(descriptor, (const struct sockaddr *)address, sizeof *address) == 0)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

/* By way of the directory's descriptor, since a path of its own need not lead there any more. */
static int at_name(int directory, action *act)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, NAME);
    return new_socket(act, &address);
}

static int connect_here(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, NAME, sizeof NAME);
    return new_socket(connect, &address);
}

/* With the directory as the working directory of this thread, and of no other, meanwhile. That there is a way back is
 * tried first. */
static int connect_within(int directory)
{
    int made = -1, here = open(".", O_PATH | O_CLOEXEC);
    if (here < 0)
        return -1;
    if (unshare(CLONE_FS) == 0 && fchdir(here) == 0 && fchdir(directory) == 0) {
        made = connect_here();
        (void)!fchdir(here);
    }
    close(here);
    return made;
}

/* Where there is no /proc, as in most chroots, that way leads nowhere. */
int ckeyturn_feed_connect(int directory)
{
    struct stat found;
    int made = at_name(directory, connect);
    if (made < 0 && errno == ENOENT && fstatat(directory, NAME, &found, AT_SYMLINK_NOFOLLOW) == 0)
        made = connect_within(directory);
    return made;
}

/* Only a socket, and only if its listener has gone. */
static int remove_stale(int directory)
{
    struct stat found;
    if (fstatat(directory, NAME, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(found.st_mode))
        return -1;
    int other = ckeyturn_feed_connect(directory);
    if (other >= 0)
        close(other);
    return other < 0 && errno == ECONNREFUSED ? unlinkat(directory, NAME, 0) : -1;
}

/* From before it can be sent to, each message tells who has sent it. */
static int listen_as(int made, const struct sockaddr *address, socklen_t length)
{
    int yes = 1;
    if (setsockopt(made, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
        return -1;
    return bind(made, address, length);
}

int ckeyturn_feed_listen(int directory)
{
    int made = at_name(directory, listen_as);
    if (made < 0 && errno == EADDRINUSE && remove_stale(directory) == 0)
        made = at_name(directory, listen_as);
    if (made < 0 || fchmodat(directory, NAME, 0666, 0) == 0)
        return made;
    close(made);
    return -1;
}

int ckeyturn_feed_send(int socket, const void *octets, size_t count)
{
    if (send(socket, octets, count, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* There is no room for what else may come with a message: the kernel closes descriptors that are sent along. */
int64_t ckeyturn_feed_receive(int socket, void *octets, size_t count, uint32_t *user)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } sender;
    struct iovec place = { octets, count };
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = &sender, .msg_controllen = sizeof sender
    };
    int64_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_TRUNC);
    struct cmsghdr *found = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
    struct ucred who = { .uid = UINT32_MAX };
    if (found && found->cmsg_type == SCM_CREDENTIALS && found->cmsg_len == CMSG_LEN(sizeof who))
        memcpy(&who, CMSG_DATA(found), sizeof who);
    *user = who.uid;
    return length;
}
