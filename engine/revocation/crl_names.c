#include "engine/revocation/crl_names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hole[] = "${shard}";
static const char ending[] = ".crl";

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *print(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    return text;
}

char *cm_crl_url_of(const char *url, uint32_t shard)
{
    const char *at = url ? strstr(url, hole) : NULL;
    if (!url)
        return NULL;
    if (!at)
        return print("%s", url);
    return print("%.*s%u%s", (int)(at - url), url, shard, at + sizeof hole - 1);
}

char *cm_crl_delta_url_of(const char *crl_url)
{
    if (!crl_url)
        return NULL;
    size_t size = strlen(crl_url), ending_size = sizeof ending - 1;
    if (size < ending_size || strcmp(crl_url + size - ending_size, ending) != 0)
        return print("%s-delta", crl_url);
    return print("%.*s-delta%s", (int)(size - ending_size), crl_url, ending);
}

char *cm_crl_path(const char *issuer_name, uint32_t shard, bool is_delta)
{
    return print("/crl/%s/%u%s%s", issuer_name, shard, is_delta ? "-delta" : "", ending);
}

char *cm_ca_path(const char *issuer_name, const char *extension)
{
    return print("/ca/%s.%s", issuer_name, extension);
}
