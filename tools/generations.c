#include "tools/generations.h"

#include <inttypes.h>
#include <string.h>

#include "engine/x509/pem_writer.h"

#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

enum { GENERATIONS_MAX = 4096 };

bool cm_is_authority_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return size > 0 && size <= 64 && name[size] == '\0' && name[0] != '-' && name[0] != '.';
}

static bool keep(const struct cm_generation *generation, void *arg)
{
    struct cm_generations *generations = arg;
    struct cm_arena *arena = generations->arena;
    struct cm_generation copy = *generation;
    copy.authority = cm_arena_copy(arena, generation->authority);
    copy.provider = cm_arena_copy(arena, generation->provider);
    copy.key = cm_arena_copy(arena, generation->key);
    copy.sigalg = cm_arena_copy(arena, generation->sigalg);
    copy.certificate = cm_arena_copy(arena, generation->certificate);
    copy.chain = cm_arena_copy(arena, generation->chain);
    copy.crl_url = cm_arena_copy(arena, generation->crl_url);
    generations->all[generations->count++] = copy;
    return generations->count < GENERATIONS_MAX;
}

cm_status cm_generations_read(struct cm_store *store, struct cm_arena *arena,
                              struct cm_generations *ret_generations, struct cm_error *err)
{
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status != CM_OK)
        return status;
    *ret_generations = (struct cm_generations){
        .all = cm_arena_zalloc(arena, GENERATIONS_MAX * sizeof *ret_generations->all),
        .arena = arena,
    };
    status = cm_store_reader_begin(reader, err);
    if (status == CM_OK)
        status = cm_store_walk_generations(reader, keep, ret_generations, err);
    cm_store_reader_end(reader);
    cm_store_reader_close(reader);
    return status;
}

const char *cm_generation_name(struct cm_arena *arena, const struct cm_generation *generation)
{
    return cm_arena_printf(arena, "%.*s-%" PRId64, TEXT_OF(generation->authority),
                           generation->generation);
}

cm_status cm_generations_named(const struct cm_generations *generations, const char *name,
                               const struct cm_generation **ret_generation, struct cm_error *err)
{
    for (uint32_t i = 0; i < generations->count; i++)
        if (strcmp(cm_generation_name(generations->arena, &generations->all[i]), name) == 0) {
            *ret_generation = &generations->all[i];
            return CM_OK;
        }
    return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                   "there is no key %.80s of an authority; certmill ca list shows them", name);
}

const struct cm_generation *cm_generations_active(const struct cm_generations *generations,
                                                  const char *authority)
{
    const struct cm_generation *found = NULL;
    for (uint32_t i = 0; i < generations->count; i++) {
        const struct cm_generation *generation = &generations->all[i];
        if (generation->state == CM_GENERATION_ACTIVE
            && cm_bytes_is(generation->authority, authority)
            && (!found || generation->generation > found->generation))
            found = generation;
    }
    return found;
}

cm_status cm_generations_called(const struct cm_generations *generations, const char *name,
                                const struct cm_generation **ret_generation, struct cm_error *err)
{
    struct cm_error ignored;
    *ret_generation = cm_generations_active(generations, name);
    if (*ret_generation
        || cm_generations_named(generations, name, ret_generation, &ignored) == CM_OK)
        return CM_OK;
    return CM_FAIL(
        err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
        "there is no authority %.80s with an active key, and no key of that name; certmill ca "
        "list shows them",
        name);
}

int64_t cm_generations_next(const struct cm_generations *generations, const char *authority)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < generations->count; i++)
        if (cm_bytes_is(generations->all[i].authority, authority)
            && generations->all[i].generation > last)
            last = generations->all[i].generation;
    return last + 1;
}

cm_status cm_generation_request(const struct cm_generation *generation, struct cm_arena *arena,
                                struct cm_csr *ret_csr, struct cm_error *err)
{
    struct cm_bytes der;
    struct cm_refusal refusal;
    if (!cm_pem_read_csr(generation->chain, arena, &der, &refusal)
        || !cm_csr_read_with(der, CM_CSR_OF_AUTHORITY, arena, ret_csr, &refusal))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the store is damaged: the request of %s cannot be read: %s",
                       cm_generation_name(arena, generation), refusal.message);
    return CM_OK;
}

cm_status cm_generation_spki(const struct cm_generation *generation, struct cm_arena *arena,
                             struct cm_bytes *ret_spki, struct cm_error *err)
{
    struct cm_certificate certificate;
    struct cm_csr csr;
    bool is_certified = generation->certificate.size > 0;
    cm_status status = is_certified
                           ? cm_certificate_read(generation->certificate, &certificate, err)
                           : cm_generation_request(generation, arena, &csr, err);
    if (status == CM_OK)
        *ret_spki = is_certified ? certificate.spki : csr.spki;
    return status;
}

cm_status cm_generations_refuse_key(const struct cm_generations *generations, const char *reference,
                                    struct cm_bytes spki, struct cm_error *err)
{
    for (uint32_t i = 0; i < generations->count; i++) {
        struct cm_bytes theirs;
        struct cm_error ignored;
        if (cm_generation_spki(&generations->all[i], generations->arena, &theirs, &ignored) == CM_OK
            && cm_bytes_equal(theirs, spki))
            return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "the key %s is that of %s already",
                           reference, cm_generation_name(generations->arena, &generations->all[i]));
    }
    return CM_OK;
}

struct cm_bytes cm_generation_chain_below(const struct cm_generation *signer,
                                          struct cm_bytes certificate, struct cm_arena *arena)
{
    struct cm_bytes own = cm_pem_write("CERTIFICATE", certificate, arena);
    return cm_bytes_str(cm_arena_printf(arena, "%.*s%.*s", TEXT_OF(own), TEXT_OF(signer->chain)));
}

const struct cm_generation *cm_generations_find_signer(const struct cm_generations *generations,
                                                       const struct cm_certificate *certificate)
{
    for (uint32_t i = 0; i < generations->count; i++) {
        struct cm_certificate by;
        struct cm_error ignored;
        if (cm_certificate_read(generations->all[i].certificate, &by, &ignored) == CM_OK
            && cm_certificate_is_signed_by(certificate, &by))
            return &generations->all[i];
    }
    return NULL;
}

cm_status cm_generation_row_below(int64_t signer_number, struct cm_bytes certificate,
                                  struct cm_imported_row *ret_row, struct cm_error *err)
{
    struct cm_certificate read;
    cm_status status = cm_certificate_read(certificate, &read, err);
    if (status == CM_OK)
        *ret_row = (struct cm_imported_row){ .generation_number = signer_number,
                                             .serial = read.serial,
                                             .not_after_s = read.not_after_s,
                                             .der = certificate };
    return status;
}
