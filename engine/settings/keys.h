/*
 * The keys of the settings file, once. Private to engine/settings*.c.
 *
 * Each mapping of the file is one list below. From a list come the struct that libcyaml fills
 * (struct raw_NAME), libcyaml's schema, the table that the walker checks a file against with line
 * numbers, the defaults, and docs/reference/settings.md.
 *
 * X(S, KIND, member, key, need, extra, min, max, default, help)
 *
 * S        the list's own name
 * KIND     what stands there: see enum settings_kind
 * extra    MAP, MAPS: name of the nested list; CHOICE: the words, separated by a blank; else 0
 * min, max of a number; of a duration in milliseconds; of a text in bytes; of a list in entries
 * default  as it would stand in the file; "" for none
 */
#ifndef CM_ENGINE_SETTINGS_KEYS_H
#define CM_ENGINE_SETTINGS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyaml/cyaml.h>

enum settings_kind {
    SETTINGS_TEXT,     /* any text */
    SETTINGS_NAME,     /* letters, digits, '.', '_' and '-'; begins with a letter or digit */
    SETTINGS_PATH,     /* of a file or folder, relative to the settings file's folder */
    SETTINGS_SECRET,   /* file:PATH, env:NAME, ... */
    SETTINGS_URL,      /* http://..., for what stands in certificates */
    SETTINGS_DURATION, /* 4ms, 5s, 15m, 24h, 365d */
    SETTINGS_VALIDITY, /* a duration of whole seconds, or no-expiry */
    SETTINGS_CHOICE,   /* one of a few words */
    SETTINGS_COUNT,    /* a whole number */
    SETTINGS_FLAG,     /* yes or no */
    SETTINGS_LIST,     /* of texts */
    SETTINGS_MAP,      /* nested keys */
    SETTINGS_MAPS      /* a list of entries with nested keys */
};

#define SETTINGS_MS_PER_S 1000ull
#define SETTINGS_MS_PER_D (24ull * 3600 * SETTINGS_MS_PER_S)
#define SETTINGS_QUOTA    1000000000000ull

/* The provider that misbehaves on purpose is for fault tests only. */
#ifdef CM_FAULT_POINTS
#    define SETTINGS_PROVIDER_KINDS "openssl pkcs11 keyvault fake"
#else
#    define SETTINGS_PROVIDER_KINDS "openssl pkcs11 keyvault"
#endif

#define SETTINGS_CREDENTIALS "managed-identity client-secret client-certificate workload-identity"

/* clang-format off */
#define SETTINGS_store(X, S)                                                                                           \
    X(S, PATH, path, "path", OPTIONAL, 0, 1, 4096, "store/certmill.db", "The SQLite database file.")

#define SETTINGS_spool(X, S)                                                                                           \
    X(S, PATH, folder, "folder", OPTIONAL, 0, 1, 4096, "spool", "Holds `incoming/`, `answered/` and `refused/`.")      \
    X(S, NAME, requester, "requester", OPTIONAL, 0, 1, 64, "local", "Under whose name files are submitted.")           \
    X(S, CHOICE, device_from, "device-from", OPTIONAL, "file-name cn serial-number", 0, 0, "file-name",                \
      "Where the device id of a file comes from: its name, or the common name or serial number in its subject.")

#define SETTINGS_redis(X, S)                                                                                           \
    X(S, TEXT, url, "url", OPTIONAL, 0, 1, 1024, "",                                                                   \
      "`unix:///PATH`, `redis://[USER@]HOST[:PORT][/DB]`, or `rediss://...` over TLS. "                                \
      "Needed when `queue.kind` is `redis`.")                                                                          \
    X(S, PATH, tls_ca, "tls-ca", OPTIONAL, 0, 1, 4096, "",                                                             \
      "With `rediss://`: a PEM file of the CAs that the server's certificate may lead to. Without it: the system's.")  \
    X(S, PATH, tls_certificate, "tls-certificate", OPTIONAL, 0, 1, 4096, "",                                           \
      "With `rediss://`: a PEM file of the client certificate and its chain, where the server wants one.")             \
    X(S, PATH, tls_key, "tls-key", OPTIONAL, 0, 1, 4096, "", "Its private key, a PEM file without a passphrase.")      \
    X(S, TEXT, tls_server_name, "tls-server-name", OPTIONAL, 0, 1, 255, "",                                            \
      "With `rediss://`: the name in the server's certificate. Without it: the host of the URL.")                      \
    X(S, NAME, prefix, "prefix", OPTIONAL, 0, 1, 64, "certmill", "Of every key in Redis.")                             \
    X(S, NAME, consumer, "consumer", OPTIONAL, 0, 1, 128, "",                                                          \
      "Name of this engine in the consumer group, unique among engines. Without it: host name and process id.")        \
    X(S, SECRET, password, "password", OPTIONAL, 0, 1, 4096, "",                                                       \
      "The password of the Redis user, at most 255 octets.")                                                           \
    X(S, DURATION, lease, "lease", OPTIONAL, 0, SETTINGS_MS_PER_S, SETTINGS_MS_PER_D, "60s",                           \
      "Entries that another engine has held for longer are taken over.")                                               \
    X(S, COUNT, deliveries_max, "deliveries-max", OPTIONAL, 0, 1, 1000, "5",                                           \
      "An entry delivered more often is answered `request.undeliverable` and set aside.")                              \
    X(S, COUNT, results_max, "results-max", OPTIONAL, 0, 0, UINT32_MAX, "0",                                           \
      "Result streams are trimmed to about so many entries; 0: never.")                                                \
    X(S, COUNT, notices_max, "notices-max", OPTIONAL, 0, 0, UINT32_MAX, "0",                                           \
      "The stream of renewal notices is trimmed to about so many entries, read or not; 0: never.")

#define SETTINGS_queue(X, S)                                                                                           \
    X(S, CHOICE, kind, "kind", OPTIONAL, "spool redis", 0, 0, "spool", "Where requests come from.")                    \
    X(S, MAP, spool, "spool", OPTIONAL, spool, 0, 0, "", "The spool queue: a folder of CSR files.")                    \
    X(S, MAP, redis, "redis", OPTIONAL, redis, 0, 0, "", "The Redis queue: streams with a consumer group.")

#define SETTINGS_keyvault(X, S)                                                                                        \
    X(S, CHOICE, credential, "credential", OPTIONAL, SETTINGS_CREDENTIALS, 0, 0, "managed-identity",                   \
      "How the vault knows us. The client secret, or the passphrase of the certificate's key, is `passphrase`.")       \
    X(S, NAME, tenant, "tenant", OPTIONAL, 0, 1, 255, "",                                                              \
      "The directory's id or domain. Without it: what the vault names; with `workload-identity` `$AZURE_TENANT_ID`.")  \
    X(S, NAME, client, "client", OPTIONAL, 0, 1, 255, "",                                                              \
      "The client id of the application, or of a user-assigned identity. Without it: the system-assigned identity; "   \
      "with `workload-identity` `$AZURE_CLIENT_ID`.")                                                                  \
    X(S, PATH, certificate, "certificate", OPTIONAL, 0, 1, 2048, "",                                                   \
      "`client-certificate`: a PEM file of the certificate and its private key.")                                      \
    X(S, CHOICE, require, "require", OPTIONAL, "hsm software", 0, 0, "software",                                       \
      "The protection that a key must have at least; new keys are made with it.")                                      \
    X(S, COUNT, in_flight, "in-flight", OPTIONAL, 0, 1, 4096, "256", "Requests at one vault at once.")                 \
    X(S, COUNT, rate, "rate", OPTIONAL, 0, 1, 1000000, "",                                                             \
      "P-256 signatures that a vault makes in a second with keys in its HSMs; others count for more or less. "         \
      "Without it: what the service publishes, 200, or 330 of a Managed HSM.")                                         \
    X(S, DURATION, timeout, "timeout", OPTIONAL, 0, 100, 600 * SETTINGS_MS_PER_S, "10s",                               \
      "An answer must have come by then.")                                                                             \
    X(S, DURATION, watch, "watch", OPTIONAL, 0, 100, SETTINGS_MS_PER_D, "5m",                                          \
      "Between looks at whether a key has another version in the vault.")                                              \
    X(S, PATH, trust, "trust", OPTIONAL, 0, 1, 2048, "",                                                               \
      "A PEM file of the CAs that certificates of the vault, and of the directory that tokens come from, may lead "    \
      "to, in place of the system's. Without it: the system's.")                                                       \
    X(S, TEXT, resource, "resource", OPTIONAL, 0, 9, 255, "",                                                          \
      "The only resource that a vault may ask a token for, like `https://vault.azure.net`. Without it: one whose "     \
      "host the vault's host lies under.")                                                                             \
    X(S, TEXT, authority, "authority", OPTIONAL, 0, 9, 255, "",                                                        \
      "`https://HOST` of the directory that tokens come from. Without it: the one that the vault names, which must "    \
      "be one of Microsoft's.")                                                                                         \
    X(S, NAME, api_version, "api-version", OPTIONAL, 0, 1, 64, "7.4", "Of the REST API.")

#define SETTINGS_provider(X, S)                                                                                        \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "Of this instance. The store says which instance has which key.") \
    X(S, CHOICE, kind, "kind", REQUIRED, SETTINGS_PROVIDER_KINDS, 0, 0, "",                                            \
      "`openssl`: key files and any OpenSSL 3 provider. `pkcs11`: an HSM or another token. `keyvault`: Azure Key "      \
      "Vault or Managed HSM.")                                                                                         \
    X(S, PATH, module, "module", OPTIONAL, 0, 1, 4096, "",                                                             \
      "`pkcs11`: the vendor's module, such as `/usr/lib/softhsm/libsofthsm2.so`. Without it keys name it themselves.") \
    X(S, PATH, keys, "keys", OPTIONAL, 0, 1, 4096, "keys", "The folder that relative key references start in.")        \
    X(S, SECRET, passphrase, "passphrase", OPTIONAL, 0, 1, 4096, "",                                                       \
      "Opens encrypted key files; with `pkcs11` the PIN of the token's user; with `keyvault` the client secret, or "   \
      "the passphrase of the certificate's key.")                                                                      \
    X(S, COUNT, workers, "workers", OPTIONAL, 0, 0, 1024, "0",                                                         \
      "`openssl`: threads that sign; 0: as many as processors.")                                                       \
    X(S, CHOICE, nonces, "nonces", OPTIONAL, "random rfc6979", 0, 0, "random",                                         \
      "`openssl`, of ECDSA signatures: drawn from OpenSSL's private generator, or made from key and message as "       \
      "RFC 6979 has it. The second takes OpenSSL 3.2 or multi-buffer signing.")                                        \
    X(S, TEXT, sessions, "sessions", OPTIONAL, 0, 1, 8, "auto",                                                        \
      "`pkcs11`: sessions with the token, a thread each: 1 to 64, never more than the token allows, or `auto`: as "    \
      "many as a short measurement at the start finds useful.")                                                        \
    X(S, DURATION, call_deadline, "call-deadline", OPTIONAL, 0, 100, 600 * SETTINGS_MS_PER_S, "10s",                   \
      "A signer process whose call takes longer, or that does not answer for so long, is replaced by another.")        \
    X(S, MAP, keyvault, "keyvault", OPTIONAL, keyvault, 0, 0, "",                                                      \
      "With `kind: keyvault` only: how keys in Azure Key Vault or Managed HSM are reached.")

#define SETTINGS_authority(X, S)                                                                                       \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "Its keys are called `NAME-1`, `NAME-2`, ...")                    \
    X(S, URL, crl_url, "crl-url", OPTIONAL, 0, 1, 1024, "",                                                            \
      "CRL distribution point in certificates; may hold `${shard}` and `${issuer}`. Without it: none.")                \
    X(S, URL, ocsp_url, "ocsp-url", OPTIONAL, 0, 1, 1024, "", "OCSP responder in certificates. Without it: none.")     \
    X(S, URL, ca_issuers_url, "ca-issuers-url", OPTIONAL, 0, 1, 1024, "",                                              \
      "Where the authority's certificate is; may hold `${issuer}`. Without it: none.")                                 \
    X(S, COUNT, crl_shards, "crl-shards", OPTIONAL, 0, 1, 65536, "1",                                                  \
      "The CRL is split into so many; then `crl-url` holds `${shard}`.")                                               \
    X(S, DURATION, crl_validity, "crl-validity", OPTIONAL, 0, 2 * SETTINGS_MS_PER_S, 365 * SETTINGS_MS_PER_D, "7d",    \
      "A CRL is valid for so long: `nextUpdate`.")                                                                     \
    X(S, DURATION, crl_overlap, "crl-overlap", OPTIONAL, 0, SETTINGS_MS_PER_S, 365 * SETTINGS_MS_PER_D, "3d",          \
      "When so much of it is left, a CRL is renewed. Less than `crl-validity`.")                                       \
    X(S, DURATION, crl_delay, "crl-delay", OPTIONAL, 0, 0, SETTINGS_MS_PER_D, "5s",                                    \
      "From a revocation to the CRL that shows it; others that come meanwhile go with it.")                            \
    X(S, DURATION, delta_crl_validity, "delta-crl-validity", OPTIONAL, 0, SETTINGS_MS_PER_S, 365 * SETTINGS_MS_PER_D,  \
      "",                                                                                                              \
      "A delta CRL is valid for so long. Less than `crl-validity`. Without it: there are no delta CRLs.")              \
    X(S, DURATION, ocsp_validity, "ocsp-validity", OPTIONAL, 0, 2 * SETTINGS_MS_PER_S, 365 * SETTINGS_MS_PER_D, "1d",  \
      "An OCSP response is valid for so long.")                                                                        \
    X(S, NAME, ocsp_responder, "ocsp-responder", OPTIONAL, 0, 1, 64, "",                                               \
      "The provider in which delegated responders have keys of their own; the engine makes them and their "            \
      "certificates. Without it: the authority's own keys sign OCSP responses.")                                       \
    X(S, CHOICE, on_compromise, "on-compromise", OPTIONAL, "revoke keep", 0, 0, "revoke",                              \
      "What `certmill ca compromise` does with the certificates that the key has issued: `revoke` (superseded, so that " \
      "their devices may renew), or `keep`.")                                                                          \
    X(S, DURATION, responder_validity, "responder-validity", OPTIONAL, 0, 60 * SETTINGS_MS_PER_S,                      \
      365 * SETTINGS_MS_PER_D, "30d",                                                                                  \
      "With `ocsp-responder`: a delegated responder's certificate is valid for so long; it is renewed after half.")    \
    X(S, COUNT, signatures_per_s_max, "signatures-per-second", OPTIONAL, 0, 1, 10000000, "50000",                      \
      "The signer makes no more with one of its keys, whatever the engine asks; the rest waits.")                      \
    X(S, DURATION, issues_for, "issues-for", OPTIONAL, 0, SETTINGS_MS_PER_S, 36500 * SETTINGS_MS_PER_D, "",            \
      "A key of it issues for so long, or until its certificate ends; then another one's turn has come. Without it: "  \
      "there is no schedule.")                                                                                         \
    X(S, DURATION, rotate_ahead, "rotate-ahead", OPTIONAL, 0, 1, 36500 * SETTINGS_MS_PER_D, "",                        \
      "With `issues-for`, and less than it: the next key is prepared so long before its turn. Without it: a tenth of " \
      "`issues-for`.")                                                                                                 \
    X(S, CHOICE, rotation, "rotation", OPTIONAL, "warn prepare automatic", 0, 0, "warn",                               \
      "With `issues-for`, what happens then: `serve` says so (`warn`), makes the next key as well (`prepare`), or also "\
      "lets it issue when its turn has come, and retires keys of which everything has ended (`automatic`). What "      \
      "`dual-control` marks cannot be done so: such settings are refused.")                                            \
    X(S, CHOICE, retired_keys, "retired-keys", OPTIONAL, "archive destroy", 0, 0, "archive",                           \
      "With `rotation: automatic`: whether a key is left where it is, or destroyed, when it is retired.")

#define SETTINGS_subject(X, S)                                                                                         \
    X(S, TEXT, field, "field", REQUIRED, 0, 1, 32, "",                                                                 \
      "`cn`, `serial-number`, `c`, `st`, `l`, `o`, `ou`, `title`, `dc` or `uid`.")                                     \
    X(S, TEXT, text, "text", REQUIRED, 0, 1, 1024, "", "A template, see [Templates](#templates).")                     \
    X(S, FLAG, optional, "optional", OPTIONAL, 0, 0, 0, "no",                                                          \
      "Left out where a placeholder has no value, instead of refused.")

#define SETTINGS_altname(X, S)                                                                                         \
    X(S, TEXT, kind, "kind", REQUIRED, 0, 1, 32, "",                                                                   \
      "`dns`, `uri`, `ip`, `email`, `hardware-module` or `permanent-id`.")                                             \
    X(S, TEXT, text, "text", REQUIRED, 0, 1, 1024, "", "A template, see [Templates](#templates).")                     \
    X(S, TEXT, oid, "oid", OPTIONAL, 0, 1, 256, "",                                                                    \
      "A dotted OID: the hardware type (needed) of `hardware-module`, the assigner of `permanent-id`.")                \
    X(S, FLAG, optional, "optional", OPTIONAL, 0, 0, 0, "no",                                                          \
      "Left out where a placeholder has no value, instead of refused.")

#define SETTINGS_profile(X, S)                                                                                         \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "Not that of a built-in profile.")                                \
    X(S, NAME, base, "base", REQUIRED, 0, 1, 64, "",                                                                   \
      "A built-in profile, or one that stands earlier in the file. Keys that are absent here are taken from it.")      \
    X(S, MAPS, subject, "subject", OPTIONAL, subject, 0, 16, "", "The subject, in this order.")                        \
    X(S, MAPS, altnames, "altnames", OPTIONAL, altname, 0, 64, "", "Subject alternative names.")                       \
    X(S, LIST, csr_altnames, "csr-altnames", OPTIONAL, 0, 0, 4, "",                                                    \
      "Kinds of names that may be taken from the CSR: of `dns`, `uri`, `ip`, `email`.")                                \
    X(S, FLAG, csr_names_must_match, "csr-names-must-match", OPTIONAL, 0, 0, 0, "",                                    \
      "A name from the CSR must equal the device id or one of its attributes.")                                        \
    X(S, FLAG, csr_names_strict, "csr-names-strict", OPTIONAL, 0, 0, 0, "",                                            \
      "Names of other kinds in the CSR are refused, not left out.")                                                    \
    X(S, FLAG, ca, "ca", OPTIONAL, 0, 0, 0, "", "A certificate authority.")                                            \
    X(S, COUNT, path_length, "path-length", OPTIONAL, 0, 0, 100, "", "Authorities that may follow below; with `ca`.")  \
    X(S, FLAG, basic_constraints, "basic-constraints", OPTIONAL, 0, 0, 0, "",                                          \
      "Write the basic constraints of a certificate that is no authority, too.")                                       \
    X(S, VALIDITY, validity, "validity", OPTIONAL, 0, 60 * SETTINGS_MS_PER_S, 36500 * SETTINGS_MS_PER_D, "",                \
      "How long a certificate lives, or `no-expiry` (99991231235959Z). Never beyond its issuer's.")                    \
    X(S, DURATION, backdate, "backdate", OPTIONAL, 0, 0, 7 * SETTINGS_MS_PER_D, "",                                   \
      "notBefore lies so far before the moment of issue.")                                                             \
    X(S, LIST, key_types, "key-types", OPTIONAL, 0, 1, 16, "", "Of `p256`, `p384`, `p521`, `rsa`, `ed25519`.")         \
    X(S, LIST, key_usage, "key-usage", OPTIONAL, 0, 0, 16, "",                                                         \
      "For EC and Ed25519 keys: of `digital-signature`, `non-repudiation`, `key-encipherment`, "                       \
      "`data-encipherment`, `key-agreement`, `key-cert-sign`, `crl-sign`.")                                            \
    X(S, LIST, key_usage_rsa, "key-usage-rsa", OPTIONAL, 0, 0, 16, "", "The same for RSA keys.")                       \
    X(S, LIST, purposes, "purposes", OPTIONAL, 0, 0, 16, "",                                                           \
      "Extended key usage: `server-auth`, `client-auth`, `code-signing`, `email-protection`, `time-stamping`, "        \
      "`ocsp-signing`, `ipsec-ike` or a dotted OID.")                                                                  \
    X(S, FLAG, purposes_critical, "purposes-critical", OPTIONAL, 0, 0, 0, "", "Mark them critical.")                   \
    X(S, LIST, policies, "policies", OPTIONAL, 0, 0, 16, "", "Certificate policies, as dotted OIDs.")                  \
    X(S, LIST, permitted_names, "permitted-names", OPTIONAL, 0, 0, 64, "",                                             \
      "Name constraints, with `ca`: names below it are of these, as far as they are of their kinds: "                  \
      "`dns:example.com`, `email:example.com`, `uri:.example.com`, `ip:10.0.0.0/8`.")                                  \
    X(S, LIST, excluded_names, "excluded-names", OPTIONAL, 0, 0, 64, "", "The same of names that are not below it.")   \
    X(S, CHOICE, ski_method, "ski-method", OPTIONAL, "rfc7093-1 rfc5280-1", 0, 0, "",                                  \
      "How the subject key identifier is made: SHA-256 cut to 160 bits, or SHA-1.")                                    \
    X(S, FLAG, revocation_info, "revocation-info", OPTIONAL, 0, 0, 0, "",                                              \
      "Write the CRL distribution point and the authority information access.")                                        \
    X(S, FLAG, ocsp_no_check, "ocsp-no-check", OPTIONAL, 0, 0, 0, "",                                                  \
      "Exempt an OCSP responder's certificate from status checks; with the purpose `ocsp-signing` only.")

#define SETTINGS_group(X, S)                                                                                           \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "The device record says which group a device is in.")             \
    X(S, NAME, authority, "authority", REQUIRED, 0, 1, 64, "", "Which authority signs.")                               \
    X(S, LIST, profiles, "profiles", REQUIRED, 0, 1, 64, "", "Allowed profiles; the first is the default.")            \
    X(S, COUNT, rate, "rate", OPTIONAL, 0, 0, 1000000, "0", "Requests a second; 0: no limit.")                         \
    X(S, COUNT, burst, "burst", OPTIONAL, 0, 1, 10000000, "",                                                          \
      "Requests at once when it was quiet before. Without it: as many as `rate`.")                                     \
    X(S, COUNT, quota, "quota-per-day", OPTIONAL, 0, 0, SETTINGS_QUOTA, "0", "Certificates a UTC day; 0: no limit.")   \
    X(S, CHOICE, reinstate, "reinstate", OPTIONAL, "lift fresh", 0, 0, "lift",                                         \
      "What becomes of a device's certificates on hold when it is reinstated: `lift` makes them good again, `fresh` "   \
      "revokes them (superseded), and the device asks for new ones.")                                                   \
    X(S, FLAG, reuse_key, "reuse-key", OPTIONAL, 0, 0, 0, "yes",                                                       \
      "A device may be certified again for a key of its own.")                                                         \
    X(S, DURATION, renewal_window, "renewal-window", OPTIONAL, 0, SETTINGS_MS_PER_S, 36500 * SETTINGS_MS_PER_D, "",    \
      "So long before its end a certificate may be renewed; one whose issuing key is not active any more at any "      \
      "time. Without it: every one at any time.")                                                                      \
    X(S, DURATION, renew_after_expiry, "renew-after-expiry", OPTIONAL, 0, SETTINGS_MS_PER_S,                           \
      36500 * SETTINGS_MS_PER_D, "",                                                                                   \
      "A certificate may be renewed for so long after its end, too. Without it: not.")                                 \
    X(S, CHOICE, renewal_key, "renewal-key", OPTIONAL, "either same new", 0, 0, "either",                              \
      "What a renewal's CSR is for: the `same` key as the certificate that is renewed, a `new` one that was never "    \
      "certified, or `either`. With `reuse-key: no` never the same.")

#define SETTINGS_requester(X, S)                                                                                       \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "As it stands in the `requester` field of requests.")             \
    X(S, LIST, groups, "groups", REQUIRED, 0, 0, 1000, "", "Groups it may ask for; an empty list is none.")            \
    X(S, COUNT, rate, "rate", OPTIONAL, 0, 0, 1000000, "0", "Requests a second; 0: no limit.")                         \
    X(S, COUNT, burst, "burst", OPTIONAL, 0, 1, 10000000, "",                                                          \
      "Requests at once when it was quiet before. Without it: as many as `rate`.")                                     \
    X(S, COUNT, quota, "quota-per-day", OPTIONAL, 0, 0, SETTINGS_QUOTA, "0", "Certificates a UTC day; 0: no limit.")   \
    X(S, LIST, operations, "operations", OPTIONAL, 0, 0, 16, "",                                                       \
      "What it may ask for: of `issue`, `renew`, `revoke`, `quarantine`, `reinstate`, `retire`. Without it: "          \
      "`[issue, renew]`.")                                                                                             \
    X(S, FLAG, remember_refusals, "remember-refusals", OPTIONAL, 0, 0, 0, "yes",                                       \
      "The same request id gets the same refusal again.")                                                              \
    X(S, CHOICE, results, "results", OPTIONAL, "single grouped", 0, 0, "single",                                       \
      "`grouped`: several results may stand in one entry of its result stream, see "                                   \
      "[wire.md](wire.md#several-results-in-one-entry). For queues over Redis.")                                       \
    X(S, CHOICE, auth, "auth", OPTIONAL, "none hmac-sha256 ed25519", 0, 0, "none",                                     \
      "How its requests are authenticated, see [wire.md](wire.md#authentication). For queues over Redis.")             \
    X(S, SECRET, secret, "secret", OPTIONAL, 0, 1, 4096, "",                                                           \
      "With `hmac-sha256`: what requester and engine share, 16 octets or more; not `prompt:`. "                        \
      "`certmill submit` signs with it.")                                                                              \
    X(S, LIST, old_secrets, "old-secrets", OPTIONAL, 0, 0, 7, "",                                                      \
      "Secrets that are accepted, too, while the requester changes over; each a reference to a secret, "               \
      "not `prompt:`.")                                                                                                \
    X(S, LIST, public_keys, "public-keys", OPTIONAL, 0, 1, 8, "",                                                      \
      "With `ed25519`: each the path of a PEM file, or base64url of the key's 32 octets. Any of them will do.")        \
    X(S, DURATION, clock_window, "clock-window", OPTIONAL, 0, SETTINGS_MS_PER_S, 30 * SETTINGS_MS_PER_D, "5m",         \
      "An authenticated request's `time` may lie so far from now: also how long it may wait in the queue.")

#define SETTINGS_status(X, S)                                                                                          \
    X(S, TEXT, listen, "listen", OPTIONAL, 0, 1, 64, "",                                                               \
      "Address and port, like `127.0.0.1:8899`, `0.0.0.0:80` or `[::1]:8899`; port 0: one that is free, "              \
      "`serve` says which. Without it: no service.")                                                                   \
    X(S, COUNT, threads, "threads", OPTIONAL, 0, 1, 64, "2", "Threads that serve.")                                    \
    X(S, COUNT, connections_max, "connections-max", OPTIONAL, 0, 1, 1000000, "1000",                                   \
      "Connections at a time; what comes beyond is closed at once.")                                                   \
    X(S, DURATION, deadline, "deadline", OPTIONAL, 0, 100, 600 * SETTINGS_MS_PER_S, "10s",                             \
      "A request must have come, and its answer been taken, within so long; who is slower is cut off.")                \
    X(S, COUNT, ocsp_answers_max, "ocsp-answers-max", OPTIONAL, 0, 0, 10000000, "100000",                              \
      "OCSP responses that are kept at a time.")                                                                       \
    X(S, PATH, publish_folder, "publish-folder", OPTIONAL, 0, 1, 4096, "",                                             \
      "CRLs and CA certificates are also written below this folder, under the paths of their URLs, for a web server. " \
      "Without it: not.")

#define SETTINGS_engine(X, S)                                                                                          \
    X(S, COUNT, workers, "workers", OPTIONAL, 0, 0, 1024, "0", "CPU threads; 0: as many as processors.")               \
    X(S, COUNT, batch_items, "batch-items", OPTIONAL, 0, 1, 4096, "256",                                               \
      "A batch goes on when it has so many requests, or as many as every provider takes at a time (1024).")            \
    X(S, DURATION, batch_age, "batch-age", OPTIONAL, 0, 0, 10 * SETTINGS_MS_PER_S, "4ms",                              \
      "A batch goes on when its oldest request is so old.")                                                            \
    X(S, COUNT, batches_in_flight, "batches-in-flight", OPTIONAL, 0, 1, 1024, "8", "Batches under way at once.")       \
    X(S, DURATION, intent_hold, "intent-hold", OPTIONAL, 0, SETTINGS_MS_PER_S, 30 * SETTINGS_MS_PER_D, "1h",           \
      "An open intent waits so long for its request to come again, after a crash, or while its key is away; "          \
      "then its serial is abandoned.")                                     \
    X(S, DURATION, clock_step, "clock-step", OPTIONAL, 0, 0, SETTINGS_MS_PER_D, "5s",                                  \
      "The wall clock may lie so far before the store's last row.")                                                    \
    X(S, COUNT, check_signatures, "check-signatures", OPTIONAL, 0, 1, 1000000, "1",                                    \
      "Of ECDSA and Ed25519 signatures every n-th is verified before it leaves. RSA signatures: all, always.")         \
    X(S, CHOICE, multi_buffer, "multi-buffer", OPTIONAL, "auto off", 0, 0, "auto",                                     \
      "Proofs of possession, checks of signatures and software keys compute eight at a time, with crypto-mb, where the " \
      "library is installed and the processor has AVX-512 IFMA. `off`: by OpenSSL alone.")                             \
    X(S, CHOICE, signers, "signers", OPTIONAL, "process inline", 0, 0, "process",                                      \
      "Where keys are: each provider in a signer process of its own, or, for debugging, in the engine's.")

#define SETTINGS_operator(X, S)                                                                                        \
    X(S, NAME, name, "name", REQUIRED, 0, 1, 64, "", "Of the person, as it stands in approvals and the audit log.")    \
    X(S, PATH, key, "key", REQUIRED, 0, 1, 4096, "",                                                                   \
      "A PEM file of the operator's public key, Ed25519 or P-256. No two operators have the same.")                    \
    X(S, LIST, roles, "roles", OPTIONAL, 0, 0, 16, "", "Names that `dual-control.role` may ask for.")

#define SETTINGS_CEREMONIES "root-key create cross-sign rotate activate retire compromise revoke-group"

#define SETTINGS_dual_control(X, S)                                                                                    \
    X(S, CHOICE, operation, "operation", REQUIRED, SETTINGS_CEREMONIES, 0, 0, "",                                      \
      "What runs only by a plan that was approved, see [ceremony.md](../guides/ceremony.md). `revoke-group`: "         \
      "`revoke` and `device retire` of a whole group. `cross-sign` is marked as `create` is, where it does not "         \
      "stand there itself.")                                                                \
    X(S, COUNT, approvals, "approvals", OPTIONAL, 0, 2, 16, "2",                                                       \
      "So many different operators sign the plan; whoever has prepared it counts only by a signature, too.")           \
    X(S, NAME, role, "role", OPTIONAL, 0, 1, 64, "", "Only operators with this role count. Without it: every one.")    \
    X(S, DURATION, valid, "valid", OPTIONAL, 0, SETTINGS_MS_PER_S, 30 * SETTINGS_MS_PER_D, "1d",                       \
      "A plan that has not run so long after it was prepared does not run any more.")

#define SETTINGS_audit(X, S)                                                                                           \
    X(S, TEXT, key, "key", OPTIONAL, 0, 1, 1024, "",                                                                   \
      "Reference of the key that signs checkpoints of the audit log, within `provider`. It signs nothing else, and is " \
      "no authority's. Without it: there are no checkpoints.")                                                         \
    X(S, NAME, provider, "provider", OPTIONAL, 0, 1, 64, "", "With `key`: the provider that it lives in.")             \
    X(S, DURATION, interval, "interval", OPTIONAL, 0, SETTINGS_MS_PER_S, SETTINGS_MS_PER_D, "1m",                      \
      "The engine makes a checkpoint when there are rows without one, and the last one is so old;")                    \
    X(S, COUNT, rows, "rows", OPTIONAL, 0, 1, 1000000000, "10000", "or when there are so many rows without one.")      \
    X(S, PATH, file, "file", OPTIONAL, 0, 1, 4096, "",                                                                 \
      "Checkpoints are appended to this file, too, one JSON object a line: keep it where whoever can change the "      \
      "store cannot. Without it: they are in the store alone.")                                                        \
    X(S, NAME, redis_stream, "redis-stream", OPTIONAL, 0, 1, 255, "",                                                  \
      "Checkpoints are appended to this stream of the Redis of `queue.redis`, too, each under its number as the id. "  \
      "Without it: not.")

#define SETTINGS_settings(X, S)                                                                                        \
    X(S, COUNT, version, "version", REQUIRED, 0, 1, 1, "", "Of this format: 1.")                                       \
    X(S, MAP, store, "store", OPTIONAL, store, 0, 0, "", "Where everything is recorded.")                              \
    X(S, MAP, queue, "queue", OPTIONAL, queue, 0, 0, "", "Where requests come from and answers go.")                   \
    X(S, MAPS, providers, "providers", REQUIRED, provider, 1, 64, "", "Where keys live.")                              \
    X(S, MAPS, authorities, "authorities", REQUIRED, authority, 1, 1000, "", "Who signs.")                             \
    X(S, MAPS, profiles, "profiles", OPTIONAL, profile, 0, 1000, "", "Kinds of certificates beside the built-in ones.")\
    X(S, MAPS, groups, "groups", OPTIONAL, group, 0, 1000, "", "What the devices of a group may have.")                \
    X(S, MAPS, requesters, "requesters", OPTIONAL, requester, 0, 1000, "", "Who may ask. Whoever is not here is refused.") \
    X(S, MAPS, operators, "operators", OPTIONAL, operator, 0, 100, "", "Who may approve plans.")                      \
    X(S, MAPS, dual_control, "dual-control", OPTIONAL, dual_control, 0, 8, "",                                         \
      "Operations that several operators approve before they run. What is not here runs without.")                     \
    X(S, MAP, status, "status", OPTIONAL, status, 0, 0, "",                                                            \
      "The HTTP service for those who rely on certificates: CRLs, OCSP, CA certificates; and for operators.")          \
    X(S, MAP, audit, "audit", OPTIONAL, audit, 0, 0, "", "Checkpoints of the audit log.")                              \
    X(S, MAP, engine, "engine", OPTIONAL, engine, 0, 0, "", "How the engine works.")
/* clang-format on */

/* Every list, each after those that it nests. */
#define SETTINGS_MAPPINGS(X)                                                                       \
    X(store)                                                                                       \
    X(spool)                                                                                       \
    X(redis)                                                                                       \
    X(queue)                                                                                       \
    X(keyvault)                                                                                    \
    X(provider)                                                                                    \
    X(authority)                                                                                   \
    X(subject)                                                                                     \
    X(altname)                                                                                     \
    X(profile)                                                                                     \
    X(group)                                                                                       \
    X(requester)                                                                                   \
    X(operator)                                                                                    \
    X(dual_control)                                                                                \
    X(status)                                                                                      \
    X(audit)                                                                                       \
    X(engine)                                                                                      \
    X(settings)

#define RAW_TEXT(member, extra)  char *member;
#define RAW_NAME                 RAW_TEXT
#define RAW_PATH                 RAW_TEXT
#define RAW_SECRET               RAW_TEXT
#define RAW_URL                  RAW_TEXT
#define RAW_DURATION             RAW_TEXT
#define RAW_VALIDITY             RAW_TEXT
#define RAW_CHOICE               RAW_TEXT
#define RAW_COUNT(member, extra) uint64_t *member;
#define RAW_FLAG(member, extra)  bool *member;
#define RAW_LIST(member, extra)                                                                    \
    char **member;                                                                                 \
    uint32_t member##_count;
#define RAW_MAP(member, extra) struct raw_##extra member;
#define RAW_MAPS(member, extra)                                                                    \
    struct raw_##extra *member;                                                                    \
    uint32_t member##_count;

/* What libcyaml fills: absent is NULL, until defaults are put in. */
#define RAW(list, kind, member, key, need, extra, min, max, standard, help)                        \
    RAW_##kind(member, extra)
#define X(name)                                                                                    \
    struct raw_##name {                                                                            \
        SETTINGS_##name(RAW, name)                                                                 \
    };
SETTINGS_MAPPINGS(X)
#undef X

struct settings_mapping;

struct settings_key {
    const char *name;
    enum settings_kind kind;
    bool required;
    uint64_t min, max;
    const char *choices;                    /* CHOICE: words separated by a blank */
    const struct settings_mapping *mapping; /* MAP, MAPS */
    size_t offset;                          /* of the value in the raw struct */
    size_t count_offset;                    /* LIST, MAPS */
    const char *standard;                   /* default, as in the file; "" for none */
    const char *help;
};

struct settings_mapping {
    const struct settings_key *keys;
    size_t keys_count;
    size_t raw_size; /* bytes of the raw struct */
};

#define X(name) extern const struct settings_mapping settings_mapping_##name;
SETTINGS_MAPPINGS(X) /* settings_mapping_settings is the whole file */
#undef X
extern const cyaml_schema_value_t settings_schema; /* the same for libcyaml */

/* Puts the default of every absent key into a raw struct, from the heap as libcyaml does. */
void settings_fill_defaults(const struct settings_mapping *mapping, void *raw);

#endif
