#include "engine/revocation/internal.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/revocation/crl_files.h"
#include "engine/revocation/crl_names.h"
#include "engine/x509/pem_writer.h"

enum { ARENA_SIZE = 8192 };

/* A certificate in one of its two forms. */
struct file {
    struct file *next;
    char *path;
    struct cm_document *document;
};

struct cm_authority_files {
    struct cm_publisher *publisher;
    struct file *first, **last;
    uint32_t count, writing_count; /* of them; those that the thread of the folder looks at */
    bool is_due, is_writing;       /* is_due: they are not all in the folder yet */
    uint64_t retry_ns;
    uint32_t failures_count;
    struct cm_work work;
    cm_status status;
    struct cm_error err;
};

/* ------------------------------------------------------------------ the folder -- */

static struct cm_authority_files *of_work(struct cm_work *work)
{
    return (struct cm_authority_files *)(void *)((char *)work
                                                 - offsetof(struct cm_authority_files, work));
}

/* Certificates do not change: what is there is left alone. */
static bool is_there(const char *folder, const struct file *file)
{
    struct cm_bytes content;
    if (cm_crl_files_read(folder, file->path, &content, NULL) != CM_OK)
        return false;
    bool same = cm_bytes_equal(content, file->document->content);
    free((void *)(uintptr_t)content.data);
    return same;
}

static void run_write(struct cm_work *work, void *context)
{
    struct cm_authority_files *files = of_work(work);
    const char *folder = files->publisher->env.settings->status.publish_folder;
    (void)context;
    struct file *file = files->first;
    files->status = CM_OK;
    for (uint32_t i = 0; i < files->writing_count && files->status == CM_OK; i++) {
        if (!is_there(folder, file))
            files->status =
                cm_crl_files_write(folder, file->path, file->document->content, &files->err);
        if (i + 1 < files->writing_count) /* behind the last one the loop may be putting another */
            file = file->next;
    }
}

static void on_written(struct cm_work *work)
{
    struct cm_authority_files *files = of_work(work);
    struct cm_publisher *publisher = files->publisher;
    cm_publisher_file_ended(publisher);
    files->is_writing = false;
    files->is_due = files->status != CM_OK || files->writing_count < files->count;
    if (files->status != CM_OK) {
        files->retry_ns = cm_clock_monotonic_ns() + cm_retry_pause_ns(files->failures_count++);
        cm_publisher_tell_trouble(publisher, "CA certificates were not published", &files->err);
    }
    cm_publisher_step_ended(publisher);
}

void cm_authority_files_look(struct cm_publisher *publisher, uint64_t now_ns)
{
    struct cm_authority_files *files = publisher->authority_files;
    if (!files->is_due || files->is_writing || files->retry_ns > now_ns)
        return;
    files->is_writing = true;
    files->writing_count = files->count;
    publisher->in_flight++;
    files->work = (struct cm_work){ .run = run_write, .done = on_written };
    cm_publisher_submit_file(publisher, &files->work);
}

/* ------------------------------------------------------------------ the shelf -- */

static void add(struct cm_authority_files *files, char *path, struct cm_bytes content,
                const char *content_type, const struct cm_issuer_key *key)
{
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        abort();
    *file = (struct file){ .path = path,
                           .document = cm_document_new(cm_bytes_copy(content), content_type,
                                                       key->issuer.not_before_s, 0) };
    *files->last = file;
    files->last = &file->next;
    files->count++;
    cm_shelf_put(files->publisher->env.shelf, path, file->document);
}

void cm_authority_files_add(struct cm_publisher *publisher, const struct cm_issuer_key *key)
{
    struct cm_authority_files *files = publisher->authority_files;
    struct cm_arena arena;
    cm_arena_init(&arena, ARENA_SIZE);
    add(files, cm_ca_path(key->name, "cer"), key->certificate, "application/pkix-cert", key);
    add(files, cm_ca_path(key->name, "pem"), cm_pem_write("CERTIFICATE", key->certificate, &arena),
        "application/x-pem-file", key);
    cm_arena_done(&arena);
    files->is_due = publisher->env.settings->status.publish_folder != NULL;
}

void cm_authority_files_open(struct cm_publisher *publisher)
{
    const struct cm_issuers *issuers = publisher->env.issuers;
    struct cm_authority_files *files = calloc(1, sizeof *files);
    if (!files)
        abort();
    files->publisher = publisher;
    files->last = &files->first;
    publisher->authority_files = files;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        cm_authority_files_add(publisher, &issuers->keys[i]);
}

void cm_authority_files_close(struct cm_publisher *publisher)
{
    struct cm_authority_files *files = publisher->authority_files;
    if (!files)
        return;
    while (files->first) {
        struct file *file = files->first;
        files->first = file->next;
        free(file->path);
        cm_document_let_go(file->document);
        free(file);
    }
    free(files);
}
