internal import CCurl
internal import CKeyturnAPI

extension jwks_fetch_failure {
  /// What libcurl's code means to somebody who waits for keys.
  init(_ code: CURLcode) {
    self =
      switch code {
      case CURLE_OK: JWKS_FETCH_ANSWERED
      case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT: JWKS_FETCH_REFUSED
      case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: JWKS_FETCH_RESOLVE
      case CURLE_COULDNT_CONNECT, CURLE_PROXY: JWKS_FETCH_CONNECT
      case CURLE_OPERATION_TIMEDOUT: JWKS_FETCH_TIMEOUT
      case CURLE_FILESIZE_EXCEEDED: JWKS_FETCH_TOO_LARGE
      default:
        code.isOfTLS ? JWKS_FETCH_TLS : code.isOfHTTP ? JWKS_FETCH_BROKEN : JWKS_FETCH_OTHER
      }
  }
}

extension CURLcode {
  fileprivate var isOfTLS: Bool {
    switch self {
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
      CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_CLIENTCERT, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS,
      CURLE_SSL_SHUTDOWN_FAILED, CURLE_USE_SSL_FAILED:
      true
    default: false
    }
  }

  fileprivate var isOfHTTP: Bool {
    switch self {
    case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE, CURLE_WEIRD_SERVER_REPLY,
      CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_BAD_CONTENT_ENCODING:
      true
    default: false
    }
  }
}
