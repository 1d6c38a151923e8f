#include "engine/base/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    enum cm_refusal_kind kind;
} refusals[CM_REFUSAL_COUNT] = { [CM_REFUSAL_NONE] = { "", "", CM_REFUSAL_PERMANENT },
#define X(symbol, code, kind_, text_) [CM_REFUSAL_##symbol] = { code, text_, CM_REFUSAL_##kind_ },
                                 CM_REFUSAL_MAP(X)
#undef X
};

const char *cm_refusal_name(enum cm_refusal_code code)
{
    return code < CM_REFUSAL_COUNT ? refusals[code].name : "unknown";
}

const char *cm_refusal_text(enum cm_refusal_code code)
{
    return code < CM_REFUSAL_COUNT ? refusals[code].text : "unknown code";
}

enum cm_refusal_kind cm_refusal_kind_of(enum cm_refusal_code code)
{
    return code < CM_REFUSAL_COUNT ? refusals[code].kind : CM_REFUSAL_PERMANENT;
}

enum cm_refusal_code cm_refusal_find(const char *name)
{
    for (unsigned code = 1; code < CM_REFUSAL_COUNT; code++)
        if (strcmp(refusals[code].name, name) == 0)
            return (enum cm_refusal_code)code;
    return CM_REFUSAL_NONE;
}

void cm_refusal_fill(struct cm_refusal *refusal, enum cm_refusal_code code, size_t offset,
                     const char *format, ...)
{
    refusal->code = code;
    if (!format) {
        snprintf(refusal->message, sizeof refusal->message, "%s", cm_refusal_text(code));
    } else {
        va_list args;
        va_start(args, format);
        vsnprintf(refusal->message, sizeof refusal->message, format, args);
        va_end(args);
    }
    size_t used = strlen(refusal->message);
    if (offset != CM_REFUSAL_NO_OFFSET)
        snprintf(refusal->message + used, sizeof refusal->message - used, " at offset %zu", offset);
}
