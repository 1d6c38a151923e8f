#include "engine/issuers.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/hash.h"

#include "engine/floors.h"

/* Replaces ${issuer}; ${shard} is left for the template. NULL for NULL. */
static char *fill_url(const char *url, const char *issuer_name)
{
    static const char hole[] = "${issuer}";
    const char *at = url ? strstr(url, hole) : NULL;
    char *filled = NULL;
    if (!url)
        return NULL;
    if (!at)
        return strdup(url);
    if (asprintf(&filled, "%.*s%s%s", (int)(at - url), url, issuer_name, at + sizeof hole - 1) < 0)
        abort();
    return filled;
}

static void finish_one(struct cm_issuers *issuers, cm_status status, const struct cm_error *err)
{
    if (status != CM_OK && issuers->status == CM_OK) {
        issuers->status = status;
        if (err)
            issuers->err = *err;
    }
    if (--issuers->pending_count == 0)
        issuers->opened(issuers, issuers->arg);
}

/* Both fingerprints, so that an operator can tell which of the two is the wrong one. */
static cm_status refuse_other_key(const struct cm_issuer_key *key, struct cm_bytes certified,
                                  struct cm_error *err)
{
    uint8_t hash[CM_SHA256_SIZE];
    char of_key[2 * CM_SHA256_SIZE + 1], of_certificate[2 * CM_SHA256_SIZE + 1];
    cm_sha256(&key->key->spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_key);
    cm_sha256(&certified, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_certificate);
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                   "%.40s: its key is not the certificate's: key %s, certificate %s", key->name,
                   of_key, of_certificate);
}

/* The CA certificate says who the issuer is; the settings say where its status is published. */
static cm_status describe_issuer(struct cm_issuer_key *key, struct cm_error *err)
{
    struct cm_certificate certificate;
    cm_status status = cm_certificate_read(key->certificate, &certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &key->issuer, err);
    if (status != CM_OK)
        return status;
    if (!cm_bytes_equal(certificate.spki, key->key->spki))
        return refuse_other_key(key, certificate.spki, err);
    key->crl_url = fill_url(key->authority->crl_url, key->name);
    key->ocsp_url = fill_url(key->authority->ocsp_url, key->name);
    key->ca_issuers_url = fill_url(key->authority->ca_issuers_url, key->name);
    key->issuer.sigalg = key->key->alg;
    key->issuer.crl_shards = key->authority->crl_shards;
    key->issuer.crl_url = key->crl_url;
    key->issuer.ocsp_url = key->ocsp_url;
    key->issuer.ca_issuers_url = key->ca_issuers_url;
    return CM_OK;
}

static bool group_allows(const struct cm_settings_group *group, const struct cm_profile *profile)
{
    for (uint32_t i = 0; i < group->profiles_count; i++)
        if (group->profiles[i] == profile)
            return true;
    return false;
}

static bool is_issued_under(const struct cm_settings *settings, const struct cm_profile *profile,
                            const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (settings->groups[i].authority == authority
            && group_allows(&settings->groups[i], profile))
            return true;
    return false;
}

static cm_status build_templates(struct cm_issuer_key *key, struct cm_error *err)
{
    const struct cm_settings *settings = key->issuers->settings;
    key->templates = calloc(settings->profiles_count, sizeof(struct cm_template *));
    if (!key->templates)
        abort();
    for (uint32_t i = 0; i < settings->profiles_count; i++) {
        if (!is_issued_under(settings, settings->profiles[i], key->authority))
            continue;
        struct cm_error why;
        cm_status status =
            cm_template_build(settings->profiles[i], &key->issuer, &key->templates[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "profile %s under %s: %s",
                           settings->profiles[i]->name, key->name, why.text);
    }
    return CM_OK;
}

static void on_key_opened(cm_status status, struct cm_key *key, const struct cm_error *err,
                          void *arg)
{
    struct cm_issuer_key *issuer = arg;
    struct cm_error why = { .status = CM_OK };
    struct cm_refusal refusal;
    if (status != CM_OK) {
        (void)CM_FAIL(&why, status, CM_ORIGIN_SELF, 0, "key of %s: %s", issuer->name, err->text);
        finish_one(issuer->issuers, status, &why);
        return;
    }
    issuer->key = key;
    status = describe_issuer(issuer, &why);
    if (status == CM_OK && !cm_public_key_read(key->spki, &issuer->public_key, &refusal))
        status = CM_FAIL(&why, CM_MISMATCH, CM_ORIGIN_SELF, 0, "public key of %s: %s", issuer->name,
                         refusal.message);
    if (status == CM_OK)
        status = build_templates(issuer, &why);
    finish_one(issuer->issuers, status, &why);
}

/* What is wanted while walking the generations. */
struct generation_search {
    struct cm_issuers *issuers;
    char **references; /* key reference of each issuer key, owned */
    const struct cm_settings_provider **providers;
};

static void *grow(void *array, uint32_t count, size_t item_size)
{
    void *larger = realloc(array, count * item_size);
    if (!larger)
        abort();
    return larger;
}

/* The keys move, but nobody knows one of them before the walk is over. */
static void add_key(struct generation_search *search, const struct cm_generation *generation,
                    const struct cm_settings_authority *authority)
{
    struct cm_issuers *issuers = search->issuers;
    uint32_t at = issuers->keys_count++;
    issuers->keys = grow(issuers->keys, at + 1, sizeof *issuers->keys);
    search->references = grow(search->references, at + 1, sizeof(char *));
    search->providers = grow(search->providers, at + 1, sizeof(struct cm_settings_provider *));
    struct cm_issuer_key *key = &issuers->keys[at];
    *key = (struct cm_issuer_key){ .issuers = issuers,
                                   .authority = authority,
                                   .generation_number = generation->number,
                                   .certificate = cm_bytes_copy(generation->certificate),
                                   .chain = cm_bytes_copy(generation->chain) };
    snprintf(key->name, sizeof key->name, "%s-%lld", authority->name,
             (long long)generation->generation);
    char *provider = strndup((const char *)generation->provider.data, generation->provider.size);
    search->providers[at] = cm_settings_provider(issuers->settings, provider);
    search->references[at] = strndup((const char *)generation->key.data, generation->key.size);
    free(provider);
}

static bool note_generation(const struct cm_generation *generation, void *arg)
{
    struct generation_search *search = arg;
    const struct cm_settings *settings = search->issuers->settings;
    if (generation->state != CM_GENERATION_ACTIVE)
        return true;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (cm_bytes_is(generation->authority, settings->authorities[i].name))
            add_key(search, generation, &settings->authorities[i]);
    return true;
}

static cm_status check_complete(const struct generation_search *search, struct cm_error *err)
{
    const struct cm_issuers *issuers = search->issuers;
    const struct cm_settings *settings = issuers->settings;
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (!cm_issuers_have(issuers, settings->groups[i].authority))
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "authority %s (of group %s) has no active generation in the store",
                           settings->groups[i].authority->name, settings->groups[i].name);
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (!search->providers[i])
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "the provider of %s is not in the settings", issuers->keys[i].name);
    return CM_OK;
}

static void post_opened(void *arg)
{
    struct cm_issuers *issuers = arg;
    issuers->opened(issuers, issuers->arg);
}

/* A certificate that cannot be read is found out when the key is there. */
static void bind_floor(const struct cm_issuer_key *key, struct cm_provider *provider,
                       const char *reference)
{
    struct cm_certificate certificate;
    if (cm_certificate_read(key->certificate, &certificate, NULL) != CM_OK)
        return;
    struct cm_floor floor =
        cm_floor_of(key->issuers->settings, key->authority, certificate.subject);
    cm_host_bind(provider, reference, &floor);
}

static void open_keys(struct cm_issuers *issuers, const struct cm_issuers_env *env,
                      const struct generation_search *search)
{
    issuers->pending_count = issuers->keys_count;
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        size_t position = (size_t)(search->providers[i] - env->settings->providers);
        bind_floor(&issuers->keys[i], env->providers[position], search->references[i]);
        cm_provider_open_key(env->providers[position], search->references[i], CM_SIGALG_UNKNOWN,
                             on_key_opened, &issuers->keys[i]);
    }
}

void cm_issuers_open(struct cm_issuers *issuers, const struct cm_issuers_env *env,
                     struct cm_store_reader *reader,
                     void (*opened)(struct cm_issuers *issuers, void *arg), void *arg)
{
    struct generation_search search = { .issuers = issuers };
    *issuers = (struct cm_issuers){ .settings = env->settings, .opened = opened, .arg = arg };
    issuers->status = cm_store_reader_begin(reader, &issuers->err);
    if (issuers->status == CM_OK) {
        issuers->status =
            cm_store_walk_generations(reader, note_generation, &search, &issuers->err);
        cm_store_reader_end(reader);
    }
    if (issuers->status == CM_OK)
        issuers->status = check_complete(&search, &issuers->err);
    if (issuers->status == CM_OK && issuers->keys_count > 0) {
        open_keys(issuers, env, &search);
    } else {
        issuers->task = (struct cm_task){ .run = post_opened, .arg = issuers };
        cm_loop_post(env->loop, &issuers->task);
    }
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        free(search.references[i]);
    free(search.references);
    free(search.providers);
}

static void close_key(struct cm_issuer_key *key)
{
    for (uint32_t i = 0; key->templates && i < key->issuers->settings->profiles_count; i++)
        cm_template_free(key->templates[i]);
    free(key->templates);
    if (key->key)
        cm_provider_close_key(key->key);
    free((void *)(uintptr_t)key->certificate.data);
    free((void *)(uintptr_t)key->chain.data);
    free(key->crl_url);
    free(key->ocsp_url);
    free(key->ca_issuers_url);
}

void cm_issuers_close(struct cm_issuers *issuers)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        close_key(&issuers->keys[i]);
    free(issuers->keys);
    issuers->keys = NULL;
    issuers->keys_count = 0;
}

bool cm_issuers_have(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].authority == authority)
            return true;
    return false;
}

const struct cm_issuer_key *cm_issuers_by_generation(const struct cm_issuers *issuers,
                                                     int64_t generation_number)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].generation_number == generation_number)
            return &issuers->keys[i];
    return NULL;
}

const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile)
{
    const struct cm_settings *settings = issuer->issuers->settings;
    for (uint32_t i = 0; i < settings->profiles_count; i++)
        if (settings->profiles[i] == profile)
            return issuer->templates[i];
    return NULL;
}
