/* Tokens that are bound to a client's certificate (RFC 8705), held against that of the connection.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include "http_ssl.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

static int digest_certificate(void *host, unsigned char sha256[32])
{
    request_rec *r = host;
    const char *text = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
    BIO *memory = text && *text ? BIO_new_mem_buf(text, -1) : NULL;
    X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
    int done = certificate && X509_digest(certificate, EVP_sha256(), sha256, NULL) == 1;
    X509_free(certificate);
    BIO_free(memory);
    return done;
}

adapter_status keyturn_confirm(request_rec *r, const keyturn_verdict *verdict)
{
    return adapter_confirm(verdict->result, digest_certificate, r);
}
