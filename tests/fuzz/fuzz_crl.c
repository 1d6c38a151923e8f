/*
 * CRLs: the entries of what is taken are read to their end, or to the one that is none; where all are good,
 * OpenSSL takes the list, too, with the same entries; and what we would write of one reads the same again.
 */
#include <stdlib.h>

#include <openssl/x509v3.h>

#include "engine/x509/crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Where it has dates that we write at all. */
static void check_writing(const struct cm_crl_entry *entry)
{
    uint8_t octets[CM_CRL_ENTRY_SIZE_MAX];
    struct cm_bytes written = cm_bytes(octets, cm_crl_entry_write(entry, octets));
    struct cm_crl_entry again;
    cm_status status;
    if (written.size == 0)
        return;
    must(cm_crl_next_entry(&written, &again, &status, NULL) && written.size == 0);
    must(cm_bytes_equal(again.serial, entry->serial) && again.reason == entry->reason
         && again.revoked_s == entry->revoked_s && again.invalidity_s == entry->invalidity_s);
}

/* Names are DER, and nobody here looks further into them: OpenSSL does. */
static bool has_a_name_for_openssl(const struct cm_crl_read *crl)
{
    const unsigned char *next = crl->issuer.data;
    X509_NAME *name = d2i_X509_NAME(NULL, &next, (long)crl->issuer.size);
    X509_NAME_free(name);
    return name != NULL;
}

/* Negative ones OpenSSL would take. */
static bool is_serial(const ASN1_INTEGER *serial, struct cm_bytes expected)
{
    unsigned char *der = NULL;
    int size = i2d_ASN1_INTEGER(serial, &der);
    bool is_same = size > 2 && !(ASN1_STRING_type(serial) & V_ASN1_NEG)
                   && cm_bytes_equal(cm_bytes(der + 2, (size_t)size - 2), expected);
    OPENSSL_free(der);
    return is_same;
}

static void check_openssl(struct cm_bytes input, struct cm_bytes entries)
{
    const unsigned char *next = input.data;
    X509_CRL *theirs = d2i_X509_CRL(NULL, &next, (long)input.size);
    must(theirs && next == input.data + input.size);
    STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(theirs);
    struct cm_crl_entry entry;
    cm_status status;
    int count = 0;
    for (; cm_crl_next_entry(&entries, &entry, &status, NULL); count++)
        must(count < sk_X509_REVOKED_num(revoked)
             && is_serial(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(revoked, count)),
                          entry.serial));
    must(count == (revoked ? sk_X509_REVOKED_num(revoked) : 0));
    X509_CRL_free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_bytes input = cm_bytes(data, size);
    struct cm_crl_read crl;
    struct cm_crl_entry entry;
    cm_status status;
    if (cm_crl_read(input, &crl, NULL) != CM_OK)
        return 0;
    struct cm_bytes entries = crl.entries;
    while (cm_crl_next_entry(&entries, &entry, &status, NULL))
        check_writing(&entry);
    must(status == CM_OK ? entries.size == 0 : entries.size > 0);
    if (status == CM_OK && has_a_name_for_openssl(&crl))
        check_openssl(input, crl.entries);
    return 0;
}
