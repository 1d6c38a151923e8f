/*
 * At the start: which numbers are taken, and which of the files in the folder goes on being the CRL.
 *
 * A file that was signed by its key for its shard goes on the shelf, whatever else is wrong: it is better
 * than none. It counts as up to date only when it is what the store has numbered last; else a new one
 * is made at once, with a number behind all that are known.
 */
#include "engine/revocation/entries.h"
#include "engine/revocation/internal.h"

#include <stdlib.h>

#include "engine/base/hash.h"
#include "engine/revocation/crl_files.h"
#include "engine/x509/crl.h"

struct rows {
    struct cm_publisher *publisher;
    struct cm_crl_row *complete, *delta; /* by shard; number 0: none; NULL: not asked for */
};

static struct cm_shard *shard_of(struct cm_publisher *publisher, const struct cm_crl_row *row)
{
    for (uint32_t i = 0; i < publisher->shards_count; i++)
        if (publisher->shards[i]->key->generation_number == row->generation_number
            && publisher->shards[i]->index == row->shard)
            return publisher->shards[i];
    return NULL;
}

static void note_taken(struct cm_shard *shard, uint64_t number, int64_t this_update_s)
{
    if (number > shard->last_number)
        shard->last_number = number;
    if (this_update_s > shard->last_this_update_s)
        shard->last_this_update_s = this_update_s;
}

static bool take_row(const struct cm_crl_row *row, void *arg)
{
    struct rows *rows = arg;
    struct cm_shard *shard = shard_of(rows->publisher, row);
    if (!shard)
        return true;
    note_taken(shard, row->number, row->this_update_s);
    size_t index = shard->position;
    struct cm_crl_row *latest = row->is_delta ? rows->delta : rows->complete;
    if (latest)
        latest[index] = *row;
    return true;
}

static cm_status read_rows(struct cm_publisher *publisher, struct rows *rows, struct cm_error *err)
{
    cm_status status = cm_store_reader_begin(publisher->reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_walk_crls(publisher->reader, take_row, rows, err);
    cm_store_reader_end(publisher->reader);
    return status;
}

void cm_publisher_note_numbers(struct cm_publisher *publisher)
{
    struct rows rows = { .publisher = publisher };
    struct cm_error err;
    if (read_rows(publisher, &rows, &err) != CM_OK)
        cm_publisher_tell_trouble(publisher, "the numbers of CRLs could not be read", &err);
}

/* ------------------------------------------------------------------ a file -- */

/* UINT64_MAX: no number of ours. */
static uint64_t number_of(struct cm_bytes magnitude)
{
    if (magnitude.size > 8)
        return UINT64_MAX;
    return cm_big_endian_read(magnitude.data, magnitude.size);
}

static bool is_of_shard(const struct cm_shard *shard, const struct cm_crl_read *crl, bool is_delta)
{
    struct cm_bytes url = shard->url ? cm_bytes_str(shard->url) : cm_bytes(NULL, 0);
    return crl->is_delta == is_delta && crl->has_number && number_of(crl->number) < UINT64_MAX
           && crl->next_update_s > 0 && cm_bytes_equal(crl->issuer, shard->key->issuer.name)
           && cm_bytes_equal(crl->aki, shard->key->issuer.ski) && cm_bytes_equal(crl->url, url);
}

static bool verifies(const struct cm_shard *shard, const struct cm_crl_read *crl)
{
    struct cm_verifier *verifier;
    if (cm_verifier_new(&shard->key->public_key, crl->sigalg, &verifier, NULL) != CM_OK)
        return false;
    bool good = cm_verifier_check(verifier, crl->tbs, crl->signature) == CM_OK;
    cm_verifier_free(verifier);
    return good;
}

static cm_status check(const struct cm_shard *shard, struct cm_bytes content, bool is_delta,
                       struct cm_crl_read *ret_crl, struct cm_error *err)
{
    cm_status status = cm_crl_read(content, ret_crl, err);
    if (status == CM_OK && !(is_of_shard(shard, ret_crl, is_delta) && verifies(shard, ret_crl)))
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                         "%s in the folder is no CRL of its shard and key; it will be replaced",
                         is_delta ? shard->delta_path : shard->path);
    return status;
}

/* Whether the file is the one that the store has numbered last. */
static bool is_row(const struct cm_crl_read *crl, const struct cm_crl_row *row)
{
    uint8_t hash[CM_HASH_SIZE];
    cm_sha256(&crl->tbs, 1, hash);
    return row->number > 0 && row->number == number_of(crl->number)
           && memcmp(hash, row->tbs_hash, sizeof hash) == 0;
}

static void put_on_shelf(struct cm_shard *shard, struct cm_bytes content,
                         const struct cm_crl_read *crl)
{
    struct cm_document *document =
        cm_document_new(content, "application/pkix-crl", crl->this_update_s, crl->next_update_s);
    cm_shelf_put(shard->publisher->env.shelf, crl->is_delta ? shard->delta_path : shard->path,
                 document);
    /* A list of the software before has its own order, and is not compared with. */
    if (crl->is_delta || !cm_entries_are_ordered(crl->entries))
        cm_document_let_go(document);
    else
        shard->document = document;
}

static struct cm_published published_of(const struct cm_crl_read *crl, int64_t revision)
{
    return (struct cm_published){ .is_there = true,
                                  .number = number_of(crl->number),
                                  .this_update_s = crl->this_update_s,
                                  .next_update_s = crl->next_update_s,
                                  .revision = revision };
}

static void resume_complete(struct cm_shard *shard, const struct cm_crl_read *crl,
                            const struct cm_crl_row *row)
{
    bool is_last = is_row(crl, row);
    shard->complete = published_of(crl, is_last ? row->revision : 0);
    if (is_last) {
        shard->base_number = row->number;
        shard->base_revision = row->revision;
    } else {
        shard->is_doubtful = true;
    }
}

/* A delta that is not the last is not needed: the next one is made at once. False: nothing is kept. */
static bool resume_content(struct cm_shard *shard, struct cm_bytes content,
                           const struct cm_crl_read *crl, const struct cm_crl_row *row)
{
    note_taken(shard, number_of(crl->number), crl->this_update_s);
    bool has_base = shard->complete.is_there && !shard->is_doubtful;
    if (crl->is_delta && !(has_base && is_row(crl, row)))
        return false;
    if (crl->is_delta)
        shard->delta = published_of(crl, row->revision);
    else
        resume_complete(shard, crl, row);
    put_on_shelf(shard, content, crl);
    return true;
}

static void resume_file(struct cm_shard *shard, const char *path, const struct cm_crl_row *row,
                        bool is_delta, struct cm_forgotten *kept)
{
    struct cm_publisher *publisher = shard->publisher;
    struct cm_bytes content = cm_bytes(NULL, 0);
    struct cm_crl_read crl;
    struct cm_error err;
    cm_status status =
        cm_crl_files_read(publisher->env.settings->status.publish_folder, path, &content, &err);
    if (status == CM_NOT_FOUND)
        return;
    if (status == CM_OK)
        status = check(shard, content, is_delta, &crl, &err);
    if (status != CM_OK)
        cm_publisher_tell_trouble(publisher, "a CRL was not taken up again", &err);
    else
        cm_forgotten_keep(shard, &crl, path, kept);
    if (status != CM_OK || !resume_content(shard, content, &crl, row))
        free((void *)(uintptr_t)content.data);
}

static void resume_shard(struct cm_shard *shard, const struct cm_crl_row *complete,
                         const struct cm_crl_row *delta, struct cm_forgotten *kept)
{
    resume_file(shard, shard->path, complete, false, kept);
    if (!shard->has_delta)
        return;
    resume_file(shard, shard->delta_path, delta, true, kept);
    /* Where deltas are new, the complete list does not name them yet. */
    if (shard->complete.is_there && !shard->delta.is_there)
        shard->is_doubtful = true;
}

static cm_status resume_folder(struct cm_publisher *publisher, const struct rows *rows,
                               struct cm_error *err)
{
    struct cm_forgotten kept = { .count = 0 };
    cm_status status = cm_store_reader_begin(publisher->reader, err);
    if (status != CM_OK)
        return status;
    for (uint32_t i = 0; i < publisher->shards_count; i++)
        resume_shard(publisher->shards[i], &rows->complete[i], &rows->delta[i], &kept);
    cm_store_reader_end(publisher->reader);
    cm_forgotten_tell(publisher, &kept);
    return CM_OK;
}

cm_status cm_publisher_resume(struct cm_publisher *publisher, struct cm_error *err)
{
    struct rows rows = {
        .publisher = publisher,
        .complete = calloc(publisher->shards_count + 1, sizeof(struct cm_crl_row)),
        .delta = calloc(publisher->shards_count + 1, sizeof(struct cm_crl_row)),
    };
    if (!rows.complete || !rows.delta)
        abort();
    cm_status status = read_rows(publisher, &rows, err);
    if (status == CM_OK && publisher->env.settings->status.publish_folder)
        status = resume_folder(publisher, &rows, err);
    free(rows.complete);
    free(rows.delta);
    return status;
}
