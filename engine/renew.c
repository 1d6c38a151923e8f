/*
 * Renew: the certificate that a renewal names, or else the device's newest one, and whether it may be
 * renewed.
 *
 * Only requests with op=renew are looked at. What their certificates are is asked of the store for the
 * whole batch at once. From here on a renewal is a request for a certificate like any other: the active
 * key of the group's authority issues it, whichever has issued its predecessor.
 */
#include "engine/internal.h"

#include "engine/renewal.h"

/* One on its way through this station. */
struct renewing {
    struct cm_request *request;
    struct cm_predecessor predecessor;
    uint32_t numbers_count; /* of the device's newest certificates that were looked at */
};

struct station {
    struct cm_worker *worker;
    struct cm_arena *arena;
    int64_t now_s;
    struct renewing *renewings;
    uint32_t count;
};

/* A number that names nothing, or nothing that can be read, leaves the predecessor unknown. */
static cm_status read_certificate(const struct station *station, cm_certificate_number number,
                                  struct cm_predecessor *predecessor,
                                  struct cm_certificate *ret_certificate, struct cm_error *err)
{
    struct cm_certificate_found found;
    cm_status status =
        cm_store_find_certificate(station->worker->reader, number, station->arena, &found, err);
    if (status != CM_OK || found.number == 0
        || cm_certificate_read(found.der, ret_certificate, err) != CM_OK)
        return status;
    *predecessor = (struct cm_predecessor){ .is_known = true,
                                            .device_number = found.device_number,
                                            .not_after_s = ret_certificate->not_after_s,
                                            .spki = ret_certificate->spki };
    return cm_store_find_standing(station->worker->reader, found.generation_number,
                                  ret_certificate->serial, &predecessor->standing, err);
}

/* A number is a part of the serial: all of it must be that of the certificate. */
static cm_status find_named(const struct station *station, struct renewing *renewing,
                            struct cm_error *err)
{
    struct cm_bytes named = renewing->request->renews;
    struct cm_certificate certificate;
    struct cm_serial serial;
    if (!cm_serial_from_content(named, &serial))
        return CM_OK;
    cm_status status = read_certificate(station, cm_serial_number(&serial), &renewing->predecessor,
                                        &certificate, err);
    if (status == CM_OK && renewing->predecessor.is_known)
        renewing->predecessor.is_known = cm_bytes_equal(certificate.serial, named);
    return status;
}

/* The store does not say which profile a certificate was made by; its purposes tell most of them apart. */
static bool is_of_profile(const struct cm_request *request,
                          const struct cm_certificate *certificate)
{
    return request->group->profiles_count == 1
           || cm_profile_has_purposes(request->profile, certificate->purposes);
}

/* The newest of these that is of the profile. */
static cm_status choose_newest(const struct station *station, struct renewing *renewing,
                               const struct cm_latest *latest, struct cm_error *err)
{
    cm_status status = CM_OK;
    struct cm_predecessor *predecessor = &renewing->predecessor;
    for (uint32_t i = renewing->numbers_count;
         status == CM_OK && i < latest->numbers_count && !predecessor->is_known; i++) {
        struct cm_certificate certificate;
        status = read_certificate(station, latest->numbers[i], predecessor, &certificate, err);
        if (status == CM_OK && predecessor->is_known)
            predecessor->is_known = is_of_profile(renewing->request, &certificate);
    }
    renewing->numbers_count = latest->numbers_count;
    return status;
}

/* Of those that named none and have found none, the newest certificates, so many of each. */
static cm_status find_newest(const struct station *station, uint32_t wanted_count,
                             struct cm_error *err)
{
    struct cm_latest *latest = cm_arena_alloc(station->arena, station->count * sizeof *latest);
    struct renewing **asking = cm_arena_alloc(station->arena, station->count * sizeof(void *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < station->count; i++) {
        struct renewing *renewing = &station->renewings[i];
        bool is_first = wanted_count == 1;
        if (renewing->request->renews.size > 0 || renewing->predecessor.is_known
            || (!is_first && renewing->numbers_count == 0))
            continue;
        asking[count] = renewing;
        latest[count++] = (struct cm_latest){ .device_number = renewing->request->device.number,
                                              .wanted_count = wanted_count };
    }
    cm_status status =
        count > 0 ? cm_store_find_latest(station->worker->reader, latest, count, err) : CM_OK;
    for (uint32_t i = 0; status == CM_OK && i < count; i++)
        status = choose_newest(station, asking[i], &latest[i], err);
    return status;
}

/* Most devices find theirs at the first look. */
static cm_status find_all(const struct station *station, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (uint32_t i = 0; status == CM_OK && i < station->count; i++)
        if (station->renewings[i].request->renews.size > 0)
            status = find_named(station, &station->renewings[i], err);
    if (status == CM_OK)
        status = find_newest(station, 1, err);
    return status == CM_OK ? find_newest(station, CM_STORE_LATEST_MAX, err) : status;
}

static void decide(const struct station *station, const struct renewing *renewing)
{
    struct cm_request *request = renewing->request;
    const struct cm_renewal renewal = { .group = request->group,
                                        .device_number = request->device.number,
                                        .spki = request->csr.spki,
                                        .now_s = station->now_s };
    if (!cm_renewal_check(&renewal, &renewing->predecessor, &request->refusal))
        cm_request_refuse(request);
}

static uint32_t list(struct cm_batch *batch, struct renewing *renewings)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (request->operation != CM_OPERATION_RENEW || !cm_request_is_open(request))
            continue;
        if (renewings)
            renewings[count] = (struct renewing){ .request = request };
        count++;
    }
    return count;
}

void cm_renew(struct cm_batch *batch, struct cm_worker *worker)
{
    struct station station = { .worker = worker,
                               .arena = &batch->arena,
                               .now_s = batch->time_ms / 1000,
                               .count = list(batch, NULL) };
    struct cm_error err;
    if (station.count == 0)
        return;
    station.renewings = cm_arena_alloc(station.arena, station.count * sizeof *station.renewings);
    list(batch, station.renewings);
    bool is_found = find_all(&station, &err) == CM_OK;
    for (uint32_t i = 0; i < station.count; i++) {
        if (is_found)
            decide(&station, &station.renewings[i]);
        else
            station.renewings[i].request->outcome = CM_OUTCOME_GIVEN_BACK;
    }
}
