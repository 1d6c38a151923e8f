#include "tests/support/fake_pkcs11.h"

#include <string.h>

#include <openssl/core_names.h>

/* ------------------------------------------------------------------ keys -- */

static const CK_ATTRIBUTE *find(const CK_ATTRIBUTE *attributes, CK_ULONG count,
                                CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < count; i++)
        if (attributes[i].type == type)
            return &attributes[i];
    return NULL;
}

static size_t copy(const CK_ATTRIBUTE *attribute, void *to, size_t space)
{
    if (!attribute || attribute->ulValueLen > space)
        return 0;
    memcpy(to, attribute->pValue, attribute->ulValueLen);
    return attribute->ulValueLen;
}

static bool is_yes(const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    return copy(find(attributes, count, type), &value, sizeof value) && value == CK_TRUE;
}

/* A key that is not what certmill promises its keys to be is not made. */
static bool is_locked_up(const CK_ATTRIBUTE *private, CK_ULONG count)
{
    return is_yes(private, count, CKA_TOKEN) && is_yes(private, count, CKA_PRIVATE)
           && is_yes(private, count, CKA_SENSITIVE) && is_yes(private, count, CKA_SIGN)
           && find(private, count, CKA_EXTRACTABLE) && !is_yes(private, count, CKA_EXTRACTABLE)
           && !is_yes(private, count, CKA_DECRYPT) && !is_yes(private, count, CKA_UNWRAP)
           && !is_yes(private, count, CKA_DERIVE);
}

CK_RV fake_keys_add(CK_MECHANISM_TYPE how, const CK_ATTRIBUTE *public, CK_ULONG public_count,
                    const CK_ATTRIBUTE *private, CK_ULONG private_count,
                    CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    CK_ULONG bits = 0;
    if (fake.script.full || fake.keys_count == FAKE_KEYS_MAX)
        return CKR_DEVICE_MEMORY;
    if (!is_locked_up(private, private_count))
        return CKR_TEMPLATE_INCONSISTENT;
    struct fake_key *key = &fake.keys[fake.keys_count];
    *key = (struct fake_key){ .type = how == CKM_RSA_PKCS_KEY_PAIR_GEN     ? CKK_RSA
                                      : how == CKM_EC_EDWARDS_KEY_PAIR_GEN ? CKK_EC_EDWARDS
                                                                           : CKK_EC };
    key->id_size = copy(find(private, private_count, CKA_ID), key->id, sizeof key->id);
    copy(find(private, private_count, CKA_LABEL), key->label, sizeof key->label - 1);
    key->params_size =
        copy(find(public, public_count, CKA_EC_PARAMS), key->params, sizeof key->params);
    copy(find(public, public_count, CKA_MODULUS_BITS), &bits, sizeof bits);
    key->pkey = fake_crypto_generate(how, key->params, key->params_size, (unsigned)bits);
    if (!key->pkey)
        return CKR_CURVE_NOT_SUPPORTED;
    *ret_private = fake.first_handle + 2 * fake.keys_count++;
    *ret_public = *ret_private + 1;
    return CKR_OK;
}

/* The pair goes with its private half. */
CK_RV fake_keys_remove(CK_OBJECT_HANDLE handle)
{
    bool is_public;
    struct fake_key *key = fake_key_of(handle, &is_public);
    if (!key)
        return CKR_OBJECT_HANDLE_INVALID;
    if (is_public)
        return CKR_OK;
    EVP_PKEY_free(key->pkey);
    *key = fake.keys[--fake.keys_count];
    return CKR_OK;
}

void fake_keys_swap(void)
{
    for (unsigned i = 0; i < fake.keys_count / 2; i++) {
        struct fake_key other = fake.keys[i];
        fake.keys[i] = fake.keys[fake.keys_count - 1 - i];
        fake.keys[fake.keys_count - 1 - i] = other;
    }
}

void fake_keys_replace(void)
{
    for (unsigned i = 0; i < fake.keys_count; i++) {
        struct fake_key *key = &fake.keys[i];
        if (key->type != CKK_EC)
            continue;
        EVP_PKEY_free(key->pkey);
        key->pkey = fake_crypto_generate(CKM_EC_KEY_PAIR_GEN, key->params, key->params_size, 0);
    }
}

struct fake_key *fake_key_of(CK_OBJECT_HANDLE handle, bool *ret_public)
{
    if (handle < fake.first_handle || handle >= fake.first_handle + 2 * fake.keys_count)
        return NULL;
    *ret_public = (handle - fake.first_handle) % 2 == 1;
    return &fake.keys[(handle - fake.first_handle) / 2];
}

/* ------------------------------------------------------------------ attributes -- */

/* The value into space; its size, or 0 when there is none of that kind. */
static size_t read_number(const EVP_PKEY *pkey, const char *name, uint8_t *value)
{
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) <= 0)
        return 0;
    int size = BN_bn2bin(number, value);
    BN_free(number);
    return (size_t)size;
}

static size_t read_point(const struct fake_key *key, uint8_t *value)
{
    uint8_t point[200];
    size_t size = sizeof point, head = 0;
    bool got = key->type == CKK_EC
                   ? EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                     sizeof point, &size)
                         > 0
                   : EVP_PKEY_get_raw_public_key(key->pkey, point, &size) > 0;
    if (!got)
        return 0;
    if (!fake.script.bare_point) {
        value[head++] = 0x04;
        if (size > 127)
            value[head++] = 0x81;
        value[head++] = (uint8_t)size;
    }
    memcpy(value + head, point, size);
    return head + size;
}

static size_t put(uint8_t *value, const void *data, size_t size)
{
    memcpy(value, data, size);
    return size;
}

static size_t read_value(const struct fake_key *key, bool is_public, CK_ATTRIBUTE_TYPE type,
                         uint8_t *value)
{
    CK_OBJECT_CLASS class = is_public ? CKO_PUBLIC_KEY : CKO_PRIVATE_KEY;
    switch (type) {
    case CKA_CLASS:
        return put(value, &class, sizeof class);
    case CKA_KEY_TYPE:
        return put(value, &key->type, sizeof key->type);
    case CKA_ID:
        return put(value, key->id, key->id_size);
    case CKA_LABEL:
        return put(value, key->label, strlen(key->label));
    case CKA_EC_PARAMS:
        return put(value, key->params, key->params_size);
    case CKA_EC_POINT:
        return is_public && key->type != CKK_RSA ? read_point(key, value) : 0;
    case CKA_MODULUS:
        return key->type == CKK_RSA ? read_number(key->pkey, "n", value) : 0;
    case CKA_PUBLIC_EXPONENT:
        return key->type == CKK_RSA ? read_number(key->pkey, "e", value) : 0;
    default:
        return 0;
    }
}

bool fake_object_matches(CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *wanted, CK_ULONG count)
{
    uint8_t value[1024];
    bool is_public;
    const struct fake_key *key = fake_key_of(handle, &is_public);
    if (!key || (is_public && fake.script.no_public)
        || (!is_public && (!fake.logged_in || fake.script.no_private)))
        return false;
    for (CK_ULONG i = 0; i < count; i++) {
        size_t size = read_value(key, is_public, wanted[i].type, value);
        if (size != wanted[i].ulValueLen || memcmp(value, wanted[i].pValue, size) != 0)
            return false;
    }
    return true;
}

CK_RV fake_object_read(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attribute)
{
    uint8_t value[1024];
    bool is_public;
    const struct fake_key *key = fake_key_of(handle, &is_public);
    if (!key)
        return CKR_OBJECT_HANDLE_INVALID;
    if (fake.script.no_names && (attribute->type == CKA_ID || attribute->type == CKA_LABEL))
        return CKR_ATTRIBUTE_SENSITIVE;
    size_t size = read_value(key, is_public, attribute->type, value);
    CK_ULONG space = attribute->ulValueLen;
    attribute->ulValueLen = size > 0 ? size : CK_UNAVAILABLE_INFORMATION;
    if (size == 0)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (attribute->pValue && space < size)
        return CKR_BUFFER_TOO_SMALL;
    if (attribute->pValue)
        memcpy(attribute->pValue, value, size);
    return CKR_OK;
}
