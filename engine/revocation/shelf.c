#include "engine/revocation/shelf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/hash.h"

/* ------------------------------------------------------------------ documents -- */

struct cm_document *cm_document_new(struct cm_bytes content, const char *content_type,
                                    int64_t modified_s, int64_t expires_s)
{
    struct cm_document *document = malloc(sizeof *document);
    uint8_t hash[CM_SHA256_SIZE];
    if (!document)
        abort();
    *document = (struct cm_document){ .content = content,
                                      .content_type = content_type,
                                      .modified_s = modified_s,
                                      .expires_s = expires_s,
                                      .holders_count = 1 };
    cm_sha256(&content, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), document->etag + 1);
    document->etag[0] = document->etag[CM_ETAG_SIZE - 2] = '"';
    document->etag[CM_ETAG_SIZE - 1] = '\0';
    return document;
}

void cm_document_hold(struct cm_document *document)
{
    atomic_fetch_add_explicit(&document->holders_count, 1, memory_order_relaxed);
}

void cm_document_let_go(struct cm_document *document)
{
    if (!document
        || atomic_fetch_sub_explicit(&document->holders_count, 1, memory_order_acq_rel) > 1)
        return;
    free((void *)(uintptr_t)document->content.data);
    free(document);
}

/* ------------------------------------------------------------------ shelf -- */

struct place {
    char *path;
    struct cm_document *document;
};

/* Places are in the order of their paths. Who looks holds the lock for a few comparisons. */
struct cm_shelf {
    pthread_rwlock_t lock;
    struct place *places;
    size_t count, space;
};

cm_status cm_shelf_new(struct cm_shelf **ret_shelf, struct cm_error *err)
{
    struct cm_shelf *shelf = calloc(1, sizeof *shelf);
    if (!shelf)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for the shelf");
    /* The loop puts: it waits for the readers before it, never for those that come. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&shelf->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *ret_shelf = shelf;
    return CM_OK;
}

void cm_shelf_free(struct cm_shelf *shelf)
{
    if (!shelf)
        return;
    for (size_t i = 0; i < shelf->count; i++) {
        free(shelf->places[i].path);
        cm_document_let_go(shelf->places[i].document);
    }
    free(shelf->places);
    pthread_rwlock_destroy(&shelf->lock);
    free(shelf);
}

/* The octets of the path in their order, the shorter first; a NUL in it is like any other. */
static int compare(const char *path, struct cm_bytes wanted)
{
    size_t size = strlen(path);
    if (wanted.size == 0)
        return 1;
    int order = memcmp(path, wanted.data, size < wanted.size ? size : wanted.size);
    return order != 0 ? order : (size > wanted.size) - (size < wanted.size);
}

/* Where the path is, or has to be put. */
static size_t search(const struct cm_shelf *shelf, struct cm_bytes path, bool *ret_found)
{
    size_t first = 0, end = shelf->count;
    *ret_found = false;
    while (first < end && !*ret_found) {
        size_t middle = first + (end - first) / 2;
        int order = compare(shelf->places[middle].path, path);
        *ret_found = order == 0;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return *ret_found ? end : first;
}

static void insert(struct cm_shelf *shelf, size_t at, const char *path)
{
    if (shelf->count == shelf->space) {
        shelf->space = shelf->space ? shelf->space * 2 : 16;
        shelf->places = realloc(shelf->places, shelf->space * sizeof *shelf->places);
        if (!shelf->places)
            abort();
    }
    struct place *place = &shelf->places[at];
    memmove(place + 1, place, (shelf->count - at) * sizeof *place);
    *place = (struct place){ .path = strdup(path) };
    if (!place->path)
        abort();
    shelf->count++;
}

static void take_away(struct cm_shelf *shelf, size_t at)
{
    struct place *place = &shelf->places[at];
    free(place->path);
    shelf->count--;
    memmove(place, place + 1, (shelf->count - at) * sizeof *place);
}

void cm_shelf_put(struct cm_shelf *shelf, const char *path, struct cm_document *document)
{
    struct cm_document *old = NULL;
    bool is_there;
    pthread_rwlock_wrlock(&shelf->lock);
    size_t at = search(shelf, cm_bytes_str(path), &is_there);
    if (is_there)
        old = shelf->places[at].document;
    else if (document)
        insert(shelf, at, path);
    if (document) {
        cm_document_hold(document);
        shelf->places[at].document = document;
    } else if (is_there) {
        take_away(shelf, at);
    }
    pthread_rwlock_unlock(&shelf->lock);
    cm_document_let_go(old);
}

struct cm_document *cm_shelf_take(struct cm_shelf *shelf, struct cm_bytes path)
{
    struct cm_document *document = NULL;
    bool is_there;
    pthread_rwlock_rdlock(&shelf->lock);
    size_t at = search(shelf, path, &is_there);
    if (is_there) {
        document = shelf->places[at].document;
        cm_document_hold(document);
    }
    pthread_rwlock_unlock(&shelf->lock);
    return document;
}

void cm_shelf_walk(struct cm_shelf *shelf, cm_shelf_walk_fn *walk, void *arg)
{
    pthread_rwlock_rdlock(&shelf->lock);
    for (size_t i = 0; i < shelf->count; i++)
        walk(shelf->places[i].path, shelf->places[i].document, arg);
    pthread_rwlock_unlock(&shelf->lock);
}
