/*
 * Names of CRLs: their URLs, and the paths below which the status service and the folder have them.
 *
 * The URL is that of the certificates, with the shard filled in. The delta of ".../3.crl" is
 * ".../3-delta.crl"; of any other URL it is the URL and "-delta". Results are the caller's, to free.
 * Any thread.
 */
#ifndef CM_REVOCATION_CRL_NAMES_H
#define CM_REVOCATION_CRL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* url may hold ${shard}. NULL for NULL. */
char *cm_crl_url_of(const char *url, uint32_t shard);
char *cm_crl_delta_url_of(const char *crl_url);

/* "/crl/issuing-1/3.crl", "/crl/issuing-1/3-delta.crl" */
char *cm_crl_path(const char *issuer_name, uint32_t shard, bool is_delta);

/* "/ca/issuing-1.cer", ".pem" */
char *cm_ca_path(const char *issuer_name, const char *extension);

#endif
