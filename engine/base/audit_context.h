/*
 * What every checkpoint of the audit log begins with when it is signed, its NUL included: a key that is
 * held to it signs nothing else, and nothing else that certmill signs begins like it (all of that is DER).
 */
#ifndef CM_BASE_AUDIT_CONTEXT_H
#define CM_BASE_AUDIT_CONTEXT_H

#define CM_CHECKPOINT_CONTEXT      "certmill audit checkpoint v1"
#define CM_CHECKPOINT_CONTEXT_SIZE sizeof CM_CHECKPOINT_CONTEXT
#define CM_CHECKPOINT_MESSAGE_SIZE (CM_CHECKPOINT_CONTEXT_SIZE + 8 + 8 + 32 + 8 + 32)

#endif
