/*
 * Which backend a run of the provider suites is about: $CM_TEST_PROVIDER names one of the table. In
 * this process, or hosted in one of its own.
 */
#ifndef CM_TESTS_CONFORMANCE_PROVIDER_BACKENDS_H
#define CM_TESTS_CONFORMANCE_PROVIDER_BACKENDS_H

#include "tests/conformance/provider_rig.h"

enum { WORKERS = 2 };

extern const struct rig_backend *backend;

/* Its keys are in a token, or in a vault; else they are files. */
bool is_in_token(void);
bool is_in_vault(void);

/* Key Vault has no Ed25519, and one algorithm for each curve. */
bool is_supported(const char *key_name, enum cm_sigalg alg);

/* Before the first test. Not 0: the variable names none. */
int choose_backend(void);

/* The check on an open instance; skipped, and said, where the backend is not there. */
void on_backend(void (*check)(struct rig *rig));

/* Opening the key fails with this status, and a text that holds the words. */
void expect_refusal(struct rig *rig, const char *reference, enum cm_sigalg alg, cm_status expected,
                    const char *words);

#endif
