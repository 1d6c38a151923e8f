/* certmill audit prove: that a certificate is in the log, for somebody who has neither store nor log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/authority/checkpoint_text.h"
#include "engine/authority/record_tree.h"
#include "tools/audit_text.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/serial.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct proving {
    struct cm_deployment *deployment;
    struct cm_serial serial;
    struct cm_certificate_found certificate;
    uint8_t *leaves; /* hashes, one after another */
    uint32_t leaves_count, leaves_space, index;
    bool is_in_tree;
    json_t *rows;
    int64_t last; /* row that the checkpoint covers */
    json_t *checkpoint;
};

static bool add_leaf(const struct cm_audited *audited, void *arg)
{
    struct proving *proving = arg;
    if (proving->leaves_count == proving->leaves_space) {
        proving->leaves_space = proving->leaves_space ? 2 * proving->leaves_space : 256;
        proving->leaves = realloc(proving->leaves, (size_t)proving->leaves_space * CM_SHA256_SIZE);
        if (!proving->leaves)
            abort();
    }
    if (!audited->is_abandoned
        && memcmp(audited->serial, proving->serial.octets, CM_SERIAL_SIZE) == 0) {
        proving->index = proving->leaves_count;
        proving->is_in_tree = true;
    }
    cm_record_tree_hash(audited,
                        proving->leaves + (size_t)proving->leaves_count++ * CM_SHA256_SIZE);
    return true;
}

/* The first that covers the row. */
static bool find_checkpoint(const struct cm_checkpoint *checkpoint, void *arg)
{
    struct proving *proving = arg;
    if (checkpoint->audit < proving->certificate.audit)
        return true;
    struct cm_bytes line = cm_checkpoint_line(checkpoint, &proving->deployment->arena);
    proving->checkpoint = json_loadb((const char *)line.data, line.size, 0, NULL);
    proving->last = checkpoint->audit;
    return false;
}

static bool add_row(const struct cm_audit_row *row, void *arg)
{
    struct proving *proving = arg;
    json_array_append_new(proving->rows, cm_audit_proof_row(row));
    return row->number < proving->last;
}

static cm_status find(struct proving *proving, const char *text, struct cm_error *err)
{
    struct cm_serial_content content;
    if (!cm_serial_read(text, &content)
        || !cm_serial_from_content(cm_serial_bytes(&content), &proving->serial))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "\"%.60s\" is no serial number", text);
    cm_status status =
        cm_store_find_certificate(proving->deployment->reader, cm_serial_number(&proving->serial),
                                  &proving->deployment->arena, &proving->certificate, err);
    if (status != CM_OK)
        return status;
    if (proving->certificate.number == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "no certificate of ours has the serial number %.60s", text);
    if (proving->certificate.audit == 0)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "the certificate is from before the log had trees: nothing proves it");
    return CM_OK;
}

static cm_status collect(struct proving *proving, struct cm_error *err)
{
    struct cm_store_reader *reader = proving->deployment->reader;
    int64_t row = proving->certificate.audit;
    cm_status status = cm_store_walk_audited(reader, row, row, add_leaf, proving, err);
    if (status == CM_OK && !proving->is_in_tree)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "no certificate of ours has this serial number");
    proving->last = row;
    if (status == CM_OK)
        status = cm_store_walk_checkpoints(reader, 0, find_checkpoint, proving, err);
    if (status == CM_OK)
        status = cm_store_walk_audit(reader, row, add_row, proving, err);
    return status;
}

static void print(struct proving *proving)
{
    struct cm_merkle_proof proof;
    char serial[CM_SERIAL_TEXT_SIZE], hash[2 * CM_SHA256_SIZE + 1];
    json_t *hashes = json_array();
    cm_merkle_prove(proving->leaves, proving->leaves_count, proving->index, &proof);
    for (uint32_t i = 0; i < proof.hashes_count; i++) {
        cm_hex_encode(cm_bytes(proof.hashes[i], CM_SHA256_SIZE), hash);
        json_array_append_new(hashes, json_string(hash));
    }
    cm_serial_write(cm_serial_content(&proving->serial), serial);
    json_t *object = json_pack("{s:i, s:s, s:I, s:I, s:o, s:O}", "v", 1, "serial", serial, "index",
                               (json_int_t)proof.index, "leaves", (json_int_t)proof.leaves_count,
                               "hashes", hashes, "rows", proving->rows);
    if (proving->checkpoint)
        json_object_set(object, "checkpoint", proving->checkpoint);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static int run(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct proving proving = { .deployment = &deployment, .rows = json_array() };
    struct cm_error err;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = find(&proving, cm_call_value(call, "serial"), &err);
    if (status == CM_OK)
        status = collect(&proving, &err);
    if (status == CM_OK)
        print(&proving);
    free(proving.leaves);
    json_decref(proving.rows);
    json_decref(proving.checkpoint);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Writes a proof, as one JSON object, that the certificate with this serial number stands in the audit log: its "
    "place in the tree of its row, the hashes beside the way up, the row, the rows behind it up to the next "
    "checkpoint, and that checkpoint. Other certificates show in it as hashes only. "
    "`certmill audit verify --proof` checks it, anywhere.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .required = true,
      .help = "Of the certificate." },
};
static const struct cm_example examples[] = {
    { "certmill audit prove --serial 0a1b2c3d4e5f60718293 > proof.json", "For whoever doubts it." },
};

const struct cm_command cm_command_audit_prove = {
    .name = "audit prove",
    .operands = "",
    .summary = "prove that a certificate is in the audit log",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "there is no such certificate, or nothing that proves it",
    .run = run,
};
