#include "tests/unit/x509/crl_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    printf("crl_rig.c: %s\n", what);
    abort();
}

uint32_t crl_rig_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

struct cm_bytes crl_rig_serial(size_t size)
{
    uint8_t *serial = cm_arena_alloc(&pki.arena, size);
    for (size_t i = 0; i < size; i++)
        serial[i] = (uint8_t)crl_rig_random();
    serial[0] = (uint8_t)(1 + serial[0] % 0x7f);
    return cm_bytes(serial, size);
}

struct cm_crl crl_rig_crl(void)
{
    return (struct cm_crl){
        .issuer = pki.issuer.name,
        .aki = pki.issuer.ski,
        .sigalg = pki.issuer.sigalg,
        .this_update_s = pki.now_s,
        .next_update_s = pki.now_s + 86400,
        .number = 7,
    };
}

struct cm_bytes crl_rig_write(const struct cm_crl_entry *entries, size_t count)
{
    uint8_t *all = cm_arena_alloc(&pki.arena, count * CM_CRL_ENTRY_SIZE_MAX + 1);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = cm_crl_entry_write(&entries[i], all + used);
        must(size > 0, "an entry");
        used += size;
    }
    return cm_bytes(all, used);
}

struct cm_bytes crl_rig_sign(const struct cm_crl *crl, struct cm_bytes entries)
{
    struct cm_bytes tbs;
    struct cm_error err = { 0 };
    if (cm_crl_compose(crl, entries, &pki.arena, &tbs, &err) != CM_OK)
        must(false, err.text);
    return cm_certificate_assemble(tbs, crl->sigalg, pki_sign(&pki.issuing_key, crl->sigalg, tbs),
                                   &pki.arena);
}

X509_CRL *crl_rig_parse(struct cm_bytes der)
{
    const unsigned char *next = der.data;
    X509_CRL *list = d2i_X509_CRL(NULL, &next, (long)der.size);
    must(list && next == der.data + der.size, "OpenSSL does not read the list");
    return list;
}

ASN1_INTEGER *crl_rig_integer(struct cm_bytes serial)
{
    BIGNUM *number = BN_bin2bn(serial.data, (int)serial.size, NULL);
    ASN1_INTEGER *integer = BN_to_ASN1_INTEGER(number, NULL);
    must(integer != NULL, "an integer");
    BN_free(number);
    return integer;
}

bool crl_rig_is_time(const ASN1_TIME *time, int64_t time_s)
{
    struct tm tm;
    return time && ASN1_TIME_to_tm(time, &tm) == 1 && timegm(&tm) == time_s;
}

void *crl_rig_extension(X509_CRL *list, int nid, bool critical)
{
    int is_critical = -1;
    void *value = X509_CRL_get_ext_d2i(list, nid, &is_critical, NULL);
    return value && is_critical == critical ? value : NULL;
}
