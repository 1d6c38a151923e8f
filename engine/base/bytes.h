/*
 * Bytes: a borrowed span of memory, and the few operations that everything shares.
 *
 * A struct cm_bytes never owns. It is valid as long as what it points into; parsers return spans
 * over their input, so a parsed CSR lives exactly as long as the buffer it was read from. Passed
 * by value. Any thread.
 */
#ifndef CM_BASE_BYTES_H
#define CM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cm_bytes {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;         /* bytes */
};

static inline struct cm_bytes cm_bytes(const void *data, size_t size)
{
    return (struct cm_bytes){ .data = data, .size = size };
}

/* The characters of a NUL-terminated string, without the NUL. */
static inline struct cm_bytes cm_bytes_str(const char *text)
{
    return cm_bytes(text, strlen(text));
}

static inline bool cm_bytes_equal(struct cm_bytes a, struct cm_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool cm_bytes_is(struct cm_bytes a, const char *text)
{
    return cm_bytes_equal(a, cm_bytes_str(text));
}

/* Bytes from offset to the end; empty when offset is past it. */
static inline struct cm_bytes cm_bytes_from(struct cm_bytes a, size_t offset)
{
    return offset >= a.size ? cm_bytes(NULL, 0) : cm_bytes(a.data + offset, a.size - offset);
}

/*
 * A copy on the heap, with memory of its own also when it is empty; its data is the caller's to
 * free. Out of memory aborts.
 */
struct cm_bytes cm_bytes_copy(struct cm_bytes bytes);

/* Numbers in size octets, at most 8, the highest first; what does not fit is cut off. */
void cm_big_endian_write(uint64_t number, uint8_t *ret_octets, size_t size);
uint64_t cm_big_endian_read(const uint8_t *octets, size_t size);

/* Writes 2 * size lower-case digits and a NUL at ret_text. */
void cm_hex_encode(struct cm_bytes bytes, char *ret_text);

/* Reads an even number of hex digits. False when a character is none, or space is short. */
bool cm_hex_decode(const char *text, size_t text_size, uint8_t *ret_bytes, size_t bytes_space,
                   size_t *ret_size);

/* Exactly size octets of a text that ends with a NUL. False: it is NULL, or has more, less or others. */
bool cm_hex_decode_exactly(const char *text, uint8_t *ret_bytes, size_t size);

/*
 * Copies attacker-controlled text for a message: printable ASCII stays, everything else becomes
 * \xNN, and the result is cut (with "...") to fit space, NUL included. Returns text.
 */
const char *cm_bytes_printable(struct cm_bytes bytes, char *text, size_t space);

#endif
