/*
 * Tokens for tests: a SoftHSM token in the scratch folder, and the fake one (fake_pkcs11.h).
 */
#ifndef CM_TESTS_SUPPORT_TOKEN_MAKER_H
#define CM_TESTS_SUPPORT_TOKEN_MAKER_H

#include <stdbool.h>

#define TOKEN_PIN   "1234"
#define TOKEN_LABEL "certmill test"

/* SoftHSM's module; NULL when it is not installed. $CM_TEST_SOFTHSM overrides. */
const char *token_softhsm_module(void);

/*
 * Makes a token TOKEN_LABEL with TOKEN_PIN below the scratch folder and points SOFTHSM2_CONF there.
 * Before a module is loaded: it runs a program. False when that failed; the second call does
 * nothing.
 */
bool token_softhsm_make(void);

/* The folder that holds the token's files. */
const char *token_softhsm_folder(void);

/* The fake module's path, from $FAKE_PKCS11_MODULE. */
const char *token_fake_module(void);

/* What the fake does from now on: lines of its control file. Points FAKE_PKCS11 at it. */
void token_fake_script(const char *lines);

/* Events of the fake's, separated by a blank, beside the lines. They happen at the next call. */
void token_fake_event(const char *lines, const char *events);

/* How often the fake's function was called in this process. */
unsigned token_fake_calls(const char *function);
unsigned token_fake_sessions(void);

/* A file in the scratch folder that holds the PIN; "file:PATH". */
const char *token_pin_reference(const char *pin);

#endif
