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
extern const struct cm_command cm_command_ca_export_chain;
extern const struct cm_command cm_command_ca_create;
extern const struct cm_command cm_command_ca_rotate;
extern const struct cm_command cm_command_ca_activate;
extern const struct cm_command cm_command_ca_retire;
extern const struct cm_command cm_command_ca_compromise;
extern const struct cm_command cm_command_ca_cross_sign;
extern const struct cm_command cm_command_ca_import;
extern const struct cm_command cm_command_campaign_start;
extern const struct cm_command cm_command_campaign_list;
extern const struct cm_command cm_command_campaign_show;
extern const struct cm_command cm_command_campaign_pause;
extern const struct cm_command cm_command_campaign_resume;
extern const struct cm_command cm_command_campaign_cancel;
extern const struct cm_command cm_command_ceremony_prepare;
extern const struct cm_command cm_command_ceremony_show;
extern const struct cm_command cm_command_ceremony_sign;
extern const struct cm_command cm_command_ceremony_approve;
extern const struct cm_command cm_command_ceremony_cancel;
extern const struct cm_command cm_command_ceremony_run;
extern const struct cm_command cm_command_ceremony_list;
extern const struct cm_command cm_command_ceremony_record;
extern const struct cm_command cm_command_crl_publish;
extern const struct cm_command cm_command_crl_show;
extern const struct cm_command cm_command_ocsp_query;
extern const struct cm_command cm_command_audit_verify;
extern const struct cm_command cm_command_audit_show;
extern const struct cm_command cm_command_audit_export;
extern const struct cm_command cm_command_audit_prove;
extern const struct cm_command cm_command_provider_test;
extern const struct cm_command cm_command_provider_bench;
extern const struct cm_command cm_command_doctor;
extern const struct cm_command cm_command_quickstart;
extern const struct cm_command cm_command_bench;
extern const struct cm_command cm_command_bench_compare;

#endif
