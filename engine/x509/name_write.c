#include "engine/x509/name_write.h"

#include <openssl/x509.h>

const char *cm_name_write(struct cm_bytes name, char ret_text[CM_NAME_TEXT_SIZE])
{
    const unsigned char *at = name.data;
    X509_NAME *parsed = d2i_X509_NAME(NULL, &at, (long)name.size);
    BIO *out = BIO_new(BIO_s_mem());
    int used = 0;
    if (parsed && out && X509_NAME_print_ex(out, parsed, 0, XN_FLAG_RFC2253) >= 0)
        used = BIO_read(out, ret_text, CM_NAME_TEXT_SIZE - 1);
    ret_text[used > 0 ? used : 0] = '\0';
    BIO_free(out);
    X509_NAME_free(parsed);
    return ret_text;
}

bool cm_names_are_equal(struct cm_bytes one, struct cm_bytes other)
{
    const unsigned char *at_one = one.data, *at_other = other.data;
    X509_NAME *left = d2i_X509_NAME(NULL, &at_one, (long)one.size);
    X509_NAME *right = d2i_X509_NAME(NULL, &at_other, (long)other.size);
    bool equal = left && right && X509_NAME_cmp(left, right) == 0;
    X509_NAME_free(left);
    X509_NAME_free(right);
    return equal;
}
