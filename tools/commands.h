/*
 * The subcommands, one file each; main.c lists them.
 */
#ifndef CM_TOOLS_COMMANDS_H
#define CM_TOOLS_COMMANDS_H

#include "tools/command.h"

extern const struct cm_command cm_command_init;
extern const struct cm_command cm_command_serve;
extern const struct cm_command cm_command_issue;
extern const struct cm_command cm_command_submit;
extern const struct cm_command cm_command_revoke;
extern const struct cm_command cm_command_device_import;
extern const struct cm_command cm_command_device_list;
extern const struct cm_command cm_command_device_show;
extern const struct cm_command cm_command_device_quarantine;
extern const struct cm_command cm_command_device_reinstate;
extern const struct cm_command cm_command_device_retire;
extern const struct cm_command cm_command_ca_list;
extern const struct cm_command cm_command_ca_show;
extern const struct cm_command cm_command_ca_create;
extern const struct cm_command cm_command_ca_import;
extern const struct cm_command cm_command_crl_publish;
extern const struct cm_command cm_command_crl_show;
extern const struct cm_command cm_command_ocsp_query;
extern const struct cm_command cm_command_provider_test;
extern const struct cm_command cm_command_provider_bench;
extern const struct cm_command cm_command_doctor;
extern const struct cm_command cm_command_quickstart;
extern const struct cm_command cm_command_bench;

#endif
