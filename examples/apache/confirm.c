/* Tokens that are bound to a client's certificate (RFC 8705), held against that of the connection.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "mod_keyturn.h"

#include "http_ssl.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

/* The SHA-256 of the client's certificate, if TLS has brought one. Whoever holds the key has proved it to TLS, also where
 * Apache was not told to verify who issued it: the token says whose it is. */
static int digest_certificate(request_rec *r, unsigned char sha256[32])
{
    const char *text = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_CERT");
    BIO *memory = text && *text ? BIO_new_mem_buf(text, -1) : NULL;
    X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
    int done = certificate && X509_digest(certificate, EVP_sha256(), sha256, NULL) == 1;
    X509_free(certificate);
    BIO_free(memory);
    return done;
}

/* What an accepted token is bound to is this connection's, or it is not accepted. */
adapter_status keyturn_confirm(request_rec *r, const keyturn_verdict *verdict)
{
    unsigned char sha256[32];
    if (!verdict->policy->options.host_confirms ||
        jwt_result_claim(verdict->result, "cnf", 3).kind == JWT_ABSENT)
        return JWT_OK;
    return digest_certificate(r, sha256) ? jwt_result_confirm_certificate(verdict->result, sha256)
                                         : JWT_CONFIRMATION_REQUIRED;
}
