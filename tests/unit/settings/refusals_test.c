/*
 * Goal: a settings file that is not understood is refused with the line and what was expected.
 * Method: a table of bad files, each a small change of a good one; files that are cut or damaged.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/settings/settings_rig.h"

static const struct rig_refusal bad_files[] = {
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
    { GOOD "    results: many\n", ":14: requesters[0].results: expected single or grouped" },
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
    /* schedules */
    { HEAD "    issues-for: 1ms\n",
      ":7: authorities[0].issues-for: expected a duration from 1s to 36500d" },
    { HEAD "    issues-for: 9d\n    rotate-ahead: 9d\n",
      ":8: authorities[0].rotate-ahead: expected rotate-ahead (9d) to be less than issues-for (9d)" },
    { HEAD "    issues-for: 9d\n    rotation: auto\n",
      ":8: authorities[0].rotation: expected warn or prepare or automatic, found \"auto\"" },
    { HEAD "    rotate-ahead: 1d\n",
      ":7: authorities[0].rotate-ahead: expected only with issues-for" },
    { HEAD "    rotation: warn\n", ":7: authorities[0].rotation: expected only with issues-for" },
    { HEAD "    retired-keys: destroy\n",
      ":7: authorities[0].retired-keys: expected only with issues-for" },
    { HEAD "    issues-for: 9d\n    rotation: prepare\n    retired-keys: destroy\n",
      ":9: authorities[0].retired-keys: expected only with rotation: automatic" },
    /* renewals */
    { HEAD GROUPS GROUPS_END "    renewal-window: 0s\n",
      ":11: groups[0].renewal-window: expected a duration from 1s to 36500d" },
    { HEAD GROUPS GROUPS_END "    renewal-window: soon\n",
      ":11: groups[0].renewal-window: expected a duration from" },
    { HEAD GROUPS GROUPS_END "    renew-after-expiry: -1d\n",
      ":11: groups[0].renew-after-expiry: expected a duration from" },
    { HEAD GROUPS GROUPS_END "    renewal-key: old\n",
      ":11: groups[0].renewal-key: expected either or same or new, found \"old\"" },
    { HEAD GROUPS GROUPS_END "    reuse-key: no\n    renewal-key: same\n",
      ":12: groups[0].renewal-key: expected new or either with reuse-key: no" },
    /* operations */
    { GOOD "    operations: [issue, revok]\n",
      ":14: requesters[0].operations[1]: \"revok\" is not an operation (did you mean revoke?)" },
    { GOOD "    operations: issue\n", ":14: requesters[0].operations: expected a list" },
    /* audit */
    { GOOD "audit: {key: \"file:a.pem\"}\n", ":14: audit.key: expected provider beside it" },
    { GOOD "audit: {key: \"file:a.pem\", provider: sofd}\n",
      ":14: audit.provider: \"sofd\" is not a provider (did you mean soft?)" },
    { GOOD "audit: {file: c.jsonl}\n", ":14: audit.file: expected only with audit.key" },
    { GOOD "audit: {provider: soft}\n", ":14: audit.provider: expected only with audit.key" },
    { GOOD "audit: {key: k, provider: soft, redis-stream: s}\n",
      ":14: audit.redis-stream: expected queue.redis.url beside it" },
    { GOOD "audit: {key: k, provider: soft, redis-stream: s}\n"
           "queue: {redis: {url: \"redis://h\", password: \"prompt:Redis\"}}\n",
      ":14: audit.redis-stream: expected a queue.redis.password that is not asked for" },
    { GOOD "audit: {key: k, provider: soft, interval: 10ms}\n", ":14: audit.interval: expected" },
    { GOOD "audit: {key: k, provider: soft, rows: 0}\n", ":14: audit.rows: expected a number" },
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
    { PROFILE "    permitted-names: [\"dns:a.b\"]\n",
      ":17: profiles[0].permitted-names: only a CA has name constraints" },
    { PROFILE "    ca: yes\n    key-usage: [key-cert-sign]\n    key-usage-rsa: [key-cert-sign]\n"
              "    excluded-names: [\"ip:10.0.0.1/8\"]\n",
      ":20: profiles[0].excluded-names[0]: the address has bits behind the prefix" },
    { PROFILE "    ski-method: sha1\n",
      ":17: profiles[0].ski-method: expected rfc7093-1 or rfc5280-1, found \"sha1\"" },
    { PROFILE "    path-length: 0\n", ":17: profiles[0].path-length: " },
    { PROFILE "    ocsp-no-check: yes\n", ":17: profiles[0].ocsp-no-check: only with the purpose" },
};

static void test_bad_files_are_refused_with_line_and_expectation(void)
{
    rig_expect_refusals(bad_files, sizeof bad_files / sizeof bad_files[0]);
}

static void test_a_secret_in_clear_text_is_not_repeated(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(rig_read(GOOD "queue: {redis: {password: hunter2}}\n", &settings, &err),
                    CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
    CU_ASSERT_EQUAL(
        rig_read(GOOD "queue: {redis: {url: \"redis://a:hunter2@b\"}}\n", &settings, &err),
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
    CU_ASSERT_EQUAL(cm_settings_read(rig_write(text, size), &settings, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "expected at most 1048576 bytes"));
    free(text);
}

static void test_a_nul_character_is_refused(void)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(rig_read("version: 1\nstore: {path: \"a\\0b\"}\n", &settings, &err),
                    CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ":2: store.path: a NUL character"));
}

/* Understood, or refused with the file's name and a line: nothing else may come out. */
static void expect_verdict(const char *text, size_t size)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    cm_status status = cm_settings_read(rig_write(text, size), &settings, &err);
    if (status == CM_OK) {
        cm_settings_free(settings);
        return;
    }
    CU_ASSERT_EQUAL(status, CM_MALFORMED);
    CU_ASSERT_EQUAL(strncmp(err.text, rig_path, strlen(rig_path)), 0);
    CU_ASSERT(strtol(err.text + strlen(rig_path) + 1, NULL, 10) > 0);
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
        CU_ASSERT_EQUAL(rename(rig_write(rows[i][0], strlen(rows[i][0])), file_path), 0);
        CU_ASSERT_EQUAL(cm_settings_read(file_path, &settings, &err), CM_MALFORMED);
        snprintf(expected, sizeof expected, "%s%s", file_path, rows[i][1]);
        CU_ASSERT_EQUAL(strncmp(err.text, expected, strlen(expected)), 0);
        cm_settings_free(settings);
    }
}

CM_TEST_SUITE(settings_refusals, CM_TEST(test_bad_files_are_refused_with_line_and_expectation),
              CM_TEST(test_a_secret_in_clear_text_is_not_repeated),
              CM_TEST(test_a_missing_file_is_not_found),
              CM_TEST(test_a_folder_and_a_huge_file_are_refused),
              CM_TEST(test_a_nul_character_is_refused),
              CM_TEST(test_a_file_cut_or_damaged_anywhere_gets_a_verdict),
              CM_TEST(test_an_alias_of_itself_is_refused),
              CM_TEST(test_a_path_of_a_key_vault_that_is_not_utf8_is_refused));
