#include "namespaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static void write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        perror(path);
    close(file);
}

static void give_up(const char *why)
{
    printf("SKIPPED: %s: %s: %s\n", program_invocation_short_name, why, strerror(errno));
    exit(SKIPPED);
}

static void configure(int family, unsigned long request, void *of, const char *otherwise)
{
    int any = socket(family, SOCK_DGRAM, 0);
    if (any < 0 || ioctl(any, request, of) != 0)
        give_up(otherwise);
    close(any);
}

void enter_namespaces(void)
{
    char map[32];
    struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    snprintf(map, sizeof map, "0 %d 1", (int)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
        give_up("unshare() is not permitted");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
    configure(AF_INET, SIOCSIFFLAGS, &loopback, "the loopback interface stays down");
    if (mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0)
        give_up("mount() is not permitted");
}

void add_address(const char *address)
{
    static int aliases;
    union {
        struct ifreq ipv4;
        struct { /* as <linux/ipv6.h> has it, which cannot be included beside <arpa/inet.h> */
            struct in6_addr address;
            uint32_t prefix;
            int interface;
        } ipv6;
    } request;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    memset(&request, 0, sizeof request); /* all of it: valgrind takes it for the first of the two */
    if (inet_pton(AF_INET, address, &ipv4) == 1) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = ipv4 };
        memcpy(&request.ipv4.ifr_addr, &in, sizeof in);
        snprintf(request.ipv4.ifr_name, sizeof request.ipv4.ifr_name, "lo:%d", aliases++);
        configure(AF_INET, SIOCSIFADDR, &request, address);
    } else if (inet_pton(AF_INET6, address, &ipv6) == 1) {
        request.ipv6.address = ipv6;
        request.ipv6.prefix = 128;
        request.ipv6.interface = (int)if_nametoindex("lo");
        configure(AF_INET6, SIOCSIFADDR, &request, address);
    } else {
        give_up(address);
    }
}

static void put_in_place(const char *path, const char *text)
{
    char made[] = "/tmp/keyturn-resolver-XXXXXX";
    close(mkstemp(made));
    write_file(made, text);
    int failed = mount(made, path, "", MS_BIND, "");
    unlink(made);
    if (failed)
        give_up("mount() is not permitted");
}

void resolve_with(const char *hosts)
{
    put_in_place("/etc/hosts", hosts);
    put_in_place("/etc/nsswitch.conf", "hosts: files\n");
}

int resolve_with_the_silent(const char *hosts)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int silent = socket(AF_INET, SOCK_DGRAM, 0);
    if (silent < 0 || bind(silent, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("port 53 cannot be had");
    put_in_place("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    if (hosts)
        put_in_place("/etc/hosts", hosts);
    put_in_place("/etc/nsswitch.conf", hosts ? "hosts: files dns\n" : "hosts: dns\n");
    return silent;
}
