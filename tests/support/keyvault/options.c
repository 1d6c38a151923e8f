#include "tests/support/keyvault/keyvault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER, SCALE, FLAG, CHALLENGE, WINDOW };

#define AT(member) offsetof(struct kv_options, member)

static const struct option_line {
    const char *name;
    enum kind kind;
    size_t at;
    const char *value, *help;
} lines[] = {
    { "folder", TEXT, AT(folder), "DIR", "where tls.pem is written (needed)" },
    { "port", NUMBER, AT(port), "N", "of the vault, TLS; 0: any (0)" },
    { "control-port", NUMBER, AT(control_port), "N",
      "of managed identity and /emulator/, plain; 0: any (0)" },
    { "until-eof", FLAG, AT(until_eof), NULL, "end when standard input does" },
    { "tenant", TEXT, AT(tenant), "ID", "of the token endpoint's path" },
    { "client-id", TEXT, AT(client_id), "ID", "the one client" },
    { "client-secret", TEXT, AT(client_secret), "TEXT", "its secret" },
    { "client-certificate", TEXT, AT(client_certificate), "FILE",
      "PEM; its client assertions are taken" },
    { "federated-token", TEXT, AT(federated_token), "FILE",
      "a client assertion with the content of this file is taken" },
    { "identity-header", TEXT, AT(identity_header), "TEXT", "X-IDENTITY-HEADER of App Service" },
    { "resource", TEXT, AT(resource), "URI", "what tokens are given for" },
    { "challenge", CHALLENGE, AT(challenge), "FORM",
      "resource (default), uri (authorization_uri), scope, both (resource and scope), beside "
      "(resource, behind challenges of other schemes)" },
    { "challenge-resource", TEXT, AT(challenge_resource), "URI",
      "what the challenge says instead of --resource" },
    { "authority", TEXT, AT(authority), "URL",
      "what the challenge says instead of https://127.0.0.1:PORT/TENANT" },
    { "region", TEXT, AT(region), "NAME", "x-ms-keyvault-region" },
    { "any-token", FLAG, AT(any_token), NULL, "other vaults' tokens are as good as ours" },
    { "token-life", NUMBER, AT(token_life_s), "S", "seconds (3600)" },
    { "refresh-in", NUMBER, AT(refresh_in_s), "S", "what token answers say; not said by default" },
    { "latency-ms", NUMBER, AT(latency_ms), "N", "before each of the vault's answers (0)" },
    { "jitter-ms", NUMBER, AT(jitter_ms), "N", "up to so much more, by chance (0)" },
    { "idle", NUMBER, AT(idle_s), "S", "an idle connection is closed after (120)" },
    { "throttle", FLAG, AT(throttle.on), NULL, "limits as the service's" },
    { "throttle-scale", SCALE, AT(throttle.scale), "X", "so many times the service's limits (1)" },
    { "throttle-window", WINDOW, AT(throttle.sliding), "KIND", "fixed (default) or sliding" },
    { "throttle-period-ms", NUMBER, AT(throttle.period_ms), "N", "length of a window (10000)" },
    { "retry-after", NUMBER, AT(throttle.retry_after_s), "S", "with each 429; none by default" },
    { "count-throttled", FLAG, AT(throttle.count_throttled), NULL, "429s count, too" },
};

enum { LINE_COUNT = sizeof lines / sizeof lines[0] };

static void print_help(void)
{
    puts(
        "keyvault_emulator --folder DIR [OPTION ...]: Azure Key Vault's keys REST API, for tests.\n\n"
        "Prints one line of JSON when it listens; ends on SIGTERM. Its header says the rest:\n"
        "tests/support/keyvault/keyvault.h.\n");
    for (int i = 0; i < LINE_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", lines[i].name, lines[i].value ? lines[i].value : "");
        printf("  %-30s %s\n", left, lines[i].help);
    }
}

static void fail(const char *name, const char *reason)
{
    fprintf(stderr, "keyvault_emulator: --%s %s (--help lists the options)\n", name, reason);
    exit(2);
}

static int read_choice(const char *name, const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    fail(name, "does not know this word");
    return 0;
}

static void read_value(struct kv_options *options, const struct option_line *line, const char *text)
{
    static const char *const challenges[] = { "resource", "uri", "scope", "both", "beside" };
    static const char *const windows[] = { "fixed", "sliding" };
    void *at = (char *)options + line->at;
    char *end = NULL;
    long number;
    switch (line->kind) {
    case TEXT:
        *(const char **)at = text;
        break;
    case NUMBER:
        number = strtol(text, &end, 10);
        if (end == text || *end || number < 0 || number > INT_MAX)
            fail(line->name, "takes a number");
        *(int *)at = (int)number;
        break;
    case SCALE:
        *(double *)at = strtod(text, &end);
        if (end == text || *end || !(*(double *)at >= 0))
            fail(line->name, "takes a number");
        break;
    case CHALLENGE:
        *(enum kv_challenge *)at = (enum kv_challenge)read_choice(line->name, text, challenges, 5);
        break;
    case WINDOW:
        *(bool *)at = read_choice(line->name, text, windows, 2) == 1;
        break;
    case FLAG:
        *(bool *)at = true;
        break;
    }
}

static const struct option_line *find_line(const char *word)
{
    for (int i = 0; i < LINE_COUNT; i++)
        if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, lines[i].name) == 0)
            return &lines[i];
    fprintf(stderr, "keyvault_emulator: unknown option: %s (--help lists them)\n", word);
    exit(2);
}

static void check(struct kv_options *options)
{
    if (!options->folder)
        fail("folder", "is missing");
    if (options->port > 65535 || options->control_port > 65535)
        fail("port", "is at most 65535");
    if (options->throttle.period_ms == 0)
        fail("throttle-period-ms", "is at least 1");
    if (!options->challenge_resource)
        options->challenge_resource = options->resource;
}

void kv_options_read(struct kv_options *options, int argc, char **argv)
{
    *options = (struct kv_options){
        .tenant = "11111111-2222-4333-8444-555555555555",
        .client_id = "66666666-7777-4888-8999-aaaaaaaaaaaa",
        .client_secret = "emulator-secret",
        .identity_header = "emulator-identity",
        .resource = "https://vault.azure.net",
        .region = "westeurope",
        .token_life_s = 3600,
        .refresh_in_s = -1,
        .idle_s = 120,
        .throttle = { .scale = 1, .period_ms = 10000, .retry_after_s = -1 },
    };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            exit(0);
        }
        const struct option_line *line = find_line(argv[i]);
        if (line->kind != FLAG && i + 1 == argc)
            fail(line->name, "takes a value");
        read_value(options, line, line->kind == FLAG ? NULL : argv[++i]);
    }
    check(options);
}
