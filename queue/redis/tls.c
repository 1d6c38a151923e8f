#include "queue/redis/tls.h"

#include <pthread.h>
#include <stdio.h>

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "engine/base/secret.h"

/* ---------------------------------------------------------------------------- the files -- */

/* What OpenSSL says, in words. */
static cm_status fail_file(const char *what, const char *path, struct cm_error *err)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    cm_status status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s %s: %s", what, path,
                               reason ? reason : "not what was expected");
    ERR_clear_error();
    return status;
}

static cm_status load_authorities(SSL_CTX *context, const char *path, struct cm_error *err)
{
    if (!path && SSL_CTX_set_default_verify_paths(context) != 1)
        return fail_file("read the CAs of", "the system", err);
    if (path && SSL_CTX_load_verify_file(context, path) != 1)
        return fail_file("read the CA file", path, err);
    return CM_OK;
}

static cm_status load_own(SSL_CTX *context, const struct cm_redis_tls *settings,
                          struct cm_error *err)
{
    if (!settings->certificate != !settings->key)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "a client certificate and its key go together");
    if (!settings->certificate)
        return CM_OK;
    SSL_CTX_set_default_passwd_cb(context, cm_secret_ask_nobody);
    if (SSL_CTX_use_certificate_chain_file(context, settings->certificate) != 1)
        return fail_file("read the client certificate", settings->certificate, err);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) != 1)
        return fail_file("read the client certificate's key", settings->key, err);
    return CM_OK;
}

cm_status cm_tls_open(struct cm_tls *ret_tls, const struct cm_redis_tls *settings, const char *host,
                      struct cm_error *err)
{
    struct cm_tls tls = { .context = SSL_CTX_new(TLS_client_method()) };
    if (!tls.context)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "prepare TLS");
    snprintf(tls.server_name, sizeof tls.server_name, "%s",
             settings->server_name ? settings->server_name : host);
    SSL_CTX_set_min_proto_version(tls.context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls.context, SSL_VERIFY_PEER, NULL);
    cm_status status = load_authorities(tls.context, settings->ca, err);
    if (status == CM_OK)
        status = load_own(tls.context, settings, err);
    if (status == CM_OK)
        *ret_tls = tls;
    else
        cm_tls_done(&tls);
    return status;
}

void cm_tls_done(struct cm_tls *tls)
{
    SSL_CTX_free(tls->context);
    tls->context = NULL;
}

/* ----------------------------------------------------------------------- the connection -- */

/* The name that the certificate must be for: an IP address, or a host, which is also asked for. */
static bool set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
        return true;
    ERR_clear_error(); /* it is no address */
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1
           && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       (void *)(uintptr_t)name)
                  == 1;
}

/*
 * hiredis asks SSL_get_error without having emptied the thread's error queue first: whatever another
 * call of OpenSSL has left there would look like an error of the connection. So it is emptied here,
 * on the way to hiredis's own functions; all connections have the same ones.
 */
static const redisContextFuncs *hiredis_functions;

static ssize_t read_clean(struct redisContext *connection, char *buffer, size_t size)
{
    ERR_clear_error();
    return hiredis_functions->read(connection, buffer, size);
}

static ssize_t write_clean(struct redisContext *connection)
{
    ERR_clear_error();
    return hiredis_functions->write(connection);
}

static void read_and_write_clean(struct redisContext *connection)
{
    static redisContextFuncs functions;
    static pthread_mutex_t mutex =
        PTHREAD_MUTEX_INITIALIZER; /* streams have threads of their own */
    pthread_mutex_lock(&mutex);    /* { */
    if (!hiredis_functions) {
        hiredis_functions = connection->funcs;
        functions = *connection->funcs;
        functions.read = read_clean;
        functions.write = write_clean;
    }
    pthread_mutex_unlock(&mutex); /* } */
    connection->funcs = &functions;
}

/* ------------------------------------------------------------------------ what went wrong -- */

static const char *hint_of(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
        return "; is this a port without TLS?";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "; does the server want a client certificate (tls-certificate, tls-key)?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "; the server does not accept the client certificate";
    default:
        return "";
    }
}

/*
 * A server that refuses us sends an alert and closes. What was sent to it meanwhile is answered with a
 * reset, which writing notices first; the alert is still there to be read.
 */
static unsigned long last_error(SSL *ssl)
{
    char octet;
    unsigned long error = ERR_peek_last_error();
    if (error == 0 && SSL_read(ssl, &octet, 1) <= 0)
        error = ERR_peek_last_error();
    return error;
}

const char *cm_tls_explain(struct ssl_st *ssl, char *text, size_t size)
{
    unsigned long error = last_error(ssl);
    long verdict = SSL_get_verify_result(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const char *reason = ERR_reason_error_string(error);
    text[0] = '\0';
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(text, size, "the server's certificate is for another name than %s",
                 name ? name : "this address");
    else if (verdict != X509_V_OK)
        snprintf(text, size, "the server's certificate is not accepted: %s",
                 X509_verify_cert_error_string(verdict));
    else if (reason)
        snprintf(text, size, "TLS: %s%s", reason, hint_of(ERR_GET_REASON(error)));
    return text;
}

const char *cm_tls_guess(const struct ssl_st *ssl)
{
    return SSL_get_certificate(ssl)
               ? "; does the server accept the client certificate?"
               : "; does the server want a client certificate (tls-certificate, tls-key)?";
}

/* --------------------------------------------------------------------------- the handshake -- */

bool cm_tls_start(const struct cm_tls *tls, struct redisContext *connection,
                  struct ssl_st **ret_ssl, char *text, size_t text_size)
{
    SSL *ssl = SSL_new(tls->context);
    if (!ssl || !set_name(ssl, tls->server_name)) {
        SSL_free(ssl);
        snprintf(text, text_size, "TLS cannot be started");
        return false;
    }
    if (redisInitiateSSL(connection, ssl) != REDIS_OK) {
        if (!cm_tls_explain(ssl, text, text_size)[0])
            snprintf(text, text_size, "%s", connection->errstr);
        SSL_free(ssl);
        return false;
    }
    read_and_write_clean(connection);
    *ret_ssl = ssl;
    return true;
}
