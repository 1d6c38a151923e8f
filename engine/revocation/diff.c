/*
 * A check on ourselves: whatever went wrong with the book or the store, an entry that was published and
 * still matters does not vanish.
 */
#include "engine/revocation/entries.h"
#include "engine/revocation/internal.h"

static bool was_on_hold(struct cm_bytes entry_der)
{
    struct cm_crl_entry entry;
    cm_status status;
    return cm_crl_next_entry(&entry_der, &entry, &status, NULL)
           && entry.reason == CM_REASON_CERTIFICATE_HOLD;
}

static bool may_go(const struct cm_book *book, int64_t generation_number,
                   const struct cm_entry_span *entry, int64_t before_s)
{
    struct cm_book_found found;
    if (cm_book_find(book, generation_number, entry->serial, &found))
        return found.not_after_s < before_s;
    return was_on_hold(entry->der);
}

static cm_status refuse(const struct cm_entry_span *entry, struct cm_error *err)
{
    char serial[2 * CM_SERIAL_SIZE + 8] = "?";
    if (entry->serial.size <= CM_SERIAL_SIZE + 1)
        cm_hex_encode(entry->serial, serial);
    return CM_FAIL(
        err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
        "serial %s of the CRL before has not ended and is missing: is the store an old copy?",
        serial);
}

cm_status cm_crl_diff(const struct cm_book *book, int64_t generation_number, struct cm_bytes before,
                      int64_t before_s, struct cm_bytes after, struct cm_error *err)
{
    struct cm_entry_span old, new = { .serial = cm_bytes(NULL, 0) };
    bool has_new = cm_entries_next(&after, &new);
    while (cm_entries_next(&before, &old)) {
        while (has_new && cm_crl_serial_compare(new.serial, old.serial) < 0)
            has_new = cm_entries_next(&after, &new);
        bool is_there = has_new && cm_bytes_equal(new.serial, old.serial);
        if (!is_there && !may_go(book, generation_number, &old, before_s))
            return refuse(&old, err);
    }
    return CM_OK;
}
