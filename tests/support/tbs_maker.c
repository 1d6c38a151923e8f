#include "tests/support/tbs_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/clock.h"

/* What is being written; grows at its end. */
struct out {
    uint8_t *at;
    size_t size;
};

static void put(struct out *out, const void *bytes, size_t size)
{
    memcpy(out->at + out->size, bytes, size);
    out->size += size;
}

static void put_hex(struct out *out, const char *hex)
{
    size_t size;
    if (!cm_hex_decode(hex, strlen(hex), out->at + out->size, TBS_SIZE_MAX - out->size, &size))
        abort();
    out->size += size;
}

/* Puts tag and length before what was written since the mark. */
static void wrap(struct out *out, uint8_t tag, size_t mark)
{
    uint8_t head[4] = { tag };
    size_t size = out->size - mark, head_size = 2;
    head[1] = (uint8_t)size;
    if (size >= 0x80) {
        head[1] = size >= 0x100 ? 0x82 : 0x81;
        if (size >= 0x100)
            head[head_size++] = (uint8_t)(size >> 8);
        head[head_size++] = (uint8_t)size;
    }
    memmove(out->at + mark + head_size, out->at + mark, size);
    memcpy(out->at + mark, head, head_size);
    out->size += head_size;
}

static void put_name(struct out *out, const char *common_name)
{
    size_t name = out->size;
    put_hex(out, "0603550403");
    size_t text = out->size;
    put(out, common_name, strlen(common_name));
    wrap(out, 0x0c, text);
    wrap(out, 0x30, name);
    wrap(out, 0x31, name);
    wrap(out, 0x30, name);
}

struct cm_bytes tbs_name(const char *common_name)
{
    static uint8_t names[4][128];
    static unsigned count;
    struct out out = { .at = names[count++ % 4] };
    put_name(&out, common_name);
    return cm_bytes(out.at, out.size);
}

/* UTCTime to 2049, then GeneralizedTime. */
static void put_time(struct out *out, int64_t time_s, bool is_general)
{
    char text[32];
    struct tm utc;
    time_t time = (time_t)time_s;
    gmtime_r(&time, &utc);
    bool is_late = is_general || utc.tm_year >= 150;
    strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &utc);
    const char *begin = is_late ? text : text + 2; /* without the century */
    size_t mark = out->size;
    put(out, begin, strlen(begin));
    wrap(out, is_late ? 0x18 : 0x17, mark);
}

static void put_validity(struct out *out, const struct tbs_parts *parts)
{
    int64_t begin_s = parts->not_before_s ? parts->not_before_s : cm_clock_wall_s();
    size_t mark = out->size;
    put_time(out, begin_s, false);
    put_time(out, parts->not_after_s ? parts->not_after_s : begin_s + 86400, false);
    wrap(out, 0x30, mark);
}

struct cm_bytes tbs_make(uint8_t *memory, const struct tbs_parts *parts)
{
    struct out out = { .at = memory };
    put_hex(&out, parts->version ? parts->version : "a003020102");
    size_t serial = out.size;
    put_hex(&out, parts->serial ? parts->serial : "01");
    wrap(&out, 0x02, serial);
    put_hex(&out, "300a06082a8648ce3d040302");
    put_name(&out, parts->issuer ? parts->issuer : "CA");
    put_validity(&out, parts);
    put_name(&out, "device");
    put_hex(&out, "300a300506032b6570030100"); /* a key of no octets: nobody here looks into it */
    size_t extensions = out.size;
    put_hex(&out, parts->extensions ? parts->extensions : "300e0603551d0f0101ff040403020780");
    wrap(&out, 0x30, extensions);
    wrap(&out, 0xa3, extensions);
    put_hex(&out, parts->behind ? parts->behind : "");
    wrap(&out, 0x30, 0);
    return cm_bytes(memory, out.size);
}

struct cm_bytes tbs_make_crl(uint8_t *memory, const struct tbs_crl_parts *parts)
{
    struct out out = { .at = memory };
    int64_t this_s = parts->this_update_s ? parts->this_update_s : cm_clock_wall_s();
    put_hex(&out, parts->version ? parts->version : "020101");
    put_hex(&out, "300a06082a8648ce3d040302");
    put_name(&out, parts->issuer ? parts->issuer : "CA");
    put_time(&out, this_s, false);
    put_time(&out, parts->next_update_s ? parts->next_update_s : this_s + 3600, false);
    size_t extensions = out.size;
    put_hex(&out, parts->extensions ? parts->extensions : "300a0603551d140403020101");
    wrap(&out, 0x30, extensions);
    wrap(&out, 0xa0, extensions);
    wrap(&out, 0x30, 0);
    return cm_bytes(memory, out.size);
}

static void put_single(struct out *out, const struct tbs_response_parts *parts)
{
    int64_t this_s = parts->this_update_s ? parts->this_update_s : cm_clock_wall_s();
    size_t single = out->size;
    put_hex(out, parts->hash_algorithm ? parts->hash_algorithm : "06052b0e03021a0500");
    wrap(out, 0x30, single);
    put_hex(out, "0414000102030405060708090a0b0c0d0e0f10111213");
    put_hex(out, "0414000102030405060708090a0b0c0d0e0f10111213");
    put_hex(out, "020101");
    wrap(out, 0x30, single);
    put_hex(out, parts->status ? parts->status : "8000");
    put_time(out, this_s, true);
    if (!parts->has_no_next) {
        size_t next = out->size;
        put_time(out, parts->next_update_s ? parts->next_update_s : this_s + 86400, true);
        wrap(out, 0xa0, next);
    }
    put_hex(out, parts->behind_single ? parts->behind_single : "");
    wrap(out, 0x30, single);
}

static void put_responder(struct out *out, const struct tbs_response_parts *parts)
{
    if (parts->responder_name) {
        put_name(out, parts->responder_name);
        wrap(out, 0xa1, 0);
        return;
    }
    put_hex(out, parts->key_hash ? parts->key_hash : TBS_KEY_HASH);
    wrap(out, 0x04, 0);
    wrap(out, 0xa2, 0);
}

struct cm_bytes tbs_make_response(uint8_t *memory, const struct tbs_response_parts *parts)
{
    struct out out = { .at = memory };
    unsigned count = parts->singles_count || parts->is_empty ? parts->singles_count : 1;
    put_responder(&out, parts);
    put_time(&out, parts->produced_s ? parts->produced_s : cm_clock_wall_s(), true);
    size_t singles = out.size;
    for (unsigned i = 0; i < count; i++)
        put_single(&out, parts);
    wrap(&out, 0x30, singles);
    put_hex(&out, parts->behind ? parts->behind : "");
    wrap(&out, 0x30, 0);
    return cm_bytes(memory, out.size);
}
