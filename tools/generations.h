/*
 * Generations: every key of every authority, as the store has them, read at once. One thread.
 */
#ifndef CM_TOOLS_GENERATIONS_H
#define CM_TOOLS_GENERATIONS_H

#include "engine/base/arena.h"
#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "engine/x509/csr.h"

struct cm_generations {
    struct cm_generation *all; /* in the arena, and so is all that they point at */
    uint32_t count;
    struct cm_arena *arena;
};

/* At most 64 letters, digits, '-', '_' and '.', with no '-' or '.' in front. */
bool cm_is_authority_name(const char *name);

/* In a snapshot of its own. Fails with: what the store fails with. */
CM_MUST_USE cm_status cm_generations_read(struct cm_store *store, struct cm_arena *arena,
                                          struct cm_generations *ret_generations,
                                          struct cm_error *err);

/* "issuing-1", in the arena. */
const char *cm_generation_name(struct cm_arena *arena, const struct cm_generation *generation);

/* The one of that name ("issuing-1"). Fails with: NOT_FOUND, with what to do. */
CM_MUST_USE cm_status cm_generations_named(const struct cm_generations *generations,
                                           const char *name,
                                           const struct cm_generation **ret_generation,
                                           struct cm_error *err);

/* The newest one of an authority that is active. NULL: there is none. */
const struct cm_generation *cm_generations_active(const struct cm_generations *generations,
                                                  const char *authority);

/*
 * "issuing": its newest active one; "issuing-1": that one, whatever its state.
 * Fails with: NOT_FOUND, with what to do.
 */
CM_MUST_USE cm_status cm_generations_called(const struct cm_generations *generations,
                                            const char *name,
                                            const struct cm_generation **ret_generation,
                                            struct cm_error *err);

/* What the next key of an authority is numbered within it: one more than the last; 1: it has none. */
int64_t cm_generations_next(const struct cm_generations *generations, const char *authority);

/*
 * Does:       reads the request of a generation that waits for its certificate. Borrows the arena.
 * Fails with: CORRUPT (there is none).
 */
CM_MUST_USE cm_status cm_generation_request(const struct cm_generation *generation,
                                            struct cm_arena *arena, struct cm_csr *ret_csr,
                                            struct cm_error *err);

/* Its public key, from its certificate or from the request for one. Fails with: what reading fails with. */
CM_MUST_USE cm_status cm_generation_spki(const struct cm_generation *generation,
                                         struct cm_arena *arena, struct cm_bytes *ret_spki,
                                         struct cm_error *err);

/*
 * Two generations with one key could not be told apart by those who check certificates.
 * Fails with: EXISTS: a generation has this key already; the text names the reference and that one.
 */
CM_MUST_USE cm_status cm_generations_refuse_key(const struct cm_generations *generations,
                                                const char *reference, struct cm_bytes spki,
                                                struct cm_error *err);

/* PEM of a certificate that this generation has signed, with those above it: what devices present. */
struct cm_bytes cm_generation_chain_below(const struct cm_generation *signer,
                                          struct cm_bytes certificate, struct cm_arena *arena);

/* The one whose key has signed a certificate, by name and signature; the certificate's own generation is
   none of these, unless it signs itself. NULL: there is none. */
const struct cm_generation *cm_generations_find_signer(const struct cm_generations *generations,
                                                       const struct cm_certificate *certificate);

/*
 * Does:       fills a row of an authority's certificate among those of its signer (number), so that it is
 *             revoked and found as any other. Borrows the certificate.
 * Fails with: what reading the certificate fails with.
 */
CM_MUST_USE cm_status cm_generation_row_below(int64_t signer_number, struct cm_bytes certificate,
                                              struct cm_imported_row *ret_row,
                                              struct cm_error *err);

#endif
