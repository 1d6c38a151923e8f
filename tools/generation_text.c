#include "tools/generation_text.h"

#include <inttypes.h>
#include <stdio.h>

#include <openssl/sha.h>

#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

static cm_status describe_certificate(const struct cm_generation *generation,
                                      struct cm_generation_text *text, struct cm_error *err)
{
    struct cm_certificate certificate;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    cm_status status = cm_certificate_read(generation->certificate, &certificate, err);
    if (status != CM_OK)
        return status;
    cm_name_write(certificate.subject, text->subject);
    cm_hex_encode(certificate.serial, text->serial);
    cm_time_write(certificate.not_before_s, text->not_before);
    cm_time_write(certificate.not_after_s, text->not_after);
    SHA256(generation->certificate.data, generation->certificate.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), text->fingerprint);
    return CM_OK;
}

static cm_status describe_request(const struct cm_generation *generation, struct cm_arena *arena,
                                  struct cm_generation_text *text, struct cm_error *err)
{
    struct cm_csr request;
    cm_status status = cm_generation_request(generation, arena, &request, err);
    if (status != CM_OK)
        return status;
    cm_name_write(request.subject, text->subject);
    text->waits = true;
    return CM_OK;
}

cm_status cm_generation_describe(const struct cm_generation *generation, struct cm_arena *arena,
                                 struct cm_generation_text *ret_text, struct cm_error *err)
{
    *ret_text = (struct cm_generation_text){ .state = cm_generation_state_name(generation->state) };
    snprintf(ret_text->name, sizeof ret_text->name, "%.*s-%" PRId64, TEXT_OF(generation->authority),
             generation->generation);
    snprintf(ret_text->provider, sizeof ret_text->provider, "%.*s", TEXT_OF(generation->provider));
    snprintf(ret_text->key, sizeof ret_text->key, "%.*s", TEXT_OF(generation->key));
    snprintf(ret_text->sigalg, sizeof ret_text->sigalg, "%.*s", TEXT_OF(generation->sigalg));
    return generation->certificate.size > 0 ? describe_certificate(generation, ret_text, err)
                                            : describe_request(generation, arena, ret_text, err);
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

json_t *cm_generation_json(const struct cm_generation_text *text)
{
    return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s, s:s, s:s, s:s?}", "name", text->name,
                     "state", text->state, "subject", text->subject, "serial",
                     text_or_null(text->serial), "not_before", text_or_null(text->not_before),
                     "not_after", text_or_null(text->not_after), "algorithm", text->sigalg,
                     "provider", text->provider, "key", text->key, "sha256",
                     text_or_null(text->fingerprint));
}

int64_t cm_generation_signer_index(const struct cm_generations *generations, uint32_t index)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    if (cm_certificate_read(generations->all[index].certificate, &certificate, &ignored) != CM_OK)
        return -1;
    const struct cm_generation *signer = cm_generations_find_signer(generations, &certificate);
    return signer ? signer - generations->all : -1;
}
