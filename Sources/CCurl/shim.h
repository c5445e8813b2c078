/* libcurl, for the files of Sources/KeyturnFetch. Swift imports no variadic functions: there is one typed wrapper
 * for each kind of argument. */
#include <curl/curl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static inline CURLcode ccurl_set_number(CURL *handle, CURLoption option, long value)
{
    return curl_easy_setopt(handle, option, value);
}

/* libcurl copies the text. */
static inline CURLcode ccurl_set_text(CURL *handle, CURLoption option, const char *value)
{
    return curl_easy_setopt(handle, option, value);
}

/* The list stays the caller's, for as long as the handle uses it. */
static inline CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *list)
{
    return curl_easy_setopt(handle, option, list);
}

static inline CURLcode ccurl_set_large_number(CURL *handle, CURLoption option, curl_off_t value)
{
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_context(CURL *handle, void *context)
{
    return curl_easy_setopt(handle, CURLOPT_PRIVATE, context);
}

static inline void *ccurl_context(CURL *handle)
{
    void *context = NULL;
    return curl_easy_getinfo(handle, CURLINFO_PRIVATE, &context) == CURLE_OK ? context : NULL;
}

static inline long ccurl_number(CURL *handle, CURLINFO info)
{
    long number = 0;
    return curl_easy_getinfo(handle, info, &number) == CURLE_OK ? number : 0;
}

/* The handle's, until it is used again. */
static inline const char *ccurl_redirect(CURL *handle)
{
    char *url = NULL;
    return curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &url) == CURLE_OK ? url : NULL;
}

typedef size_t (*ccurl_take)(char *data, size_t size, size_t count, void *context);

static inline CURLcode ccurl_on_body(CURL *handle, ccurl_take take, void *context)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
    return code ? code : curl_easy_setopt(handle, CURLOPT_WRITEDATA, context);
}

static inline CURLcode ccurl_on_header(CURL *handle, ccurl_take take, void *context)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take);
    return code ? code : curl_easy_setopt(handle, CURLOPT_HEADERDATA, context);
}

typedef int (*ccurl_progress)(void *context, curl_off_t download_total, curl_off_t downloaded,
                              curl_off_t upload_total, curl_off_t uploaded);

static inline CURLcode ccurl_on_progress(CURL *handle, ccurl_progress progress, void *context)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, progress);
    return code ? code : curl_easy_setopt(handle, CURLOPT_XFERINFODATA, context);
}

typedef int (*ccurl_request)(void *context, char *peer, char *own, int peer_port, int own_port);

static inline CURLcode ccurl_before_request(CURL *handle, ccurl_request request, void *context)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, request);
    return code ? code : curl_easy_setopt(handle, CURLOPT_PREREQDATA, context);
}

typedef curl_socket_t (*ccurl_connection)(void *context, curlsocktype purpose, struct curl_sockaddr *address);

static inline CURLcode ccurl_before_connection(CURL *handle, ccurl_connection connection, void *context)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, connection);
    return code ? code : curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, context);
}

/* A program that the host executes inherits no connection. */
static inline curl_socket_t ccurl_socket(const struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The address as a number, the first octet its highest; 0 for one of another family. */
static inline int ccurl_ipv4(const struct curl_sockaddr *address, uint32_t *word)
{
    const struct sockaddr_in *ip = (const struct sockaddr_in *)&address->addr;
    if (address->family != AF_INET)
        return 0;
    *word = ntohl(ip->sin_addr.s_addr);
    return 1;
}

static inline int ccurl_ipv6(const struct curl_sockaddr *address, uint64_t *high, uint64_t *low)
{
    const struct sockaddr_in6 *ip = (const struct sockaddr_in6 *)&address->addr;
    if (address->family != AF_INET6)
        return 0;
    *high = *low = 0;
    for (int i = 0; i < 8; i++) {
        *high = *high << 8 | ip->sin6_addr.s6_addr[i];
        *low = *low << 8 | ip->sin6_addr.s6_addr[i + 8];
    }
    return 1;
}

static inline CURLMcode ccurl_keep_connections(CURLM *multi, long most)
{
    return curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, most);
}

/* The next handle that is done, and its code; NULL if there is none. */
static inline CURL *ccurl_done(CURLM *multi, CURLcode *code)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        *code = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}
