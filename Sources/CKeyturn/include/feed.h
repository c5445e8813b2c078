/* The socket of a store, at which readers ask the one that fetches for all. It lies in the store's directory. Calls
 * wait for nobody, and answer -1 where they fail. */
#ifndef CKEYTURN_FEED_H
#define CKEYTURN_FEED_H

#include "ckeyturn.h"

/* A descriptor that receives what is sent to the directory's socket; one there that nobody listens to any more is
 * replaced. Everybody may send, and whoever sends need not be able to write in the directory. */
CKEYTURN_HIDDEN int ckeyturn_feed_listen(int directory);

/* A descriptor that sends to whoever listens in the directory now. */
CKEYTURN_HIDDEN int ckeyturn_feed_connect(int directory);

/* 0 also where the receiver has too much to read already, and this is lost. */
CKEYTURN_HIDDEN int ckeyturn_feed_send(int socket, const void *octets, size_t count);

/* How long the next message is, also where that is more than `count`; and which user has sent it, by the kernel's word. */
CKEYTURN_HIDDEN int64_t ckeyturn_feed_receive(int socket, void *octets, size_t count, uint32_t *user);

#endif
