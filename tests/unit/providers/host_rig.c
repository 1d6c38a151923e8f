#include "tests/unit/providers/host_rig.h"

#include <signal.h>
#include <stdio.h>

#include "providers/fake/fake.h"

struct host_told host_told;

static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    struct rig *rig = arg;
    (void)provider;
    host_told.downs += event == CM_PROVIDER_DOWN;
    host_told.ups += event == CM_PROVIDER_UP;
    host_told.notices += event == CM_PROVIDER_NOTICE;
    snprintf(host_told.last[event], sizeof host_told.last[event], "%s", text);
    cm_loop_stop(rig->loop);
}

cm_status host_try_open(struct rig *rig, const struct cm_host_settings *host, const char *name,
                        struct cm_error *err)
{
    struct cm_host_settings named = *host;
    named.program = named.program ? named.program : TEST_SIGNER;
    const struct cm_provider_settings settings = {
        .name = name, .folder = cm_test_scratch(), .workers_count = 1, .host = &named
    };
    memset(&host_told, 0, sizeof host_told);
    cm_status status = rig_try_open(rig, &cm_provider_hosted, &settings, err);
    if (status == CM_OK)
        cm_provider_watch(rig->provider, on_told, rig);
    return status;
}

void host_open(struct rig *rig, const struct cm_host_settings *host, const char *name)
{
    struct cm_error err = { .status = CM_OK };
    cm_status status = host_try_open(rig, host, name, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
}

const struct cm_host_settings host_usual = { .kind = "openssl", .signs_anything = true };

void host_end_signer(struct rig *rig, int signal_number)
{
    pid_t pid = cm_provider_state(rig->provider).pid;
    CU_ASSERT_TRUE_FATAL(pid > 0); /* 0 would be ourselves and our neighbours */
    kill(pid, signal_number);
}

void host_sign_when_back(struct rig_batch *batch)
{
    struct rig *rig = batch->rig;
    unsigned dones = batch->dones;
    cm_status status;
    for (unsigned i = 0; (status = rig_submit(batch)) == CM_UNAVAILABLE && i < 2000; i++)
        rig_run_for(rig, 5);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    rig_wait(rig, &batch->dones, dones + 1);
}

const struct cm_host_settings host_stuck = { .kind = "stuck", .signs_anything = true };

static const struct rig_backend host_fake = { .name = "fake-hosted",
                                              .ops = &cm_provider_fake,
                                              .is_hosted = true };

void host_open_fake(struct rig *rig, const char *script)
{
    rig_use(&host_fake);
    memset(&host_told, 0, sizeof host_told);
    rig_open(rig, &cm_provider_fake, script, 1);
    cm_provider_watch(rig->provider, on_told, rig);
}

void host_use_fake(void)
{
    rig_use(&host_fake);
}
