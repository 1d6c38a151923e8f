/*
 * The rig that tests of providers stand on: a loop, an open instance, keys in files, and batches
 * with memory of their own. Every callback that comes wakes rig_wait; a test that waits for one that
 * does not come fails after 60 seconds.
 */
#ifndef CM_TESTS_CONFORMANCE_PROVIDER_RIG_H
#define CM_TESTS_CONFORMANCE_PROVIDER_RIG_H

#include "providers/host.h"
#include "tests/support/test_main.h"

#include <pthread.h>

#define RIG_PASSPHRASE "correct horse"

struct rig {
    struct cm_loop *loop;
    struct cm_provider *provider;
    pthread_t thread;
    bool inside_call;     /* of cm_provider_*: callbacks that come now are wrong */
    unsigned wrong_calls; /* callbacks on another thread or inside a call */
    unsigned dones;
    unsigned openeds;
    unsigned draineds;
    unsigned pauses;
    bool drain_asked;
    bool timed_out;
    struct cm_timer guard;
    struct cm_timer pause;
};

struct rig_batch {
    struct rig *rig;
    struct cm_sign_batch batch;
    struct cm_sign_item *items;
    uint8_t *memory;
    unsigned dones;
};

/* What a suite runs against. Its keys are files, in a token behind a PKCS#11 module, or in a vault. */
struct rig_backend {
    const char *name;
    const struct cm_provider_ops *ops;
    const char *module; /* NULL: keys are files */
    const char *token;  /* its label, as a URI spells it */
    const char *pin;
    bool is_hosted; /* in a signer process (tests/support/test_signer.c) whose keys sign anything */
    bool is_vault;  /* keys are in the vault of rig_vault.h */
};

/* From now on rig_open and rig_key_reference are about this one; NULL: about files. */
void rig_use(const struct rig_backend *backend);

/* Settings that open the backend's keys: a token's PIN or a vault's client secret is among them; a
 * file's passphrase is not. */
struct cm_provider_settings rig_settings(uint32_t workers_count);

/* A key in the scratch folder, the token or the vault, made once: "p256", "p384", "p521", "rsa2048",
 * "rsa3072", "rsa4096", "ed25519", and "locked" (P-256; the file is encrypted with RIG_PASSPHRASE).
 * "file:PATH", "pkcs11:..." or "https://...". A vault has no ed25519. */
const char *rig_key_reference(const char *name);

/* Writes a file into the scratch folder; returns its path, good until the next call. */
const char *rig_write_file(const char *name, const void *content, size_t size, unsigned mode);

cm_status rig_try_open(struct rig *rig, const struct cm_provider_ops *ops,
                       const struct cm_provider_settings *settings, struct cm_error *err);
void rig_open(struct rig *rig, const struct cm_provider_ops *ops, const char *options,
              uint32_t workers_count);

/* Drains when nobody did, closes, and checks that no callback came wrongly. */
void rig_close(struct rig *rig);

/* Runs the loop until *counter has reached target. */
void rig_wait(struct rig *rig, const unsigned *counter, unsigned target);
void rig_run_for(struct rig *rig, uint32_t duration_ms);

cm_status rig_open_key(struct rig *rig, const char *reference, enum cm_sigalg alg,
                       struct cm_key **ret_key, struct cm_error *err);

cm_status rig_create_key(struct rig *rig, const char *reference, const struct cm_key_spec *spec,
                         enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err);
cm_status rig_destroy_key(struct rig *rig, struct cm_key *key, struct cm_error *err);

/* The key of that name; fails the test when it does not open. */
struct cm_key *rig_key(struct rig *rig, const char *name, enum cm_sigalg alg);

void rig_drain(struct rig *rig);

/* count messages, all different. */
struct rig_batch *rig_batch_new(struct rig *rig, struct cm_key *key, uint32_t count);
void rig_batch_free(struct rig_batch *batch);
cm_status rig_submit(struct rig_batch *batch);

/* Submits and waits. */
void rig_sign(struct rig_batch *batch);

uint32_t rig_count_status(const struct rig_batch *batch, cm_status status);

/* With OpenSSL and the key's SubjectPublicKeyInfo, by other code than the provider's. */
bool rig_verifies(const struct cm_key *key, const struct cm_sign_item *item);
bool rig_all_verify(const struct rig_batch *batch);

/* Signs so many messages with the key; true when all verify. */
bool rig_signs(struct rig *rig, struct cm_key *key, uint32_t count);

#endif
