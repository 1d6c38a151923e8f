/* Whether the engine is ready, and if not, why: from what its status says of providers and issuers. */
#include "engine/status/internal.h"

static void write_list(struct evbuffer *text, const json_t *names, const char *what)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name)
            evbuffer_add_printf(text, "%s%s\n", what, name);
    }
}

static void write_issuers(struct evbuffer *text, const json_t *issuers)
{
    for (size_t i = 0; i < json_array_size(issuers); i++) {
        const json_t *issuer = json_array_get(issuers, i);
        const char *name = json_string_value(json_object_get(issuer, "name"));
        if (name && json_is_true(json_object_get(issuer, "in_trouble")))
            evbuffer_add_printf(text, "key does not sign: %s\n", name);
    }
}

bool cm_ready_write(struct evbuffer *text, const json_t *status)
{
    json_int_t aside = json_integer_value(json_object_get(status, "set_aside"));
    if (json_is_true(json_object_get(status, "ready"))) {
        evbuffer_add_printf(text, "ready\n");
        return true;
    }
    evbuffer_add_printf(text, "not ready\n");
    write_list(text, json_object_get(status, "reasons"), "");
    write_list(text, json_object_get(status, "away"), "provider is away: ");
    write_issuers(text, json_object_get(status, "issuers"));
    if (aside > 0)
        evbuffer_add_printf(text, "requests wait for a key: %lld\n", (long long)aside);
    return false;
}
