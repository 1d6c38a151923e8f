/* Man pages: what a command's description says, in roff (man macros). */
#include "tools/command.h"

#include <stdio.h>
#include <string.h>

/* Text with roff's own characters made harmless and `code` in bold. */
static void write_roff(FILE *out, const char *text)
{
    bool bold = false;
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", out);
        } else if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else {
            fputc(*text, out);
        }
    }
}

static void write_line(FILE *out, const char *macro, const char *text)
{
    fputs(macro, out);
    write_roff(out, text);
    fputc('\n', out);
}

/* certmill-ca-list for "ca list". */
static void write_page_name(FILE *out, const char *name)
{
    fputs("certmill\\-", out);
    for (; *name; name++)
        fputs(*name == ' ' || *name == '-' ? "\\-" : (char[]){ *name, '\0' }, out);
}

static void write_title(FILE *out, const char *name)
{
    fputs(".TH \"", out);
    if (name)
        write_page_name(out, name);
    else
        fputs("certmill", out);
    fputs("\" 1 \"\" \"certmill " CERTMILL_VERSION "\" \"certmill manual\"\n.SH NAME\n", out);
}

static void write_option(FILE *out, const struct cm_option *option)
{
    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    write_roff(out, option->name);
    fputs("\\fR", out);
    if (option->argument)
        fprintf(out, " \\fI%s\\fR", option->argument);
    fputc('\n', out);
    write_roff(out, option->help);
    if (option->choices) {
        fputs(" One of: ", out);
        write_roff(out, option->choices);
        fputc('.', out);
    }
    if (option->standard) {
        fputs(" Default: ", out);
        write_roff(out, option->standard);
        fputc('.', out);
    }
    fputc('\n', out);
}

static void write_exit_codes(FILE *out, const char *when_failed, const char *more_exits)
{
    fputs(".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\n", out);
    write_roff(out, when_failed ? when_failed : "failed");
    fputs(": a line on standard error says why.\n.TP\n2\nWrong usage; nothing was tried.\n", out);
    if (more_exits) {
        fputs(".PP\nAlso: ", out);
        write_roff(out, more_exits);
        fputs(".\n", out);
    }
}

void cm_manual_write(const struct cm_command *command, FILE *out)
{
    write_title(out, command->name);
    write_page_name(out, command->name);
    write_line(out, " \\- ", command->summary);
    fputs(".SH SYNOPSIS\n\\fBcertmill ", out);
    write_roff(out, command->name);
    fprintf(out, "\\fR [\\fIOPTION\\fR...] \\fI%s\\fR\n.SH DESCRIPTION\n", command->operands);
    for (size_t i = 0; command->paragraphs[i]; i++)
        write_line(out, i ? ".PP\n" : "", command->paragraphs[i]);
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < command->options_count; i++)
        write_option(out, &command->options[i]);
    write_option(out, &(struct cm_option){ .name = "help", .letter = 'h', .help = "Print help." });
    write_exit_codes(out, command->when_failed, command->more_exits);
    if (command->examples_count > 0)
        fputs(".SH EXAMPLES\n", out);
    for (size_t i = 0; i < command->examples_count; i++) {
        write_line(out, ".TP\n\\fB", command->examples[i].command);
        fputs("\\fR", out);
        write_line(out, "", command->examples[i].text);
    }
    fputs(".SH SEE ALSO\n\\fBcertmill\\fR(1)\n", out);
}

void cm_manual_write_all(const struct cm_commands *commands, FILE *out)
{
    write_title(out, NULL);
    fputs("certmill \\- issues certificates to device fleets\n"
          ".SH SYNOPSIS\n\\fBcertmill\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] ...\n"
          ".SH DESCRIPTION\n"
          "certmill takes certificate requests from a queue, decides them by policy, signs them\n"
          "with keys in software or hardware, records everything, and hands back certificates.\n"
          "Each command has a page of its own.\n"
          ".SH COMMANDS\n",
          out);
    for (size_t i = 0; i < commands->count; i++) {
        fputs(".TP\n\\fB", out);
        write_page_name(out, commands->all[i]->name);
        fputs("\\fR(1)\n", out);
        write_line(out, "", commands->all[i]->summary);
    }
    write_exit_codes(out, NULL, NULL);
}
