/*
 * certmill: the command. A subcommand is a description and a run function in a file of its own;
 * here is the list.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/settings/reference.h"
#include "engine/status/metrics.h"
#include "providers/backends.h"
#include "providers/host.h"
#include "tools/command.h"
#include "tools/commands.h"

static const struct cm_command *const all[] = {
    &cm_command_init,
    &cm_command_serve,
    &cm_command_issue,
    &cm_command_submit,
    &cm_command_revoke,
    &cm_command_device_import,
    &cm_command_device_list,
    &cm_command_device_show,
    &cm_command_device_quarantine,
    &cm_command_device_reinstate,
    &cm_command_device_retire,
    &cm_command_ca_list,
    &cm_command_ca_show,
    &cm_command_ca_export_chain,
    &cm_command_ca_create,
    &cm_command_ca_rotate,
    &cm_command_ca_activate,
    &cm_command_ca_retire,
    &cm_command_ca_compromise,
    &cm_command_ca_cross_sign,
    &cm_command_ca_import,
    &cm_command_campaign_start,
    &cm_command_campaign_list,
    &cm_command_campaign_show,
    &cm_command_campaign_pause,
    &cm_command_campaign_resume,
    &cm_command_campaign_cancel,
    &cm_command_ceremony_prepare,
    &cm_command_ceremony_show,
    &cm_command_ceremony_sign,
    &cm_command_ceremony_approve,
    &cm_command_ceremony_cancel,
    &cm_command_ceremony_run,
    &cm_command_ceremony_list,
    &cm_command_ceremony_record,
    &cm_command_crl_publish,
    &cm_command_crl_show,
    &cm_command_ocsp_query,
    &cm_command_audit_verify,
    &cm_command_audit_show,
    &cm_command_audit_export,
    &cm_command_audit_prove,
    &cm_command_provider_test,
    &cm_command_provider_bench,
    &cm_command_doctor,
    &cm_command_quickstart,
    &cm_command_bench,
    &cm_command_bench_compare,
};

static const struct cm_commands commands = { all, sizeof all / sizeof all[0] };

/* What the build asks for: pages made from the descriptions. "ca-list" is the command "ca list". */
static int write_manual(const char *page)
{
    char name[64];
    if (strcmp(page, "certmill") == 0) {
        cm_manual_write_all(&commands, stdout);
        return CM_EXIT_DONE;
    }
    for (size_t i = 0; i < commands.count; i++) {
        snprintf(name, sizeof name, "certmill-%s", all[i]->name);
        for (char *blank = strchr(name, ' '); blank; blank = strchr(blank, ' '))
            *blank = '-';
        if (strcmp(name, page) != 0)
            continue;
        cm_manual_write(all[i], stdout);
        return CM_EXIT_DONE;
    }
    return cm_usage_fail("no man page \"%s\"", page);
}

/* Ceremonies are mostly about keys of authorities, and looked for there: "ca ceremony" is "ceremony". */
static bool is_ca_ceremony(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[1], "ca") == 0 && strcmp(argv[2], "ceremony") == 0;
}

static int write_markdown(const char *page)
{
    if (strcmp(page, "commands") == 0)
        cm_markdown_write_commands(&commands, stdout);
    else if (strcmp(page, "codes") == 0)
        cm_markdown_write_codes(stdout);
    else if (strcmp(page, "settings") == 0)
        cm_settings_write_reference(stdout);
    else if (strcmp(page, "metrics") == 0)
        cm_metrics_write_reference(stdout);
    else
        return cm_usage_fail("--markdown makes commands, codes, metrics and settings, not \"%s\"",
                             page);
    return CM_EXIT_DONE;
}

/*
 * Not a command: what the engine starts to hold a provider's keys. It ends without the destructors of
 * a vendor's module, which have been known to hang; the key store was closed in order.
 */
static void be_signer(void)
{
    cm_signer_protect();
    _exit(cm_signer_main(CM_SIGNER_FD, cm_provider_find));
}

int main(int argc, char **argv)
{
    int exit_code;
    if (argc >= 2 && strcmp(argv[1], "signer") == 0)
        be_signer();
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        exit_code = puts("certmill " CERTMILL_VERSION) < 0;
    else if (argc == 3 && strcmp(argv[1], "--man") == 0)
        exit_code = write_manual(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "--markdown") == 0)
        exit_code = write_markdown(argv[2]);
    else if (is_ca_ceremony(argc, argv))
        exit_code = cm_commands_run(&commands, argc - 1, argv + 1);
    else
        exit_code = cm_commands_run(&commands, argc, argv);
    if (fflush(stdout) != 0 && exit_code == CM_EXIT_DONE) {
        perror("certmill: standard output");
        return CM_EXIT_FAILED;
    }
    return exit_code;
}
