/*
 * URLs in certificates and CRLs: plain http. A client that needs TLS to fetch a CRL may need a CRL to do
 * TLS (RFC 5280, 8). Any thread.
 */
#ifndef CM_X509_URL_H
#define CM_X509_URL_H

#define CM_URL_SIZE_MAX 2048 /* characters */

/* NULL where it is one; else what is wrong with it ("not an http:// URL"). Static. */
const char *cm_url_problem(const char *url);

#endif
