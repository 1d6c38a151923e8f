#include "providers/openssl/options.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *word;
    size_t offset;
    bool value;
} words[] = {
    { "multi-buffer=auto", offsetof(struct cm_ossl_options, forgoes_lanes), false },
    { "multi-buffer=off", offsetof(struct cm_ossl_options, forgoes_lanes), true },
    { "nonces=random", offsetof(struct cm_ossl_options, has_fixed_nonces), false },
    { "nonces=rfc6979", offsetof(struct cm_ossl_options, has_fixed_nonces), true },
};

static bool take_word(const char *text, size_t size, struct cm_ossl_options *options)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) != size || memcmp(words[i].word, text, size) != 0)
            continue;
        *(bool *)((char *)options + words[i].offset) = words[i].value;
        return true;
    }
    return false;
}

cm_status cm_ossl_options_read(const char *text, struct cm_ossl_options *ret_options,
                               struct cm_error *err)
{
    *ret_options = (struct cm_ossl_options){ .forgoes_lanes = false };
    while (text && *text) {
        size_t size = strcspn(text, " ");
        if (size > 0 && !take_word(text, size, ret_options))
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                           "option %.*s: expected multi-buffer=auto|off or nonces=random|rfc6979",
                           (int)(size < 60 ? size : 60), text);
        text += size + strspn(text + size, " ");
    }
    return CM_OK;
}
