/* docs/reference/commands.md and codes.md: the same descriptions and lists, in Markdown. */
#include "tools/command.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/refusal.h"
#include "engine/base/status.h"

/* ------------------------------------------------------------------------------ commands -- */

static void write_option(FILE *out, const struct cm_option *option)
{
    fputs("| `", out);
    if (option->letter)
        fprintf(out, "-%c, ", option->letter);
    fprintf(out, "--%s%s%s` | ", option->name, option->argument ? " " : "",
            option->argument ? option->argument : "");
    if (option->required)
        fputs("*required*", out);
    else if (option->standard)
        fprintf(out, "`%s`", option->standard);
    fprintf(out, " | %s", option->help);
    if (option->choices)
        fprintf(out, " One of: %s.", option->choices);
    fputs(" |\n", out);
}

static void write_command(const struct cm_command *command, FILE *out)
{
    fprintf(out, "\n## certmill %s\n\n```\ncertmill %s [OPTION...]%s%s\n```\n", command->name,
            command->name, command->operands[0] ? " " : "", command->operands);
    for (size_t i = 0; command->paragraphs[i]; i++)
        fprintf(out, "\n%s\n", command->paragraphs[i]);
    if (command->options_count > 0)
        fputs("\n| option | default | meaning |\n|---|---|---|\n", out);
    for (size_t i = 0; i < command->options_count; i++)
        write_option(out, &command->options[i]);
    if (command->when_failed)
        fprintf(out, "\nExit code 1: %s%s%s.\n", command->when_failed,
                command->more_exits ? "; " : "", command->more_exits ? command->more_exits : "");
    for (size_t i = 0; i < command->examples_count; i++)
        fprintf(out, "\n```\n%s\n```\n\n%s\n", command->examples[i].command,
                command->examples[i].text);
}

void cm_markdown_write_commands(const struct cm_commands *commands, FILE *out)
{
    fputs(
        "# Commands\n"
        "\n"
        "*This page is made from the descriptions that the commands themselves use\n"
        "(`certmill --markdown commands`); so are their `--help` and man pages.*\n"
        "\n"
        "Every command exits with 0 only when what it was asked for is done, with 1 when it is not\n"
        "(a line on standard error says why), and with 2 when the command line is wrong; further\n"
        "codes are said with their command. With `--json` it prints one JSON object on standard\n"
        "output; a failure is `{\"error\": TEXT}`.\n"
        "\n"
        "| command | does |\n|---|---|\n",
        out);
    for (size_t i = 0; i < commands->count; i++)
        fprintf(out, "| [`%s`](#certmill-%.*s%s%s) | %s |\n", commands->all[i]->name,
                (int)strcspn(commands->all[i]->name, " "), commands->all[i]->name,
                strchr(commands->all[i]->name, ' ') ? "-" : "",
                strchr(commands->all[i]->name, ' ') ? strchr(commands->all[i]->name, ' ') + 1 : "",
                commands->all[i]->summary);
    for (size_t i = 0; i < commands->count; i++)
        write_command(commands->all[i], out);
}

/* --------------------------------------------------------------------------------- codes -- */

static const char *kind_text(enum cm_refusal_kind kind)
{
    switch (kind) {
    case CM_REFUSAL_PERMANENT:
        return "permanent";
    case CM_REFUSAL_RETRYABLE:
        return "retryable";
    case CM_REFUSAL_SECURITY:
        return "security";
    }
    return "";
}

static void write_refusals(FILE *out)
{
    fputs(
        "## Refusals\n"
        "\n"
        "The `code` of an answer with the status `refused` or `failed`. A code is never renamed once\n"
        "it is released; the same input gives the same code.\n"
        "\n"
        "- *permanent*: the same request is refused again.\n"
        "- *retryable*: it may succeed later, under the same id.\n"
        "- *security*: permanent, and worth an operator's eye.\n"
        "\n"
        "| code | kind | meaning |\n|---|---|---|\n",
        out);
    for (unsigned code = CM_REFUSAL_NONE + 1; code < CM_REFUSAL_COUNT; code++)
        fprintf(out, "| `%s` | %s | %s |\n", cm_refusal_name((enum cm_refusal_code)code),
                kind_text(cm_refusal_kind_of((enum cm_refusal_code)code)),
                cm_refusal_text((enum cm_refusal_code)code));
}

static const char *advice(enum cm_class class)
{
    switch (class) {
    case CM_CLASS_DONE:
        return "nothing";
    case CM_CLASS_WAIT:
        return "the same again, later";
    case CM_CLASS_ELSEWHERE:
        return "another instance, or the same once it is back";
    case CM_CLASS_REFUSE:
        return "not again: it will fail again";
    case CM_CLASS_RECORD:
        return "record it, never retry blindly";
    case CM_CLASS_BUG:
        return "report it: a contract was broken";
    }
    return "";
}

void cm_markdown_write_codes(FILE *out)
{
    fputs(
        "# Codes\n\n*This page is made from the lists in the code (`certmill --markdown codes`).*\n\n",
        out);
    write_refusals(out);
    fputs("\n## Statuses\n"
          "\n"
          "How operations of the engine end, in logs and metrics.\n"
          "\n"
          "| status | meaning | what to do next |\n|---|---|---|\n",
          out);
    for (unsigned status = 0; status < CM_STATUS_COUNT; status++)
        fprintf(out, "| `%s` | %s | %s |\n", cm_status_name((cm_status)status),
                cm_status_text((cm_status)status), advice(cm_status_class((cm_status)status)));
}
