/*
 * State: what OCSP says of a certificate, from the book and the store.
 *
 * In the book: revoked. Else promised and never used: revoked, too, since the time that its serial was
 * made. Else issued: good. Else promised and not recorded yet: nothing can be said. Else unknown.
 * Thread: any; the reader is its thread's, and in a snapshot.
 */
#ifndef CM_STATUS_OCSP_STATE_H
#define CM_STATUS_OCSP_STATE_H

#include "engine/revocation/book.h"
#include "engine/x509/ocsp_response.h"

/* Writes state, reason and revoked_s of the single. Fails with: BUSY (its certificate is
 * being made), what the store fails with. */
CM_MUST_USE cm_status cm_ocsp_find_state(const struct cm_book *book, struct cm_store_reader *reader,
                                         int64_t generation_number, struct cm_bytes serial,
                                         struct cm_ocsp_single *ret_single, struct cm_error *err);

/* The book has nothing new of it since then. */
bool cm_ocsp_is_as_in_book(const struct cm_book *book, int64_t generation_number,
                           struct cm_bytes serial, const struct cm_ocsp_single *single);

#endif
