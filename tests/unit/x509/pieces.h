/*
 * DER put together from pieces, right or wrong, for tests of readers. The bytes live in the arena of pki.
 */
#ifndef CM_TESTS_X509_PIECES_H
#define CM_TESTS_X509_PIECES_H

#include "engine/x509/der_writer.h"
#include "tests/unit/x509/pki.h"

/* From hex digits. */
struct cm_bytes piece_hex(const char *hex);

/* One element around the content. */
struct cm_bytes piece(uint8_t tag, struct cm_bytes content);

/* One element around the pieces; NO_PIECE leaves one out. */
struct cm_bytes pieces_(uint8_t tag, const struct cm_bytes *list, size_t count);
#define pieces(tag, ...)                                                                           \
    pieces_((tag), (const struct cm_bytes[]){ __VA_ARGS__ },                                       \
            sizeof((const struct cm_bytes[]){ __VA_ARGS__ }) / sizeof(struct cm_bytes))

/* An Extension: OID content in hex, the value as it stands in the OCTET STRING. */
struct cm_bytes piece_extension(const char *oid_hex, bool critical, struct cm_bytes value);

#define NO_PIECE cm_bytes(NULL, 0)

/*
 * Calls read with every prefix of the good input, with it and an octet more, and with every octet of it
 * changed by every bit, each in memory of exactly its size. True where none of the first two was taken.
 */
bool pieces_damage(struct cm_bytes good, bool (*read)(struct cm_bytes der));

#endif
