/* What relying parties would find: CRLs that are published and fresh, OCSP that answers. */
#include "tools/doctor.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/x509/crl.h"
#include "tools/control_client.h"
#include "tools/deployment.h"
#include "tools/der_file.h"
#include "tools/generations.h"
#include "tools/ocsp_client.h"
#include "tools/published.h"
#include "tools/time_text.h"

/* ---------------------------------------------------------------------- what settings promise -- */

static void check_promises(struct cm_doctor *doctor, const struct cm_settings_authority *authority)
{
    const struct cm_settings_status *status = &doctor->settings->status;
    if (authority->crl_url && !status->listen && !status->publish_folder)
        cm_doctor_say(doctor, CM_VERDICT_WARN, "CRLs",
                      "set status.listen, or status.publish-folder for a web server",
                      "certificates of %s name a CRL at %s, and nobody publishes it",
                      authority->name, authority->crl_url);
    if (authority->ocsp_url && !status->listen)
        cm_doctor_say(doctor, CM_VERDICT_WARN, "OCSP", "set status.listen",
                      "certificates of %s name a responder at %s, and the engine does not listen",
                      authority->name, authority->ocsp_url);
}

/* Whoever can write to the stream could put a fleet on hold. */
static void check_requester(struct cm_doctor *doctor, const struct cm_settings_requester *requester)
{
    bool may_order = false;
    for (unsigned op = 0; op < CM_OPERATION_COUNT; op++)
        may_order |= (requester->operations & CM_OPERATION_BIT(op))
                     && cm_operation_is_order((enum cm_operation)op);
    if (may_order && requester->auth == CM_AUTH_NONE
        && doctor->settings->queue_kind == CM_QUEUE_KIND_REDIS)
        cm_doctor_say(doctor, CM_VERDICT_WARN, "requesters",
                      "give it auth in the settings, or only the operations issue and renew",
                      "%s may revoke or hold certificates without authentication", requester->name);
}

/* ----------------------------------------------------------------------------- the CRL files -- */

/* The CRLs of one key. */
struct crl_set {
    struct cm_doctor *doctor;
    const char *issuer;
    const struct cm_settings_authority *authority;
    uint32_t count, bad_count;
    int64_t first_end_s;
};

static cm_status note_end(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    struct crl_set *set = arg;
    struct cm_crl_read crl;
    (void)where;
    cm_status status = cm_crl_read(der, &crl, err);
    if (status == CM_OK && (set->first_end_s == 0 || crl.next_update_s < set->first_end_s))
        set->first_end_s = crl.next_update_s;
    return status;
}

static void look_at_shard(struct crl_set *set, uint32_t shard)
{
    struct cm_doctor *doctor = set->doctor;
    const char *path;
    struct cm_error err;
    cm_status status =
        cm_published_crl(doctor->settings, doctor->arena, set->issuer, shard, false, &path, &err);
    if (status == CM_OK)
        status = cm_der_file_walk(path, CM_LABEL_CRL, note_end, set, &err);
    set->count += status == CM_OK;
    set->bad_count += status != CM_OK;
    if (status != CM_OK && set->bad_count == 1) /* one of them will do */
        cm_doctor_say(
            doctor, CM_VERDICT_WARN, "CRLs",
            "start the engine; where it runs: certmill crl publish, and what serve prints", "%s",
            err.text);
}

static void conclude_set(const struct crl_set *set)
{
    struct cm_doctor *doctor = set->doctor;
    char text[CM_TIME_TEXT_SIZE];
    int64_t left_s = set->first_end_s - cm_clock_wall_s();
    if (set->count == 0)
        return;
    cm_time_write(set->first_end_s, text);
    if (left_s <= 0)
        cm_doctor_say(
            doctor, CM_VERDICT_FAIL, "CRLs",
            "start the engine; where it runs: certmill crl publish, and what serve prints",
            "a CRL of %s has ended on %s: relying parties refuse every certificate", set->issuer,
            text);
    else if (left_s < (int64_t)set->authority->crl_overlap_s / 2)
        cm_doctor_say(doctor, CM_VERDICT_WARN, "CRLs",
                      "is the engine running, and its key there? what serve prints says why",
                      "a CRL of %s ends on %s and was not renewed", set->issuer, text);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "CRLs", NULL, "%u of %s, the first ends on %s",
                      set->count, set->issuer, text);
}

static void check_files(struct cm_doctor *doctor, const struct cm_generation *generation,
                        const struct cm_settings_authority *authority)
{
    struct crl_set set = { .doctor = doctor,
                           .issuer = cm_generation_name(doctor->arena, generation),
                           .authority = authority };
    uint32_t shards = generation->crl_shards ? generation->crl_shards : authority->crl_shards;
    for (uint32_t shard = 0; shard < shards; shard++)
        look_at_shard(&set, shard);
    conclude_set(&set);
}

/* ---------------------------------------------------------------------------------- the service -- */

static bool engine_runs(const struct cm_doctor *doctor)
{
    struct cm_control_client *client = NULL;
    struct cm_error ignored;
    bool runs = cm_control_client_open(doctor->settings->store_path, &client, &ignored) == CM_OK;
    cm_control_client_close(client);
    return runs;
}

/* About a serial that nobody has: "unknown", signed, is the best answer. */
static void ask_ocsp(struct cm_doctor *doctor, const struct cm_generation *generation,
                     const char *url)
{
    const char *name = cm_generation_name(doctor->arena, generation);
    struct cm_ocsp_question question = {
        .issuer = generation->certificate,
        .serial = cm_bytes("\x01", 1),
        .url = url,
        .hash = "sha256",
    };
    struct cm_ocsp_said said;
    struct cm_error err;
    if (cm_ocsp_ask(&question, &said, &err) == CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_OK, "OCSP", NULL, "%s answers for %s, signed by %s",
                      doctor->settings->status.listen, name,
                      said.is_delegated ? said.responder : "the authority's own key");
    else
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "OCSP",
                      "see status.listen and ocsp-responder in the settings, and what serve prints",
                      "for %s: %s", name, err.text);
}

/* ------------------------------------------------------------------------------------ together -- */

static void check_generations(struct cm_doctor *doctor)
{
    const struct cm_settings_status *status = &doctor->settings->status;
    struct cm_generations generations;
    struct cm_error err;
    const char *url = cm_deployment_ocsp_url(doctor->settings, doctor->arena);
    bool asks = url && engine_runs(doctor);
    if (cm_generations_read(doctor->store, doctor->arena, &generations, &err) != CM_OK)
        return; /* said before */
    for (uint32_t i = 0; i < generations.count; i++) {
        const struct cm_generation *generation = &generations.all[i];
        const struct cm_settings_authority *authority = cm_settings_authority(
            doctor->settings,
            cm_arena_printf(doctor->arena, "%.*s", (int)generation->authority.size,
                            (const char *)generation->authority.data));
        if (!authority || generation->state == CM_GENERATION_PENDING)
            continue;
        if (status->publish_folder)
            check_files(doctor, generation, authority);
        if (asks)
            ask_ocsp(doctor, generation, url);
    }
}

void cm_doctor_check_status(struct cm_doctor *doctor)
{
    const struct cm_settings *settings = doctor->settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        check_promises(doctor, &settings->authorities[i]);
    for (uint32_t i = 0; i < settings->requesters_count; i++)
        check_requester(doctor, &settings->requesters[i]);
    if (doctor->store)
        check_generations(doctor);
}
