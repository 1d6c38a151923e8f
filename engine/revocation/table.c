#include "engine/revocation/table.h"

#include <stdlib.h>
#include <sys/random.h>

enum { CHUNK = 4096, HEADS_MIN = 64 };

#define NONE UINT32_MAX

/* Packed by hand: a million of them are in memory for as long as the engine runs. */
struct cm_table_record {
    uint8_t serial[CM_SERIAL_SIZE];
    uint32_t next; /* of the chain */
    uint8_t revision[6];
    uint8_t revoked[5], invalidity[5], not_after[5]; /* seconds, see put_time */
    uint8_t serial_size;
    uint8_t reason;
};

_Static_assert(sizeof(struct cm_table_record) == 48, "what a revocation costs");

/* Dates of certificates, 1950 to 9999, fit into 40 bits when they are moved above zero. */
#define TIME_BIAS (INT64_C(1) << 38)

static void put_time(int64_t seconds, uint8_t octets[5])
{
    cm_big_endian_write((uint64_t)(seconds + TIME_BIAS), octets, 5);
}

static int64_t time_of(const uint8_t octets[5])
{
    return (int64_t)cm_big_endian_read(octets, 5) - TIME_BIAS;
}

static void *grown(void *array, size_t size)
{
    void *larger = realloc(array, size);
    if (!larger)
        abort();
    return larger;
}

static struct cm_table_record *at(const struct cm_table *table, uint32_t position)
{
    return &table->chunks[position / CHUNK][position % CHUNK];
}

/* ------------------------------------------------------------------ hash -- */

static uint64_t fold(uint64_t one, uint64_t other)
{
    __extension__ typedef unsigned __int128 product;
    product both = (product)one * other;
    return (uint64_t)(both >> 64) ^ (uint64_t)both;
}

/* Multiply and fold, keyed: cheap, and nothing to be foreseen without the seed. */
static uint32_t chain_of(const struct cm_table *table, struct cm_bytes serial)
{
    uint64_t words[3] = { 0, 0, serial.size };
    memcpy(words, serial.data, serial.size > 16 ? 16 : serial.size);
    if (serial.size > 16)
        words[2] |= cm_big_endian_read(serial.data + 16, serial.size - 16) << 8;
    uint64_t hash = fold(words[0] ^ table->seed[0], words[1] ^ table->seed[1]);
    hash = fold(hash ^ table->seed[1], words[2] ^ table->seed[2]);
    return (uint32_t)hash & (table->heads_count - 1);
}

static void hang_in(struct cm_table *table, uint32_t position)
{
    uint32_t *head = &table->heads[chain_of(table, cm_table_serial(table, position))];
    at(table, position)->next = *head;
    *head = position;
}

static void set_heads(struct cm_table *table, uint32_t count)
{
    table->heads = grown(table->heads, count * sizeof *table->heads);
    table->heads_count = count;
    memset(table->heads, 0xff, count * sizeof *table->heads);
    for (uint32_t position = 0; position < table->count; position++)
        hang_in(table, position);
}

/* ------------------------------------------------------------------ life -- */

void cm_table_init(struct cm_table *table)
{
    *table = (struct cm_table){ 0 };
    if (getrandom(table->seed, sizeof table->seed, 0) != sizeof table->seed)
        abort();
    set_heads(table, HEADS_MIN);
}

void cm_table_done(struct cm_table *table)
{
    for (uint32_t position = 0; position < table->count; position += CHUNK)
        free(table->chunks[position / CHUNK]);
    free(table->chunks);
    free(table->heads);
}

/* ------------------------------------------------------------------ records -- */

static uint32_t position_of(const struct cm_table *table, struct cm_bytes serial)
{
    uint32_t position = table->heads[chain_of(table, serial)];
    while (position != NONE && !cm_bytes_equal(cm_table_serial(table, position), serial))
        position = at(table, position)->next;
    return position;
}

static uint32_t add(struct cm_table *table, struct cm_bytes serial)
{
    uint32_t position = table->count;
    if (position % CHUNK == 0) {
        size_t chunks_count = position / CHUNK + 1;
        table->chunks = grown(table->chunks, chunks_count * sizeof *table->chunks);
        table->chunks[position / CHUNK] = grown(NULL, CHUNK * sizeof(struct cm_table_record));
    }
    if (position == table->heads_count)
        set_heads(table, table->heads_count * 2);
    struct cm_table_record *record = at(table, position);
    memset(record, 0, sizeof *record);
    memcpy(record->serial, serial.data, serial.size);
    record->serial_size = (uint8_t)serial.size;
    record->reason = CM_REASON_REMOVE_FROM_CRL;
    table->count++;
    hang_in(table, position);
    return position;
}

uint32_t cm_table_put(struct cm_table *table, const struct cm_revocation *revocation,
                      enum cm_reason *ret_before)
{
    uint32_t position = position_of(table, revocation->serial);
    if (position == NONE)
        position = add(table, revocation->serial);
    struct cm_table_record *record = at(table, position);
    *ret_before = (enum cm_reason)record->reason;
    record->reason = (uint8_t)revocation->reason;
    cm_big_endian_write((uint64_t)revocation->revision, record->revision, sizeof record->revision);
    put_time(revocation->revoked_s, record->revoked);
    put_time(revocation->invalidity_s, record->invalidity);
    put_time(revocation->not_after_s, record->not_after);
    return position;
}

void cm_table_get(const struct cm_table *table, uint32_t position, struct cm_revocation *ret)
{
    const struct cm_table_record *record = at(table, position);
    ret->serial = cm_bytes(record->serial, record->serial_size);
    ret->revision = cm_table_revision(table, position);
    ret->reason = (enum cm_reason)record->reason;
    ret->revoked_s = time_of(record->revoked);
    ret->invalidity_s = time_of(record->invalidity);
    ret->not_after_s = time_of(record->not_after);
}

bool cm_table_find(const struct cm_table *table, struct cm_bytes serial, struct cm_revocation *ret)
{
    if (serial.size == 0 || serial.size > CM_SERIAL_SIZE)
        return false;
    uint32_t position = position_of(table, serial);
    if (position == NONE)
        return false;
    cm_table_get(table, position, ret);
    return true;
}

int64_t cm_table_revision(const struct cm_table *table, uint32_t position)
{
    const struct cm_table_record *record = at(table, position);
    return (int64_t)cm_big_endian_read(record->revision, sizeof record->revision);
}

int64_t cm_table_not_after_s(const struct cm_table *table, uint32_t position)
{
    return time_of(at(table, position)->not_after);
}

struct cm_bytes cm_table_serial(const struct cm_table *table, uint32_t position)
{
    const struct cm_table_record *record = at(table, position);
    return cm_bytes(record->serial, record->serial_size);
}
