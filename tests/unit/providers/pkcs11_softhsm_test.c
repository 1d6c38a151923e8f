/*
 * The PKCS#11 provider when SoftHSM, as others have it installed, loses its token or its sessions
 * under load. Without SoftHSM the suite is skipped.
 */
#include "providers/backends.h"
#include "tests/conformance/provider_rig.h"
#include "tests/support/token_maker.h"

#include <dlfcn.h>
#include <stdio.h>

#include <p11-kit/pkcs11.h>

enum { WORKERS = 2, ITEMS = 200, RETURN_MS_MAX = 5000, LOOK_MS = 20 };

static struct rig_backend softhsm = {
    .name = "softhsm", .ops = &cm_provider_pkcs11, .token = "certmill%20test", .pin = TOKEN_PIN
};

static int use_softhsm(void)
{
    if (token_softhsm_module() && token_softhsm_make())
        softhsm.module = token_softhsm_module();
    rig_use(&softhsm);
    return 0;
}

/* The same module's functions: another part of the process that uses it. */
static const CK_FUNCTION_LIST *functions(void)
{
    CK_FUNCTION_LIST *list = NULL;
    CK_C_GetFunctionList get_list;
    void *library = dlopen(softhsm.module, RTLD_NOW | RTLD_LOCAL);
    void *symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get_list, &symbol, sizeof get_list);
    get_list(&list);
    return list;
}

/* One key, under load. */
struct load {
    struct rig rig;
    struct cm_key *key;
    struct rig_batch *batch;
};

static bool load_open(struct load *load)
{
    if (!softhsm.module) {
        cm_test_skip("no SoftHSM: neither its module nor softhsm2-util; tools/setup --tests");
        return false;
    }
    rig_open(&load->rig, &cm_provider_pkcs11, NULL, WORKERS);
    load->key = rig_key(&load->rig, "p256", CM_SIGALG_UNKNOWN);
    load->batch = rig_batch_new(&load->rig, load->key, ITEMS);
    rig_run_for(&load->rig, 1050);
    return true;
}

static void load_close(struct load *load)
{
    rig_batch_free(load->batch);
    cm_provider_close_key(load->key);
    rig_close(&load->rig);
}

static uint32_t sign(struct load *load)
{
    rig_sign(load->batch);
    for (uint32_t i = 0; i < ITEMS; i++)
        if (load->batch->items[i].status == CM_OK)
            CU_ASSERT_TRUE(rig_verifies(load->key, &load->batch->items[i]));
    return rig_count_status(load->batch, CM_OK);
}

static bool comes_back(struct load *load)
{
    for (unsigned waited_ms = 0; waited_ms < RETURN_MS_MAX; waited_ms += LOOK_MS) {
        if (sign(load) == ITEMS)
            return true;
        rig_run_for(&load->rig, LOOK_MS);
    }
    return false;
}

static CK_SLOT_ID find_slot(void)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CU_ASSERT_EQUAL_FATAL(functions()->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    return slots[0];
}

static void test_pkcs11_signs_on_after_softhsm_closed_all_sessions(void)
{
    struct load load;
    if (!load_open(&load))
        return;
    CU_ASSERT_EQUAL(functions()->C_CloseAllSessions(find_slot()), CKR_OK);
    CU_ASSERT_EQUAL(sign(&load), ITEMS);
    load_close(&load);
}

static void test_pkcs11_signs_on_after_softhsm_logged_out(void)
{
    struct load load;
    CK_SESSION_HANDLE session;
    if (!load_open(&load))
        return;
    CU_ASSERT_EQUAL(
        functions()->C_OpenSession(find_slot(), CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
    CU_ASSERT_EQUAL(functions()->C_Logout(session), CKR_OK);
    CU_ASSERT_EQUAL(functions()->C_CloseSession(session), CKR_OK);
    CU_ASSERT_EQUAL(sign(&load), ITEMS);
    load_close(&load);
}

static void test_pkcs11_stops_while_the_tokens_files_are_away_and_comes_back_with_them(void)
{
    struct load load;
    char away[600];
    if (!load_open(&load))
        return;
    snprintf(away, sizeof away, "%s.away", token_softhsm_folder());
    CU_ASSERT_EQUAL(rename(token_softhsm_folder(), away), 0);
    for (unsigned i = 0; i < 5; i++) {
        sign(&load);
        rig_run_for(&load.rig, 500);
    }
    CU_ASSERT_EQUAL(sign(&load), 0);
    CU_ASSERT_EQUAL(rig_count_status(load.batch, CM_TOKEN_REMOVED)
                        + rig_count_status(load.batch, CM_UNAVAILABLE),
                    ITEMS);
    CU_ASSERT_EQUAL(rename(away, token_softhsm_folder()), 0);
    CU_ASSERT_TRUE(comes_back(&load));
    load_close(&load);
}

CM_TEST_SUITE_WITH(
    pkcs11_softhsm, use_softhsm, NULL,
    CM_TEST(test_pkcs11_signs_on_after_softhsm_closed_all_sessions),
    CM_TEST(test_pkcs11_signs_on_after_softhsm_logged_out),
    CM_TEST(test_pkcs11_stops_while_the_tokens_files_are_away_and_comes_back_with_them));
