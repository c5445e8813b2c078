/* Children with namespaces of their own, in which a test may have its own limits and mounts. */
#ifndef NAMESPACE_H
#define NAMESPACE_H

/* Runs it in a child, as root of a user and a mount namespace. Where that is not permitted the test is skipped, and a line says
 * so; the child's failures fail it. */
void in_namespace(void (*body)(const char *path), const char *path);

/* In such a child: a file of the system's with this content, and a mount with these options at a directory; where it
 * cannot be had, the test is skipped. */
void write_line(const char *path, const char *line);
void mount_tmpfs(const char *path, unsigned long flags, const char *options);

#endif
