#include "tests/unit/x509/csr_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/csr_oracle.h"
#include "tests/support/test_main.h"

#define FOLDER CM_SOURCE_ROOT "/tests/data/csr/"

struct cm_proof *csr_proof;
struct cm_arena csr_arena;

int csr_rig_set_up(void)
{
    cm_arena_init(&csr_arena, 65536);
    return cm_proof_new(&csr_proof, NULL) == CM_OK ? 0 : 1;
}

int csr_rig_tear_down(void)
{
    cm_proof_free(csr_proof);
    cm_arena_done(&csr_arena);
    return 0;
}

struct cm_bytes csr_file(const char *name)
{
    const char *path = cm_arena_printf(&csr_arena, FOLDER "%s", name);
    FILE *file = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    uint8_t *data = cm_arena_alloc(&csr_arena, 65536);
    size_t size = fread(data, 1, 65536, file);
    fclose(file);
    return cm_bytes(data, size);
}

enum cm_refusal_code csr_code(struct cm_bytes input, const char *what)
{
    enum cm_refusal_code code = CM_REFUSAL_NONE;
    uint8_t *copy = malloc(input.size ? input.size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    if (input.size)
        memcpy(copy, input.data, input.size);
    const char *problem = cm_csr_oracle(csr_proof, cm_bytes(copy, input.size), &code);
    if (problem)
        printf("  %s: %s\n", what, problem);
    CU_ASSERT_PTR_NULL(problem);
    free(copy);
    return code;
}
