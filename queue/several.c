#include "queue/several.h"

#include <assert.h>

/* What names one request, or signs it, cannot be that of another, too. */
static bool is_for_all(enum cm_field field)
{
    return field != CM_FIELD_ID && field != CM_FIELD_DEVICE && field != CM_FIELD_CSR
           && field != CM_FIELD_SERIAL && field != CM_FIELD_AUTH;
}

static bool is_digit(uint8_t octet)
{
    return octet >= '0' && octet <= '9';
}

/* The digits at the end of the name begin here. */
static size_t digits_begin(struct cm_bytes name)
{
    size_t at = name.size;
    while (at > 0 && is_digit(name.data[at - 1]))
        at--;
    return at;
}

/* 1 to CM_SEVERAL_MAX as one writes it, without zeros in front; else 0. */
static uint32_t read_number(const uint8_t *digits, size_t count)
{
    uint32_t number = 0;
    if (count > 2 || digits[0] == '0')
        return 0;
    for (size_t i = 0; i < count; i++)
        number = 10 * number + (uint32_t)(digits[i] - '0');
    return number <= CM_SEVERAL_MAX ? number : 0;
}

enum cm_several_owner cm_several_owner(struct cm_bytes name, struct cm_bytes *ret_field,
                                       uint32_t *ret_number)
{
    if (!name.data)
        return CM_SEVERAL_UNTOLD;
    size_t at = digits_begin(name);
    if (at == name.size || at == 0 || name.data[at - 1] != '.')
        return CM_SEVERAL_ALL;
    uint32_t number = read_number(name.data + at, name.size - at);
    if (number == 0)
        return CM_SEVERAL_UNTOLD;
    *ret_field = cm_bytes(name.data, at - 1);
    *ret_number = number;
    return CM_SEVERAL_ONE;
}

void cm_several_look(struct cm_several *several, struct cm_bytes name)
{
    struct cm_bytes field;
    uint32_t number;
    enum cm_several_owner owner = cm_several_owner(name, &field, &number);
    if (owner == CM_SEVERAL_ONE)
        several->numbers |= UINT64_C(1) << (number - 1);
    several->has_rest |= owner == CM_SEVERAL_UNTOLD;
}

static uint32_t count_bits(uint64_t bits)
{
    return (uint32_t)__builtin_popcountll(bits);
}

uint32_t cm_several_count(const struct cm_several *several)
{
    return several->numbers ? count_bits(several->numbers) + several->has_rest : 0;
}

uint32_t cm_several_number(const struct cm_several *several, uint32_t position)
{
    uint64_t left = several->numbers;
    for (uint32_t i = 0; i < position && left; i++)
        left &= left - 1;
    return left ? (uint32_t)__builtin_ctzll(left) + 1 : 0;
}

uint32_t cm_several_position(const struct cm_several *several, uint32_t number)
{
    uint64_t bit = UINT64_C(1) << (number - 1);
    assert(several->numbers & bit); /* it was looked at */
    return count_bits(several->numbers & (bit - 1));
}

static void add_to_all(const struct cm_several *several, struct cm_entry *const *entries,
                       struct cm_bytes name, struct cm_bytes value)
{
    enum cm_field field = name.data ? cm_field_find(name) : CM_FIELD_COUNT;
    for (uint32_t i = 0; i < cm_several_count(several); i++) {
        if (field == CM_FIELD_COUNT || is_for_all(field))
            cm_entry_add_field(entries[i], name, value);
        else
            cm_entry_refuse_shared(entries[i], field);
    }
}

void cm_several_add(struct cm_several *several, struct cm_entry *const *entries,
                    struct cm_bytes name, struct cm_bytes value)
{
    struct cm_bytes field;
    uint32_t number;
    several->size += name.size + value.size;
    if (cm_several_owner(name, &field, &number) == CM_SEVERAL_ONE)
        cm_entry_add_field(entries[cm_several_position(several, number)], field, value);
    else
        add_to_all(several, entries, name, value);
}

void cm_several_end(const struct cm_several *several, struct cm_entry *const *entries)
{
    for (uint32_t i = 0; i < cm_several_count(several); i++)
        entries[i]->size = several->size;
}
