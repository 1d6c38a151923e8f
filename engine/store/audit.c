#include "engine/store/audit.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------- rows -- */

static bool hash_sized(EVP_MD_CTX *hash, struct cm_bytes bytes)
{
    uint8_t size[4];
    cm_big_endian_write(bytes.size, size, sizeof size);
    return EVP_DigestUpdate(hash, size, sizeof size) == 1
           && EVP_DigestUpdate(hash, bytes.data, bytes.size) == 1;
}

static bool hash_row(EVP_MD_CTX *hash, const struct cm_audit_row *row, uint8_t *ret_hash)
{
    uint8_t numbers[16];
    cm_big_endian_write((uint64_t)row->number, numbers, 8);
    cm_big_endian_write((uint64_t)row->time_ms, numbers + 8, 8);
    return EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1
           && EVP_DigestUpdate(hash, row->previous, CM_HASH_SIZE) == 1
           && EVP_DigestUpdate(hash, numbers, sizeof numbers) == 1
           && hash_sized(hash, cm_bytes_str(row->kind)) && hash_sized(hash, row->actor)
           && hash_sized(hash, row->detail)
           && EVP_DigestUpdate(hash, row->digest, CM_HASH_SIZE) == 1
           && EVP_DigestFinal_ex(hash, ret_hash, NULL) == 1;
}

void cm_audit_hash(const struct cm_audit_row *row, uint8_t ret_hash[CM_HASH_SIZE])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    /* SHA-256 over memory fails only where memory does; no audit row may go out without it. */
    if (!hash || !hash_row(hash, row, ret_hash))
        abort();
    EVP_MD_CTX_free(hash);
}

/* ---------------------------------------------------------------- checkpoints -- */

static uint8_t *put(uint8_t *at, const void *octets, size_t size)
{
    memcpy(at, octets, size);
    return at + size;
}

static uint8_t *put_number(uint8_t *at, int64_t number)
{
    cm_big_endian_write((uint64_t)number, at, 8);
    return at + 8;
}

void cm_checkpoint_write(const struct cm_checkpoint *checkpoint,
                         uint8_t ret_message[CM_CHECKPOINT_MESSAGE_SIZE])
{
    uint8_t *at = put(ret_message, CM_CHECKPOINT_CONTEXT, CM_CHECKPOINT_CONTEXT_SIZE);
    at = put_number(at, checkpoint->number);
    at = put_number(at, checkpoint->audit);
    at = put(at, checkpoint->hash, sizeof checkpoint->hash);
    at = put_number(at, checkpoint->time_ms);
    put(at, checkpoint->previous, sizeof checkpoint->previous);
}

void cm_checkpoint_hash(const struct cm_checkpoint *checkpoint, uint8_t ret_hash[CM_SHA256_SIZE])
{
    uint8_t message[CM_CHECKPOINT_MESSAGE_SIZE];
    cm_checkpoint_write(checkpoint, message);
    const struct cm_bytes whole = cm_bytes(message, sizeof message);
    cm_sha256(&whole, 1, ret_hash);
}
