/* keyturn_fetch.h - libcurl behind Keyturn's fetch hook: libkeyturn-fetch.so.0.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A fetcher for jwks_cache_options.fetcher, for hosts that have no HTTP client of their own to put there; several
 * caches may share one. The conventions are keyturn.h's. This library does not need libkeyturn.so: it is told what
 * ends a fetch.
 *
 * What it does with a jwks_request:
 *
 * - https, and http only with allow_http; a URL with a user name or password in it is refused. TLS 1.2 or
 *   later; certificate and host name are verified, always. With ca_file nothing else is trusted.
 * - Fields that are 0 have their defaults: 2,000 ms to connect (the resolver included), 5,000 ms
 *   for the whole from the call of start on (waiting for a place included), 524,288 octets of body; as they
 *   come, and again as they are decoded from gzip. 64 KiB of header fields.
 * - A redirect (301, 302, 303, 307, 308) beyond max_redirects, or from https to http, is JWKS_FETCH_REFUSED.
 *   On the first that leaves the URL's origin, headers, client certificate and proxy stay behind for good.
 * - With public_only no connection is made to an address that is not public, nor to one that carries such an IPv4
 *   address, whatever the URL, the name or a redirect says; a name's public addresses are asked. Where there is
 *   none, and with a proxy, which would look the name up itself, it is JWKS_FETCH_REFUSED.
 * - No proxy and no credentials but the request's: neither environment nor netrc is asked, and no cookie is kept.
 * - HTTP/2 where TLS negotiates it. Connections are kept for 30 s and used again; where one turns out to have
 *   died with nothing received, the request is made once more at once, and counts.
 * - A header value of more than 4,096 octets, all of its fields together, is absent from the response.
 * - 64 fetches at once; 1,024 more wait for a place, and beyond those start completes as JWKS_FETCH_OTHER. */
#ifndef KEYTURN_FETCH_H
#define KEYTURN_FETCH_H

#include "keyturn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* jwks_fetch_complete, or what stands in for it. Called without a lock held: in the fetcher's thread, or in
 * start's own for a request that cannot be begun. It must not block, and may call start and cancel. */
typedef void (*keyturn_fetch_complete)(jwks_fetch *fetch, const jwks_response *response);

/* Makes a fetcher and its one thread ("keyturn-fetch", signals blocked), and fills *out, whose size must be
 * set. start and cancel may then be called by any thread. libcurl is initialized, once for the process and
 * never undone. Call it after fork(): in a child of this process start completes as JWKS_FETCH_OTHER, and the
 * rest does nothing. JWKS_INVALID_ARGUMENT, JWKS_NO_MEMORY (or no thread, or no descriptors). Any thread. */
KEYTURN_API jwt_status keyturn_fetch_new(keyturn_fetch_complete complete, jwks_fetcher *out, jwks_error *error);

/* Completes every fetch that is left as JWKS_FETCH_CANCELLED, ends the thread, closes all connections and
 * clears *fetcher: within a second, whatever the network does. No call of start or cancel may be under way, or
 * come later; not to be called from a completion. A look-up that hangs in the system's resolver ends by
 * itself, in a thread of libcurl's that touches nothing of the host's. NULL, or a cleared fetcher: nothing. */
KEYTURN_API void keyturn_fetch_stop(jwks_fetcher *fetcher);

#ifdef __cplusplus
}
#endif
#endif /* KEYTURN_FETCH_H */
