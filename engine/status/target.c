#include "engine/status/target.h"

#include "engine/base/base64url.h"

static bool starts_with(struct cm_bytes text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

/* From "http://host/path" the path, from "/path" all of it. */
static struct cm_bytes skip_origin(struct cm_bytes text)
{
    const uint8_t *slash;
    if (!starts_with(text, "http://"))
        return text;
    text = cm_bytes_from(text, strlen("http://"));
    slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    return slash ? cm_bytes_from(text, (size_t)(slash - text.data)) : cm_bytes("/", 1);
}

static struct cm_bytes cut_query(struct cm_bytes text)
{
    const uint8_t *mark = text.size > 0 ? memchr(text.data, '?', text.size) : NULL;
    return mark ? cm_bytes(text.data, (size_t)(mark - text.data)) : text;
}

static const struct {
    const char *path;
    enum cm_target_kind kind;
} pages[] = {
    { "/ocsp", CM_TARGET_OCSP },      { "/metrics", CM_TARGET_METRICS },
    { "/healthz", CM_TARGET_HEALTH }, { "/readyz", CM_TARGET_READY },
    { "/", CM_TARGET_PAGE },          { "/api/v1/status", CM_TARGET_STATUS },
};

static enum cm_target_kind find_kind(struct cm_bytes path)
{
    if (starts_with(path, "/ocsp/"))
        return CM_TARGET_OCSP;
    if (starts_with(path, "/crl/") || starts_with(path, "/ca/"))
        return CM_TARGET_DOCUMENT;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (cm_bytes_is(path, pages[i].path))
            return pages[i].kind;
    return CM_TARGET_NONE;
}

struct cm_target cm_target_read(struct cm_bytes text)
{
    struct cm_target target = { .kind = CM_TARGET_TOO_LONG };
    if (text.size > CM_TARGET_SIZE_MAX)
        return target;
    target.path = cut_query(skip_origin(text));
    target.kind = find_kind(target.path);
    if (target.kind == CM_TARGET_OCSP) {
        /* Slashes before it come from a base URL that ends in one; no DER begins with one in base64. */
        target.request = cm_bytes_from(target.path, strlen("/ocsp"));
        while (target.request.size > 0 && target.request.data[0] == '/')
            target.request = cm_bytes_from(target.request, 1);
    }
    return target;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one character off *text, decoded. -1: a percent sign without two digits behind it. */
static int next_character(struct cm_bytes *text)
{
    int c = text->data[0];
    size_t size = 1;
    if (c == '%') {
        int high = text->size >= 3 ? hex_value(text->data[1]) : -1;
        int low = text->size >= 3 ? hex_value(text->data[2]) : -1;
        c = high < 0 || low < 0 ? -1 : high << 4 | low;
        size = 3;
    }
    *text = cm_bytes_from(*text, size);
    return c;
}

static int base64_value(int c)
{
    if (c == '+')
        return 62;
    return c == '/' ? 63 : cm_base64_value((uint8_t)c);
}

/* What stands behind the last digit: nothing, or the padding to a multiple of four. */
static bool is_padding(struct cm_bytes text, unsigned digits, bool has_one)
{
    unsigned count = has_one ? 1 : 0;
    while (text.size > 0) {
        if (next_character(&text) != '=')
            return false;
        count++;
    }
    return count == 0 || (digits > 0 && digits + count == 4);
}

bool cm_target_decode(struct cm_bytes text, uint8_t *ret_octets, size_t space, size_t *ret_size)
{
    uint32_t bits = 0;
    unsigned bits_count = 0, digits = 0;
    size_t size = 0;
    bool padded = false;
    while (text.size > 0 && !padded) {
        int c = next_character(&text);
        int value = c < 0 ? -1 : base64_value(c);
        padded = c == '=';
        if (padded)
            break;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bits_count += 6;
        digits = (digits + 1) % 4;
        if (bits_count < 8)
            continue;
        if (size == space)
            return false;
        bits_count -= 8;
        ret_octets[size++] = (uint8_t)(bits >> bits_count);
        bits &= (1u << bits_count) - 1;
    }
    if (digits == 1 || bits != 0 || !is_padding(text, digits, padded))
        return false;
    *ret_size = size;
    return true;
}
