/*
 * URIs of keys in tokens: what is accepted ends where its field ends and is accepted again without
 * its query; what is refused says why in print, and never repeats the value of pin-value.
 */
#include <stdlib.h>

#include "providers/pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t space)
{
    if (!memchr(text, '\0', space))
        abort();
}

/* As an attribute: first behind the "?", or behind a "&". A label may be called so. */
static bool has_pin_value(struct cm_bytes query)
{
    return (query.size >= 9 && memcmp(query.data, "pin-value", 9) == 0)
           || memmem(query.data, query.size, "&pin-value", 10);
}

static void check_accepted(struct cm_bytes text, const struct cm_p11_uri *uri)
{
    struct cm_p11_uri again;
    const uint8_t *mark = memchr(text.data, '?', text.size);
    check_text(uri->token, sizeof uri->token);
    check_text(uri->manufacturer, sizeof uri->manufacturer);
    check_text(uri->model, sizeof uri->model);
    check_text(uri->serial, sizeof uri->serial);
    check_text(uri->object, sizeof uri->object);
    check_text(uri->module_path, sizeof uri->module_path);
    check_text(uri->pin_source, sizeof uri->pin_source);
    if (uri->id_size > sizeof uri->id || (uri->id_size == 0 && uri->object[0] == '\0')
        || strchr(uri->shown, '?'))
        abort();
    if (mark && has_pin_value(cm_bytes(mark + 1, (size_t)(text.data + text.size - mark) - 1)))
        abort();
    if (mark)
        text.size = (size_t)(mark - text.data);
    if (cm_p11_uri_parse(text, &again, NULL) != CM_OK || strcmp(again.object, uri->object) != 0
        || again.pin_source[0] != '\0')
        abort();
}

static void check_refused(const struct cm_error *err)
{
    for (const char *at = err->text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            abort();
    if (err->text[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_p11_uri uri;
    struct cm_error err;
    struct cm_bytes text = cm_bytes(data, size);
    cm_status status = cm_p11_uri_parse(text, &uri, &err);
    if (status == CM_OK)
        check_accepted(text, &uri);
    else
        check_refused(&err);
    return 0;
}
