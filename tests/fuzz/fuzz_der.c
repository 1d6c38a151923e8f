/*
 * The DER walk: what it accepts, a writer that knows only definite minimal lengths prints again
 * byte for byte; and every reader of a single element ends within its input.
 */
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/x509/der.h"
#include "engine/x509/key.h"
#include "engine/x509/name.h"
#include "engine/x509/san.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t write_length(uint8_t *out, size_t length)
{
    size_t octets = 0;
    if (length < 0x80) {
        out[0] = (uint8_t)length;
        return 1;
    }
    for (size_t rest = length; rest; rest >>= 8)
        octets++;
    out[0] = (uint8_t)(0x80 | octets);
    for (size_t i = 0; i < octets; i++)
        out[octets - i] = (uint8_t)(length >> 8 * i);
    return octets + 1;
}

/* Prints the elements again; returns the size. */
static size_t print_again(struct cm_der der, uint8_t *out)
{
    struct cm_der_element element;
    size_t size = 0;
    while (!cm_der_at_end(&der)) {
        if (!cm_der_read_any(&der, "element", &element))
            abort();
        out[size++] = element.tag;
        size += write_length(out + size, element.content.size);
        if (element.tag & 0x20)
            size += print_again(cm_der_inside(&der, element.content), out + size);
        else if (element.content.size) {
            memcpy(out + size, element.content.data, element.content.size);
            size += element.content.size;
        }
    }
    return size;
}

static void read_everything(struct cm_bytes input)
{
    struct cm_refusal refusal;
    struct cm_public_key key;
    struct cm_name name;
    struct cm_sans sans;
    struct cm_bytes span;
    uint16_t bits;
    int64_t time;
    struct cm_der der = cm_der_open(input, &refusal);
    struct cm_der copies[5] = { der, der, der, der, der };
    cm_public_key_read(input, &key, &refusal);
    cm_name_read(&copies[0], &name);
    cm_san_read(&copies[1], &sans);
    cm_der_read_named_bits(&copies[2], "bits", &bits);
    cm_der_read_time(&copies[3], "time", &time);
    cm_der_read_unsigned(&copies[4], "integer", &span);
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++)
        if (copies[i].position > copies[i].end || copies[i].end != input.size)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_arena arena;
    struct cm_refusal refusal;
    struct cm_bytes input = cm_bytes(data, size);
    if (size > 65536)
        return 0;
    cm_arena_init(&arena, size + 16);
    if (cm_der_check(input, &refusal)) {
        uint8_t *again = cm_arena_alloc(&arena, size + 16);
        size_t printed = print_again(cm_der_open(input, &refusal), again);
        if (!cm_bytes_equal(cm_bytes(again, printed), input))
            abort();
    }
    read_everything(input);
    cm_arena_done(&arena);
    return 0;
}
