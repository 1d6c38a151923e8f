#include "tools/name_text.h"

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
