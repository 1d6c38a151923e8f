/*
 * The part of certmill device list that is about certificates.
 */
#ifndef CM_TOOLS_DEVICE_HOLDERS_H
#define CM_TOOLS_DEVICE_HOLDERS_H

#include "tools/command.h"
#include "tools/deployment.h"

/* Lists who holds certificates of the call's --generation. Fails with: NOT_FOUND, and what the store does. */
CM_MUST_USE cm_status cm_device_list_holders(const struct cm_call *call,
                                             struct cm_deployment *deployment,
                                             struct cm_error *err);

#endif
