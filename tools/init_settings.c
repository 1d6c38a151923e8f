/* The settings file that init writes: short, commented, and complete enough to be edited. */
#include "tools/init_plan.h"

#include <string.h>

#include "tools/vault_flags.h"

#define EXAMPLE_LISTEN "127.0.0.1:8899"

static const char *queue_text(const struct cm_init_plan *plan)
{
    if (strcmp(plan->queue, "redis") == 0)
        return cm_arena_printf(plan->arena,
                               "queue:\n"
                               "  kind: redis\n"
                               "  redis:\n"
                               "    url: \"%s\"\n"
                               "    # password: credential:redis   # or file:PATH, env:NAME\n",
                               plan->redis_url);
    return "queue:\n"
           "  kind: spool                  # CSR files dropped into spool/incoming; or redis\n"
           "  spool:\n"
           "    folder: spool\n"
           "    requester: local           # the files' requester, see below\n"
           "    device-from: file-name     # or cn, serial-number: taken from the subject\n";
}

static const char *urls_text(const struct cm_init_plan *plan)
{
    if (plan->base_url)
        return cm_arena_printf(plan->arena,
                               "    crl-url: \"%s/crl/${issuer}/${shard}.crl\"\n"
                               "    ocsp-url: \"%s/ocsp\"\n"
                               "    ca-issuers-url: \"%s/ca/${issuer}.cer\"\n",
                               plan->base_url, plan->base_url, plan->base_url);
    return "    # Where relying parties find revocation and CA certificates; part of every certificate.\n"
           "    # crl-url: \"http://pki.example/crl/${issuer}/${shard}.crl\"\n"
           "    # ocsp-url: \"http://pki.example/ocsp\"\n"
           "    # ca-issuers-url: \"http://pki.example/ca/${issuer}.cer\"\n";
}

/* Where nobody asks over HTTP, the authority's own key would do; nobody asks at all. */
static const char *responder_text(const struct cm_init_plan *plan)
{
    return cm_arena_printf(
        plan->arena,
        "    %socsp-responder: %-12s # signs OCSP with keys of its own, which the "
        "engine makes there\n",
        plan->listen ? "" : "# ", cm_init_provider_name(plan));
}

static const char *status_text(const struct cm_init_plan *plan)
{
    bool needs_folder = plan->base_url && !plan->listen;
    if (plan->listen || plan->base_url)
        return cm_arena_printf(
            plan->arena,
            "status:\n"
            "  %slisten: \"%s\"\n"
            "  %spublish-folder: public       # CRLs and CA certificates, for a web "
            "server\n",
            plan->listen ? "" : "# ", plan->listen ? plan->listen : EXAMPLE_LISTEN,
            needs_folder ? "" : "# ");
    return "# status:\n"
           "#   listen: \"" EXAMPLE_LISTEN "\"\n"
           "#   publish-folder: public       # CRLs and CA certificates, for a web server\n";
}

static const char *passphrase_text(const struct cm_init_plan *plan)
{
    if (!plan->passphrase)
        return "    # passphrase: credential:ca-keys   # or file:PATH, env:NAME; for encrypted keys\n";
    return cm_arena_printf(plan->arena, "    passphrase: \"%s\"\n", plan->passphrase);
}

/* "    passphrase: ..." with what it is; "" where there is none. */
static const char *secret_text(const struct cm_init_plan *plan, const char *what)
{
    if (!plan->passphrase)
        return "";
    return cm_arena_printf(plan->arena, "    passphrase: \"%s\"       # %s\n", plan->passphrase,
                           what);
}

static const char *vault_text(const struct cm_init_plan *plan)
{
    bool has_certificate = cm_call_value(plan->call, "certificate") != NULL;
    return cm_arena_printf(
        plan->arena,
        "  - name: vault\n"
        "    kind: keyvault\n"
        "%s%s",
        secret_text(plan, has_certificate ? "of the certificate's key" : "the client secret"),
        cm_vault_flags_settings(plan->call, plan->arena));
}

static const char *token_text(const struct cm_init_plan *plan)
{
    return cm_arena_printf(plan->arena,
                           "  - name: hsm\n"
                           "    kind: pkcs11\n"
                           "%s%s%s"
                           "%s"
                           "    # sessions: auto            # or a number\n",
                           plan->module ? "    module: \"" : "", plan->module ? plan->module : "",
                           plan->module ? "\"\n" : "",
                           secret_text(plan, "the PIN of the token's user"));
}

static const char *provider_text(const struct cm_init_plan *plan)
{
    if (cm_init_is_in_vault(plan))
        return vault_text(plan);
    if (cm_init_is_in_token(plan))
        return token_text(plan);
    return cm_arena_printf(plan->arena,
                           "  - name: soft\n"
                           "    kind: openssl\n"
                           "    keys: keys\n"
                           "%s",
                           passphrase_text(plan));
}

struct cm_bytes cm_init_settings_text(const struct cm_init_plan *plan)
{
    const char *text = cm_arena_printf(
        plan->arena,
        "# Settings of a certmill deployment. docs/reference/settings.md explains every key.\n"
        "# Relative paths start in the folder of this file. `certmill doctor` checks all of it.\n"
        "version: 1\n"
        "\n"
        "store:\n"
        "  path: store/certmill.db        # everything that was ever decided, promised and signed\n"
        "\n"
        "# Where requests come from and answers go.\n"
        "%s"
        "\n"
        "# Where keys live. The store says which key belongs to which authority.\n"
        "providers:\n"
        "%s"
        "\n"
        "# Who signs.\n"
        "authorities:\n"
        "  - name: issuing\n"
        "%s"
        "%s"
        "\n"
        "# How those who rely on certificates learn what has become of them: CRLs, OCSP.\n"
        "%s"
        "\n"
        "# What the devices of a group may have. The first profile is the default.\n"
        "groups:\n"
        "  - name: default\n"
        "    authority: issuing\n"
        "    profiles: [device-client, device-server, gateway, ldevid, idevid%s]\n"
        "    # quota-per-day: 100000\n"
        "\n"
        "# Who may ask for certificates, and for which groups. Whoever is not here is refused.\n"
        "requesters:\n"
        "  - name: local\n"
        "    groups: [default]\n"
        "    # operations: [issue, renew, revoke, quarantine, reinstate, retire]   # [issue, renew] without it\n"
        "    remember-refusals: no        # a file that was refused may be put right and come again\n",
        queue_text(plan), provider_text(plan), urls_text(plan), responder_text(plan),
        status_text(plan), plan->sub_ca ? ", sub-ca" : "");
    return cm_bytes_str(text);
}
