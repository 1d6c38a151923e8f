#include "providers/pkcs11/key.h"

#include <openssl/rand.h>

enum { ID_SIZE = 16, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, ATTRIBUTES_MAX = 16 };

/* A template being filled; values are borrowed. */
struct template
{
    CK_ATTRIBUTE attributes[ATTRIBUTES_MAX];
    CK_ULONG count;
};

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void add(struct template *template, CK_ATTRIBUTE_TYPE type, void *value, size_t size)
{
    template->attributes[template->count++] = (CK_ATTRIBUTE){ type, value, size };
}

static void add_names(struct template *template, struct cm_p11_uri *uri)
{
    add(template, CKA_TOKEN, &yes, sizeof yes);
    add(template, CKA_ID, uri->id, uri->id_size);
    if (uri->object[0] != '\0')
        add(template, CKA_LABEL, uri->object, strlen(uri->object));
}

/* Signs, and nothing else; never leaves the token. */
static void fill_private(struct template *template, struct cm_p11_uri *uri)
{
    add_names(template, uri);
    add(template, CKA_PRIVATE, &yes, sizeof yes);
    add(template, CKA_SENSITIVE, &yes, sizeof yes);
    add(template, CKA_EXTRACTABLE, &no, sizeof no);
    add(template, CKA_SIGN, &yes, sizeof yes);
    add(template, CKA_SIGN_RECOVER, &no, sizeof no);
    add(template, CKA_DECRYPT, &no, sizeof no);
    add(template, CKA_UNWRAP, &no, sizeof no);
    add(template, CKA_DERIVE, &no, sizeof no);
}

static void fill_public(struct template *template, struct cm_p11_uri *uri)
{
    add_names(template, uri);
    add(template, CKA_VERIFY, &yes, sizeof yes);
    add(template, CKA_ENCRYPT, &no, sizeof no);
    add(template, CKA_WRAP, &no, sizeof no);
}

static CK_MECHANISM_TYPE generation_of(enum cm_key_type type)
{
    if (type == CM_KEY_RSA)
        return CKM_RSA_PKCS_KEY_PAIR_GEN;
    return type == CM_KEY_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
}

static uint32_t bits_of(const struct cm_key_spec *spec)
{
    switch (spec->type) {
    case CM_KEY_P256:
    case CM_KEY_ED25519:
        return 256;
    case CM_KEY_P384:
        return 384;
    case CM_KEY_P521:
        return 521;
    case CM_KEY_RSA:
        return spec->bits;
    case CM_KEY_UNKNOWN:
    case CM_KEY_TYPE_COUNT:
        break;
    }
    return 0;
}

/* ------------------------------------------------------------------ checks -- */

static cm_status check_spec(struct cm_p11_use *use, const struct cm_key_spec *spec,
                            struct cm_error *err)
{
    uint32_t bits = bits_of(spec);
    if (bits == 0 || (spec->type == CM_KEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "keys are P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits");
    if (cm_p11_mechanism_makes(use, generation_of(spec->type), bits)
        || (spec->type == CM_KEY_ED25519
            && cm_p11_mechanism_makes(use, generation_of(spec->type), bits - 1)))
        return CM_OK;
    return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                   "token %s makes no %s keys of %u bits; it may be able to import one",
                   use->token->label, cm_key_type_name(spec->type), bits);
}

static cm_status check_none(struct cm_p11_use *use, const struct cm_p11_uri *uri,
                            CK_OBJECT_CLASS class, CK_ATTRIBUTE_TYPE by, CK_RV *ret_code,
                            struct cm_error *err)
{
    struct cm_p11_uri copy = *uri;
    struct template template = { .count = 0 };
    CK_OBJECT_HANDLE object;
    add(&template, CKA_CLASS, &class, sizeof class);
    if (by == CKA_ID)
        add(&template, CKA_ID, copy.id, copy.id_size);
    else
        add(&template, CKA_LABEL, copy.object, strlen(copy.object));
    if (cm_p11_first(use, template.attributes, template.count, &object, ret_code))
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "token %s holds a key of that %s already: %s; nothing was changed",
                       use->token->label, by == CKA_ID ? "id" : "label", uri->shown);
    return *ret_code == CKR_OK ? CM_OK : cm_p11_fail_search(use, uri, *ret_code, err);
}

/*
 * By label alone and by id alone: a second key of either could not be told from the first. A public
 * key of the id would be taken for the new one's; and what has the id afterwards is ours to destroy.
 */
static cm_status check_absent(struct cm_p11_use *use, const struct cm_p11_uri *uri, CK_RV *ret_code,
                              struct cm_error *err)
{
    cm_status status = CM_OK;
    if (uri->object[0] != '\0')
        status = check_none(use, uri, CKO_PRIVATE_KEY, CKA_LABEL, ret_code, err);
    if (status == CM_OK && uri->id_size > 0)
        status = check_none(use, uri, CKO_PRIVATE_KEY, CKA_ID, ret_code, err);
    if (status == CM_OK && uri->id_size > 0)
        status = check_none(use, uri, CKO_PUBLIC_KEY, CKA_ID, ret_code, err);
    return status;
}

/* ------------------------------------------------------------------ making -- */

static CK_RV generate(struct cm_p11_use *use, CK_SESSION_HANDLE session, struct cm_p11_uri *uri,
                      const struct cm_key_spec *spec)
{
    struct template private = { .count = 0 }, public = { .count = 0 };
    CK_MECHANISM mechanism = { .mechanism = generation_of(spec->type) };
    CK_ULONG bits = spec->bits;
    CK_BYTE exponent[] = { 1, 0, 1 };
    CK_OBJECT_HANDLE public_handle, private_handle;
    struct cm_bytes params = cm_p11_curve_params(spec->type);
    fill_private(&private, uri);
    fill_public(&public, uri);
    if (spec->type == CM_KEY_RSA) {
        add(&public, CKA_MODULUS_BITS, &bits, sizeof bits);
        add(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
    } else {
        add(&public, CKA_EC_PARAMS, (void *)(uintptr_t)params.data, params.size);
    }
    return use->module->f->C_GenerateKeyPair(session, &mechanism, public.attributes, public.count,
                                             private.attributes, private.count, &public_handle,
                                             &private_handle);
}

/* Sessions that write are open only while they write: tokens have fewer of them. */
static CK_RV open_to_write(struct cm_p11_use *use, CK_SESSION_HANDLE *ret_session)
{
    return use->module->f->C_OpenSession(use->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                         ret_session);
}

static cm_status explain(struct cm_p11_use *use, const struct cm_p11_uri *uri, CK_RV code,
                         struct cm_error *err)
{
    char name[32];
    const char *label = use->token->label;
    cm_p11_code_name(code, name);
    if (code == CKR_DEVICE_MEMORY)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_PKCS11, (int64_t)code,
                       "token %s is full (CKR_DEVICE_MEMORY): no key was made; remove objects that "
                       "are not needed",
                       label);
    if (code == CKR_TOKEN_WRITE_PROTECTED || code == CKR_SESSION_READ_ONLY)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
                       "token %s is write-protected (%s): no key was made", label,
                       cm_p11_code_name(code, name));
    return CM_FAIL(err, cm_p11_status(code), CM_ORIGIN_PKCS11, (int64_t)code,
                   "token %s makes no key %s: %s", label, uri->shown, cm_p11_code_name(code, name));
}

/* *ret_lost: the answer was, and there may be a pair, or half of one. */
static cm_status make_with(struct cm_p11_use *use, struct cm_p11_uri *uri,
                           const struct cm_key_spec *spec, CK_RV *ret_code, bool *ret_lost,
                           struct cm_error *err)
{
    CK_SESSION_HANDLE session;
    cm_status status = check_spec(use, spec, err);
    if (status == CM_OK)
        status = check_absent(use, uri, ret_code, err);
    if (status != CM_OK)
        return status;
    if (uri->id_size == 0) {
        if (RAND_bytes(uri->id, ID_SIZE) <= 0)
            return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "no random bytes for an id");
        uri->id_size = ID_SIZE;
    }
    *ret_code = open_to_write(use, &session);
    if (*ret_code == CKR_OK) {
        *ret_code = generate(use, session, uri, spec);
        *ret_lost = *ret_code != CKR_OK && *ret_code != CKR_SESSION_READ_ONLY
                    && cm_p11_meaning(*ret_code) != CM_P11_REFUSED;
        (void)use->module->f->C_CloseSession(session);
    }
    return *ret_code == CKR_OK ? CM_OK : explain(use, uri, *ret_code, err);
}

cm_status cm_p11_key_make(struct cm_p11_token *token, struct cm_p11_uri *uri,
                          const struct cm_key_spec *spec, uint32_t worker_index,
                          struct cm_error *err)
{
    struct cm_p11_use use;
    CK_RV code = CKR_OK;
    bool lost = false;
    cm_status status = cm_p11_token_use(token, worker_index, &use, err);
    if (status != CM_OK)
        return status;
    status = make_with(&use, uri, spec, &code, &lost, err);
    cm_p11_token_give(&use, code);
    if (lost)
        cm_p11_key_take_back(token, uri, worker_index, err);
    return status;
}

/* ------------------------------------------------------------------ destroying -- */

static CK_RV destroy_one(struct cm_p11_use *use, CK_SESSION_HANDLE session,
                         const struct cm_p11_uri *uri, CK_OBJECT_CLASS class)
{
    struct cm_p11_uri copy = *uri;
    struct template template = { .count = 0 };
    CK_OBJECT_HANDLE object;
    CK_RV code = CKR_OK;
    add(&template, CKA_CLASS, &class, sizeof class);
    if (copy.id_size > 0)
        add(&template, CKA_ID, copy.id, copy.id_size);
    if (copy.object[0] != '\0')
        add(&template, CKA_LABEL, copy.object, strlen(copy.object));
    if (cm_p11_first(use, template.attributes, template.count, &object, &code))
        code = use->module->f->C_DestroyObject(session, object);
    return code;
}

/* The private key first: what is left of a pair that went half is of no use to anybody. */
static CK_RV destroy_pair(struct cm_p11_use *use, const struct cm_p11_uri *uri)
{
    CK_SESSION_HANDLE session;
    CK_RV code = open_to_write(use, &session);
    if (code != CKR_OK)
        return code;
    code = destroy_one(use, session, uri, CKO_PRIVATE_KEY);
    if (code == CKR_OK)
        code = destroy_one(use, session, uri, CKO_PUBLIC_KEY);
    (void)use->module->f->C_CloseSession(session);
    return code;
}

cm_status cm_p11_key_destroy(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                             uint32_t worker_index, struct cm_error *err)
{
    struct cm_p11_use use;
    char name[32];
    cm_status status =
        uri->id_size > 0 || uri->object[0] != '\0'
            ? cm_p11_token_use(token, worker_index, &use, err)
            : CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "%s names no key", uri->shown);
    if (status != CM_OK)
        return status;
    CK_RV code = destroy_pair(&use, uri);
    if (code != CKR_OK)
        status = CM_FAIL(err, cm_p11_status(code), CM_ORIGIN_PKCS11, (int64_t)code,
                         "token %s does not destroy key %s: %s", use.token->label, uri->shown,
                         cm_p11_code_name(code, name));
    cm_p11_token_give(&use, code);
    return status;
}

void cm_p11_key_take_back(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                          uint32_t worker_index, struct cm_error *err)
{
    const struct cm_error first = *err;
    struct cm_p11_uri made = *uri;
    struct cm_error left;
    char id[2 * CM_P11_ID_SIZE + 1];
    made.object[0] = '\0'; /* the id is the pair's alone */
    if (cm_p11_key_destroy(token, &made, worker_index, &left) == CM_OK)
        return;
    cm_hex_encode(cm_bytes(made.id, made.id_size), id);
    (void)CM_FAIL(err, first.status, first.origin, first.native,
                  "%.100s; the new key may be left there, id %.32s: %.70s", first.text, id,
                  left.text);
}
