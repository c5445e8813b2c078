/* Vectors, for the one inner loop that they make several times faster. */
#ifndef CKEYTURN_BASE64_H
#define CKEYTURN_BASE64_H

#include "ckeyturn.h"

/* Decodes Base64url, sixteen characters at a time: those that are whole sixteens, while there is room for fourteen
 * octets of which twelve count. Gives how many characters that were, 0 among others; or -1 where one of them has no
 * value. */
CKEYTURN_HIDDEN int64_t ckeyturn_decode_sixteens(const unsigned char *text, size_t count,
                                                 unsigned char *octets, size_t capacity);

#endif
