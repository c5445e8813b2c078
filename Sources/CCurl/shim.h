/* libcurl, for the files of Sources/KeyturnFetch. Swift imports no variadic functions: there is one typed wrapper
 * for each kind of argument. */
#include <curl/curl.h>

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

static curl_socket_t ccurl_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A program that the host executes inherits no connection. */
static inline CURLcode ccurl_close_on_exec(CURL *handle)
{
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, ccurl_socket);
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
