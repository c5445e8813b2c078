/* The stages of Tests/Issuer/faults.py: an issuer's answers, as a test wants them one after the other. */
#ifndef STAGE_H
#define STAGE_H

#include <stddef.h>
#include <stdint.h>

/* From now on the stage plays these acts in turn: "BEHAVIOUR ARGUMENT", up to NULL. */
void play(const char *stage, ...) __attribute__((sentinel));

/* The times in milliseconds at which it was asked, up to `most` of them, in order; and how often that was, and how
 * often with a validator (may be NULL). */
size_t asked_at(const char *stage, int64_t *times, size_t most, size_t *conditional);
size_t asked(const char *stage);

/* The body of an answer from FAULTS_HTTP. The caller's, to be freed. */
char *ask_server(const char *path);

/* What faults.py says in the environment. */
const char *server(const char *name);

#endif
