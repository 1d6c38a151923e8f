#include "tests/conformance/store_fixture.h"

const struct cm_audit_event fixture_audit = { .kind = "test",
                                              .actor = { (const uint8_t *)"tester", 6 },
                                              .detail = { (const uint8_t *)"{}", 2 },
                                              .digest = { 1, 2, 3 } };

static void put_number(uint8_t *octets, unsigned size, uint64_t number)
{
    for (unsigned i = size; i-- > 0; number >>= 8)
        octets[i] = (uint8_t)number;
}

struct cm_serial row_serial(unsigned n)
{
    struct cm_serial serial;
    put_number(serial.octets, 8, ((uint64_t)FIXTURE_TIME_MS << 20) + n);
    memset(serial.octets + 8, (int)(n & 0xff), CM_SERIAL_SIZE - 8);
    return serial;
}

/* Spread as a hash would be, so that the rows of the index are not in order. */
struct cm_request_key row_key(unsigned n)
{
    struct cm_request_key key;
    put_number(key.octets, 8, n * UINT64_C(0x9e3779b97f4a7c15));
    put_number(key.octets + 8, 8, n);
    return key;
}

struct cm_request_digest row_digest(unsigned n)
{
    struct cm_request_digest digest;
    put_number(digest.octets, 8, 77);
    put_number(digest.octets + 8, 8, n);
    return digest;
}

struct cm_certificate_row row_certificate(unsigned n, uint8_t der[8])
{
    put_number(der, 8, n);
    return (struct cm_certificate_row){ .serial = row_serial(n),
                                        .key = row_key(n),
                                        .digest = row_digest(n),
                                        .device_number = 1,
                                        .generation_number = 1,
                                        .key_fingerprint = n * UINT64_C(0xff51afd7ed558ccd),
                                        .not_after = 4000000000,
                                        .der = cm_bytes(der, 8) };
}

void record_fill(struct record *record, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        record->rows[i] = row_certificate(first + i, record->ders[i]);
    record->op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                       .certificates = record->rows,
                                       .certificates_count = count,
                                       .audit = &fixture_audit };
}
