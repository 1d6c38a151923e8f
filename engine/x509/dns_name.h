/*
 * DNS names in certificates: RFC 1034 and RFC 5890 syntax, letters, digits and hyphens only.
 * Internal to engine/x509; any thread.
 */
#ifndef CM_X509_DNS_NAME_H
#define CM_X509_DNS_NAME_H

#include "engine/base/bytes.h"
#include "engine/base/refusal.h"

/*
 * Labels of 1 to 63 characters, 10 of them at most, 253 characters in all, no hyphen at either end
 * of a label, the last label not all digits (that would look like an IPv4 address), no wildcard,
 * and xn-- only before Punycode that decodes. Returns CM_REFUSAL_NONE, or a san.* code with the
 * reason for the message.
 */
enum cm_refusal_code cm_dns_name_check(struct cm_bytes name, const char **ret_reason);

#endif
