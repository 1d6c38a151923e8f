/*
 * Fake: signs with real keys, and misbehaves where a script says so. For tests.
 *
 * It wraps the OpenSSL provider (the same references, real signatures) and keeps a witness: the
 * SHA-256 of every message that it ever signed, so that a test can ask afterwards whether something
 * was signed twice, or signed and then forgotten.
 *
 * The script stands in settings.options, or else in the file fake-script of settings.folder, where
 * there is one; its steps are separated by spaces. Items and submits are
 * counted from 0 over the life of the instance, batches as they are submitted.
 *
 *     item=N:STATUS   item N gets this status, e.g. item=3:UNAVAILABLE. It is not signed, except
 *                     for UNCERTAIN: signed, witnessed, and the signature thrown away
 *     item=N:wrong    item N gets a signature with a bit turned over, and the status OK
 *     item=N:short    item N gets a signature without its last byte, and the status OK
 *     delay=MS        no batch is done sooner than this after it was submitted
 *     delay=N:MS      only batch N
 *     busy=N          submit N is BUSY (where nothing is in flight it is taken all the same, because
 *                     BUSY promises that a done will come)
 *     dies=N          from item N on nothing is signed: items are TOKEN_REMOVED, submits and
 *                     openings of keys UNAVAILABLE
 *     away=PATH       while there is such a file, nothing is signed: submits are UNAVAILABLE
 *     holds=PATH      while there is such a file, batches wait unsigned, as they do where a service
 *                     throttles; one that is cancelled meanwhile, or overdue, comes back so
 *     loses=PATH      while there is such a file, items are signed, witnessed and UNCERTAIN
 *     pins=1          a key's reference is the file that its symbolic link leads to now
 *     tells=N         N notices with the first batch
 *     pace=N          asks a service that allows N signatures a second, and has answered for each
 *                     that was made
 *     circuit=PATH    while there is such a file, the circuit of that service is open
 *     items-max=N     caps.batch_items_max
 *     in-flight=N     caps.batches_in_flight
 *     octets-max=N    caps.batch_octets_max, told and not kept to
 *     witness=PATH    appends a line, 64 hex digits, for every signature before its batch is done
 */
#ifndef CM_PROVIDERS_FAKE_FAKE_H
#define CM_PROVIDERS_FAKE_FAKE_H

#include "providers/provider.h"

/* Fails to open with UNSUPPORTED when the script cannot be read. */
extern const struct cm_provider_ops cm_provider_fake;

/* How many signatures were made, and how many of them over this message. Loop's thread. */
size_t cm_fake_signatures_count(const struct cm_provider *provider);
size_t cm_fake_signatures_count_of(const struct cm_provider *provider, struct cm_bytes message);

#endif
