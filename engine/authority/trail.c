#include "engine/authority/trail_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_SIZE = 16384 };

bool cm_trail_spoil(struct cm_trail *trail, int64_t row, const char *format, ...)
{
    char text[CM_TRAIL_TEXT_SIZE - 32];
    va_list args;
    if (trail->is_bad)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trail->is_bad = true;
    trail->found->row = row;
    snprintf(trail->found->text, sizeof trail->found->text, "row %lld: %s", (long long)row, text);
    return false;
}

void cm_trail_note(struct cm_trail *trail, const char *format, ...)
{
    va_list args;
    if (trail->later[0])
        return;
    va_start(args, format);
    vsnprintf(trail->later, sizeof trail->later, format, args);
    va_end(args);
}

/* ------------------------------------------------------------------ a piece -- */

static bool add_entry(const struct cm_audited *audited, void *arg)
{
    struct cm_trail *trail = arg;
    cm_trail_add_entry(&trail->slots[audited->audit - trail->first], audited);
    return true;
}

static bool check_row(const struct cm_audit_row *row, void *arg)
{
    struct cm_trail *trail = arg;
    int64_t place = row->number - trail->first;
    if (place >= CM_TRAIL_PIECE)
        return false;
    return cm_trail_check_row(trail, row, &trail->slots[place]);
}

static cm_status check_piece(struct cm_trail *trail, struct cm_error *err)
{
    struct cm_store_reader *reader = trail->settings->reader;
    trail->first = trail->found->rows + 1;
    memset(trail->slots, 0, CM_TRAIL_PIECE * sizeof *trail->slots);
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_walk_audited(reader, trail->first, trail->first + CM_TRAIL_PIECE - 1,
                                   add_entry, trail, err);
    if (status == CM_OK)
        status = cm_store_walk_audit(reader, trail->first, check_row, trail, err);
    cm_store_reader_end(reader);
    return status;
}

/* Up to the row that was the last when it began; more may have come. */
static cm_status check_rows(struct cm_trail *trail, struct cm_error *err)
{
    const struct cm_trail_settings *settings = trail->settings;
    struct cm_store_counts counts;
    cm_status status = cm_store_count(settings->reader, &counts, err);
    while (status == CM_OK && !trail->is_bad) {
        int64_t before = trail->found->rows;
        status = check_piece(trail, err);
        if (settings->progress)
            settings->progress(trail->found->rows, counts.audit_rows, settings->arg);
        if (trail->found->rows == before
            || (trail->found->rows >= counts.audit_rows
                && trail->found->rows - before < CM_TRAIL_PIECE))
            break;
    }
    if (status == CM_OK && trail->found->rows < counts.audit_rows)
        cm_trail_spoil(trail, trail->found->rows + 1,
                       "it is missing: the log ends before it, the totals count %lld rows",
                       (long long)counts.audit_rows);
    return status;
}

/* ------------------------------------------------------------------ what names no row -- */

static bool spoil_by_entry(const struct cm_audited *audited, void *arg)
{
    char hex[2 * CM_SERIAL_SIZE + 1];
    cm_hex_encode(cm_bytes(audited->serial, CM_SERIAL_SIZE), hex);
    return cm_trail_spoil(arg, audited->audit, "it is missing: %s %s names it",
                          audited->is_abandoned ? "abandoned serial" : "certificate", hex);
}

/* Rows there are, in the snapshot that is looked at. */
struct ends {
    struct cm_trail *trail;
    int64_t rows;
};

static bool spoil_by_stray(const struct cm_audited *audited, void *arg)
{
    const struct ends *ends = arg;
    struct cm_trail *trail = ends->trail;
    char hex[2 * CM_SERIAL_SIZE + 1];
    if (audited->audit > ends->rows)
        return spoil_by_entry(audited, trail);
    cm_hex_encode(cm_bytes(audited->serial, CM_SERIAL_SIZE), hex);
    return cm_trail_spoil(trail, audited->audit, "certificate %s names it, and is not its own",
                          hex);
}

static bool spoil_by_row(const struct cm_audit_row *row, void *arg)
{
    return cm_trail_spoil(arg, row->number, "it is there, though the totals do not count it");
}

/* In one snapshot, over all. */
static cm_status check_ends(struct cm_trail *trail, struct cm_error *err)
{
    struct cm_store_reader *reader = trail->settings->reader;
    struct cm_store_counts totals;
    struct cm_audited_counts counts;
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_count(reader, &totals, err);
    if (status == CM_OK)
        status = cm_store_walk_audited(reader, totals.audit_rows + 1, INT64_MAX, spoil_by_entry,
                                       trail, err);
    if (status == CM_OK)
        status = cm_store_walk_strays(reader, spoil_by_stray,
                                      &(struct ends){ trail, totals.audit_rows }, err);
    if (status == CM_OK)
        status = cm_store_walk_audit(reader, totals.audit_rows + 1, spoil_by_row, trail, err);
    if (status == CM_OK)
        status = cm_store_count_audited(reader, &counts, err);
    cm_store_reader_end(reader);
    if (status != CM_OK || trail->is_bad)
        return status;
    if (counts.certificates_unaudited != trail->old_certificates
        || counts.abandoned_unaudited != trail->old_abandoned)
        cm_trail_note(trail,
                      "%lld certificates and %lld abandoned serials name no row, %lld and %lld are "
                      "from before the log had their trees",
                      (long long)counts.certificates_unaudited,
                      (long long)counts.abandoned_unaudited, (long long)trail->old_certificates,
                      (long long)trail->old_abandoned);
    if (counts.certificates != totals.certificates || counts.contents != counts.certificates
        || counts.abandoned != totals.abandoned)
        cm_trail_note(trail,
                      "the store has %lld certificates (%lld contents) and %lld abandoned serials, "
                      "its totals say %lld and %lld",
                      (long long)counts.certificates, (long long)counts.contents,
                      (long long)counts.abandoned, (long long)totals.certificates,
                      (long long)totals.abandoned);
    return status;
}

static void check_left_marks(struct cm_trail *trail)
{
    if (trail->next_mark == trail->marks_count)
        return;
    cm_trail_spoil(
        trail, trail->found->rows + 1,
        "it is missing: the log was cut off behind row %lld, checkpoint %lld covers rows "
        "up to %lld",
        (long long)trail->found->rows, (long long)trail->next_mark + 1,
        (long long)trail->marks[trail->next_mark].audit);
}

/* ------------------------------------------------------------------ whole -- */

static cm_status verify(struct cm_trail *trail, struct cm_error *err)
{
    cm_status status = cm_trail_read_checkpoints(trail, err);
    if (status == CM_OK)
        status = check_rows(trail, err);
    if (status == CM_OK && !trail->is_bad)
        check_left_marks(trail);
    if (status == CM_OK && !trail->is_bad)
        status = check_ends(trail, err);
    if (status == CM_OK)
        cm_trail_check_signers(trail);
    trail->found->certificates_before = trail->old_certificates;
    return status;
}

/* A row that cannot even be read is a finding, not a failure. */
static cm_status conclude(struct cm_trail *trail, cm_status status, const struct cm_error *err)
{
    struct cm_trail_found *found = trail->found;
    if (status == CM_CORRUPT)
        cm_trail_spoil(trail, found->rows + 1, "it, or what belongs to it, cannot be read: %.200s",
                       err->text);
    else if (status != CM_OK)
        return status;
    if (!trail->is_bad && trail->later[0])
        snprintf(found->text, sizeof found->text, "%s", trail->later);
    found->is_whole = !found->text[0];
    return CM_OK;
}

cm_status cm_trail_verify(const struct cm_trail_settings *settings,
                          struct cm_trail_found *ret_found, struct cm_error *err)
{
    struct cm_trail *trail = calloc(1, sizeof *trail);
    *ret_found = (struct cm_trail_found){ .is_whole = false };
    if (trail)
        trail->slots = calloc(CM_TRAIL_PIECE, sizeof *trail->slots);
    if (!trail || !trail->slots)
        abort();
    trail->settings = settings;
    trail->found = ret_found;
    cm_arena_init(&trail->arena, ARENA_BLOCK_SIZE);
    cm_status status = verify(trail, err);
    status = conclude(trail, status, err);
    cm_arena_done(&trail->arena);
    free(trail->marks);
    free(trail->slots);
    free(trail);
    return status;
}
