/* certmill crl publish: CRLs made anew, now. */
#include <stdio.h>

#include <jansson.h>

#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/deployment.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void tell(const struct cm_call *call, const struct cm_control_published *published)
{
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:I, s:I, s:s}", "published", (json_int_t)published->published,
                                   "failed", (json_int_t)published->failed, "why", published->why);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    if (!cm_call_flag(call, "quiet"))
        printf("%u CRL%s published\n", published->published, published->published == 1 ? "" : "s");
    if (published->failed > 0)
        fprintf(stderr, "certmill: %u could not be: %s\n", published->failed, published->why);
}

static cm_status publish(const struct cm_call *call, struct cm_control_published *ret_published,
                         struct cm_error *err)
{
    struct cm_deployment deployment;
    struct cm_control_client *client = NULL;
    struct cm_error why;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status == CM_OK
        && cm_control_client_open(deployment.settings->store_path, &client, &why) != CM_OK)
        status = CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                         "the engine makes the CRLs, and none runs (%s); start it with certmill "
                         "serve",
                         why.text);
    if (status == CM_OK)
        status =
            cm_control_client_publish(client, cm_call_value(call, "issuer"), ret_published, err);
    cm_control_client_close(client);
    cm_deployment_close(&deployment);
    return status;
}

static int run(const struct cm_call *call)
{
    struct cm_control_published published;
    struct cm_error err = { 0 };
    if (publish(call, &published, &err) != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    tell(call, &published);
    return published.failed == 0 ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

static const char *const paragraphs[] = {
    "Has the running engine make every CRL anew, sign it and publish it, and waits until that is done. "
    "It is not needed in daily life: the engine publishes by itself after each revocation, and before a "
    "CRL ends.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Only those of this key, like `issuing-1`. Without it: of all." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill crl publish", "After a web server has lost its files." },
};

const struct cm_command cm_command_crl_publish = {
    .name = "crl publish",
    .operands = "",
    .summary = "make and publish every CRL anew",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed =
        "no engine runs, or not every CRL could be made; those from before stay in place",
    .run = run,
};
