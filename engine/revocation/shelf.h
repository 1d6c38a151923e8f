/*
 * Shelf: documents that are published, by the path of their URL: CRLs, CA certificates.
 *
 * A document never changes; a newer one takes its place. Whoever has taken one keeps it until it lets it
 * go, so that a download that lasts has the old one whole.
 *
 *     cm_shelf_put(shelf, "/crl/issuing-1/0.crl", document)       the publisher
 *     document = cm_shelf_take(shelf, path); ... cm_document_let_go(document);      HTTP threads
 *
 * Thread: any, all of it.
 */
#ifndef CM_ENGINE_SHELF_H
#define CM_ENGINE_SHELF_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

struct cm_shelf;

#define CM_ETAG_SIZE 67 /* a quoted SHA-256 in hex, and NUL */

struct cm_document {
    struct cm_bytes content;  /* owned */
    const char *content_type; /* static: "application/pkix-crl" */
    char etag[CM_ETAG_SIZE];  /* with its quotes */
    int64_t modified_s;       /* Unix seconds: Last-Modified, a CRL's thisUpdate */
    int64_t expires_s;        /* a CRL's nextUpdate; 0: it does not */
    _Atomic uint32_t holders_count;
};

/* Takes content over (from malloc). One holder: the caller. Ends the process without memory. */
struct cm_document *cm_document_new(struct cm_bytes content, const char *content_type,
                                    int64_t modified_s, int64_t expires_s);
void cm_document_hold(struct cm_document *document);
void cm_document_let_go(struct cm_document *document); /* takes NULL */

CM_MUST_USE cm_status cm_shelf_new(struct cm_shelf **ret_shelf, struct cm_error *err);
void cm_shelf_free(struct cm_shelf *shelf); /* takes NULL */

/* Puts the document there, in place of what was; the shelf is a holder of its own. NULL: takes it away. */
void cm_shelf_put(struct cm_shelf *shelf, const char *path, struct cm_document *document);

/* NULL: nothing is there. Else the caller is a holder. Compares whole paths: nothing is opened. */
struct cm_document *cm_shelf_take(struct cm_shelf *shelf, struct cm_bytes path);

/* For a page that lists them. Paths in their order; borrowed for the call. */
typedef void cm_shelf_walk_fn(const char *path, const struct cm_document *document, void *arg);
void cm_shelf_walk(struct cm_shelf *shelf, cm_shelf_walk_fn *walk, void *arg);

#endif
