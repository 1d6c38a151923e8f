/*
 * The options of the OpenSSL provider: words with a value, separated by blanks, as settings write them.
 *
 *     multi-buffer=off      auto: eight signatures at a time where the processor can (engine/multibuffer)
 *     nonces=rfc6979        random: of ECDSA signatures, drawn from OpenSSL's private generator
 */
#ifndef CM_PROVIDERS_OPENSSL_OPTIONS_H
#define CM_PROVIDERS_OPENSSL_OPTIONS_H

#include <stdbool.h>

#include "engine/base/status.h"

struct cm_ossl_options {
    bool forgoes_lanes;
    bool has_fixed_nonces; /* RFC 6979 */
};

/* text NULL: all as they are without. Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_ossl_options_read(const char *text, struct cm_ossl_options *ret_options,
                                           struct cm_error *err);

#endif
