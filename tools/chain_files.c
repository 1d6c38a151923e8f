#include "tools/chain_files.h"

#include "engine/x509/pem_writer.h"
#include "tools/der_file.h"
#include "tools/generations.h"

#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

struct one_file {
    struct cm_arena *arena;
    struct cm_bytes der[CM_CHAIN_FILES_MAX];
    size_t count;
};

static cm_status keep_certificate(struct cm_bytes der, const char *where, void *arg,
                                  struct cm_error *err)
{
    struct one_file *file = arg;
    if (file->count == CM_CHAIN_FILES_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.150s: too many certificates",
                       where);
    file->der[file->count++] = cm_arena_copy(file->arena, der);
    return CM_OK;
}

static cm_status read_file(const struct cm_call *call, const char *option, struct cm_arena *arena,
                           struct one_file *ret_file, struct cm_error *err)
{
    *ret_file = (struct one_file){ .arena = arena };
    const char *path = cm_call_value(call, option);
    if (!path)
        return CM_OK;
    return cm_der_file_walk(path, CM_LABEL_CERTIFICATE, keep_certificate, ret_file, err);
}

static void append_pem(struct cm_chain_files *files, struct cm_bytes der, struct cm_arena *arena)
{
    struct cm_bytes pem = cm_pem_write("CERTIFICATE", der, arena);
    files->chain =
        cm_bytes_str(cm_arena_printf(arena, "%.*s%.*s", TEXT_OF(files->chain), TEXT_OF(pem)));
}

/* What devices present. Behind a certificate that signs itself nothing is looked at. */
static cm_status build_chain(struct cm_chain_files *files, const struct one_file *above,
                             struct cm_arena *arena, struct cm_error *err)
{
    const struct cm_certificate *below = &files->read;
    cm_status status = CM_OK;
    files->chain = cm_bytes_str("");
    files->above_count = 0;
    if (cm_bytes_equal(below->issuer, below->subject))
        return CM_OK;
    append_pem(files, files->certificate, arena);
    for (size_t i = 0; i < above->count && status == CM_OK; i++) {
        struct cm_certificate *next = &files->above[i];
        status = cm_certificate_read(above->der[i], next, err);
        if (status == CM_OK && !cm_certificate_is_signed_by(below, next))
            status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                             "--chain: certificate %zu has not signed the one below it", i + 1);
        if (status == CM_OK && !cm_bytes_equal(next->issuer, next->subject))
            append_pem(files, above->der[i], arena);
        files->above_count = i + 1;
        below = next;
    }
    return status;
}

cm_status cm_chain_files_read(struct cm_chain_files *files, const struct cm_call *call,
                              struct cm_arena *arena, struct cm_error *err)
{
    struct one_file own, above;
    cm_status status = read_file(call, "certificate", arena, &own, err);
    if (status == CM_OK && own.count != 1)
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                         "--certificate: expected one certificate, found %zu", own.count);
    if (status == CM_OK)
        status = read_file(call, "chain", arena, &above, err);
    if (status != CM_OK)
        return status;
    files->certificate = own.der[0];
    status = cm_certificate_read(files->certificate, &files->read, err);
    return status == CM_OK ? build_chain(files, &above, arena, err) : status;
}
