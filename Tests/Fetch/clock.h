/* Time as it passes, in milliseconds. */
#ifndef KEYTURN_FETCH_CLOCK_H
#define KEYTURN_FETCH_CLOCK_H

#include <stdint.h>

int64_t now(void);
void pause_for(int64_t milliseconds);

#endif
