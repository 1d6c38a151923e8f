/*
 * Generation chain: a generation's certificate and those above it, read, the root at the end where it is one
 * of ours. One thread.
 */
#ifndef CM_TOOLS_GENERATION_CHAIN_H
#define CM_TOOLS_GENERATION_CHAIN_H

#include "engine/authority/certifiable.h"
#include "tools/generations.h"

#define CM_GENERATION_CHAIN_MAX 16

/*
 * Does:       fills the chain; name, certificates and their bytes live in the arena.
 * Fails with: what reading certificates fails with; NOT_FOUND (it waits for its certificate); MALFORMED (longer than CM_GENERATION_CHAIN_MAX).
 */
CM_MUST_USE cm_status cm_generation_chain_read(const struct cm_generations *generations,
                                               const struct cm_generation *generation,
                                               struct cm_arena *arena,
                                               struct cm_signer_chain *ret_chain,
                                               struct cm_error *err);

#endif
