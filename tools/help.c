/* --help: what a command's description says, wrapped for a terminal of 80 columns. */
#include "tools/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WIDTH       79
#define INDENT      4
#define OPTION_TEXT 24 /* column of an option's text */

/* Writes text without back quotes from column `at`, continuing lines at column `indent`. */
static void wrap(FILE *out, const char *text, size_t at, size_t indent)
{
    while (*text) {
        size_t size = strcspn(text, " ");
        size_t shown = 0;
        for (size_t i = 0; i < size; i++)
            shown += text[i] != '`';
        if (at > indent && at + 1 + shown > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', out);
            at++;
        }
        for (size_t i = 0; i < size; i++)
            if (text[i] != '`')
                fputc(text[i], out);
        at += shown;
        text += size + strspn(text + size, " ");
    }
    fputc('\n', out);
}

static void write_text(FILE *out, const char *text)
{
    fprintf(out, "%*s", INDENT, "");
    wrap(out, text, INDENT, INDENT);
}

static void write_option(FILE *out, const struct cm_option *option)
{
    char text[512];
    int used = fprintf(out, "%*s", INDENT, "");
    used += option->letter ? fprintf(out, "-%c, ", option->letter) : 0;
    used += fprintf(out, "--%s%s%s", option->name, option->argument ? " " : "",
                    option->argument ? option->argument : "");
    if (used >= OPTION_TEXT - 1)
        used = fprintf(out, "\n%*s", OPTION_TEXT, "") - 1;
    else
        used += fprintf(out, "%*s", OPTION_TEXT - used, "");
    size_t size = (size_t)snprintf(text, sizeof text, "%s", option->help);
    if (option->choices)
        size += (size_t)snprintf(text + size, sizeof text - size, " One of: %s.", option->choices);
    if (option->standard)
        snprintf(text + size, sizeof text - size, " Default: %s.", option->standard);
    wrap(out, text, (size_t)used, OPTION_TEXT);
}

static void write_options(const struct cm_command *command, FILE *out)
{
    fputs("\nOptions:\n", out);
    for (size_t i = 0; i < command->options_count; i++)
        write_option(out, &command->options[i]);
    write_option(out, &(struct cm_option){ .name = "help", .letter = 'h', .help = "Print this." });
}

void cm_help_write(const struct cm_command *command, FILE *out)
{
    fprintf(out, "Usage: certmill %s [OPTION...]%s%s\n\n", command->name,
            command->operands[0] ? " " : "", command->operands);
    for (size_t i = 0; command->paragraphs[i]; i++) {
        fputs(i ? "\n" : "", out);
        write_text(out, command->paragraphs[i]);
    }
    write_options(command, out);
    if (command->examples_count > 0)
        fputs("\nExamples:\n", out);
    for (size_t i = 0; i < command->examples_count; i++) {
        fprintf(out, "%s%*s%s\n%*s", i ? "\n" : "", INDENT, "", command->examples[i].command,
                2 * INDENT, "");
        wrap(out, command->examples[i].text, 2 * (size_t)INDENT, 2 * (size_t)INDENT);
    }
    char exits[320];
    snprintf(exits, sizeof exits, "Exit codes: 0 done; 1 %s; 2 wrong usage%s%s.",
             command->when_failed ? command->when_failed : "failed",
             command->more_exits ? "; " : "", command->more_exits ? command->more_exits : "");
    fputc('\n', out);
    wrap(out, exits, 0, 0);
}

static void write_line(const struct cm_command *command, FILE *out)
{
    char head[64];
    snprintf(head, sizeof head, "%s%s%s", command->name, command->operands[0] ? " " : "",
             command->operands);
    fprintf(out, "%*s%-*s ", INDENT, "", OPTION_TEXT - 1, head);
    size_t used = INDENT + (strlen(head) < OPTION_TEXT ? OPTION_TEXT : strlen(head) + 1);
    wrap(out, command->summary, used, used);
}

void cm_help_write_all(const struct cm_commands *commands, FILE *out)
{
    fputs("Usage: certmill COMMAND [OPTION...] ...\n\n"
          "certmill issues certificates to device fleets: requests in, certificates out.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < commands->count; i++)
        write_line(commands->all[i], out);
    fputs("\ncertmill COMMAND --help explains a command; certmill --version prints the version.\n",
          out);
}

void cm_help_write_group(const struct cm_commands *commands, const char *group, FILE *out)
{
    size_t size = strlen(group);
    fprintf(out, "Usage: certmill %s COMMAND [OPTION...] ...\n\nCommands:\n", group);
    for (size_t i = 0; i < commands->count; i++)
        if (strncmp(commands->all[i]->name, group, size) == 0
            && commands->all[i]->name[size] == ' ')
            write_line(commands->all[i], out);
    fprintf(out, "\ncertmill %s COMMAND --help explains a command.\n", group);
}
