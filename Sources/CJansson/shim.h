/* jansson, for the one file that reads documents. */
#include <jansson.h>

#include <errno.h>

/* As json_loadb, which does not tell in each case that memory ran out, and which then even cuts strings short. */
static inline json_t *cjansson_load(const char *text, size_t len, size_t flags, json_error_t *error,
                                    int *no_memory)
{
    int before = errno;
    json_t *root;
    errno = 0;
    root = json_loadb(text, len, flags, error);
    *no_memory = errno == ENOMEM;
    if (*no_memory) {
        json_decref(root);
        root = NULL;
    }
    errno = before;
    return root;
}
