/* certmill ca export-chain: an authority's certificate and those above it, for others to install. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "engine/x509/pem_writer.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/generation_chain.h"
#include "tools/new_files.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

enum { CERTIFICATES_MAX = 64 };

struct exporting {
    const struct cm_call *call;
    struct cm_deployment deployment;
    struct cm_generations generations;
    const struct cm_generation *generation;
    struct cm_bytes certificates[CERTIFICATES_MAX]; /* in the arena */
    size_t count;
};

/* ------------------------------------------------------------------------- the certificates -- */

static bool is_root(const struct cm_certificate *certificate)
{
    return cm_bytes_equal(certificate->subject, certificate->issuer);
}

static cm_status add(struct exporting *export, struct cm_bytes certificate, struct cm_error *err)
{
    if (export->count == CERTIFICATES_MAX)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "more than %d certificates",
                       CERTIFICATES_MAX);
    export->certificates[export->count++] = certificate;
    return CM_OK;
}

/* A root's own chain is the root. */
static cm_status collect_chain(struct exporting *export, struct cm_error *err)
{
    bool with_root = cm_call_flag(export->call, "root");
    struct cm_signer_chain chain;
    cm_status status = cm_generation_chain_read(&export->generations, export->generation,
                                                &export->deployment.arena, &chain, err);
    if (status != CM_OK)
        return status;
    if (with_root && !is_root(&chain.certificates[chain.count - 1]))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "the root above %s is not here: whoever has signed it has it", chain.name);
    for (size_t i = 0; i < chain.count && status == CM_OK; i++)
        if (i == 0 || with_root || !is_root(&chain.certificates[i]))
            status = add(export, chain.certificates[i].der, err);
    return status;
}

static bool keep_cross(const struct cm_cross_certificate *cross, void *arg)
{
    struct exporting *export = arg;
    int64_t number = export->generation->number;
    if (cross->subject_number != number && cross->issuer_number != number)
        return true;
    if (export->count == CERTIFICATES_MAX)
        return false;
    export->certificates[export->count++] =
        cm_arena_copy(&export->deployment.arena, cross->certificate);
    return true;
}

static cm_status collect(struct exporting *export, struct cm_error *err)
{
    struct cm_deployment *deployment = &export->deployment;
    cm_status status =
        cm_generations_read(deployment->store, &deployment->arena, &export->generations, err);
    if (status == CM_OK)
        status = cm_generations_called(&export->generations, export->call->operands[0],
                                       &export->generation, err);
    if (status == CM_OK)
        status = collect_chain(export, err);
    if (status == CM_OK && cm_call_flag(export->call, "cross"))
        status = cm_store_walk_crosses(deployment->reader, keep_cross, export, err);
    return status;
}

/* ---------------------------------------------------------------------------------- the text -- */

static struct cm_bytes write_pem(struct exporting *export)
{
    struct cm_arena *arena = &export->deployment.arena;
    struct cm_bytes all = cm_bytes_str("");
    for (size_t i = 0; i < export->count; i++) {
        struct cm_bytes one = cm_pem_write("CERTIFICATE", export->certificates[i], arena);
        all = cm_bytes_str(cm_arena_printf(arena, "%.*s%.*s", TEXT_OF(all), TEXT_OF(one)));
    }
    return all;
}

static bool add_to_bag(PKCS7 *bag, struct cm_bytes certificate)
{
    const unsigned char *next = certificate.data;
    X509 *x509 = d2i_X509(NULL, &next, (long)certificate.size);
    bool is_added = x509 && PKCS7_add_certificate(bag, x509) == 1;
    X509_free(x509);
    return is_added;
}

/* SignedData that signs nothing: a bag of certificates. */
static cm_status write_pkcs7(struct exporting *export, struct cm_bytes *ret_text,
                             struct cm_error *err)
{
    PKCS7 *bag = PKCS7_new();
    BIO *text = BIO_new(BIO_s_mem());
    char *octets = NULL;
    bool is_good = bag && text && PKCS7_set_type(bag, NID_pkcs7_signed) == 1
                   && PKCS7_content_new(bag, NID_pkcs7_data) == 1;
    for (size_t i = 0; is_good && i < export->count; i++)
        is_good = add_to_bag(bag, export->certificates[i]);
    is_good = is_good && PEM_write_bio_PKCS7(text, bag) == 1;
    if (is_good) {
        long size = BIO_get_mem_data(text, &octets);
        *ret_text = cm_arena_copy(&export->deployment.arena, cm_bytes(octets, (size_t)size));
    }
    BIO_free(text);
    PKCS7_free(bag);
    return is_good ? CM_OK
                   : CM_FAIL(err, CM_IO, CM_ORIGIN_OPENSSL, 0, "the PKCS#7 bag cannot be made");
}

static cm_status put_out(struct exporting *export, struct cm_bytes text, struct cm_error *err)
{
    const char *path = cm_call_value(export->call, "out");
    struct cm_new_files files = { 0 };
    if (!path) {
        fwrite(text.data, 1, text.size, stdout);
        return CM_OK;
    }
    cm_status status = cm_new_files_write(&files, path, 0644, text, err);
    cm_new_files_done(&files);
    return status;
}

static int run(const struct cm_call *call)
{
    struct exporting export = { .call = call };
    struct cm_bytes text = { 0 };
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&export.deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = collect(&export, &err);
    if (status == CM_OK && cm_call_flag(call, "pkcs7"))
        status = write_pkcs7(&export, &text, &err);
    else if (status == CM_OK)
        text = write_pem(&export);
    if (status == CM_OK)
        status = put_out(&export, text, &err);
    cm_deployment_close(&export.deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Writes the certificate of an authority and those above it, each signed by the next, in PEM: what "
    "a server sends along, or what is installed where devices are verified. `NAME` is its newest active "
    "key, `NAME-NUMBER` a certain one. The root is left out, unless it is what was asked for, or "
    "`--root` is given.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "root", .type = CM_OPTION_FLAG, .help = "The root, too, at the end." },
    { .name = "cross",
      .type = CM_OPTION_FLAG,
      .help =
          "The cross certificates, too: this key certified by others of its authority, and those "
          "by this key." },
    { .name = "pkcs7",
      .type = CM_OPTION_FLAG,
      .help = "As a PKCS#7 bag (`.p7b`) in PEM, as Windows and many appliances want it." },
    { .name = "out",
      .letter = 'o',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Where to; without it standard output. What is there is not overwritten." },
};
static const struct cm_example examples[] = {
    { "certmill ca export-chain issuing --out chain.pem", "For a server's configuration." },
    { "certmill ca export-chain issuing-1 --root --pkcs7 --out chain.p7b",
      "For a Windows machine, with the root." },
};

const struct cm_command cm_command_ca_export_chain = {
    .name = "ca export-chain",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "write an authority's certificate and those above it",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "there is no such authority, or the file could not be written",
    .run = run,
};
