/*
 * TLS: how connections to rediss:// are encrypted, and how the server proves who it is.
 *
 * TLS 1.2 or later. The server's certificate must lead to the CA file (without one: to the system's
 * CAs) and must be for the name of the server: that of the URL, or server_name where the URL has
 * another, such as an address. hiredis sees to the encryption and checks no names; so the SSL is
 * made here, with the name in it, and handed to hiredis.
 *
 *     cm_tls_open(&tls, &settings->tls, host, &err);     once for a queue
 *     cm_tls_start(&tls, context, &ssl, text, sizeof text);     once for a connection that TCP has made
 *     cm_tls_explain(ssl, text, sizeof text);            when it was lost
 *
 * Thread: the loop's.
 */
#ifndef CM_QUEUE_REDIS_TLS_H
#define CM_QUEUE_REDIS_TLS_H

#include "queue/queue.h"

struct redisContext;
struct ssl_st;
struct ssl_ctx_st;

struct cm_tls {
    struct ssl_ctx_st *context; /* owned; NULL: connections are not encrypted */
    char server_name[256];
};

/*
 * Does:       reads the files. host is that of the URL.
 * Owns:       ret_tls is the caller's until cm_tls_done; settings are borrowed for the call.
 * Fails with: DENIED (a file cannot be read, or does not hold what it should), INVALID (a certificate
 *             without its key, or the reverse), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_tls_open(struct cm_tls *ret_tls, const struct cm_redis_tls *settings,
                                  const char *host, struct cm_error *err);
void cm_tls_done(struct cm_tls *tls);

/*
 * Begins the handshake; it goes on with the first commands. *ret_ssl is the connection's and lives as
 * long. False when it failed at once: then text says why, and the connection is to be freed.
 */
bool cm_tls_start(const struct cm_tls *tls, struct redisContext *connection,
                  struct ssl_st **ret_ssl, char *text, size_t text_size);

/*
 * Why TLS has ended the connection, from the certificate's verdict and OpenSSL's last error; empty when
 * TLS was not the reason. To be asked in the callback that tells of the loss. Returns text.
 */
const char *cm_tls_explain(struct ssl_st *ssl, char *text, size_t size);

/*
 * What may be wrong where a connection was lost before it was of any use, and TLS does not say why: a
 * server's reset can take its alert away before it is read. Static.
 */
const char *cm_tls_guess(const struct ssl_st *ssl);

#endif
