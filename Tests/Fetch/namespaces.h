/* A network and mounts of the process's own, so that it can say what names and addresses there are. Where that is
 * not permitted the process ends as skipped, and says why. Before any thread is made. */
#ifndef NAMESPACES_H
#define NAMESPACES_H

/* A loopback interface and nothing else. */
void enter_namespaces(void);

/* The interface has this address, too: IPv4 or IPv6. */
void add_address(const char *address);

/* The system resolves with these lines of /etc/hosts alone. */
void resolve_with(const char *hosts);

/* The system resolves by DNS, at a server that never answers: the socket where questions come in. With these lines
 * of /etc/hosts before that; NULL: by DNS alone. */
int resolve_with_the_silent(const char *hosts);

#endif
