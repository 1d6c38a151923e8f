/*
 * The rig that tests of composing stand on: an issuer made of constants, so that nothing in here
 * depends on a clock or a key, one input, and what composing makes of it. Tests change what they are
 * about; builtin() starts afresh.
 */
#ifndef CM_TESTS_UNIT_X509_TEMPLATE_RIG_H
#define CM_TESTS_UNIT_X509_TEMPLATE_RIG_H

#include "engine/x509/certificate.h"
#include "engine/x509/template.h"

#define ISSUED_S INT64_C(1767268800) /* 2026-01-01 12:00:00 */
#define DAY_S    INT64_C(86400)

enum { ISSUER_NAME_SIZE = 19, SPKI_SIZE = 91 };

extern const uint8_t issuer_name[ISSUER_NAME_SIZE]; /* CN=Issuer, UTF8String */
extern const uint8_t spki[SPKI_SIZE];               /* the generator of P-256 */

extern struct cm_arena arena;
extern struct cm_composer *composer;
extern struct cm_issuer issuer;
extern struct cm_template_input input;

/* Of the latest composing. */
extern struct cm_refusal refusal;
extern struct cm_tbs tbs;

/* A fresh issuer, valid from 2020 to 2060, and a fresh input. */
void reset(void);

/* Does reset; a copy of the profile, to be changed. */
struct cm_profile builtin(const char *name);

bool compose(const struct cm_profile *profile);

/* Composed, linted, and read back. */
struct cm_certificate issue(const struct cm_profile *profile);

/* Composing is refused with this code. */
void refuse(const struct cm_profile *profile, enum cm_refusal_code code);

bool contains(struct cm_bytes whole, const char *part);

/* Of a suite. */
int set_up(void);
int tear_down(void);

#endif
