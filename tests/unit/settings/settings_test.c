/*
 * Goal: a settings file is understood whole or refused with the line and what was expected.
 * Method: a table of bad files, each a small change of a good one; then what good files become.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static char path[512];

static const char *write_file(const char *text, size_t size)
{
    snprintf(path, sizeof path, "%s/certmill.yaml", cm_test_scratch());
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        abort();
    return path;
}

static cm_status read_text(const char *text, struct cm_settings **ret, struct cm_error *err)
{
    return cm_settings_read(write_file(text, strlen(text)), ret, err);
}

/* --------------------------------------------------------------------------- bad files -- */

static const struct {
    const char *text;
    const char *expected; /* after the file's name */
} bad_files[] = {
    /* the file as such */
    { "", ":1: the file is empty" },
    { "- version", ":1: expected nested keys, found a list" },
    { "hello", ":1: expected nested keys, found a single value" },
    { "version: 1\nstore: {path: [\n", ":3: not YAML: " },
    { "version: 1\n\tstore: 1\n", ":2: not YAML: " },
    { "version: 1\nstore: \"\xff\xfe\"\n", ":2: not YAML: " },
    { GOOD "---\nversion: 1\n", ":15: expected one YAML document only" },
    { "version: 1\n? [a, b]\n: 1\n", ":2: unknown key \"\"" },
    /* keys */
    { GOOD "colour: blue\n", ":14: unknown key \"colour\"" },
    { GOOD "eingine: {}\n", ":14: unknown key \"eingine\" (did you mean engine?)" },
    { GOOD "Engine: {}\n", ":14: unknown key \"Engine\" (did you mean engine?)" },
    { GOOD "version: 1\n", ":14: the key \"version\" stands twice" },
    { GOOD "engine: {workers: 1, workers: 2}\n", ":14: engine: the key \"workers\" stands twice" },
    { STORE PROVIDERS AUTHORITY, ":1: the key \"version\" is missing" },
    { "version: 1\n" AUTHORITY, ":1: the key \"providers\" is missing" },
    { HEAD "groups:\n  - name: default\n    profiles: [idevid]\n",
      ":8: groups[0]: the key \"authority\" is missing" },
    { GOOD "queue:\n  spool:\n    floder: x\n",
      ":16: queue.spool: unknown key \"floder\" (did you mean folder?)" },
    { HEAD "    issuing: 1\n", ":7: authorities[0]: unknown key \"issuing\"" },
    /* kinds of values */
    { "version: 2\n", ":1: version: expected 1, found \"2\"" },
    { "version: one\n", ":1: version: expected 1, found \"one\"" },
    { "version:\n", ":1: version: expected 1" },
    { "version: [1]\n", ":1: version: expected a single value, found a list" },
    { "version: 1\nstore: s.db\n", ":2: store: expected nested keys, found a single value" },
    { "version: 1\nstore: {path: \"\"}\n", ":2: store.path: expected a text, found nothing" },
    { "version: 1\nproviders: {}\n", ":2: providers: expected a list, found nested keys" },
    { "version: 1\nproviders: []\n", ":2: providers: expected 1 to 64 entries, found 0" },
    { "version: 1\nproviders: [soft]\n",
      ":2: providers[0]: expected nested keys, found a single value" },
    { "version: 1\nproviders:\n- {name: \"a b\", kind: openssl}\n",
      ":3: providers[0].name: expected a name of 1 to 64 letters" },
    { "version: 1\nproviders:\n- {name: .a, kind: openssl}\n", ":3: providers[0].name: expected" },
    { "version: 1\n" STORE "providers:\n  - {name: h, kind: pkcs11, sessions: 0}\n" AUTHORITY GROUPS
          GROUPS_END REQUESTERS,
      ":4: providers[0].sessions: expected auto, or a number from 1 to 64" },
    { "version: 1\n" STORE
      "providers:\n  - {name: h, kind: pkcs11, sessions: 65}\n" AUTHORITY GROUPS GROUPS_END
          REQUESTERS,
      ":4: providers[0].sessions: expected auto, or a number from 1 to 64" },
    { "version: 1\n" STORE
      "providers:\n  - {name: h, kind: pkcs11, sessions: 4x}\n" AUTHORITY GROUPS GROUPS_END
          REQUESTERS,
      ":4: providers[0].sessions: expected auto, or a number from 1 to 64" },
    { "version: 1\n" STORE
      "providers:\n  - name: h\n    kind: openssl\n    keyvault: {}\n" AUTHORITY GROUPS GROUPS_END
          REQUESTERS,
      ":6: providers[0].keyvault: expected only with kind: keyvault" },
    { VAULT("keyvault: {credential: password}"),
      ":5: providers[0].keyvault.credential: expected managed-identity or client-secret or "
      "client-certificate or workload-identity, found \"password\"" },
    { VAULT("keyvault: {\ncredential: client-secret}, passphrase: \"env:S\""),
      ":6: providers[0].keyvault.credential: expected with it the key client" },
    { VAULT("keyvault: {client: c,\ncredential: client-secret}"),
      ":6: providers[0].keyvault.credential: expected with it the provider's passphrase" },
    { VAULT("keyvault: {credential: client-secret, client: c},\npassphrase: \"prompt:Secret\""),
      ":6: providers[0].passphrase: expected no prompt" },
    { VAULT("keyvault: {client: c,\ncredential: client-certificate}"),
      ":6: providers[0].keyvault.credential: expected with it the key certificate" },
    { VAULT("keyvault: {\ncertificate: c.pem}"),
      ":6: providers[0].keyvault.certificate: expected only with credential: client-certificate" },
    { VAULT("passphrase: \"env:S\""), ":5: providers[0].passphrase: expected none" },
    { VAULT("keyvault: {resource: \"http://vault.azure.net\"}"),
      ":5: providers[0].keyvault.resource: expected an URL that begins with https://" },
    { VAULT("keyvault: {resource: \"https://vault.azure.net?a\"}"),
      ":5: providers[0].keyvault.resource: expected an URL that begins with https://" },
    { VAULT("keyvault: {authority: \"https:// a\"}"),
      ":5: providers[0].keyvault.authority: expected https://HOST, and nothing after the host" },
    { VAULT("keyvault: {\nauthority: \"https://login.microsoftonline.com/tenant\"}"),
      ":6: providers[0].keyvault.authority: expected https://HOST, and nothing after the host" },
    { VAULT("keyvault: {authority: \"https://a?b\"}"),
      ":5: providers[0].keyvault.authority: expected https://HOST" },
    { VAULT("keyvault: {authority: \"https://me@a\"}"),
      ":5: providers[0].keyvault.authority: expected https://HOST" },
    { VAULT("keyvault: {authority: \"https://a:/\"}"),
      ":5: providers[0].keyvault.authority: expected https://HOST" },
    { VAULT("keyvault: {in-flight: 0}"),
      ":5: providers[0].keyvault.in-flight: expected a number from 1 to 4096" },
    { VAULT("keyvault: {timeout: 10}"), ":5: providers[0].keyvault.timeout: expected a duration" },
    { VAULT("keyvault: {secret: s}"), ":5: providers[0].keyvault: unknown key \"secret\"" },
    { "version: 1\nproviders:\n- {name: a, kind: opensl}\n",
      ":3: providers[0].kind: expected openssl" },
    { GOOD "engine: {workers: 010}\n", ":14: engine.workers: expected a number from 0 to 1024" },
    { GOOD "engine: {workers: 0x10}\n", ":14: engine.workers: expected a number" },
    { GOOD "engine: {workers: -1}\n", ":14: engine.workers: expected a number" },
    { GOOD "engine: {workers: 99999999999999999999999}\n", ":14: engine.workers: expected" },
    { GOOD "engine:\n  batch-items: 0\n",
      ":15: engine.batch-items: expected a number from 1 to 4096, found \"0\"" },
    { GOOD "engine: {batch-age: 4}\n",
      ":14: engine.batch-age: expected a duration from 0ms to 10s, like 4ms" },
    { GOOD "engine: {batch-age: 4 ms}\n", ":14: engine.batch-age: expected a duration" },
    { GOOD "engine: {batch-age: 11s}\n", ":14: engine.batch-age: expected a duration" },
    { GOOD "engine: {intent-hold: 1w}\n",
      ":14: engine.intent-hold: expected a duration from 1s to 30d" },
    { GOOD "    remember-refusals: perhaps\n",
      ":14: requesters[0].remember-refusals: expected yes or no, found \"perhaps\"" },
    { GOOD "queue: {kind: kafka}\n", ":14: queue.kind: expected spool or redis, found \"kafka\"" },
    { HEAD "    crl-url: https://a.example/x\n",
      ":7: authorities[0].crl-url: expected an URL that begins with http://" },
    { HEAD "    ocsp-url: \"http://a b\"\n", ":7: authorities[0].ocsp-url: expected an URL" },
    /* secrets */
    { GOOD "queue:\n  redis: {password: hunter2}\n",
      ":15: queue.redis.password: expected a reference (file:PATH, env:NAME, credential:NAME or "
      "prompt:WORDS); secrets never stand in this file" },
    { GOOD "queue:\n  redis: {password: \"env:\"}\n",
      ":15: queue.redis.password: expected a reference" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: redis://app:hunter2@db\n",
      ":17: queue.redis.url: expected no password here" },
    { "version: 1\nproviders:\n- name: a\n  kind: openssl\n  passphrase: 1234\n",
      ":5: providers[0].passphrase: expected a reference" },
    /* TLS */
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: rediss://\n",
      ":17: queue.redis.url: expected unix:///PATH or redis[s]://[USER@]HOST[:PORT][/DB]" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: rediss://app:hunter2@db\n",
      ":17: queue.redis.url: expected no password here" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: redis://db\n    tls-ca: ca.pem\n",
      ":18: queue.redis.tls-ca: expected only with an url that begins with rediss://" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: rediss://db\n    tls-key: k.pem\n",
      ":18: queue.redis.tls-key: expected tls-certificate and tls-key together" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: rediss://db\n    tls-certificate: c.pem\n",
      ":18: queue.redis.tls-certificate: expected tls-certificate and tls-key together" },
    /* authentication */
    { GOOD "    auth: hmac\n",
      ":14: requesters[0].auth: expected none or hmac-sha256 or ed25519, found \"hmac\"" },
    { GOOD "    auth: hmac-sha256\n",
      ":14: requesters[0].auth: hmac-sha256 needs the key \"secret\"" },
    { GOOD "    auth: ed25519\n",
      ":14: requesters[0].auth: ed25519 needs the key \"public-keys\"" },
    { GOOD "    auth: hmac-sha256\n    secret: hunter2\n",
      ":15: requesters[0].secret: expected a reference" },
    { GOOD
      "    auth: hmac-sha256\n    secret: env:A\n    old-secrets:\n    - env:B\n    - hunter2\n",
      ":18: requesters[0].old-secrets[1]: expected a reference (file:PATH, env:NAME, "
      "credential:NAME or prompt:WORDS); secrets never stand in this file" },
    { GOOD "    auth: hmac-sha256\n    secret: prompt:Secret of line 1\n",
      ":15: requesters[0].secret: expected file:PATH, env:NAME or credential:NAME; a secret that "
      "requester and engine share is not asked for" },
    { GOOD
      "    auth: hmac-sha256\n    secret: env:A\n    old-secrets:\n    - env:B\n    - prompt:Old\n",
      ":18: requesters[0].old-secrets[1]: expected file:PATH, env:NAME or credential:NAME" },
    { GOOD "    secret: env:A\n",
      ":14: requesters[0].secret: expected only with auth: hmac-sha256" },
    { GOOD "    auth: ed25519\n    public-keys: [" KEY "]\n    old-secrets: [env:A]\n",
      ":16: requesters[0].old-secrets: expected only with auth: hmac-sha256" },
    { GOOD "    auth: none\n    public-keys: [" KEY "]\n",
      ":15: requesters[0].public-keys: expected only with auth: ed25519" },
    { GOOD "    clock-window: 1m\n",
      ":14: requesters[0].clock-window: expected only with auth: hmac-sha256 or ed25519" },
    { GOOD "    auth: ed25519\n    public-keys: []\n",
      ":15: requesters[0].public-keys: expected 1 to 8 entries, found 0" },
    { GOOD "    auth: ed25519\n    public-keys:\n    - " KEY "\n    - " KEY "A\n",
      ":17: requesters[0].public-keys[1]: expected the PEM file of an Ed25519 public key, or "
      "base64url of its 32 octets: " },
    { GOOD "    auth: ed25519\n    public-keys: [certmill.yaml]\n",
      ":15: requesters[0].public-keys[0]: expected the PEM file" },
    { GOOD "    auth: ed25519\n    public-keys: [" KEY "]\n    clock-window: 1w\n",
      ":16: requesters[0].clock-window: expected a duration from 1s to 30d" },
    { GOOD "    auth: ed25519\n    public-keys: [" KEY "]\n",
      ":14: requesters[0].auth: expected none for the requester of the spool: files carry no "
      "authentication" },
    /* what refers to nothing */
    { HEAD "groups:\n  - {name: a, authority: isuing, profiles: [idevid]}\n",
      ":8: groups[0].authority: \"isuing\" is not an authority (did you mean issuing?)" },
    { HEAD "groups:\n  - {name: a, authority: other, profiles: [idevid]}\n",
      ":8: groups[0].authority: \"other\" is not an authority (there is: issuing)" },
    { HEAD GROUPS "    profiles:\n    - idevid\n    - device-cleint\n",
      ":12: groups[0].profiles[1]: \"device-cleint\" is not a profile (did you mean "
      "device-client?)" },
    { HEAD GROUPS "    profiles: []\n", ":10: groups[0].profiles: expected 1 to 64 entries" },
    { HEAD GROUPS GROUPS_END "requesters:\n- name: local\n  groups:\n  - defualt\n",
      ":14: requesters[0].groups[0]: \"defualt\" is not a group (did you mean default?)" },
    { GOOD "queue: {spool: {requester: mes}}\n",
      ":14: queue.spool.requester: \"mes\" is not a requester (there is: local)" },
    { GOOD "queue:\n  kind: redis\n", ":15: queue.redis: the key \"url\" is missing" },
    { GOOD "queue:\n  kind: redis\n  redis:\n    url: tcp://x\n",
      ":17: queue.redis.url: expected unix:///PATH or redis[s]://" },
    /* names twice */
    { HEAD "  - name: issuing\n", ":7: authorities[1].name: the name \"issuing\" stands twice" },
    { GOOD "  - {name: local, groups: []}\n",
      ":14: requesters[1].name: the name \"local\" stands twice" },
    /* authorities */
    { HEAD "    crl-shards: 4\n",
      ":7: authorities[0].crl-shards: more than one shard needs ${shard} in crl-url" },
    { HEAD "    crl-url: http://a/${shrad}.crl\n",
      ":7: authorities[0].crl-url: expected no placeholder but ${issuer} ${shard}" },
    { HEAD "    ocsp-url: http://a/${issuer}\n",
      ":7: authorities[0].ocsp-url: expected no placeholder but none at all" },
    { HEAD "    crl-url: http://a/$\n", ":7: authorities[0].crl-url: expected no placeholder" },
    { HEAD "    crl-overlap: 7d\n",
      ":7: authorities[0].crl-overlap: expected crl-overlap (7d) to be less than crl-validity "
      "(7d)" },
    { HEAD "    crl-validity: 1d\n",
      ":7: authorities[0].crl-validity: expected crl-overlap (3d) to be less than crl-validity "
      "(1d)" },
    { HEAD "    crl-validity: 8d\n    delta-crl-validity: 9d\n",
      ":8: authorities[0].delta-crl-validity: expected delta-crl-validity (9d) to be less than "
      "crl-validity (8d)" },
    { HEAD "    crl-validity: never\n",
      ":7: authorities[0].crl-validity: expected a duration from 2s to 365d" },
    { HEAD "    ocsp-responder: sfot\n",
      ":7: authorities[0].ocsp-responder: \"sfot\" is not a provider (did you mean soft?)" },
    { HEAD "    responder-validity: 9d\n",
      ":7: authorities[0].responder-validity: expected only with ocsp-responder" },
    /* operations */
    { GOOD "    operations: [issue, revok]\n",
      ":14: requesters[0].operations[1]: \"revok\" is not an operation (did you mean revoke?)" },
    { GOOD "    operations: issue\n", ":14: requesters[0].operations: expected a list" },
    /* status */
    { GOOD "status:\n  listen: localhost:8899\n",
      ":15: status.listen: expected ADDRESS:PORT, like 127.0.0.1:8899 or [::1]:8899, found "
      "\"localhost:8899\"" },
    { GOOD "status: {listen: 8899}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"127.0.0.1\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"127.0.0.1:\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"127.0.0.1:65536\"}\n", ":14: status.listen: expected ADDRESS" },
    { GOOD "status: {listen: \"127.0.0.1:080\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"127.0.0.1:80a\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"::1:80\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"[::1]80\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"[::1:80\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {listen: \"[127.0.0.1]:80\"}\n", ":14: status.listen: expected ADDRESS:PORT" },
    { GOOD "status: {threads: 0}\n", ":14: status.threads: expected a number from 1 to 64" },
    /* profiles */
    { GOOD "profiles: [{name: meter}]\n", ":14: profiles[0]: the key \"base\" is missing" },
    { GOOD "profiles:\n  - name: meter\n    base: device-clent\n",
      ":16: profiles[0].base: \"device-clent\" is not a built-in profile or one that stands "
      "earlier (did you mean device-client?)" },
    { GOOD "profiles: [{name: meter, base: meter}]\n", ":14: profiles[0].base: \"meter\" is not" },
    { GOOD "profiles: [{name: idevid, base: ldevid}]\n",
      ":14: profiles[0].name: there is a profile \"idevid\" already" },
    { PROFILE "    validity: forever\n",
      ":17: profiles[0].validity: expected a duration from 1m to 36500d, like 4ms, 5s, 15m, 24h "
      "or 365d, or no-expiry" },
    { PROFILE "    validity: 100001ms\n", ":17: profiles[0].validity: expected whole seconds" },
    { PROFILE "    subject:\n    - {field: commonname, text: x}\n",
      ":18: profiles[0].subject[0].field: \"commonname\" is not a field of a subject (there is: "
      "cn, serial-number, c," },
    { PROFILE "    subject:\n    - {field: cn}\n",
      ":18: profiles[0].subject[0]: the key \"text\" is missing" },
    { PROFILE "    subject:\n    - {field: cn, text: \"${devcie}\"}\n",
      ":18: profiles[0].subject[0]: " },
    { PROFILE "    altnames:\n    - {kind: dsn, text: x}\n",
      ":18: profiles[0].altnames[0].kind: \"dsn\" is not a kind of name (did you mean dns?)" },
    { PROFILE "    altnames:\n    - kind: hardware-module\n      text: x\n",
      ":18: profiles[0].altnames[0]: " },
    { PROFILE "    csr-altnames: [hardware-module]\n",
      ":17: profiles[0].csr-altnames[0]: \"hardware-module\" is not a kind of name that a CSR" },
    { PROFILE "    key-types: [p256, p265]\n",
      ":17: profiles[0].key-types[1]: \"p265\" is not a key type (did you mean p256?)" },
    { PROFILE "    key-usage: [sign]\n",
      ":17: profiles[0].key-usage[0]: \"sign\" is not a key usage" },
    { PROFILE "    key-usage: [key-cert-sign]\n", ":17: profiles[0].key-usage: " },
    { PROFILE "    purposes: [client-auht]\n",
      ":17: profiles[0].purposes[0]: \"client-auht\" is not a purpose and not a dotted OID (did "
      "you mean client-auth?)" },
    { PROFILE "    policies: [one]\n", ":17: profiles[0].policies[0]: " },
    { PROFILE "    ski-method: sha1\n",
      ":17: profiles[0].ski-method: expected rfc7093-1 or rfc5280-1, found \"sha1\"" },
    { PROFILE "    path-length: 0\n", ":17: profiles[0].path-length: " },
    { PROFILE "    ocsp-no-check: yes\n", ":17: profiles[0].ocsp-no-check: only with the purpose" },
};

static void test_bad_files_are_refused_with_line_and_expectation(void)
{
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char expected[sizeof path + CM_ERROR_TEXT_SIZE];
        cm_status status = read_text(bad_files[i].text, &settings, &err);
        snprintf(expected, sizeof expected, "%s%s", path, bad_files[i].expected);
        if (status != CM_MALFORMED || strncmp(err.text, expected, strlen(expected)) != 0) {
            printf("\n%s\nexpected: %s\nfound:    %s\n", bad_files[i].text, expected, err.text);
            CU_FAIL("another message was expected");
        }
        CU_ASSERT_PTR_NULL(settings);
    }
}

static void test_a_secret_in_clear_text_is_not_repeated(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(read_text(GOOD "queue: {redis: {password: hunter2}}\n", &settings, &err),
                    CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
    CU_ASSERT_EQUAL(
        read_text(GOOD "queue: {redis: {url: \"redis://a:hunter2@b\"}}\n", &settings, &err),
        CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
}

static void test_a_missing_file_is_not_found(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(cm_settings_read("/nowhere/certmill.yaml", &settings, &err), CM_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nowhere/certmill.yaml"));
}

static void test_a_folder_and_a_huge_file_are_refused(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(cm_settings_read(cm_test_scratch(), &settings, &err), CM_IO);
    size_t size = 2u << 20;
    char *text = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, '#', size);
    CU_ASSERT_EQUAL(cm_settings_read(write_file(text, size), &settings, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "expected at most 1048576 bytes"));
    free(text);
}

static void test_a_nul_character_is_refused(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(read_text("version: 1\nstore: {path: \"a\\0b\"}\n", &settings, &err),
                    CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ":2: store.path: a NUL character"));
}

/* Understood, or refused with the file's name and a line: nothing else may come out. */
static void expect_verdict(const char *text, size_t size)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    cm_status status = cm_settings_read(write_file(text, size), &settings, &err);
    if (status == CM_OK) {
        cm_settings_free(settings);
        return;
    }
    CU_ASSERT_EQUAL(status, CM_MALFORMED);
    CU_ASSERT_EQUAL(strncmp(err.text, path, strlen(path)), 0);
    CU_ASSERT(strtol(err.text + strlen(path) + 1, NULL, 10) > 0);
}

static void test_a_file_cut_or_damaged_anywhere_gets_a_verdict(void)
{
    static const char whole[] = PROFILE "    subject:\n    - {field: cn, text: \"${device}\"}\n"
                                        "    key-types: [p256]\n    validity: 90d\n"
                                        "queue: {redis: {password: \"env:PW\"}}\n";
    static const char damages[] = "\0\n:[{&*'\"x";
    char text[sizeof whole];
    for (size_t size = 0; size < sizeof whole; size++)
        expect_verdict(whole, size);
    for (size_t at = 0; at < sizeof whole - 1; at++)
        for (size_t damage = 0; damage < sizeof damages - 1; damage++) {
            memcpy(text, whole, sizeof whole);
            text[at] = damages[damage];
            expect_verdict(text, sizeof whole - 1);
        }
}

static void test_an_alias_of_itself_is_refused(void)
{
    expect_verdict("version: 1\nproviders: &a [*a]\n", strlen("version: 1\nproviders: &a [*a]\n"));
    expect_verdict("&a {version: *a}\n", strlen("&a {version: *a}\n"));
    expect_verdict("&a {store: *a}\n", strlen("&a {store: *a}\n"));
}

/* --------------------------------------------------------------------------- good files -- */

static struct cm_settings *good(const char *text)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    if (read_text(text, &settings, &err) != CM_OK) {
        printf("%s\n", err.text);
        CU_FAIL_FATAL("a good file was refused");
    }
    return settings;
}

static void test_the_keys_of_revocation_are_read(void)
{
    struct cm_settings *settings = good(
        HEAD "    crl-validity: 2d\n    crl-overlap: 1d\n    crl-delay: 500ms\n"
             "    delta-crl-validity: 1h\n    ocsp-validity: 2h\n"
             "    ocsp-responder: soft\n    responder-validity: 9d\n" GROUPS GROUPS_END REQUESTERS
             "    operations: [revoke, retire]\n");
    const struct cm_settings_authority *authority = &settings->authorities[0];
    CU_ASSERT_EQUAL(authority->crl_validity_s, 2 * 86400);
    CU_ASSERT_EQUAL(authority->crl_overlap_s, 86400);
    CU_ASSERT_EQUAL(authority->crl_delay_ms, 500);
    CU_ASSERT_EQUAL(authority->delta_validity_s, 3600);
    CU_ASSERT_EQUAL(authority->ocsp_validity_s, 7200);
    CU_ASSERT_PTR_EQUAL(authority->ocsp_responder, &settings->providers[0]);
    CU_ASSERT_EQUAL(authority->responder_validity_s, 9 * 86400);
    CU_ASSERT_EQUAL(settings->requesters[0].operations,
                    CM_OPERATION_BIT(CM_OPERATION_REVOKE) | CM_OPERATION_BIT(CM_OPERATION_RETIRE));
    cm_settings_free(settings);
}

static void test_the_status_service_may_listen_anywhere(void)
{
    static const char *const listens[] = { "127.0.0.1:0", "0.0.0.0:80", "[::1]:65535", "[::]:1" };
    for (size_t i = 0; i < sizeof listens / sizeof listens[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, GOOD "status: {listen: \"%s\", publish-folder: www}\n",
                 listens[i]);
        struct cm_settings *settings = good(text);
        CU_ASSERT_STRING_EQUAL(settings->status.listen, listens[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(settings->status.publish_folder, "/www"));
        cm_settings_free(settings);
    }
    struct cm_settings *settings = good(GOOD "    operations: []\n");
    CU_ASSERT_EQUAL(settings->requesters[0].operations, 0);
    cm_settings_free(settings);
}

static void test_absent_keys_have_their_defaults(void)
{
    struct cm_settings *settings = good(GOOD);
    CU_ASSERT_EQUAL(settings->queue_kind, CM_QUEUE_KIND_SPOOL);
    CU_ASSERT_STRING_EQUAL(settings->spool.requester, "local");
    CU_ASSERT_STRING_EQUAL(settings->spool.device_from, "file-name");
    CU_ASSERT_EQUAL(settings->redis.lease_ms, 60000);
    CU_ASSERT_EQUAL(settings->redis.deliveries_max, 5);
    CU_ASSERT_EQUAL(settings->redis.results_max, 0);
    CU_ASSERT_STRING_EQUAL(settings->redis.prefix, "certmill");
    CU_ASSERT_PTR_NULL(settings->redis.url);
    CU_ASSERT_PTR_NULL(settings->redis.password);
    CU_ASSERT_PTR_NULL(settings->authorities[0].crl_url);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_shards, 1);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_validity_s, 7 * 86400);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_overlap_s, 3 * 86400);
    CU_ASSERT_EQUAL(settings->authorities[0].crl_delay_ms, 5000);
    CU_ASSERT_EQUAL(settings->authorities[0].delta_validity_s, 0);
    CU_ASSERT_EQUAL(settings->authorities[0].ocsp_validity_s, 86400);
    CU_ASSERT_PTR_NULL(settings->authorities[0].ocsp_responder);
    CU_ASSERT_EQUAL(settings->authorities[0].responder_validity_s, 30 * 86400);
    CU_ASSERT_PTR_NULL(settings->status.listen);
    CU_ASSERT_EQUAL(settings->status.threads, 2);
    CU_ASSERT_EQUAL(settings->status.connections_max, 1000);
    CU_ASSERT_EQUAL(settings->status.deadline_ms, 10000);
    CU_ASSERT_EQUAL(settings->status.ocsp_answers_max, 100000);
    CU_ASSERT_PTR_NULL(settings->status.publish_folder);
    CU_ASSERT_EQUAL(settings->requesters[0].operations, CM_OPERATION_BIT(CM_OPERATION_ISSUE));
    CU_ASSERT_TRUE(settings->groups[0].reuse_key);
    CU_ASSERT_EQUAL(settings->groups[0].quota_per_day, 0);
    CU_ASSERT_TRUE(settings->requesters[0].remember_refusals);
    CU_ASSERT_EQUAL(settings->engine.batch_items_max, 256);
    CU_ASSERT_EQUAL(settings->engine.batch_age_ms_max, 4);
    CU_ASSERT_EQUAL(settings->engine.batches_in_flight, 8);
    CU_ASSERT_EQUAL(settings->engine.intent_hold_s, 3600);
    CU_ASSERT_EQUAL(settings->engine.clock_step_s_max, 5);
    CU_ASSERT_EQUAL(settings->engine.check_signatures, 1);
    cm_settings_free(settings);
}

static void test_relative_paths_start_in_the_folder_of_the_file(void)
{
    char expected[512];
    struct cm_settings *settings =
        good("version: 1\n" STORE
             "providers: [{name: a, kind: openssl, keys: /k, passphrase: \"file:p\"}]\n"
             "queue: {redis: {url: \"unix:///r.sock\", password: \"env:PW\"}}\n" AUTHORITY
             "requesters: [{name: local, groups: []}]\n");
    snprintf(expected, sizeof expected, "%s/s.db", cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->store_path, expected);
    CU_ASSERT_STRING_EQUAL(settings->folder, cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->providers[0].keys, "/k");
    snprintf(expected, sizeof expected, "file:%s/p", cm_test_scratch());
    CU_ASSERT_STRING_EQUAL(settings->providers[0].passphrase, expected);
    CU_ASSERT_STRING_EQUAL(settings->redis.password, "env:PW");
    cm_settings_free(settings);
}

static void test_names_become_pointers(void)
{
    struct cm_settings *settings = good(GOOD);
    const struct cm_settings_group *group = cm_settings_group(settings, cm_bytes_str("default"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(group);
    CU_ASSERT_PTR_EQUAL(group->authority, cm_settings_authority(settings, "issuing"));
    CU_ASSERT_EQUAL(group->profiles_count, 2);
    CU_ASSERT_PTR_EQUAL(group->profiles[0], cm_profile_builtin("device-client"));
    const struct cm_settings_requester *requester =
        cm_settings_requester(settings, cm_bytes_str("local"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(requester);
    CU_ASSERT_PTR_EQUAL(requester->groups[0], group);
    CU_ASSERT_PTR_NOT_NULL(cm_settings_provider(settings, "soft"));
    cm_settings_free(settings);
}

static void test_finders_find_no_name_that_is_not_there(void)
{
    struct cm_settings *settings = good(GOOD);
    CU_ASSERT_PTR_NULL(cm_settings_group(settings, cm_bytes_str("defaul")));
    CU_ASSERT_PTR_NULL(cm_settings_group(settings, cm_bytes(NULL, 0)));
    CU_ASSERT_PTR_NULL(cm_settings_requester(settings, cm_bytes_str("default")));
    CU_ASSERT_PTR_NULL(cm_settings_authority(settings, ""));
    CU_ASSERT_PTR_NULL(cm_settings_provider(settings, "hard"));
    CU_ASSERT_PTR_NULL(cm_settings_profile(settings, cm_bytes_str("device")));
    cm_settings_free(settings);
}

static void test_an_own_profile_takes_what_it_does_not_say_from_its_base(void)
{
    const struct cm_profile *base = cm_profile_builtin("device-client");
    struct cm_settings *settings =
        good(PROFILE "    validity: 90d\n    key-types: [p384]\n    revocation-info: no\n"
                     "  - name: meter-2\n    base: meter\n    purposes: []\n    backdate: 2h\n"
                     "    subject:\n    - {field: o, text: Meters}\n"
                     "    - {field: cn, text: \"${device}\", optional: yes}\n"
                     "  - name: answers\n    base: ocsp-responder\n"
                     "  - name: answers-2\n    base: ocsp-responder\n    ocsp-no-check: no\n");
    const struct cm_profile *meter = cm_settings_profile(settings, cm_bytes_str("meter"));
    const struct cm_profile *second = cm_settings_profile(settings, cm_bytes_str("meter-2"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(meter);
    CU_ASSERT_PTR_NOT_NULL_FATAL(second);
    CU_ASSERT_EQUAL(meter->validity_s, 90 * 86400);
    CU_ASSERT_EQUAL(meter->key_types, CM_KEY_TYPE_BIT(CM_KEY_P384));
    CU_ASSERT_TRUE(meter->no_revocation_info);
    CU_ASSERT_PTR_EQUAL(meter->subject, base->subject);
    CU_ASSERT_EQUAL(meter->purposes_count, base->purposes_count);
    CU_ASSERT_EQUAL(second->validity_s, 90 * 86400);
    CU_ASSERT_EQUAL(second->backdate_s, 7200);
    CU_ASSERT_EQUAL(second->purposes_count, 0);
    CU_ASSERT_EQUAL(second->subject_count, 2);
    CU_ASSERT_EQUAL(second->subject[0].field, CM_SUBJECT_O);
    CU_ASSERT_STRING_EQUAL(second->subject[1].text, "${device}");
    CU_ASSERT_TRUE(second->subject[1].optional);
    CU_ASSERT_FALSE(second->subject[0].optional);
    CU_ASSERT_FALSE(meter->ocsp_no_check);
    CU_ASSERT_TRUE(cm_settings_profile(settings, cm_bytes_str("answers"))->ocsp_no_check);
    CU_ASSERT_FALSE(cm_settings_profile(settings, cm_bytes_str("answers-2"))->ocsp_no_check);
    cm_settings_free(settings);
}

static void test_a_profile_may_have_no_expiry(void)
{
    struct cm_settings *settings = good(PROFILE "    validity: no-expiry\n");
    CU_ASSERT_EQUAL(cm_settings_profile(settings, cm_bytes_str("meter"))->validity_s,
                    CM_VALIDITY_NO_EXPIRY);
    cm_settings_free(settings);
}

static void test_burst_is_the_rate_unless_it_is_said(void)
{
    struct cm_settings *settings = good(GOOD "    rate: 50\n");
    CU_ASSERT_EQUAL(settings->requesters[0].burst, 50);
    cm_settings_free(settings);
    settings = good(GOOD "    rate: 50\n    burst: 200\n    quota-per-day: 5000000000\n");
    CU_ASSERT_EQUAL(settings->requesters[0].burst, 200);
    CU_ASSERT_EQUAL(settings->requesters[0].quota_per_day, 5000000000u);
    cm_settings_free(settings);
}

static const char authenticated[] = HEAD GROUPS GROUPS_END
    "queue: {kind: redis, redis: {url: \"redis://h\"}}\n"
    "requesters:\n"
    "- {name: a, groups: [default]}\n"
    "- {name: b, groups: [], auth: hmac-sha256, secret: env:B,\n"
    "   old-secrets: [\"file:old\", \"credential:c\"], clock-window: 90s}\n"
    "- {name: c, groups: [], auth: ed25519, public-keys: [" KEY ", k.pem]}\n";

static void test_requesters_say_how_they_authenticate(void)
{
    char file_path[520];
    snprintf(file_path, sizeof file_path, "%s/k.pem", cm_test_scratch());
    FILE *file = fopen(file_path, "w");
    fputs("-----BEGIN PUBLIC KEY-----\n"
          "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
          "-----END PUBLIC KEY-----\n",
          file);
    fclose(file);
    struct cm_settings *settings = good(authenticated);
    const struct cm_settings_requester *requesters = settings->requesters;
    CU_ASSERT_EQUAL(requesters[0].auth, CM_AUTH_NONE);
    CU_ASSERT_EQUAL(requesters[1].auth, CM_AUTH_HMAC_SHA256);
    CU_ASSERT_EQUAL_FATAL(requesters[1].secrets_count, 3);
    CU_ASSERT_STRING_EQUAL(requesters[1].secrets[0], "env:B");
    CU_ASSERT_EQUAL(strncmp(requesters[1].secrets[1], "file:/", 6), 0);
    CU_ASSERT_STRING_EQUAL(requesters[1].secrets[2], "credential:c");
    CU_ASSERT_EQUAL(requesters[1].clock_window_ms, 90000);
    CU_ASSERT_EQUAL(requesters[2].auth, CM_AUTH_ED25519);
    CU_ASSERT_EQUAL_FATAL(requesters[2].public_keys_count, 2);
    CU_ASSERT_EQUAL(requesters[2].public_keys[0][0], 0xd7);
    CU_ASSERT_EQUAL(requesters[2].public_keys[1][0], 0x19);
    CU_ASSERT_EQUAL(requesters[2].clock_window_ms, 300000);
    cm_settings_free(settings);
}

static void test_anchors_may_be_used(void)
{
    struct cm_settings *settings =
        good(HEAD "groups:\n- {name: a, authority: issuing, profiles: &p [idevid]}\n"
                  "- {name: b, authority: issuing, profiles: *p}\n"
                  "requesters: [{name: local, groups: [a, b]}]\n");
    CU_ASSERT_PTR_EQUAL(settings->groups[1].profiles[0], cm_profile_builtin("idevid"));
    cm_settings_free(settings);
}

static void test_free_takes_null(void)
{
    cm_settings_free(NULL);
}

static void test_sessions_of_a_token_are_a_number_or_measured(void)
{
    static const struct {
        const char *line;
        uint32_t expected;
    } rows[] = {
        { "", 0 }, { ", sessions: auto", 0 }, { ", sessions: 4", 4 }, { ", sessions: 64", 64 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char text[1024];
        snprintf(text, sizeof text,
                 "version: 1\n" STORE
                 "providers:\n  - {name: h, kind: pkcs11, module: m.so%s}\n" AUTHORITY GROUPS
                     GROUPS_END REQUESTERS,
                 rows[i].line);
        CU_ASSERT_EQUAL(read_text(text, &settings, &err), CM_OK);
        if (!settings)
            continue;
        CU_ASSERT_EQUAL(settings->providers[0].workers, rows[i].expected);
        CU_ASSERT_STRING_EQUAL(settings->providers[0].kind, "pkcs11");
        CU_ASSERT_EQUAL(settings->providers[0].module[0], '/'); /* from the file's folder */
        cm_settings_free(settings);
    }
}

/* Every one is the JSON that the backend reads: providers/keyvault/options.h. */
static void test_the_map_of_a_key_vault_becomes_its_options(void)
{
    static const struct {
        const char *text, *options[3]; /* between them the folder */
    } rows[] = {
        { VAULT(""),
          { "{\"credential\":\"managed-identity\",\"require\":\"software\",\"in-flight\":256,"
            "\"timeout-ms\":10000,\"watch-ms\":300000,\"api-version\":\"7.4\"}" } },
        { VAULT(
              "passphrase: \"file:key-pass\", keyvault: {credential: client-certificate, tenant: t, "
              "client: c, certificate: own.pem, require: hsm, in-flight: 9, rate: 40, timeout: 3s, "
              "watch: 1m, trust: 'a\"b.pem', resource: \"https://vault.azure.net\", "
              "authority: \"https://login.example:8443/\", api-version: 7.6}"),
          { "{\"credential\":\"client-certificate\",\"tenant\":\"t\",\"client\":\"c\",\"certificate\":\"",
            "/own.pem\",\"require\":\"hsm\",\"in-flight\":9,\"rate\":40,\"timeout-ms\":3000,"
            "\"watch-ms\":60000,\"trust\":\"",
            "/a\\\"b.pem\",\"resource\":\"https://vault.azure.net\",\"authority\":\"https://login.example:8443/\","
            "\"api-version\":\"7.6\"}" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char expected[2048], *folder = realpath(cm_test_scratch(), NULL);
        const char *const *options = rows[i].options;
        if (options[1])
            snprintf(expected, sizeof expected, "%s%s%s%s%s", options[0], folder, options[1],
                     folder, options[2]);
        else
            snprintf(expected, sizeof expected, "%s", options[0]);
        free(folder);
        CU_ASSERT_EQUAL(read_text(rows[i].text, &settings, &err), CM_OK);
        if (!settings) {
            CU_ASSERT_STRING_EQUAL(err.text, "");
            continue;
        }
        CU_ASSERT_STRING_EQUAL(settings->providers[0].kind, "keyvault");
        CU_ASSERT_STRING_EQUAL(settings->providers[0].options, expected);
        cm_settings_free(settings);
    }
}

/* JSON has no such path. Were it left out of the options, the system's CAs would be trusted. */
static void test_a_path_of_a_key_vault_that_is_not_utf8_is_refused(void)
{
    static const char *const rows[][2] = {
        { VAULT("keyvault: {trust: ca.pem}"), ":5: providers[0].keyvault.trust: expected a path" },
        { VAULT("keyvault: {client: c, credential: client-certificate,\ncertificate: own.pem}"),
          ":6: providers[0].keyvault.certificate: expected a path" },
    };
    char folder[400], file_path[480], expected[sizeof file_path + CM_ERROR_TEXT_SIZE];
    snprintf(folder, sizeof folder, "%s/f\xff", cm_test_scratch());
    snprintf(file_path, sizeof file_path, "%s/certmill.yaml", folder);
    CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        CU_ASSERT_EQUAL(rename(write_file(rows[i][0], strlen(rows[i][0])), file_path), 0);
        CU_ASSERT_EQUAL(cm_settings_read(file_path, &settings, &err), CM_MALFORMED);
        snprintf(expected, sizeof expected, "%s%s", file_path, rows[i][1]);
        CU_ASSERT_EQUAL(strncmp(err.text, expected, strlen(expected)), 0);
        cm_settings_free(settings);
    }
}

CM_TEST_SUITE(
    settings, CM_TEST(test_bad_files_are_refused_with_line_and_expectation),
    CM_TEST(test_a_secret_in_clear_text_is_not_repeated), CM_TEST(test_a_missing_file_is_not_found),
    CM_TEST(test_a_folder_and_a_huge_file_are_refused), CM_TEST(test_a_nul_character_is_refused),
    CM_TEST(test_a_file_cut_or_damaged_anywhere_gets_a_verdict),
    CM_TEST(test_an_alias_of_itself_is_refused), CM_TEST(test_absent_keys_have_their_defaults),
    CM_TEST(test_the_keys_of_revocation_are_read),
    CM_TEST(test_the_status_service_may_listen_anywhere),
    CM_TEST(test_relative_paths_start_in_the_folder_of_the_file),
    CM_TEST(test_names_become_pointers), CM_TEST(test_finders_find_no_name_that_is_not_there),
    CM_TEST(test_an_own_profile_takes_what_it_does_not_say_from_its_base),
    CM_TEST(test_a_profile_may_have_no_expiry), CM_TEST(test_burst_is_the_rate_unless_it_is_said),
    CM_TEST(test_requesters_say_how_they_authenticate), CM_TEST(test_anchors_may_be_used),
    CM_TEST(test_free_takes_null), CM_TEST(test_sessions_of_a_token_are_a_number_or_measured),
    CM_TEST(test_the_map_of_a_key_vault_becomes_its_options),
    CM_TEST(test_a_path_of_a_key_vault_that_is_not_utf8_is_refused));
