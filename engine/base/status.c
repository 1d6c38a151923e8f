#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

static const struct {
    const char *name;
    const char *text;
    enum cm_class class;
} statuses[CM_STATUS_COUNT] = {
#define X(code, class_, text_) [CM_##code] = { #code, text_, CM_CLASS_##class_ },
    CM_STATUS_MAP(X)
#undef X
};

const char *cm_status_name(cm_status status)
{
    return status < CM_STATUS_COUNT ? statuses[status].name : "UNKNOWN";
}

const char *cm_status_text(cm_status status)
{
    return status < CM_STATUS_COUNT ? statuses[status].text : "unknown status";
}

enum cm_class cm_status_class(cm_status status)
{
    return status < CM_STATUS_COUNT ? statuses[status].class : CM_CLASS_BUG;
}

static void append_native(struct cm_error *err)
{
    size_t used = strlen(err->text);
    char *at = err->text + used;
    size_t space = sizeof err->text - used;
    if (err->origin == CM_ORIGIN_OS && err->native != 0) {
        char words[128];
        snprintf(at, space, ": %s", strerror_r((int)err->native, words, sizeof words));
    } else if (err->origin == CM_ORIGIN_OPENSSL && err->native != 0) {
        const char *reason = ERR_reason_error_string((unsigned long)err->native);
        snprintf(at, space, ": %s", reason ? reason : "OpenSSL gave no reason");
    }
}

cm_status cm_error_fill(struct cm_error *err, cm_status status, enum cm_origin origin,
                        int64_t native, const char *file, int line, const char *format, ...)
{
    if (err) {
        va_list args;
        *err = (struct cm_error){
            .status = status, .origin = origin, .native = native, .file = file, .line = line
        };
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        append_native(err);
    }
    if (origin == CM_ORIGIN_OPENSSL)
        ERR_clear_error();
    return status;
}
