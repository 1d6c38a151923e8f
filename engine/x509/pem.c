#include "engine/x509/pem.h"

#include "engine/base/base64url.h"

#define BEGIN  "-----BEGIN "
#define END    "-----END "
#define DASHES "-----"

/* First occurrence of a text; the size of the haystack when there is none. */
static size_t find(struct cm_bytes haystack, size_t from, const char *needle)
{
    struct cm_bytes rest = cm_bytes_from(haystack, from);
    const uint8_t *found = rest.size ? memmem(rest.data, rest.size, needle, strlen(needle)) : NULL;
    return found ? (size_t)(found - haystack.data) : haystack.size;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(struct cm_bytes text, size_t position)
{
    while (position < text.size && is_space(text.data[position]))
        position++;
    return position;
}

/* --- base64 ------------------------------------------------------------------------------------- */

/* OpenSSL's decoders skip characters and ignore padding bits; two texts would be one request. */
static int value_of(uint8_t c)
{
    return c == '+' ? 62 : c == '/' ? 63 : cm_base64_value(c);
}

struct decoder {
    uint8_t *out;
    size_t out_size;
    uint32_t bits; /* the last bits_count of them wait for an octet to fill */
    unsigned bits_count;
    size_t characters; /* padding included */
    unsigned padding;
};

static bool decode_character(struct decoder *decoder, uint8_t c)
{
    decoder->characters++;
    if (c == '=')
        return ++decoder->padding <= 2;
    int value = value_of(c);
    if (value < 0 || decoder->padding)
        return false;
    decoder->bits = decoder->bits << 6 | (uint32_t)value;
    decoder->bits_count += 6;
    if (decoder->bits_count >= 8) {
        decoder->bits_count -= 8;
        decoder->out[decoder->out_size++] = (uint8_t)(decoder->bits >> decoder->bits_count);
    }
    return true;
}

/* Padding fills the last group of four, and the bits it stands for are zero (RFC 4648, 3.5). */
static bool decoder_is_complete(const struct decoder *decoder)
{
    return decoder->characters % 4 == 0 && (decoder->bits & ((1u << decoder->bits_count) - 1)) == 0
           && decoder->padding * 2 == decoder->bits_count;
}

/* White space may stand only at the end of a line. */
static bool decode_body(struct cm_bytes text, size_t begin, size_t end, struct decoder *decoder,
                        size_t *ret_bad_offset)
{
    for (size_t i = begin; i < end;) {
        *ret_bad_offset = i;
        if (!is_space(text.data[i])) {
            if (!decode_character(decoder, text.data[i++]))
                return false;
            continue;
        }
        bool line_ends = false;
        for (; i < end && is_space(text.data[i]); i++)
            line_ends = line_ends || text.data[i] == '\n' || text.data[i] == '\r';
        if (!line_ends)
            return false;
    }
    *ret_bad_offset = end;
    return decoder_is_complete(decoder);
}

bool cm_base64_read(struct cm_bytes text, struct cm_arena *arena, struct cm_bytes *ret_bytes)
{
    struct decoder decoder = { .out = cm_arena_alloc(arena, text.size / 4 * 3 + 3) };
    for (size_t i = 0; i < text.size; i++)
        if (!decode_character(&decoder, text.data[i]))
            return false;
    if (!decoder_is_complete(&decoder))
        return false;
    *ret_bytes = cm_bytes(decoder.out, decoder.out_size);
    return true;
}

/* --- one block ---------------------------------------------------------------------------------- */

struct block {
    size_t begin; /* of the BEGIN line */
    struct cm_bytes label;
    size_t body;   /* after the BEGIN line's dashes */
    size_t end;    /* of the END line */
    size_t behind; /* after the END line's dashes */
};

static bool find_begin(struct cm_bytes text, struct block *block, struct cm_refusal *refusal)
{
    block->begin = find(text, 0, BEGIN);
    size_t outside = skip_space(text, 0);
    if (outside < block->begin)
        return cm_refuse(refusal, CM_REFUSAL_PEM_TEXT_OUTSIDE, outside, "text before the block");
    size_t label = block->begin + strlen(BEGIN);
    size_t label_end = find(text, label, DASHES);
    const uint8_t *line_end = memchr(text.data + label, '\n', text.size - label);
    if (label_end == text.size || (line_end && line_end < text.data + label_end))
        return cm_refuse(refusal, CM_REFUSAL_PEM_UNTERMINATED, block->begin,
                         "the BEGIN line does not end");
    block->label = cm_bytes(text.data + label, label_end - label);
    block->body = label_end + strlen(DASHES);
    return true;
}

static bool label_is_csr(struct cm_bytes label)
{
    return cm_bytes_is(label, "CERTIFICATE REQUEST")
           || cm_bytes_is(label, "NEW CERTIFICATE REQUEST");
}

static bool find_end(struct cm_bytes text, struct block *block, struct cm_refusal *refusal)
{
    block->end = find(text, block->body, END);
    size_t label = block->end + strlen(END);
    if (block->end == text.size || text.size - label < block->label.size + strlen(DASHES)
        || memcmp(text.data + label, block->label.data, block->label.size) != 0
        || memcmp(text.data + label + block->label.size, DASHES, strlen(DASHES)) != 0)
        return cm_refuse(refusal, CM_REFUSAL_PEM_UNTERMINATED, block->begin,
                         "no END line that matches the BEGIN line");
    block->behind = label + block->label.size + strlen(DASHES);
    return true;
}

static bool check_behind(struct cm_bytes text, const struct block *block,
                         struct cm_refusal *refusal)
{
    size_t next = skip_space(text, block->behind);
    if (next == text.size)
        return true;
    if (find(text, next, BEGIN) < text.size)
        return cm_refuse(refusal, CM_REFUSAL_PEM_MULTIPLE_BLOCKS, next, "more than one block");
    return cm_refuse(refusal, CM_REFUSAL_PEM_TEXT_OUTSIDE, next, "text behind the block");
}

static bool decode_block(struct cm_bytes text, const struct block *block, struct cm_arena *arena,
                         struct cm_bytes *ret_der, struct cm_refusal *refusal)
{
    size_t body = skip_space(text, block->body);
    size_t bad_offset = body;
    if (body == block->end)
        return cm_refuse(refusal, CM_REFUSAL_PEM_EMPTY, body, "an empty block");
    if (memchr(text.data + body, ':', block->end - body))
        return cm_refuse(refusal, CM_REFUSAL_PEM_HEADERS_NOT_ALLOWED, body,
                         "a header in the block");
    struct decoder decoder = { .out = cm_arena_alloc(arena, (block->end - body) / 4 * 3 + 3) };
    if (!decode_body(text, body, block->end, &decoder, &bad_offset))
        return cm_refuse(refusal, CM_REFUSAL_PEM_BASE64_INVALID, bad_offset, "not base64");
    *ret_der = cm_bytes(decoder.out, decoder.out_size);
    return true;
}

/* Any label that ends so: PRIVATE KEY, ENCRYPTED PRIVATE KEY, EC PRIVATE KEY, ... */
static bool holds_private_key(struct cm_bytes text)
{
    return find(text, 0, "PRIVATE KEY" DASHES) < text.size;
}

static bool read_block(struct cm_bytes text, struct cm_arena *arena, struct cm_bytes *ret_der,
                       struct cm_refusal *refusal)
{
    struct block block = { .begin = 0 };
    char label[68];
    if (!find_begin(text, &block, refusal))
        return false;
    if (!label_is_csr(block.label))
        return cm_refuse(refusal, CM_REFUSAL_PEM_WRONG_LABEL, block.begin,
                         "label \"%s\", expected \"CERTIFICATE REQUEST\"",
                         cm_bytes_printable(block.label, label, sizeof label));
    return find_end(text, &block, refusal) && check_behind(text, &block, refusal)
           && decode_block(text, &block, arena, ret_der, refusal);
}

bool cm_pem_read_csr(struct cm_bytes input, struct cm_arena *arena, struct cm_bytes *ret_der,
                     struct cm_refusal *refusal)
{
    if (input.size == 0)
        return cm_refuse(refusal, CM_REFUSAL_DER_EMPTY, CM_REFUSAL_NO_OFFSET, "the CSR is empty");
    if (input.size > CM_CSR_TEXT_SIZE_MAX)
        return cm_refuse(refusal, CM_REFUSAL_DER_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                         "%zu bytes, allowed %d", input.size, CM_CSR_TEXT_SIZE_MAX);
    bool is_der = input.data[0] == 0x30;
    if (!is_der && holds_private_key(input))
        return cm_refuse(refusal, CM_REFUSAL_CSR_IS_PRIVATE_KEY, CM_REFUSAL_NO_OFFSET, NULL);
    if (is_der || find(input, 0, BEGIN) == input.size) {
        *ret_der = input;
        return true;
    }
    return read_block(input, arena, ret_der, refusal);
}
