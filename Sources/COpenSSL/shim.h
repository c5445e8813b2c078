/* libcrypto, for the files of Sources/Keyturn/JOSE. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <errno.h>

/* Macros that Swift cannot read. */

static inline int copenssl_errno(void)
{
    return errno;
}

static inline void copenssl_set_errno(int number)
{
    errno = number;
}

static inline int copenssl_is_out_of_memory(unsigned long error)
{
    return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
}

static inline int copenssl_import_public_key(EVP_PKEY_CTX *context, EVP_PKEY **key, OSSL_PARAM *parameters)
{
    return EVP_PKEY_fromdata(context, key, EVP_PKEY_PUBLIC_KEY, parameters);
}
