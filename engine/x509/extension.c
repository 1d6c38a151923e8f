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

static bool refuse_oid(const struct cm_der *der, enum cm_refusal_code code,
                       const struct cm_extension *extension, const char *what)
{
    char dotted[CM_OID_TEXT_SIZE];
    return cm_refuse(der->refusal, code, extension->offset, "%s %s",
                     cm_oid_dotted(extension->oid, dotted, sizeof dotted), what);
}

bool cm_extensions_enter(struct cm_der *der, uint8_t tag, struct cm_extensions *ret_extensions)
{
    struct cm_der outer;
    ret_extensions->seen_count = 0;
    if (tag == 0)
        return cm_der_enter(der, CM_DER_SEQUENCE, "extensions", &ret_extensions->list);
    return cm_der_enter(der, tag, "extensions", &outer)
           && cm_der_enter(&outer, CM_DER_SEQUENCE, "extensions", &ret_extensions->list)
           && cm_der_finish(&outer, "extensions");
}

bool cm_extensions_next(struct cm_extensions *extensions, struct cm_extension *ret_extension)
{
    struct cm_der *list = &extensions->list;
    struct cm_extension extension;
    if (!cm_extension_read(list, &extension))
        return false;
    for (size_t i = 0; i < extensions->seen_count; i++)
        if (cm_bytes_equal(extensions->seen[i], extension.oid))
            return refuse_oid(list, CM_REFUSAL_CSR_EXT_DUPLICATE, &extension, "stands twice");
    if (extensions->seen_count == CM_EXTENSIONS_MAX)
        return cm_refuse(list->refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, extension.offset,
                         "more than %d extensions", CM_EXTENSIONS_MAX);
    extensions->seen[extensions->seen_count++] = extension.oid;
    *ret_extension = extension;
    return true;
}

bool cm_extension_refuse_critical(const struct cm_der *der, const struct cm_extension *extension)
{
    return refuse_oid(der, CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN, extension,
                      "is critical, and not known here");
}

bool cm_extension_enter_policies(struct cm_der *value, struct cm_der *ret_list)
{
    return cm_der_enter(value, CM_DER_SEQUENCE, "certificatePolicies", ret_list);
}

bool cm_extension_next_policy(struct cm_der *list, struct cm_bytes *ret_oid)
{
    struct cm_der information;
    return cm_der_enter(list, CM_DER_SEQUENCE, "certificatePolicies", &information)
           && cm_der_read_oid(&information, "certificatePolicies", ret_oid);
}

bool cm_extension_read_aki(struct cm_der *value, struct cm_bytes *ret_key_id)
{
    struct cm_der_element key_id = { 0 };
    struct cm_der inner;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "authorityKeyIdentifier", &inner))
        return false;
    if (cm_der_next_is(&inner, CM_DER_CONTEXT(0))
        && !cm_der_read(&inner, CM_DER_CONTEXT(0), "keyIdentifier", &key_id))
        return false;
    *ret_key_id = key_id.content;
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

void cm_extension_put_aki(struct cm_der_writer *w, struct cm_bytes key_id)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_CONTEXT(0), key_id);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_AUTHORITY_KEY_ID), false);
}

void cm_extension_put_point_name(struct cm_der_writer *w, struct cm_bytes before,
                                 struct cm_bytes shard, struct cm_bytes after)
{
    size_t mark = cm_der_mark(w);
    cm_der_put(w, after);
    cm_der_put(w, shard);
    cm_der_put(w, before);
    cm_der_wrap(w, CM_DER_CONTEXT(6), mark); /* GeneralName: uniformResourceIdentifier */
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark); /* fullName */
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(0), mark); /* distributionPoint */
}

void cm_extension_put_points(struct cm_der_writer *w, enum cm_oid id, struct cm_bytes before,
                             struct cm_bytes shard, struct cm_bytes after)
{
    size_t mark = cm_der_mark(w);
    cm_extension_put_point_name(w, before, shard, after);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark); /* DistributionPoint */
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(id), false);
}

static void put_access(struct cm_der_writer *w, enum cm_oid method, const char *url)
{
    size_t mark = cm_der_mark(w);
    if (!url)
        return;
    cm_der_put_tlv(w, CM_DER_CONTEXT(6), cm_bytes_str(url));
    cm_der_put_tlv(w, CM_DER_OID, cm_oid_content(method));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

void cm_extension_put_authority_info(struct cm_der_writer *w, const char *ocsp_url,
                                     const char *ca_issuers_url)
{
    size_t mark = cm_der_mark(w);
    put_access(w, CM_OID_AD_CA_ISSUERS, ca_issuers_url);
    put_access(w, CM_OID_AD_OCSP, ocsp_url);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_AUTHORITY_INFO_ACCESS), false);
}
