#include "providers/pkcs11/key.h"

#include <stdio.h>

enum { FOUND_MAX = 4 };

size_t cm_p11_read(struct cm_p11_use *use, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                   void *value, size_t space, CK_RV *failure_io)
{
    CK_ATTRIBUTE attribute = { .type = type, .pValue = value, .ulValueLen = space };
    CK_RV code = use->module->f->C_GetAttributeValue(use->session, object, &attribute, 1);
    bool good = code == CKR_OK && attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION
                && attribute.ulValueLen <= space;
    /* A refusal says that there is no such attribute, or none that we may see. */
    if (*failure_io == CKR_OK && code != CKR_OK && cm_p11_meaning(code) != CM_P11_REFUSED)
        *failure_io = code;
    return good ? attribute.ulValueLen : 0;
}

/* The search is always ended: a session with one open refuses the next. */
static CK_RV search(struct cm_p11_use *use, CK_ATTRIBUTE *attributes, CK_ULONG count,
                    CK_OBJECT_HANDLE *found, CK_ULONG space, CK_ULONG *ret_count)
{
    const CK_FUNCTION_LIST *f = use->module->f;
    CK_RV code = f->C_FindObjectsInit(use->session, attributes, count);
    *ret_count = 0;
    if (code != CKR_OK)
        return code;
    while (code == CKR_OK && *ret_count < space) {
        CK_ULONG more = 0;
        code = f->C_FindObjects(use->session, found + *ret_count, space - *ret_count, &more);
        if (more == 0 || more > space - *ret_count)
            break;
        *ret_count += more;
    }
    CK_RV end = f->C_FindObjectsFinal(use->session);
    return code != CKR_OK ? code : end;
}

bool cm_p11_first(struct cm_p11_use *use, CK_ATTRIBUTE *attributes, CK_ULONG count,
                  CK_OBJECT_HANDLE *ret_handle, CK_RV *ret_code)
{
    CK_ULONG found = 0;
    *ret_code = search(use, attributes, count, ret_handle, 1, &found);
    return *ret_code == CKR_OK && found == 1;
}

static CK_RV describe(struct cm_p11_use *use, CK_OBJECT_HANDLE handle, struct cm_p11_object *object)
{
    CK_BBOOL asks = CK_FALSE;
    CK_RV code = CKR_OK, ignored = CKR_OK;
    *object = (struct cm_p11_object){ .handle = handle };
    object->id_size =
        (uint32_t)cm_p11_read(use, handle, CKA_ID, object->id, sizeof object->id, &code);
    size_t size =
        cm_p11_read(use, handle, CKA_LABEL, object->label, sizeof object->label - 1, &code);
    object->label[size] = '\0';
    if (cm_p11_read(use, handle, CKA_KEY_TYPE, &object->type, sizeof object->type, &code) == 0)
        object->type = CK_UNAVAILABLE_INFORMATION;
    /* Tokens older than this attribute (v2.20) answer as they like. */
    cm_p11_read(use, handle, CKA_ALWAYS_AUTHENTICATE, &asks, sizeof asks, &ignored);
    object->asks_each_time = asks == CK_TRUE;
    return code;
}

static cm_status refuse_several(struct cm_p11_use *use, const struct cm_p11_uri *uri,
                                const CK_OBJECT_HANDLE *found, CK_ULONG count, struct cm_error *err)
{
    char list[160] = "";
    for (CK_ULONG i = 0; i < count; i++) {
        struct cm_p11_object object;
        char id[2 * 16 + 1], label[32];
        size_t used = strlen(list);
        (void)describe(use, found[i], &object); /* as far as it goes */
        cm_hex_encode(cm_bytes(object.id, object.id_size < 16 ? object.id_size : 16), id);
        snprintf(list + used, sizeof list - used, "%s%s (id %s)", i > 0 ? ", " : "",
                 cm_bytes_printable(cm_bytes_str(object.label), label, sizeof label), id);
    }
    return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0,
                   "several keys fit %s: %s%s; name one with id=", uri->shown, list,
                   count == FOUND_MAX ? ", ..." : "");
}

cm_status cm_p11_fail_search(const struct cm_p11_use *use, const struct cm_p11_uri *uri, CK_RV code,
                             struct cm_error *err)
{
    char name[32];
    return CM_FAIL(err, cm_p11_status(code), CM_ORIGIN_PKCS11, (int64_t)code,
                   "looking for %s in token %s: %s", uri->shown, use->token->label,
                   cm_p11_code_name(code, name));
}

cm_status cm_p11_object_find(struct cm_p11_use *use, const struct cm_p11_uri *uri,
                             struct cm_p11_object *ret_object, CK_RV *ret_code,
                             struct cm_error *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[3] = { { CKA_CLASS, &class, sizeof class } };
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG count = 1, found_count = 0;
    char label[CM_P11_LABEL_SIZE + 1];
    uint8_t id[CM_P11_ID_SIZE];
    memcpy(label, uri->object, sizeof label);
    memcpy(id, uri->id, sizeof id);
    if (label[0] != '\0')
        attributes[count++] = (CK_ATTRIBUTE){ CKA_LABEL, label, strlen(label) };
    if (uri->id_size > 0)
        attributes[count++] = (CK_ATTRIBUTE){ CKA_ID, id, uri->id_size };
    *ret_code = search(use, attributes, count, found, FOUND_MAX, &found_count);
    if (*ret_code != CKR_OK)
        return cm_p11_fail_search(use, uri, *ret_code, err);
    if (found_count == 0)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0,
                       "token %s holds no private key that fits %s", use->token->label, uri->shown);
    if (found_count > 1)
        return refuse_several(use, uri, found, found_count, err);
    *ret_code = describe(use, found[0], ret_object);
    return *ret_code == CKR_OK ? CM_OK : cm_p11_fail_search(use, uri, *ret_code, err);
}
