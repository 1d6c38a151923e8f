#include "engine/serials.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

enum { COUNTER_BITS = 20, NUMBER_SIZE = 8, RANDOM_SIZE = 12, DRAW_AT_ONCE = 64 };

void cm_serials_init(struct cm_serials *serials, cm_certificate_number last_number)
{
    atomic_init(&serials->last_number, last_number);
}

/* Reserves count numbers that follow each other; returns the first. */
static int64_t reserve_numbers(struct cm_serials *serials, int64_t time_ms, uint32_t count)
{
    int64_t wanted = time_ms << COUNTER_BITS;
    int64_t last = atomic_load(&serials->last_number);
    int64_t first;
    do {
        first = wanted > last ? wanted : last + 1;
    } while (!atomic_compare_exchange_weak(&serials->last_number, &last, first + count - 1));
    return first;
}

bool cm_serials_draw(struct cm_serials *serials, int64_t time_ms, uint32_t count,
                     struct cm_serial *ret_serials)
{
    uint8_t random[DRAW_AT_ONCE * RANDOM_SIZE];
    int64_t number = reserve_numbers(serials, time_ms, count);
    for (uint32_t i = 0; i < count; i++) {
        /* One call to the DRBG serves many serials: its fixed cost is higher than its octets'. */
        if (i % DRAW_AT_ONCE == 0) {
            uint32_t now = count - i < DRAW_AT_ONCE ? count - i : DRAW_AT_ONCE;
            if (RAND_bytes(random, (int)(now * RANDOM_SIZE)) != 1)
                return false;
        }
        cm_big_endian_write((uint64_t)number + i, ret_serials[i].octets, NUMBER_SIZE);
        memcpy(ret_serials[i].octets + NUMBER_SIZE, random + i % DRAW_AT_ONCE * RANDOM_SIZE,
               RANDOM_SIZE);
    }
    OPENSSL_cleanse(random, sizeof random);
    return true;
}
