/*
 * Standing: what has become of certificates, as far as the engine tells of it.
 *
 * Orders, abandoned serials and imports change it in the store. When they are durable, whoever publishes
 * or answers from it has to look there anew.
 */
#include "engine/internal.h"

#include "engine/x509/der_writer.h"

void cm_engine_look_at_revocations(struct cm_engine *engine)
{
    engine->standing_looks++;
}

/* One that does not issue any more is not known here: then nothing is said of when it ends. */
int64_t cm_engine_generation_end_s(const struct cm_engine *engine, int64_t generation_number)
{
    const struct cm_issuer_key *issuer =
        cm_issuers_by_generation(&engine->issuers, generation_number);
    return issuer ? issuer->issuer.not_after_s : CM_DER_TIME_MAX_S;
}
