/* Whether this machine verifies and signs eight at a time. */
#include "engine/multibuffer/multibuffer.h"
#include "tools/doctor.h"

void cm_doctor_check_arithmetic(struct cm_doctor *doctor)
{
    if (doctor->settings->engine.forgoes_lanes)
        cm_doctor_say(doctor, CM_VERDICT_OK, "arithmetic", NULL,
                      "OpenSSL alone: engine.multi-buffer is off");
    else if (cm_mb_takes(CM_MB_P256))
        cm_doctor_say(doctor, CM_VERDICT_OK, "arithmetic", NULL, "%s", cm_mb_describe());
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "arithmetic", NULL, "OpenSSL alone: %s",
                      cm_mb_describe());
}
