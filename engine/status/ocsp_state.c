#include "engine/status/ocsp_state.h"

static bool find_in_book(const struct cm_book *book, int64_t generation_number,
                         struct cm_bytes serial, struct cm_ocsp_single *single)
{
    struct cm_book_found found;
    if (!cm_book_find(book, generation_number, serial, &found))
        return false;
    single->state = CM_OCSP_REVOKED;
    single->reason = found.reason;
    single->revoked_s = found.revoked_s;
    return true;
}

/* Serials of ours begin with the time: milliseconds, 20 bits of a counter behind them. */
static int64_t serial_time_s(struct cm_bytes serial)
{
    return serial.size == CM_SERIAL_SIZE
               ? (int64_t)(cm_big_endian_read(serial.data, 8) >> 20) / 1000
               : 0;
}

cm_status cm_ocsp_find_state(const struct cm_book *book, struct cm_store_reader *reader,
                             int64_t generation_number, struct cm_bytes serial,
                             struct cm_ocsp_single *ret_single, struct cm_error *err)
{
    enum cm_issued issued;
    if (find_in_book(book, generation_number, serial, ret_single))
        return CM_OK;
    cm_status status = cm_store_find_issued(reader, generation_number, serial, &issued, err);
    if (status == CM_OK && issued == CM_ISSUED_PROMISED)
        status = CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "the certificate is being made");
    if (status != CM_OK)
        return status;
    ret_single->state = issued == CM_ISSUED_NEVER         ? CM_OCSP_UNKNOWN
                        : issued == CM_ISSUED_CERTIFICATE ? CM_OCSP_GOOD
                                                          : CM_OCSP_REVOKED;
    ret_single->reason = CM_REASON_UNSPECIFIED;
    ret_single->revoked_s = issued == CM_ISSUED_ABANDONED ? serial_time_s(serial) : 0;
    return CM_OK;
}

bool cm_ocsp_is_as_in_book(const struct cm_book *book, int64_t generation_number,
                           struct cm_bytes serial, const struct cm_ocsp_single *single)
{
    struct cm_ocsp_single now = { .state = CM_OCSP_GOOD };
    if (!find_in_book(book, generation_number, serial, &now))
        return single->state != CM_OCSP_REVOKED;
    return single->state == CM_OCSP_REVOKED && single->reason == now.reason
           && single->revoked_s == now.revoked_s;
}
