#include "tools/inventory.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/x509.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/x509/certificate.h"
#include "engine/x509/crl.h"
#include "engine/x509/name_write.h"
#include "providers/verify.h"
#include "tools/der_file.h"
#include "tools/index_line.h"
#include "tools/progress.h"
#include "tools/time_text.h"

enum { CERTIFICATE_SIZE_MAX = 65536 };

/* What one source says of one serial. */
struct finding {
    struct cm_imported_row row;
    uint32_t order; /* of adding */
};

struct cm_inventory {
    struct cm_certificate ca;
    X509 *ca_parsed;
    struct cm_arena arena;
    struct cm_progress *progress;
    struct finding *findings;
    uint32_t findings_count, findings_space;
    struct cm_imported_row *rows;
    struct cm_crl_row last_crl; /* number 0: none */
    bool has_huge_number;
};

/* ------------------------------------------------------------------------------------- life -- */

static X509 *parse(struct cm_bytes der)
{
    const unsigned char *at = der.data;
    X509 *parsed = d2i_X509(NULL, &at, (long)der.size);
    if (parsed && at == der.data + der.size)
        return parsed;
    X509_free(parsed);
    return NULL;
}

cm_status cm_inventory_open(struct cm_bytes ca_certificate, struct cm_progress *progress,
                            struct cm_inventory **ret_inventory, struct cm_error *err)
{
    struct cm_issuer issuer;
    struct cm_inventory *inventory = calloc(1, sizeof *inventory);
    if (!inventory)
        abort();
    cm_arena_init(&inventory->arena, 1u << 20);
    inventory->progress = progress;
    struct cm_bytes der = cm_arena_copy(&inventory->arena, ca_certificate);
    cm_status status = cm_certificate_read(der, &inventory->ca, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&inventory->ca, &issuer, err);
    if (status == CM_OK && !(inventory->ca_parsed = parse(der)))
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "no certificate of a CA");
    if (status == CM_OK)
        *ret_inventory = inventory;
    else
        cm_inventory_close(inventory);
    return status;
}

void cm_inventory_close(struct cm_inventory *inventory)
{
    if (!inventory)
        return;
    X509_free(inventory->ca_parsed);
    cm_arena_done(&inventory->arena);
    free(inventory->findings);
    free(inventory->rows);
    free(inventory);
}

static void add(struct cm_inventory *inventory, const struct cm_imported_row *row)
{
    if (inventory->findings_count == inventory->findings_space) {
        uint32_t space = inventory->findings_space ? inventory->findings_space * 2 : 1024;
        struct finding *findings = reallocarray(inventory->findings, space, sizeof *findings);
        if (!findings)
            abort();
        inventory->findings = findings;
        inventory->findings_space = space;
    }
    inventory->findings[inventory->findings_count] =
        (struct finding){ .row = *row, .order = inventory->findings_count };
    inventory->findings_count++;
    if (inventory->progress)
        cm_progress_set(inventory->progress, inventory->findings_count);
}

/* ------------------------------------------------------------------------------ certificates -- */

static cm_status read_serial(const X509 *parsed, struct cm_arena *arena,
                             struct cm_bytes *ret_serial)
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(parsed);
    uint8_t octets[CM_SERIAL_SIZE];
    int size = ASN1_STRING_length(number);
    if (size < 1 || size > CM_SERIAL_SIZE || (ASN1_STRING_type(number) & V_ASN1_NEG))
        return CM_MALFORMED;
    const uint8_t *magnitude = ASN1_STRING_get0_data(number);
    size_t sign = magnitude[0] >> 7;
    if (magnitude[0] == 0 || sign + (size_t)size > CM_SERIAL_SIZE)
        return CM_MALFORMED;
    octets[0] = 0;
    memcpy(octets + sign, magnitude, (size_t)size);
    *ret_serial = cm_arena_copy(arena, cm_bytes(octets, sign + (size_t)size));
    return CM_OK;
}

static bool read_end(const X509 *parsed, int64_t *ret_seconds)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    bool is_good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(parsed)) == 1;
    ASN1_TIME_free(epoch);
    *ret_seconds = (int64_t)days * 86400 + seconds;
    return is_good;
}

/* The name alone proves nothing, but says best what went wrong. */
static cm_status check_issuer(const struct cm_inventory *inventory, X509 *parsed, const char *where,
                              struct cm_error *err)
{
    const X509_NAME *issuer = X509_get_issuer_name(parsed);
    const X509_NAME *ours = X509_get_subject_name(inventory->ca_parsed);
    if (X509_NAME_cmp(issuer, ours) != 0) {
        char name[CM_NAME_TEXT_SIZE];
        const unsigned char *der = NULL;
        size_t size = 0;
        if (X509_NAME_get0_der(issuer, &der, &size) != 1)
            size = 0;
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "%.110s: it was issued by \"%.60s\", not by this CA", where,
                       cm_name_write(cm_bytes(der, size), name));
    }
    if (X509_verify(parsed, X509_get0_pubkey(inventory->ca_parsed)) != 1)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "%.110s: it was not signed with the key of this CA, though it has its name",
                       where);
    return CM_OK;
}

static cm_status add_parsed(struct cm_inventory *inventory, X509 *parsed, struct cm_bytes der,
                            const char *where, struct cm_error *err)
{
    struct cm_imported_row row = { 0 };
    cm_status status = check_issuer(inventory, parsed, where, err);
    if (status != CM_OK)
        return status;
    if (read_serial(parsed, &inventory->arena, &row.serial) != CM_OK)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%.150s: its serial number is not positive, or longer than 20 octets",
                       where);
    if (!read_end(parsed, &row.not_after_s) || row.not_after_s <= 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.150s: it has no end after 1970",
                       where);
    row.der = cm_arena_copy(&inventory->arena, der);
    add(inventory, &row);
    return CM_OK;
}

static cm_status add_certificate(struct cm_bytes der, const char *where, void *arg,
                                 struct cm_error *err)
{
    X509 *parsed = der.size <= CERTIFICATE_SIZE_MAX ? parse(der) : NULL;
    if (!parsed)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.150s: no certificate", where);
    cm_status status = add_parsed(arg, parsed, der, where, err);
    X509_free(parsed);
    return status;
}

static cm_status add_folder(struct cm_inventory *inventory, const char *path, DIR *folder,
                            struct cm_error *err)
{
    cm_status status = CM_OK;
    const struct dirent *entry;
    while (status == CM_OK && (entry = readdir(folder))) {
        char file[PATH_MAX];
        struct stat about;
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) >= (int)sizeof file)
            return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, ENAMETOOLONG, "%s", path);
        if (stat(file, &about) == 0 && S_ISREG(about.st_mode))
            status = cm_der_file_walk(file, CM_LABEL_CERTIFICATE, add_certificate, inventory, err);
    }
    return status;
}

cm_status cm_inventory_add_certificates(struct cm_inventory *inventory, const char *path,
                                        struct cm_error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return cm_der_file_walk(path, CM_LABEL_CERTIFICATE, add_certificate, inventory, err);
    cm_status status = add_folder(inventory, path, folder, err);
    closedir(folder);
    return status;
}

/* ------------------------------------------------------------------------------------- index -- */

static void add_line(struct cm_inventory *inventory, const struct cm_index_line *line)
{
    const struct cm_imported_row row = {
        .serial = cm_arena_copy(&inventory->arena, cm_serial_bytes(&line->serial)),
        .not_after_s = line->not_after_s,
        .reason = line->reason,
        .revoked_s = line->revoked_s,
        .invalidity_s = line->invalidity_s,
    };
    add(inventory, &row);
}

cm_status cm_inventory_add_index(struct cm_inventory *inventory, const char *path,
                                 struct cm_error *err)
{
    struct cm_bytes content;
    unsigned number = 0;
    cm_status status = cm_whole_file_read(path, &content, err);
    if (status != CM_OK)
        return status;
    char *rest = (char *)(uintptr_t)content.data;
    if (strlen(rest) != content.size)
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.150s: a NUL character", path);
    for (char *text; status == CM_OK && (text = strsep(&rest, "\n"));) {
        struct cm_index_line line;
        struct cm_error why;
        number++;
        if (text[0] == '\0' || text[0] == '#')
            continue;
        status = cm_index_line_read(text, &line, &why);
        if (status == CM_OK)
            add_line(inventory, &line);
        else
            status = CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "%.110s:%u: %.110s", path, number,
                             why.text);
    }
    free((void *)(uintptr_t)content.data);
    return status;
}

/* -------------------------------------------------------------------------------------- CRLs -- */

static cm_status check_crl(const struct cm_inventory *inventory, const struct cm_crl_read *crl,
                           struct cm_error *why)
{
    char name[CM_NAME_TEXT_SIZE];
    if (!cm_bytes_equal(crl->issuer, inventory->ca.subject))
        return CM_FAIL(why, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "it was issued by \"%.60s\", not by this CA",
                       cm_name_write(crl->issuer, name));
    if (!cm_spki_verify(inventory->ca.spki, crl->sigalg, crl->tbs, crl->signature))
        return CM_FAIL(why, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "it was not signed with the key of this CA, though it has its name");
    if (crl->is_delta)
        return CM_FAIL(why, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "it is a delta CRL: give the complete one that is newer");
    return CM_OK;
}

static cm_status refuse_entry(const struct cm_crl_entry *entry, struct cm_error *why)
{
    char serial[CM_SERIAL_TEXT_SIZE];
    cm_serial_write(entry->serial, serial);
    return CM_FAIL(why, CM_MALFORMED, CM_ORIGIN_SELF, 0, "serial %s: %s", serial,
                   entry->revoked_s <= 0 ? "its revocation has no date after 1970"
                                         : "removeFromCRL in a complete CRL");
}

/* When a certificate that is only known from a CRL ends nobody says: not after its CA does. */
static cm_status add_entries(struct cm_inventory *inventory, struct cm_bytes entries,
                             struct cm_error *why)
{
    struct cm_crl_entry entry;
    cm_status status = CM_OK;
    while (status == CM_OK && cm_crl_next_entry(&entries, &entry, &status, why)) {
        const struct cm_imported_row row = {
            .serial = cm_arena_copy(&inventory->arena, entry.serial),
            .not_after_s = 0,
            .reason = entry.reason,
            .revoked_s = entry.revoked_s,
            .invalidity_s = entry.invalidity_s > 0 ? entry.invalidity_s : 0,
        };
        if (entry.reason == CM_REASON_REMOVE_FROM_CRL || entry.revoked_s <= 0)
            status = refuse_entry(&entry, why);
        else
            add(inventory, &row);
    }
    return status;
}

static void note_number(struct cm_inventory *inventory, const struct cm_crl_read *crl)
{
    bool fits = crl->number.size < 8 || (crl->number.size == 8 && crl->number.data[0] < 0x80);
    uint64_t number =
        fits && crl->number.size > 0 ? cm_big_endian_read(crl->number.data, crl->number.size) : 0;
    inventory->has_huge_number = inventory->has_huge_number || !fits;
    if (number <= inventory->last_crl.number)
        return;
    inventory->last_crl = (struct cm_crl_row){
        .number = number,
        .this_update_s = crl->this_update_s,
        .next_update_s = crl->next_update_s > 0 ? crl->next_update_s : crl->this_update_s + 1,
    };
    cm_sha256(&crl->tbs, 1, inventory->last_crl.tbs_hash);
}

bool cm_inventory_last_crl(const struct cm_inventory *inventory, struct cm_crl_row *ret_crl)
{
    *ret_crl = inventory->last_crl;
    return !inventory->has_huge_number;
}

static cm_status add_one_crl(struct cm_bytes der, const char *where, void *arg,
                             struct cm_error *err)
{
    struct cm_inventory *inventory = arg;
    struct cm_crl_read crl;
    struct cm_error why;
    cm_status status = cm_crl_read(der, &crl, &why);
    if (status == CM_OK)
        status = check_crl(inventory, &crl, &why);
    if (status == CM_OK)
        status = add_entries(inventory, crl.entries, &why);
    if (status != CM_OK)
        return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "%.100s: %.130s", where, why.text);
    note_number(inventory, &crl);
    return CM_OK;
}

cm_status cm_inventory_add_crl(struct cm_inventory *inventory, const char *path,
                               struct cm_error *err)
{
    return cm_der_file_walk(path, CM_LABEL_CRL, add_one_crl, inventory, err);
}

/* -------------------------------------------------------------------------------------- rows -- */

static int compare(const void *one, const void *other)
{
    const struct finding *a = one, *b = other;
    int order = cm_crl_serial_compare(a->row.serial, b->row.serial);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* One more finding about the same serial. */
static cm_status merge(struct cm_imported_row *row, const struct cm_imported_row *more,
                       struct cm_error *err)
{
    if (row->der.size > 0 && more->der.size > 0 && !cm_bytes_equal(row->der, more->der)) {
        char serial[CM_SERIAL_TEXT_SIZE];
        cm_serial_write(row->serial, serial);
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "two different certificates have the serial %s", serial);
    }
    if (more->der.size > 0)
        row->der = more->der;
    if (row->not_after_s == 0 || more->der.size > 0)
        row->not_after_s = more->not_after_s;
    if (more->revoked_s != 0) {
        row->reason = more->reason;
        row->revoked_s = more->revoked_s;
        row->invalidity_s = more->invalidity_s;
    }
    return CM_OK;
}

/* Readers take no date before 1970. The store would refuse this one without a name, and late: the key is there then. */
static cm_status check_date(const struct cm_imported_row *row, struct cm_error *err)
{
    char serial[CM_SERIAL_TEXT_SIZE], date[CM_TIME_TEXT_SIZE];
    if (row->revoked_s <= cm_clock_wall_s() + CM_STORE_AHEAD_S)
        return CM_OK;
    cm_serial_write(row->serial, serial);
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                   "serial %s: the date of its revocation, %s, is in the future", serial,
                   cm_time_write(row->revoked_s, date));
}

cm_status cm_inventory_rows(struct cm_inventory *inventory, struct cm_imported_row **ret_rows,
                            uint32_t *ret_count, struct cm_error *err)
{
    uint32_t count = 0;
    cm_status status = CM_OK;
    free(inventory->rows);
    inventory->rows = calloc(inventory->findings_count + 1, sizeof *inventory->rows);
    if (!inventory->rows)
        abort();
    if (inventory->findings_count > 0)
        qsort(inventory->findings, inventory->findings_count, sizeof *inventory->findings, compare);
    for (uint32_t i = 0; i < inventory->findings_count && status == CM_OK; i++) {
        const struct cm_imported_row *found = &inventory->findings[i].row;
        if (count > 0 && cm_bytes_equal(inventory->rows[count - 1].serial, found->serial))
            status = merge(&inventory->rows[count - 1], found, err);
        else
            inventory->rows[count++] = *found;
    }
    for (uint32_t i = 0; i < count && status == CM_OK; i++) {
        if (inventory->rows[i].not_after_s == 0)
            inventory->rows[i].not_after_s = inventory->ca.not_after_s;
        status = check_date(&inventory->rows[i], err);
    }
    *ret_rows = inventory->rows;
    *ret_count = count;
    return status;
}
