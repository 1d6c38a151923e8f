#include "tests/unit/providers/keyvault_stage.h"

#include <stdio.h>

#include "providers/backends.h"

static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    struct vault_stage *stage = arg;
    size_t used = strlen(stage->notices);
    (void)provider;
    (void)event;
    stage->notices_count++;
    snprintf(stage->notices + used, sizeof stage->notices - used, "%s\n", text);
}

void vault_stage_start(struct vault_stage *stage, const char *const *emulator)
{
    *stage = (struct vault_stage){ .notices_count = 0 };
    CU_ASSERT_TRUE_FATAL(cm_keyvault_start(&stage->vault, emulator));
}

void vault_stage_open_with(struct vault_stage *stage, const char *options,
                           const char *passphrase_ref)
{
    const struct cm_provider_settings settings = { .name = "under test",
                                                   .folder = cm_test_scratch(),
                                                   .passphrase_ref = passphrase_ref,
                                                   .options = options };
    struct cm_error err = { .status = CM_OK };
    cm_status status = rig_try_open(&stage->rig, &cm_provider_keyvault, &settings, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    cm_provider_watch(stage->rig.provider, on_told, stage);
}

void vault_stage_open(struct vault_stage *stage, const char *const *emulator, const char *more)
{
    vault_stage_start(stage, emulator);
    vault_stage_open_with(stage, rig_vault_options(&stage->vault, more),
                          rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
}

void vault_stage_close(struct vault_stage *stage)
{
    rig_close(&stage->rig);
    cm_keyvault_stop(&stage->vault);
}

struct cm_key *vault_stage_open_key(struct vault_stage *stage, const char *reference)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    cm_status status = rig_open_key(&stage->rig, reference, CM_SIGALG_UNKNOWN, &key, &err);
    if (status != CM_OK)
        printf("%s: %s\n", reference, err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    return key;
}

struct cm_key *vault_stage_key(struct vault_stage *stage, const char *name, const char *members)
{
    cm_keyvault_create_key(&stage->vault, name, members, NULL);
    return vault_stage_open_key(stage, rig_vault_reference(&stage->vault, name));
}

cm_status vault_stage_try(struct vault_stage *stage, const char *reference, const char *words)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    cm_status status = rig_open_key(&stage->rig, reference, CM_SIGALG_UNKNOWN, &key, &err);
    if (status == CM_OK) {
        CU_ASSERT_TRUE(rig_signs(&stage->rig, key, 1));
        cm_provider_close_key(key);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (!strstr(err.text, words))
        printf("%s: \"%s\" lacks \"%s\"\n", cm_status_name(status), err.text, words);
    return status;
}

cm_status vault_stage_sign_one(struct vault_stage *stage, struct cm_key *key)
{
    struct rig_batch *batch = rig_batch_new(&stage->rig, key, 1);
    rig_sign(batch);
    cm_status status = batch->items[0].status;
    if (status == CM_OK)
        CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    return status;
}

bool vault_stage_works(struct vault_stage *stage, const char *name)
{
    cm_status status = vault_stage_try(stage, rig_vault_reference(&stage->vault, name), "");
    if (status != CM_OK)
        printf("%s: %s\n%s", name, cm_status_name(status), stage->notices);
    return status == CM_OK;
}

void vault_stage_append_trust(const char *certificate, const char *path)
{
    char content[8192];
    FILE *in = fopen(certificate, "r"), *out = fopen(path, "a");
    CU_ASSERT_TRUE_FATAL(in && out);
    size_t size = fread(content, 1, sizeof content, in);
    CU_ASSERT_EQUAL(fwrite(content, 1, size, out), size);
    fclose(in);
    fclose(out);
}
