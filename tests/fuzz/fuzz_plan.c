/*
 * A plan or an approval from outside: what is read as a plan is written again as it was, and what is read as
 * an approval comes back from its own text.
 */
#include <stdlib.h>

#include "engine/authority/approval.h"
#include "engine/authority/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_plan(struct cm_bytes text, struct cm_arena *arena)
{
    struct cm_plan plan;
    struct cm_error err;
    cm_status status = cm_plan_read(text, arena, &plan, &err);
    if (status == CM_OK && !cm_bytes_equal(cm_plan_write(&plan, arena), text))
        abort();
    if (status != CM_OK && status != CM_MALFORMED)
        abort();
}

static void try_approval(struct cm_bytes text, struct cm_arena *arena)
{
    struct cm_approval first, again;
    struct cm_error err;
    if (cm_approval_read(text, arena, &first, &err) != CM_OK)
        return;
    if (cm_approval_read(cm_approval_write(&first, arena), arena, &again, &err) != CM_OK
        || !cm_bytes_equal(first.by.signature, again.by.signature)
        || !cm_bytes_equal(first.by.key, again.by.key))
        abort();
    if (cm_approval_verify(first.by.purpose, first.digest, first.by.key, first.by.signature, &err)
        == CM_NO_MEMORY)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 65536);
    try_plan(cm_bytes(data, size), &arena);
    try_approval(cm_bytes(data, size), &arena);
    cm_arena_done(&arena);
    return 0;
}
