#include "engine/x509/extension.h"

bool cm_extension_read(struct cm_der *der, struct cm_extension *ret_extension)
{
    struct cm_extension extension = { .offset = der->position };
    struct cm_der inner;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "extension", &inner)
        || !cm_der_read_oid(&inner, "extension", &extension.oid))
        return false;
    extension.id = cm_oid_find(extension.oid);
    if (cm_der_next_is(&inner, CM_DER_BOOLEAN)) {
        if (!cm_der_read_boolean(&inner, "critical", &extension.critical))
            return false;
        if (!extension.critical)
            return cm_refuse(der->refusal, CM_REFUSAL_DER_DEFAULT_ENCODED, extension.offset,
                             "critical is FALSE by default");
    }
    if (!cm_der_read_octet_string(&inner, "extension", &extension.value)
        || !cm_der_finish(&inner, "extension"))
        return false;
    *ret_extension = extension;
    return true;
}

void cm_extension_wrap(struct cm_der_writer *w, size_t mark, struct cm_bytes oid, bool critical)
{
    cm_der_wrap(w, CM_DER_OCTET_STRING, mark);
    if (critical)
        cm_der_put_true(w);
    cm_der_put_tlv(w, CM_DER_OID, oid);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}
