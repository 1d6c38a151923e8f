#include "providers/pkcs11/token.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS_MAX = 256 };

void cm_p11_unpad(const unsigned char *field, size_t size, char *text)
{
    while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0'))
        size--;
    memcpy(text, field, size);
    text[size] = '\0';
}

static bool field_is(const unsigned char *field, size_t size, const char *wanted)
{
    char text[CM_P11_TOKEN_SIZE + 1];
    cm_p11_unpad(field, size, text);
    return wanted[0] == '\0' || strcmp(text, wanted) == 0;
}

/* After the first connection the very same token is meant, whatever slot it comes back in. */
static bool slot_fits(const struct cm_p11_token *token, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    const struct cm_p11_uri *wanted = &token->wanted;
    if ((info->flags & CKF_TOKEN_INITIALIZED) == 0)
        return false;
    if (token->known)
        return field_is(info->label, sizeof info->label, token->label)
               && field_is(info->serialNumber, sizeof info->serialNumber, token->serial);
    return field_is(info->label, sizeof info->label, wanted->token)
           && field_is(info->manufacturerID, sizeof info->manufacturerID, wanted->manufacturer)
           && field_is(info->model, sizeof info->model, wanted->model)
           && field_is(info->serialNumber, sizeof info->serialNumber, wanted->serial)
           && (!wanted->has_slot_id || wanted->slot_id == slot);
}

/* Adds "label (serial 123, slot 0)" to a list for a message. */
static void list_token(char *list, size_t space, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    char label[CM_P11_TOKEN_SIZE + 1], serial[CM_P11_SHORT_SIZE + 1];
    char shown[CM_P11_TOKEN_SIZE + 1], shown_serial[CM_P11_SHORT_SIZE + 1];
    size_t used = strlen(list);
    cm_p11_unpad(info->label, sizeof info->label, label);
    cm_p11_unpad(info->serialNumber, sizeof info->serialNumber, serial);
    snprintf(list + used, space - used, "%s%s (serial %s, slot %lu)", used > 0 ? ", " : "",
             cm_bytes_printable(cm_bytes_str(label), shown, sizeof shown),
             cm_bytes_printable(cm_bytes_str(serial), shown_serial, sizeof shown_serial), slot);
}

static cm_status explain(const struct cm_p11_token *token, unsigned fitting, const char *fits,
                         const char *present, struct cm_error *err)
{
    const char *shown = token->wanted.shown;
    if (fitting > 1)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0,
                       "several tokens fit %s: %s; add serial= or slot-id=", shown, fits);
    if (token->known)
        return CM_FAIL(err, CM_TOKEN_REMOVED, CM_ORIGIN_SELF, 0,
                       "token %s (serial %s) is not there any more; present: %s", token->label,
                       token->serial, present[0] ? present : "none");
    return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "no token fits %s; present: %s", shown,
                   present[0] ? present : "none");
}

static cm_status list_slots(struct cm_p11_token *token, CK_SLOT_ID *slots, CK_ULONG *count,
                            struct cm_error *err)
{
    char name[32];
    const CK_FUNCTION_LIST *f = token->module->f;
    /* Asked for the size first: some modules look for new tokens only then. */
    CK_RV code = f->C_GetSlotList(CK_TRUE, NULL, count);
    *count = SLOTS_MAX;
    if (code == CKR_OK)
        code = f->C_GetSlotList(CK_TRUE, slots, count);
    if (code == CKR_OK)
        return CM_OK;
    if (cm_p11_meaning(code) == CM_P11_BROKEN)
        atomic_store(&token->restart_wanted, true);
    return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_PKCS11, (int64_t)code,
                   "PKCS#11 module %s lists no slots: %s", token->module->path,
                   cm_p11_code_name(code, name));
}

cm_status cm_p11_slot_find(struct cm_p11_token *token, CK_SLOT_ID *ret_slot,
                           CK_TOKEN_INFO *ret_info, struct cm_error *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = 0;
    char fits[CM_ERROR_TEXT_SIZE] = "", present[CM_ERROR_TEXT_SIZE] = "";
    unsigned fitting = 0;
    cm_status status = list_slots(token, slots, &count, err);
    if (status != CM_OK)
        return status;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (token->module->f->C_GetTokenInfo(slots[i], &info) != CKR_OK)
            continue;
        if (info.flags & CKF_TOKEN_INITIALIZED)
            list_token(present, sizeof present, slots[i], &info);
        if (!slot_fits(token, slots[i], &info))
            continue;
        list_token(fits, sizeof fits, slots[i], &info);
        fitting++;
        *ret_slot = slots[i];
        *ret_info = info;
    }
    return fitting == 1 ? CM_OK : explain(token, fitting, fits, present, err);
}
