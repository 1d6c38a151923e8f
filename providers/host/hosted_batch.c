#include "providers/host/internal.h"

/* The position of a batch stands in the low bits of its frame's id. */
enum { POSITION_BITS = 16 };

cm_status cm_hosted_sign(struct cm_provider *provider, struct cm_sign_batch *batch,
                         struct cm_error *err)
{
    struct cm_host *host = (struct cm_host *)provider;
    struct cm_hosted_key *key = batch->key->backend;
    uint32_t position = 0;
    if (!key->is_usable)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "signer %s is away, or its key %s",
                       host->hello.settings.name, key->reference);
    if (cm_wire_size_of_sign(batch) > CM_WIRE_BODY_SIZE_MAX)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "a signer takes no more than %u MiB at a time; a CRL needs more shards then",
                       CM_WIRE_BODY_SIZE_MAX >> 20);
    while (host->batches[position].batch)
        position++; /* the front has seen that one is free */
    struct cm_hosted_batch *slot = &host->batches[position];
    slot->batch = batch;
    slot->id = ++host->ids_count << POSITION_BITS | position;
    slot->position = cm_channel_position(&host->channel);
    batch->backend = slot;
    cm_wire_write_sign(&host->channel.out, slot->id, key->id, batch);
    cm_channel_flush(&host->channel);
    return CM_OK;
}

static void finish(struct cm_host *host, struct cm_hosted_batch *slot)
{
    struct cm_sign_batch *batch = slot->batch;
    slot->batch = NULL;
    batch->backend = NULL;
    cm_provider_batch_done(&host->head, batch);
}

void cm_hosted_cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    struct cm_host *host = (struct cm_host *)provider;
    const struct cm_hosted_batch *slot = batch->backend;
    if (!slot) /* its done is on the way already */
        return;
    cm_wire_write_bare(&host->channel.out, CM_WIRE_CANCEL, slot->id);
    cm_channel_flush(&host->channel);
}

/* Signatures that have no room, or of nothing: the signer is not what it says. */
static bool fits(const struct cm_sign_batch *batch, struct cm_wire_signed signed_)
{
    cm_status status;
    struct cm_bytes signature;
    if (signed_.items_count != batch->items_count)
        return false;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        cm_wire_next_signature(&signed_, &status, &signature);
        if (signature.size > batch->items[i].signature_space)
            return false;
    }
    return true;
}

static void take_signatures(struct cm_sign_batch *batch, struct cm_wire_signed signed_)
{
    for (uint32_t i = 0; i < batch->items_count; i++) {
        struct cm_sign_item *item = &batch->items[i];
        struct cm_bytes signature;
        cm_wire_next_signature(&signed_, &item->status, &signature);
        item->signature_size = (uint32_t)signature.size;
        if (signature.size > 0)
            memcpy(item->signature, signature.data, signature.size);
    }
}

bool cm_hosted_on_signed(struct cm_host *host, const struct cm_wire_frame *frame)
{
    struct cm_wire_signed signed_;
    uint32_t position = frame->id & ((1u << POSITION_BITS) - 1);
    if (position >= host->batches_count)
        return false;
    struct cm_hosted_batch *slot = &host->batches[position];
    if (!slot->batch || slot->id != frame->id || !cm_wire_read_signed(frame->body, &signed_)
        || !fits(slot->batch, signed_))
        return false;
    take_signatures(slot->batch, signed_);
    if (signed_.text)
        cm_host_pass_on(host, " refused to sign", signed_.text);
    finish(host, slot);
    return true;
}

/* What has begun to leave may have been signed; what has not may be given to the next one. */
void cm_hosted_batches_lose(struct cm_host *host)
{
    for (uint32_t i = 0; i < host->batches_count; i++) {
        struct cm_hosted_batch *slot = &host->batches[i];
        if (!slot->batch)
            continue;
        bool was_sent = host->channel.written_count > slot->position;
        for (uint32_t k = 0; k < slot->batch->items_count; k++) {
            slot->batch->items[k].status = was_sent ? CM_UNCERTAIN : CM_UNAVAILABLE;
            slot->batch->items[k].signature_size = 0;
        }
        finish(host, slot);
    }
}
