/*
 * What authentication adds to a request: its canonical form, and the verification of an HMAC or an
 * Ed25519 signature over it. Prints one JSON line for each.
 *
 *     build/bench/auth_bench [REQUESTS]
 *
 * One thread; microseconds of processor time for one request with a CSR of a P-256 key in DER.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "bench/measure.h"
#include "engine/base/auth.h"
#include "queue/canonical.h"

enum { REQUESTS = 20000, CSR_SIZE = 290 };

static uint8_t canonical[CM_CANONICAL_SIZE_MAX];
static uint8_t csr[CSR_SIZE];

static struct cm_bytes write_canonical(void)
{
    struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
    fields[CM_FIELD_OP] = cm_bytes_str("issue");
    fields[CM_FIELD_ID] = cm_bytes_str("0123456789abcdef0123456789abcdef");
    fields[CM_FIELD_REQUESTER] = cm_bytes_str("line-1");
    fields[CM_FIELD_DEVICE] = cm_bytes_str("device-000001");
    fields[CM_FIELD_CSR] = cm_bytes(csr, sizeof csr);
    fields[CM_FIELD_TIME] = cm_bytes_str("1735689600000");
    return cm_bytes(canonical, cm_canonical_write(fields, canonical, sizeof canonical));
}

static void measure(struct cm_auth_verifier *verifier, const char *name, const char *auth,
                    long requests_count)
{
    double begin = cpu_now_us();
    for (long i = 0; i < requests_count; i++) {
        struct cm_bytes text = write_canonical();
        check(!auth || cm_auth_verify(verifier, cm_bytes_str(auth), text), "not verified");
    }
    printf("{\"auth\":\"%s\",\"request_us\":%.2f}\n", name,
           (cpu_now_us() - begin) / (double)requests_count);
}

static void measure_hmac(long requests_count)
{
    const struct cm_bytes secret = cm_bytes_str("0123456789abcdef0123456789abcdef");
    struct cm_auth_verifier *verifier = NULL;
    struct cm_auth_signer *signer = NULL;
    struct cm_error err;
    char auth[CM_AUTH_TEXT_SIZE];
    check(cm_auth_verifier_new(CM_AUTH_HMAC_SHA256, &verifier, &err) == CM_OK
              && cm_auth_verifier_add(verifier, secret, &err) == CM_OK
              && cm_auth_signer_new_secret(secret, &signer, &err) == CM_OK
              && cm_auth_sign(signer, write_canonical(), auth),
          "no HMAC");
    measure(verifier, "hmac-sha256", auth, requests_count);
    cm_auth_signer_free(signer);
    cm_auth_verifier_free(verifier);
}

static void measure_ed25519(long requests_count)
{
    char path[] = "/tmp/auth_bench.XXXXXX";
    uint8_t public_key[CM_AUTH_PUBLIC_KEY_SIZE];
    size_t size = sizeof public_key;
    struct cm_auth_verifier *verifier = NULL;
    struct cm_auth_signer *signer = NULL;
    struct cm_error err;
    char auth[CM_AUTH_TEXT_SIZE];
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    check(key && file && EVP_PKEY_get_raw_public_key(key, public_key, &size) == 1
              && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1
              && fclose(file) == 0,
          "no key");
    cm_status status = cm_auth_signer_new_key(path, &signer, &err);
    remove(path);
    check(status == CM_OK && cm_auth_verifier_new(CM_AUTH_ED25519, &verifier, &err) == CM_OK
              && cm_auth_verifier_add(verifier, cm_bytes(public_key, size), &err) == CM_OK
              && cm_auth_sign(signer, write_canonical(), auth),
          "no Ed25519");
    measure(verifier, "ed25519", auth, requests_count);
    cm_auth_signer_free(signer);
    cm_auth_verifier_free(verifier);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    long requests_count = argc > 1 ? strtol(argv[1], NULL, 10) : REQUESTS;
    check(requests_count > 0, "expected a number of requests");
    measure(NULL, "canonical form alone", NULL, requests_count * 10);
    measure_hmac(requests_count * 10);
    measure_ed25519(requests_count);
    return 0;
}
