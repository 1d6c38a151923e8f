#include "engine/revocation/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"
#include "engine/revocation/crl_files.h"
#include "engine/x509/crl.h"

enum { BUSY_PAUSE_MS = 20, SIGN_DEADLINE_S = 60 };

/* One CRL in the making. */
struct list {
    bool is_delta;
    struct cm_crl crl;
    struct cm_book_question question;
    struct cm_crl_draft draft; /* lists are large: this is the one copy */
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    struct cm_document *document;
};

struct cm_publication {
    struct cm_shard *shard;
    struct cm_publisher *publisher;
    enum cm_need need;
    struct list lists[2]; /* the complete one first: a delta needs its base */
    struct cm_crl_row rows[2];
    struct cm_sign_item items[2];
    uint32_t count;
    uint32_t signed_count; /* of them: each has a batch of its own, for both may be large */
    struct cm_store_op op;
    struct cm_sign_batch batch;
    bool is_signing;
    uint64_t deadline_ns; /* of the signature */
    struct cm_timer busy;
    struct cm_work work;
    cm_status status, file_status;
    struct cm_error err, file_err;
};

static void end(struct cm_publication *publication, const struct cm_error *err)
{
    struct cm_shard *shard = publication->shard;
    struct cm_error why = { .status = CM_OK }, file_why = publication->file_err;
    bool is_in_folder = publication->file_status == CM_OK;
    uint32_t count = publication->count;
    if (err)
        why = *err;
    for (uint32_t i = 0; i < count; i++) {
        cm_document_let_go(publication->lists[i].document);
        cm_crl_draft_done(&publication->lists[i].draft);
    }
    cm_timer_done(&publication->busy);
    free(publication);
    shard->publication = NULL;
    cm_publication_ended(shard, count, err ? &why : NULL, is_in_folder ? NULL : &file_why);
}

static void submit_work(struct cm_publication *publication,
                        void (*run)(struct cm_work *work, void *context),
                        void (*done)(struct cm_work *work))
{
    publication->work = (struct cm_work){ .run = run, .done = done };
    cm_workers_submit(publication->publisher->env.workers, &publication->work);
}

static void submit_write(struct cm_publication *publication,
                         void (*run)(struct cm_work *work, void *context),
                         void (*done)(struct cm_work *work))
{
    publication->work = (struct cm_work){ .run = run, .done = done };
    cm_publisher_submit_file(publication->publisher, &publication->work);
}

static struct cm_publication *of_work(struct cm_work *work)
{
    return (struct cm_publication *)(void *)((char *)work - offsetof(struct cm_publication, work));
}

/* ------------------------------------------------------------------ sign -- */

static void run_finish(struct cm_work *work, void *context);
static void on_finished(struct cm_work *work);
static void sign(void *arg);

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct cm_publication *publication = arg;
    cm_status status = batch->items[0].status;
    publication->is_signing = false;
    if (status == CM_OK && ++publication->signed_count == publication->count) {
        CM_FAULT_POINT("crl-signed");
        submit_work(publication, run_finish, on_finished);
        return;
    }
    if (status == CM_OK && publication->publisher->is_stopping)
        status = CM_CANCELLED;
    if (status == CM_OK) {
        sign(publication);
        return;
    }
    (void)CM_FAIL(&publication->err, status, CM_ORIGIN_SELF, 0, "the signature did not come: %s",
                  cm_status_text(status));
    end(publication, &publication->err);
}

/* Of the first list that has no signature yet. */
static void prepare_batch(struct cm_publication *publication)
{
    uint32_t index = publication->signed_count;
    struct list *list = &publication->lists[index];
    publication->items[index] =
        (struct cm_sign_item){ .message = list->draft.tbs,
                               .intent_hash = publication->rows[index].tbs_hash,
                               .signature = list->signature,
                               .signature_space = sizeof list->signature };
    publication->batch = (struct cm_sign_batch){ .key = publication->shard->key->key,
                                                 .lane = CM_LANE_CRL,
                                                 .items = &publication->items[index],
                                                 .items_count = 1,
                                                 .deadline_ns = publication->deadline_ns,
                                                 .done = on_signed,
                                                 .done_arg = publication };
}

/* A key that is busy with certificates takes the CRL a moment later; the number is not burned for it. */
static void sign(void *arg)
{
    struct cm_publication *publication = arg;
    struct cm_publisher *publisher = publication->publisher;
    prepare_batch(publication);
    cm_status status = cm_provider_sign(publication->shard->key->key->provider, &publication->batch,
                                        &publication->err);
    publication->is_signing = status == CM_OK;
    if (publication->is_signing)
        return;
    bool has_time = cm_clock_monotonic_ns() < publication->deadline_ns && !publisher->is_stopping;
    if (status == CM_BUSY && has_time)
        cm_timer_start(&publication->busy, publisher->env.loop, BUSY_PAUSE_MS, sign, publication);
    else
        end(publication, &publication->err);
}

/* ------------------------------------------------------------------ number -- */

static void on_numbered(struct cm_store_op *op)
{
    struct cm_publication *publication = op->arg;
    struct cm_shard *shard = publication->shard;
    if (op->status != CM_OK) {
        if (op->status == CM_EXISTS)
            cm_publisher_note_numbers(publication->publisher);
        publication->err = op->err;
        end(publication, &publication->err);
        return;
    }
    CM_FAULT_POINT("crl-numbered");
    shard->last_number = publication->rows[0].number;
    shard->last_this_update_s = publication->rows[0].this_update_s;
    publication->deadline_ns = cm_clock_monotonic_ns() + SIGN_DEADLINE_S * CM_NS_PER_S;
    sign(publication);
}

static void on_composed(struct cm_work *work)
{
    struct cm_publication *publication = of_work(work);
    if (publication->status != CM_OK) {
        end(publication, &publication->err);
        return;
    }
    for (uint32_t i = 0; i < publication->count; i++)
        cm_publisher_note_size(publication->shard, publication->lists[i].draft.tbs.size);
    publication->op = (struct cm_store_op){ .kind = CM_STORE_CRLS,
                                            .crls = publication->rows,
                                            .crls_count = publication->count,
                                            .done = on_numbered,
                                            .arg = publication };
    cm_store_submit(publication->publisher->env.store, &publication->op);
}

/* ------------------------------------------------------------------ compose (worker) -- */

static void fill_row(struct cm_publication *publication, uint32_t index, int64_t revision)
{
    const struct list *list = &publication->lists[index];
    struct cm_crl_row *row = &publication->rows[index];
    *row = (struct cm_crl_row){ .generation_number = list->question.generation_number,
                                .shard = list->question.shard,
                                .is_delta = list->is_delta,
                                .number = list->crl.number,
                                .base_number = list->crl.base_number,
                                .this_update_s = list->crl.this_update_s,
                                .next_update_s = list->crl.next_update_s,
                                .revision = revision };
    cm_sha256(&list->draft.tbs, 1, row->tbs_hash);
}

static cm_status compose(struct cm_publication *publication, uint32_t index)
{
    struct list *list = &publication->lists[index];
    struct cm_book_list entries;
    /* Of a delta whose base is the complete one that goes with it. */
    if (list->is_delta && publication->need == CM_NEED_RENEWAL)
        list->question.base_revision = publication->rows[0].revision;
    cm_status status = cm_book_list(publication->publisher->env.book, &list->question, &entries,
                                    &publication->err);
    if (status != CM_OK)
        return status;
    status = cm_crl_draft_make(&list->crl, entries.entries, &list->draft, &publication->err);
    if (status == CM_OK)
        fill_row(publication, index, entries.revision);
    cm_book_list_done(&entries);
    return status;
}

static void run_compose(struct cm_work *work, void *context)
{
    struct cm_publication *publication = of_work(work);
    (void)context;
    publication->status = CM_OK;
    for (uint32_t i = 0; i < publication->count && publication->status == CM_OK; i++)
        publication->status = compose(publication, i);
}

/* ------------------------------------------------------------------ finish (worker) -- */

static cm_status verify(struct cm_publication *publication)
{
    const struct cm_issuer_key *key = publication->shard->key;
    struct cm_verifier *verifier;
    cm_status status =
        cm_verifier_new(&key->public_key, key->key->alg, &verifier, &publication->err);
    if (status != CM_OK)
        return status;
    for (uint32_t i = 0; i < publication->count && status == CM_OK; i++) {
        const struct cm_sign_item *item = &publication->items[i];
        struct cm_bytes signature = cm_bytes(item->signature, item->signature_size);
        if (cm_verifier_check(verifier, item->message, signature) != CM_OK)
            status = CM_FAIL(&publication->err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the signature did not verify");
    }
    cm_verifier_free(verifier);
    return status;
}

/* A store that has forgotten certificates learns from the list that they are revoked. */
static void name_way_out(const struct cm_shard *shard, struct cm_error *err)
{
    const char *folder = shard->publisher->env.settings->status.publish_folder;
    size_t size = strlen(err->text);
    char text[CM_ERROR_TEXT_SIZE];
    if (!folder)
        return;
    int added = snprintf(text, sizeof text, " Then: certmill ca import --issuer %s --crl %s%s",
                         shard->key->name, folder, shard->path);
    if (added < 0 || size + (size_t)added >= sizeof err->text) /* half a path is none */
        snprintf(text, sizeof text, " Then: certmill ca import --issuer %s --crl FILE",
                 shard->key->name);
    snprintf(err->text + size, sizeof err->text - size, "%s", text);
}

/* Of the complete one against the one that is published. */
static cm_status check_entries(struct cm_publication *publication, struct cm_bytes der)
{
    const struct cm_shard *shard = publication->shard;
    struct cm_crl_read before, after;
    cm_status status = cm_crl_read(der, &after, &publication->err);
    if (status != CM_OK || !shard->document)
        return status;
    status = cm_crl_read(shard->document->content, &before, &publication->err);
    if (status != CM_OK)
        return status;
    status = cm_crl_diff(publication->publisher->env.book, shard->key->generation_number,
                         before.entries, before.this_update_s, after.entries, &publication->err);
    if (status != CM_OK)
        name_way_out(shard, &publication->err);
    return status;
}

/* The document takes the octets over: what is refused afterwards goes with it. */
static cm_status assemble(struct cm_publication *publication)
{
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < publication->count && status == CM_OK; i++) {
        struct list *list = &publication->lists[i];
        const struct cm_sign_item *item = &publication->items[i];
        struct cm_bytes der =
            cm_crl_draft_finish(&list->draft, cm_bytes(item->signature, item->signature_size));
        list->document = cm_document_new(der, "application/pkix-crl", list->crl.this_update_s,
                                         list->crl.next_update_s);
        if (!list->is_delta)
            status = check_entries(publication, der);
    }
    return status;
}

static const char *path_of(const struct cm_publication *publication, const struct list *list)
{
    return list->is_delta ? publication->shard->delta_path : publication->shard->path;
}

static void note_unwritten(struct cm_publication *publication)
{
    for (uint32_t i = 0; i < publication->count; i++) {
        struct list *list = &publication->lists[i];
        struct cm_document **unwritten = &publication->shard->unwritten[list->is_delta];
        cm_document_let_go(*unwritten);
        cm_document_hold(list->document);
        *unwritten = list->document;
    }
}

/* Also what an attempt before has left, unless there is something newer. The complete one first: a delta
 * needs its base. */
static cm_status write_files(struct cm_publication *publication)
{
    struct cm_shard *shard = publication->shard;
    const char *folder = publication->publisher->env.settings->status.publish_folder;
    for (unsigned i = 0; i < 2; i++) {
        struct cm_document **unwritten = &shard->unwritten[i];
        if (!*unwritten)
            continue;
        cm_status status = cm_crl_files_write(folder, i == 1 ? shard->delta_path : shard->path,
                                              (*unwritten)->content, &publication->file_err);
        if (status != CM_OK)
            return status;
        cm_document_let_go(*unwritten);
        *unwritten = NULL;
    }
    return CM_OK;
}

static void run_write(struct cm_work *work, void *context)
{
    struct cm_publication *publication = of_work(work);
    (void)context;
    publication->file_status = write_files(publication);
}

static void run_finish(struct cm_work *work, void *context)
{
    struct cm_publication *publication = of_work(work);
    (void)context;
    publication->status = verify(publication);
    if (publication->status == CM_OK)
        publication->status = assemble(publication);
}

/* ------------------------------------------------------------------ shelve -- */

static void note_published(struct cm_publication *publication, uint32_t index)
{
    struct cm_shard *shard = publication->shard;
    const struct list *list = &publication->lists[index];
    const struct cm_crl_row *row = &publication->rows[index];
    struct cm_published *published = list->is_delta ? &shard->delta : &shard->complete;
    *published = (struct cm_published){ .is_there = true,
                                        .number = row->number,
                                        .this_update_s = row->this_update_s,
                                        .next_update_s = row->next_update_s,
                                        .revision = row->revision };
    if (list->is_delta)
        return;
    shard->is_doubtful = false;
    shard->left_out_revision = list->question.shown_revision;
    shard->left_out_s = list->question.shown_s;
    if (publication->need == CM_NEED_RENEWAL) {
        shard->base_number = row->number;
        shard->base_revision = row->revision;
    }
    cm_document_let_go(shard->document);
    cm_document_hold(list->document);
    shard->document = list->document;
}

static void shelve(struct cm_publication *publication)
{
    for (uint32_t i = 0; i < publication->count; i++) {
        struct list *list = &publication->lists[i];
        cm_shelf_put(publication->publisher->env.shelf, path_of(publication, list), list->document);
        note_published(publication, i);
    }
    end(publication, NULL);
}

static void on_written(struct cm_work *work)
{
    struct cm_publication *publication = of_work(work);
    cm_publisher_file_ended(publication->publisher);
    shelve(publication);
}

/* Before the shelf: what was served is in the folder, too, where it can be, and a crash takes nothing back. */
static void on_finished(struct cm_work *work)
{
    struct cm_publication *publication = of_work(work);
    if (publication->status != CM_OK) {
        end(publication, &publication->err);
    } else if (publication->publisher->env.settings->status.publish_folder) {
        note_unwritten(publication);
        submit_write(publication, run_write, on_written);
    } else {
        shelve(publication);
    }
}

/* ------------------------------------------------------------------ begin -- */

/* Not only the next one: a store that was restored has forgotten numbers that were given out, but all of
 * them were given out at a time before. */
static uint64_t next_number(const struct cm_shard *shard, int64_t now_s)
{
    uint64_t next = shard->last_number + 1;
    return now_s > 0 && next < (uint64_t)now_s ? (uint64_t)now_s : next;
}

static void fill_list(struct cm_publication *publication, bool is_delta, int64_t now_s)
{
    struct cm_shard *shard = publication->shard;
    const struct cm_settings_authority *authority = shard->key->authority;
    struct list *list = &publication->lists[publication->count++];
    bool has_complete = publication->need != CM_NEED_DELTA;
    uint64_t number = next_number(shard, now_s);
    uint32_t validity_s = is_delta ? authority->delta_validity_s : authority->crl_validity_s;
    list->is_delta = is_delta;
    list->question = (struct cm_book_question){
        .generation_number = shard->key->generation_number,
        .shard = shard->index,
        .is_delta = is_delta,
        .base_revision = shard->base_revision,
        .shown_revision = has_complete ? shard->complete.revision : shard->left_out_revision,
        .shown_s = has_complete ? shard->complete.this_update_s : shard->left_out_s,
    };
    list->crl = (struct cm_crl){
        .issuer = shard->key->issuer.name,
        .aki = shard->key->issuer.ski,
        .sigalg = shard->key->key->alg,
        .this_update_s = now_s,
        .next_update_s = now_s + validity_s,
        .number = number,
        .is_delta = is_delta,
        .url = shard->url,
        .user_certificates = shard->url && shard->user_certificates,
        .freshest_url = is_delta || !shard->has_delta ? NULL : shard->delta_url,
    };
    if (is_delta)
        list->crl.base_number = publication->need == CM_NEED_RENEWAL ? number : shard->base_number;
}

void cm_publication_begin(struct cm_shard *shard, enum cm_need need, int64_t now_s)
{
    struct cm_publication *publication = calloc(1, sizeof *publication);
    if (!publication)
        abort();
    publication->shard = shard;
    publication->publisher = shard->publisher;
    publication->need = need;
    shard->publication = publication;
    if (need == CM_NEED_FILES) {
        submit_write(publication, run_write, on_written);
        return;
    }
    if (need != CM_NEED_DELTA)
        fill_list(publication, false, now_s);
    if (shard->has_delta)
        fill_list(publication, true, now_s);
    submit_work(publication, run_compose, on_composed);
}

void cm_publication_cancel(struct cm_publication *publication)
{
    if (publication->is_signing)
        cm_provider_cancel(publication->batch.key->provider, &publication->batch);
}
