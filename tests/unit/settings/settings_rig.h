/* What the tests of settings share: a good file, small changes of it, and what comes of a file. */
#ifndef CM_TESTS_UNIT_SETTINGS_SETTINGS_RIG_H
#define CM_TESTS_UNIT_SETTINGS_SETTINGS_RIG_H

#include "engine/settings/settings.h"

/* The good file: 13 lines, to which the tests append. */
#define STORE      "store: {path: s.db}\n"                                 /* 2 */
#define PROVIDERS  "providers:\n  - {name: soft, kind: openssl}\n"         /* 3, 4 */
#define AUTHORITY  "authorities:\n  - name: issuing\n"                     /* 5, 6 */
#define GROUPS     "groups:\n  - name: default\n    authority: issuing\n"  /* 7, 8, 9 */
#define GROUPS_END "    profiles: [device-client, idevid]\n"               /* 10 */
#define REQUESTERS "requesters:\n  - name: local\n    groups: [default]\n" /* 11, 12, 13 */
#define HEAD       "version: 1\n" STORE PROVIDERS AUTHORITY
#define GOOD       HEAD GROUPS GROUPS_END REQUESTERS

/* The same with a provider whose keys are to come, from line 5 on. */
#define VAULT(keys)                                                                                \
    "version: 1\n" STORE "providers:\n  - {name: v, kind: keyvault,\n" keys                        \
    "}\n" AUTHORITY GROUPS GROUPS_END REQUESTERS

/* A profile entry, its keys to follow from line 17 on. */
#define PROFILE GOOD "profiles:\n  - name: meter\n    base: device-client\n"

/* Any 32 octets: a public key in base64url. */
#define KEY "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

struct rig_refusal {
    const char *text;
    const char *expected; /* how its error begins, after the file's name */
};

/* certmill.yaml in the scratch folder; every text is written there. */
extern char rig_path[512];

const char *rig_write(const char *text, size_t size);
cm_status rig_read(const char *text, struct cm_settings **ret, struct cm_error *err);

/* Ends the test when the text is refused. Freed by the caller. */
struct cm_settings *rig_good(const char *text);

/* Each one is malformed, by the file's name and what is expected. */
void rig_expect_refusals(const struct rig_refusal *refusals, size_t count);

#endif
