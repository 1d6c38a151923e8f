/*
 * Mix: a fast hash of a few octets for tables in memory. Tables that use it have no chains that grow
 * with hostile input, or are bounded; the seed is random all the same. Pure.
 */
#ifndef CM_STATUS_MIX_H
#define CM_STATUS_MIX_H

#include "engine/base/bytes.h"

static inline uint64_t cm_mix_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    return hash ^ hash >> 29;
}

static inline uint64_t cm_mix(uint64_t seed, struct cm_bytes octets)
{
    uint64_t hash = cm_mix_word(seed, octets.size), word;
    while (octets.size >= sizeof word) {
        memcpy(&word, octets.data, sizeof word);
        hash = cm_mix_word(hash, word);
        octets.data += sizeof word;
        octets.size -= sizeof word;
    }
    word = 0;
    if (octets.size > 0)
        memcpy(&word, octets.data, octets.size);
    hash = cm_mix_word(hash, word);
    return hash ^ hash >> 32;
}

#endif
