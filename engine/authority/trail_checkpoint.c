#include "engine/authority/trail_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/authority/checkpoint_text.h"

/* An engine that has just recorded one is about to append it. */
enum { PATIENCE_TRIES = 30, PATIENCE_MS = 100 };

static void add_mark(struct cm_trail *trail, const struct cm_checkpoint *checkpoint)
{
    if (trail->marks_count == trail->marks_space) {
        trail->marks_space = trail->marks_space ? 2 * trail->marks_space : 64;
        trail->marks = realloc(trail->marks, (size_t)trail->marks_space * sizeof *trail->marks);
        if (!trail->marks)
            abort();
    }
    struct cm_trail_mark *mark = &trail->marks[trail->marks_count++];
    mark->audit = checkpoint->audit;
    memcpy(mark->hash, checkpoint->hash, sizeof mark->hash);
    struct cm_bytes line = cm_checkpoint_line(checkpoint, &trail->arena);
    cm_sha256(&line, 1, mark->line_hash);
    cm_sha256(&checkpoint->spki, 1, mark->signer);
}

/* False: noted what is wrong; nothing behind it is believed. */
static bool check(struct cm_trail *trail, const struct cm_checkpoint *checkpoint, const char *where)
{
    struct cm_bytes spki = trail->settings->spki;
    uint8_t previous[CM_HASH_SIZE] = { 0 };
    int64_t expected = trail->marks_count + 1;
    if (expected > 1)
        cm_checkpoint_hash(&trail->last, previous);
    const char *wrong = NULL;
    if (checkpoint->number != expected)
        wrong = "it is missing";
    else if (!cm_checkpoint_is_signed(checkpoint))
        wrong = "it was changed: its signature does not verify";
    else if (spki.size > 0 && !cm_bytes_equal(checkpoint->spki, spki))
        wrong = "another key than the one given has signed it";
    else if (memcmp(checkpoint->previous, previous, sizeof previous) != 0)
        wrong = "it does not follow the one before";
    else if (checkpoint->audit <= trail->last.audit && expected > 1)
        wrong = "it covers no more rows than the one before";
    if (wrong) {
        cm_trail_note(trail, "checkpoint %lld of %s: %s", (long long)expected, where, wrong);
        return false;
    }
    trail->last = *checkpoint;
    trail->last.spki = trail->last.sigalg = trail->last.signature = cm_bytes(NULL, 0);
    add_mark(trail, checkpoint);
    cm_arena_reset(&trail->arena);
    return true;
}

static bool check_stored(const struct cm_checkpoint *checkpoint, void *arg)
{
    return check(arg, checkpoint, "the store");
}

/* ------------------------------------------------------------------ the file -- */

static void check_line(struct cm_trail *trail, struct cm_bytes line, int64_t number)
{
    const char *path = trail->settings->file;
    struct cm_checkpoint checkpoint;
    uint8_t hash[CM_HASH_SIZE];
    cm_sha256(&line, 1, hash);
    if (number <= trail->stored_count) {
        if (memcmp(trail->marks[number - 1].line_hash, hash, sizeof hash) != 0)
            cm_trail_note(trail, "checkpoint %lld of %.150s: line %lld is not that of the store",
                          (long long)number, path, (long long)number);
        return;
    }
    if (!cm_checkpoint_read_line(line, &trail->arena, &checkpoint))
        cm_trail_note(trail, "checkpoint %lld of %.150s: line %lld is none", (long long)number,
                      path, (long long)number);
    else if (!trail->later[0] && check(trail, &checkpoint, path)) /* its row is looked for */
        cm_trail_note(trail, "checkpoint %lld of the store: it is missing; %.150s has it",
                      (long long)number, path);
}

/* Lines that have their end. */
static cm_status read_file(struct cm_trail *trail, int64_t *lines, bool judges,
                           struct cm_error *err)
{
    const char *path = trail->settings->file;
    char *line = NULL;
    size_t space = 0;
    ssize_t size;
    FILE *file = fopen(path, "r");
    if (!file && errno != ENOENT)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %.150s: %s", path, strerror(errno));
    *lines = 0;
    while (file && (size = getline(&line, &space, file)) > 0 && line[size - 1] == '\n') {
        ++*lines;
        if (judges)
            check_line(trail, cm_bytes(line, (size_t)size), *lines);
    }
    free(line);
    if (file)
        fclose(file);
    return CM_OK;
}

static cm_status wait_for_lines(struct cm_trail *trail, int64_t *lines, struct cm_error *err)
{
    static const struct timespec pause = { .tv_nsec = PATIENCE_MS * 1000000L };
    cm_status status = read_file(trail, lines, false, err);
    for (int i = 0; status == CM_OK && *lines < trail->stored_count && i < PATIENCE_TRIES; i++) {
        nanosleep(&pause, NULL);
        status = read_file(trail, lines, false, err);
    }
    return status;
}

static cm_status check_file(struct cm_trail *trail, struct cm_error *err)
{
    int64_t lines;
    cm_status status = wait_for_lines(trail, &lines, err);
    if (status == CM_OK)
        status = read_file(trail, &lines, true, err);
    if (status == CM_OK && lines < trail->stored_count)
        cm_trail_note(
            trail,
            "checkpoint %lld of %.150s: it is missing; the store has it: the file was cut "
            "off, or not written yet",
            (long long)lines + 1, trail->settings->file);
    return status;
}

/* ------------------------------------------------------------------ all -- */

cm_status cm_trail_read_checkpoints(struct cm_trail *trail, struct cm_error *err)
{
    struct cm_store_counts counts = { .checkpoints = 0 };
    cm_status status = cm_store_reader_begin(trail->settings->reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_count(trail->settings->reader, &counts, err);
    if (status == CM_OK)
        status = cm_store_walk_checkpoints(trail->settings->reader, 0, check_stored, trail, err);
    cm_store_reader_end(trail->settings->reader);
    trail->stored_count = trail->marks_count;
    if (status == CM_OK && trail->settings->file && !trail->later[0])
        status = check_file(trail, err);
    trail->found->checkpoints = trail->marks_count;
    return status;
}

static bool is_known(const struct cm_trail *trail, const uint8_t *signer)
{
    for (unsigned i = 0; i < trail->keys_count; i++)
        if (memcmp(trail->keys[i], signer, CM_HASH_SIZE) == 0)
            return true;
    return false;
}

void cm_trail_check_signers(struct cm_trail *trail)
{
    for (int64_t i = 0; i < trail->marks_count; i++) {
        const struct cm_trail_mark *mark = &trail->marks[i];
        memcpy(trail->found->signer, mark->signer, sizeof mark->signer);
        if (trail->settings->spki.size == 0 && !is_known(trail, mark->signer))
            cm_trail_note(trail,
                          "checkpoint %lld: its key is none that the log says was opened for it",
                          (long long)i + 1);
    }
}
