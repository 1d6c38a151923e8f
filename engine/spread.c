#include "engine/spread.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/clock.h"

static struct cm_spread_key *key_of(const struct cm_spread *spread,
                                    const struct cm_issuer_key *issuer)
{
    return &spread->keys[cm_issuers_position(spread->issuers, issuer)];
}

/* Authorities that issue. */
static bool have_several(const struct cm_issuers *issuers)
{
    const struct cm_settings_authority *first = NULL;
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        if (issuers->keys[i].issues && first && issuers->keys[i].authority != first)
            return true;
        if (issuers->keys[i].issues)
            first = issuers->keys[i].authority;
    }
    return false;
}

void cm_spread_init(struct cm_spread *spread, const struct cm_issuers *issuers)
{
    *spread = (struct cm_spread){ .issuers = issuers };
    spread->keys = calloc(CM_ISSUERS_MAX, sizeof *spread->keys);
    if (!spread->keys)
        abort();
    cm_spread_look(spread);
}

void cm_spread_look(struct cm_spread *spread)
{
    spread->has_several = have_several(spread->issuers);
}

void cm_spread_done(struct cm_spread *spread)
{
    free(spread->keys);
    *spread = (struct cm_spread){ 0 };
}

/* --- choosing ------------------------------------------------------------------------------------ */

static bool is_before(const struct cm_spread_key *a, const struct cm_spread_key *b)
{
    return a->items_count != b->items_count ? a->items_count < b->items_count : a->turn < b->turn;
}

/* The shortest queue, among the keys that work or among all; of equals the one not chosen longest. */
static const struct cm_issuer_key *find_shortest(const struct cm_spread *spread,
                                                 const struct cm_settings_authority *authority,
                                                 bool also_in_trouble)
{
    const struct cm_issuers *issuers = spread->issuers;
    const struct cm_issuer_key *best = NULL;
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        const struct cm_issuer_key *issuer = &issuers->keys[i];
        const struct cm_spread_key *key = key_of(spread, issuer);
        if (issuer->issues && issuer->authority == authority
            && (key->trouble_since_ns == 0 || also_in_trouble)
            && (!best || is_before(key, key_of(spread, best))))
            best = issuer;
    }
    return best;
}

/* What is still out to the key is its probe: a second one would tell no more, and hold one more batch. */
static bool is_due(const struct cm_spread_key *key, uint64_t now_ns)
{
    return key->trouble_since_ns != 0 && key->items_count == 0
           && now_ns - key->probed_ns >= CM_PROBE_MS * CM_NS_PER_MS;
}

/* The one that has waited longest for its probe. */
static const struct cm_issuer_key *find_probe(const struct cm_spread *spread,
                                              const struct cm_settings_authority *authority,
                                              uint64_t now_ns)
{
    const struct cm_issuers *issuers = spread->issuers;
    const struct cm_issuer_key *best = NULL;
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        const struct cm_issuer_key *issuer = &issuers->keys[i];
        if (issuer->issues && issuer->authority == authority
            && is_due(key_of(spread, issuer), now_ns)
            && (!best || key_of(spread, issuer)->probed_ns < key_of(spread, best)->probed_ns))
            best = issuer;
    }
    return best;
}

/* Where the batch goes to keys in trouble anyway, it is the probe itself. */
static struct cm_choice choose(const struct cm_spread *spread,
                               const struct cm_settings_authority *authority, uint64_t now_ns)
{
    struct cm_choice choice = { .issuer = find_shortest(spread, authority, false) };
    if (choice.issuer || spread->has_several)
        choice.probe = find_probe(spread, authority, now_ns);
    else
        choice.issuer = find_shortest(spread, authority, true);
    return choice;
}

void cm_spread_choose(struct cm_spread *spread, uint32_t items_count, uint64_t now_ns,
                      struct cm_choice *ret_choices)
{
    const struct cm_settings *settings = spread->issuers->settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++) {
        ret_choices[i] = choose(spread, &settings->authorities[i], now_ns);
        if (ret_choices[i].issuer) {
            key_of(spread, ret_choices[i].issuer)->turn = ++spread->turns_count;
            cm_spread_add(spread, ret_choices[i].issuer, items_count);
        }
        if (ret_choices[i].probe)
            key_of(spread, ret_choices[i].probe)->probed_ns = now_ns;
    }
}

void cm_spread_settle(struct cm_spread *spread, uint32_t items_count,
                      const struct cm_choice *choices)
{
    for (uint32_t i = 0; i < spread->issuers->settings->authorities_count; i++) {
        if (choices[i].issuer)
            cm_spread_remove(spread, choices[i].issuer, items_count);
        if (choices[i].probe && !choices[i].is_probe_taken)
            key_of(spread, choices[i].probe)->probed_ns = 0;
    }
}

/* --- counting ------------------------------------------------------------------------------------ */

void cm_spread_add(struct cm_spread *spread, const struct cm_issuer_key *issuer,
                   uint32_t items_count)
{
    key_of(spread, issuer)->items_count += items_count;
}

void cm_spread_remove(struct cm_spread *spread, const struct cm_issuer_key *issuer,
                      uint32_t items_count)
{
    struct cm_spread_key *key = key_of(spread, issuer);
    assert(key->items_count >= items_count);
    key->items_count -= items_count;
}

bool cm_spread_signed(struct cm_spread *spread, const struct cm_issuer_key *issuer)
{
    struct cm_spread_key *key = key_of(spread, issuer);
    bool was_in_trouble = key->trouble_since_ns != 0;
    key->trouble_since_ns = 0;
    return was_in_trouble;
}

/* The first probe comes after a pause, too: what waits on the key meanwhile asks again by itself. */
void cm_spread_failed(struct cm_spread *spread, const struct cm_issuer_key *issuer, uint64_t now_ns)
{
    struct cm_spread_key *key = key_of(spread, issuer);
    if (key->trouble_since_ns != 0)
        return;
    key->trouble_since_ns = now_ns;
    key->probed_ns = now_ns;
}

/* --- looking ------------------------------------------------------------------------------------- */

const struct cm_spread_key *cm_spread_key(const struct cm_spread *spread,
                                          const struct cm_issuer_key *issuer)
{
    return key_of(spread, issuer);
}

bool cm_spread_is_away(const struct cm_spread *spread,
                       const struct cm_settings_authority *authority)
{
    return !find_shortest(spread, authority, false);
}

bool cm_spread_has_better(const struct cm_spread *spread, const struct cm_issuer_key *issuer)
{
    return key_of(spread, issuer)->trouble_since_ns != 0
           && !cm_spread_is_away(spread, issuer->authority);
}

const struct cm_issuer_key *cm_spread_probe(const struct cm_spread *spread,
                                            const struct cm_settings_authority *authority,
                                            uint64_t now_ns)
{
    return find_probe(spread, authority, now_ns);
}
