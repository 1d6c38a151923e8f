/*
 * Sign: each item of a batch is a call to its key's vault; the batch is done when the last has come
 * back. The vault decides when each goes out.
 */
#include "providers/keyvault/internal.h"

#include <stdlib.h>

struct batch;

struct item {
    struct cm_vault_call call;
    struct batch *batch;
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t hash_size;
    char body[CM_VAULT_SIGN_BODY_SIZE];
};

/* Lives from sign to done. */
struct batch {
    struct cm_sign_batch *sign_batch;
    uint32_t open_count; /* items without a status */
    struct item items[];
};

static void settle(struct item *item, cm_status status, uint32_t size)
{
    struct batch *batch = item->batch;
    struct cm_sign_batch *sign_batch = batch->sign_batch;
    struct cm_sign_item *of = &sign_batch->items[item - batch->items];
    of->status = status;
    of->signature_size = size;
    if (--batch->open_count > 0)
        return;
    sign_batch->backend = NULL;
    cm_provider_batch_done(sign_batch->key->provider, sign_batch);
    free(batch);
}

static void on_signed(struct cm_vault_call *call, cm_status status, const json_t *answer,
                      const struct cm_error *err)
{
    struct item *item = call->arg;
    const struct cm_sign_batch *sign_batch = item->batch->sign_batch;
    const struct cm_vault_key *key = sign_batch->key->backend;
    struct cm_sign_item *of = &sign_batch->items[item - item->batch->items];
    struct cm_error why;
    (void)err;
    if (status != CM_OK) {
        settle(item, status, 0);
        return;
    }
    uint32_t size = cm_vault_key_take(key, answer, cm_bytes(item->hash, item->hash_size),
                                      of->signature, of->signature_space, &why);
    if (size == 0)
        cm_vault_notice(key->vault, why.text);
    settle(item, size > 0 ? CM_OK : CM_CORRUPT, size);
}

static bool prepare(struct batch *batch, uint32_t position)
{
    struct cm_sign_batch *sign_batch = batch->sign_batch;
    const struct cm_vault_key *key = sign_batch->key->backend;
    struct item *item = &batch->items[position];
    item->batch = batch;
    item->hash_size = cm_vault_key_hash(key, sign_batch->items[position].message, item->hash);
    cm_vault_key_write_body(key, cm_bytes(item->hash, item->hash_size), item->body);
    item->call = (struct cm_vault_call){
        .method = "POST",
        .url = key->sign_url,
        .body = item->body,
        .nature = CM_VAULT_SIGNATURE,
        .cost_us = key->cost_us,
        .deadline_ns = sign_batch->deadline_ns,
        .done = on_signed,
        .arg = item,
    };
    return item->hash_size > 0;
}

cm_status cm_keyvault_sign(struct cm_provider *provider, struct cm_sign_batch *sign_batch,
                           struct cm_error *err)
{
    const struct cm_vault_key *key = sign_batch->key->backend;
    uint32_t count = sign_batch->items_count;
    (void)provider;
    if (cm_vault_is_away(key->vault))
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "vault %.80s is away",
                       cm_vault_host(key->vault));
    struct batch *batch = calloc(1, sizeof *batch + count * sizeof batch->items[0]);
    if (!batch)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a batch");
    batch->sign_batch = sign_batch;
    batch->open_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!prepare(batch, i)) {
            free(batch);
            return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OPENSSL, 0, "hash what is to be signed");
        }
    }
    sign_batch->backend = batch;
    for (uint32_t i = 0; i < count; i++)
        cm_vault_submit(key->vault, &batch->items[i].call);
    return CM_OK;
}

/* Items that are out end by themselves. */
void cm_keyvault_cancel(struct cm_provider *provider, struct cm_sign_batch *sign_batch)
{
    const struct cm_vault_key *key = sign_batch->key->backend;
    struct batch *batch = sign_batch->backend;
    (void)provider;
    if (!batch) /* its done is on the way already */
        return;
    for (uint32_t i = 0; i < sign_batch->items_count; i++)
        batch->items[i].call.is_cancelled = true;
    cm_vault_sweep(key->vault);
}
