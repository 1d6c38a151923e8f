/*
 * Table: the revocations of one generation, by serial, in 48 octets each. Inside the book, whose lock
 * it is under: put alone, the others beside each other.
 *
 * Records are only ever added, and keep their position, which is a number from 0 on.
 */
#ifndef CM_REVOCATION_TABLE_H
#define CM_REVOCATION_TABLE_H

#include "engine/store/store.h"

struct cm_table_record;

struct cm_table {
    struct cm_table_record **chunks; /* of CM_TABLE_CHUNK records each */
    uint32_t count;
    uint32_t *heads; /* by hash: the first record of a chain */
    uint32_t heads_count;
    uint64_t seed[3]; /* who chooses serials does not choose chains */
};

void cm_table_init(struct cm_table *table);
void cm_table_done(struct cm_table *table);

/* Puts it in, or in the place of what was known of its serial; tells what that was (REMOVE_FROM_CRL:
 * nothing). The serial has 1 to 20 octets. Out of memory aborts. */
uint32_t cm_table_put(struct cm_table *table, const struct cm_revocation *revocation,
                      enum cm_reason *ret_before);

/* generation_number is left alone; serial is a span over the table. */
void cm_table_get(const struct cm_table *table, uint32_t position, struct cm_revocation *ret);
bool cm_table_find(const struct cm_table *table, struct cm_bytes serial, struct cm_revocation *ret);

/* The same, for those who look at all of them. */
int64_t cm_table_revision(const struct cm_table *table, uint32_t position);
int64_t cm_table_not_after_s(const struct cm_table *table, uint32_t position);
struct cm_bytes cm_table_serial(const struct cm_table *table, uint32_t position);

#endif
