/* Which keys a fleet has, as it is typed: "p256=90,rsa-2048=10". */
#include "tools/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOICES "p256, p384, p521, ed25519, rsa-2048"

static const struct {
    const char *name;
    enum cm_key_type type;
} names[] = {
    { "p256", CM_KEY_P256 },       { "p384", CM_KEY_P384 },    { "p521", CM_KEY_P521 },
    { "ed25519", CM_KEY_ED25519 }, { "rsa-2048", CM_KEY_RSA },
};

static enum cm_key_type find(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i].name) == size && memcmp(names[i].name, word, size) == 0)
            return names[i].type;
    return CM_KEY_UNKNOWN;
}

/* One "TYPE=PERCENT"; where it ends, NULL: it is none. */
static const char *read_share(const char *at, struct cm_fleet_settings *settings,
                              struct cm_error *err)
{
    size_t size = strcspn(at, "=,");
    enum cm_key_type type = find(at, size);
    char *end = NULL;
    unsigned long percent = at[size] == '=' ? strtoul(at + size + 1, &end, 10) : 0;
    if (type == CM_KEY_UNKNOWN)
        (void)CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                      "\"%.*s\" is no kind of key of devices (there are: " CHOICES ")", (int)size,
                      at);
    else if (percent < 1 || percent > 100 || (*end != '\0' && *end != ','))
        (void)CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                      "%.*s: a share is a whole number of 1 to 100, like p256=90", (int)size, at);
    else if (settings->percent[type] > 0)
        (void)CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "%.*s stands there twice", (int)size, at);
    else {
        settings->percent[type] = (uint32_t)percent;
        return end;
    }
    return NULL;
}

cm_status cm_fleet_settings_read(const char *text, uint32_t devices_count,
                                 struct cm_fleet_settings *ret_settings, struct cm_error *err)
{
    struct cm_fleet_settings settings = { .devices_count = devices_count,
                                          .rsa_max = devices_count };
    uint32_t sum = 0;
    const char *at = read_share(text, &settings, err);
    while (at && *at == ',')
        at = read_share(at + 1, &settings, err);
    if (!at)
        return err->status;
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++)
        sum += settings.percent[type];
    if (sum != 100)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the shares make %u, not 100", sum);
    *ret_settings = settings;
    return CM_OK;
}

const char *cm_fleet_key_name(enum cm_key_type type)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown";
}
