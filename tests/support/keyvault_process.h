/*
 * A private vault for one test: keyvault_emulator (tests/support/keyvault/keyvault.h) in a process of its
 * own, with its certificate in the scratch folder.
 *
 *     static const char *const options[] = { "--latency-ms", "5", NULL };
 *     struct cm_keyvault vault;
 *     if (!cm_keyvault_start(&vault, options))
 *         ...
 *     cm_keyvault_create_key(&vault, "ca", "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}", kid);
 *     cm_keyvault_fault(&vault, "{\"on\":\"sign\",\"kind\":\"close-before\"}");
 *     ... vault.port, vault.certificate ...
 *     cm_keyvault_statistic(&vault, "requests.sign");
 *     cm_keyvault_stop(&vault);
 *
 * The program's path is in the environment variable KEYVAULT_EMULATOR, which meson sets. The emulator dies
 * with the test process. All calls are synchronous, and abort the test process when the control port
 * does not answer 200.
 */
#ifndef CM_TESTS_SUPPORT_KEYVAULT_PROCESS_H
#define CM_TESTS_SUPPORT_KEYVAULT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

enum { CM_KEYVAULT_KID_SIZE = 320 };

/* What the emulator takes when no option says another. */
#define CM_KEYVAULT_TENANT        "11111111-2222-4333-8444-555555555555"
#define CM_KEYVAULT_CLIENT_ID     "66666666-7777-4888-8999-aaaaaaaaaaaa"
#define CM_KEYVAULT_CLIENT_SECRET "emulator-secret"

struct cm_keyvault {
    pid_t pid;        /* 0: not running */
    int input;        /* its standard input; the emulator ends with it */
    int port;         /* TLS: the vault and the token endpoint */
    int control_port; /* plain: managed identity and levers */
    char folder[300];
    char certificate[340];         /* PEM */
    char url[64], control_url[64]; /* https://127.0.0.1:PORT and http://...; no slash at the end */
};

/* options: the program's words, ending in NULL; may be NULL. False: there is no program, or it did not start. */
bool cm_keyvault_start(struct cm_keyvault *vault, const char *const *options);

/* Ends it and removes nothing: the scratch folder goes with the process. Twice is fine. */
void cm_keyvault_stop(struct cm_keyvault *vault);

/* A request to the control port; body may be NULL. The answer's body is the caller's (free). */
char *cm_keyvault_control(struct cm_keyvault *vault, const char *method, const char *path,
                          const char *body);

/* Queues faults up: JSON as tests/support/keyvault/faults.c describes it. */
void cm_keyvault_fault(struct cm_keyvault *vault, const char *json);
void cm_keyvault_clear_faults(struct cm_keyvault *vault);

/* A number of GET /emulator/statistics: "signed", "requests.sign". Aborts when there is no such. */
long long cm_keyvault_statistic(struct cm_keyvault *vault, const char *name);

/* A new version of the name; members: the create request. Its versioned kid, when ret_kid is not NULL. */
void cm_keyvault_create_key(struct cm_keyvault *vault, const char *name, const char *members,
                            char ret_kid[CM_KEYVAULT_KID_SIZE]);

#endif
