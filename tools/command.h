/*
 * Commands: one description of each subcommand, from which everything comes that people read or type.
 *
 * A subcommand is a const struct cm_command in its own file, listed in main.c. From it come the
 * parsing of its arguments, `--help`, its man page (`certmill --man NAME`) and its section of
 * docs/reference/commands.md (`certmill --markdown commands`), so that none of them can lie.
 *
 *     static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
 *     const struct cm_command cm_command_ca_list = { .name = "ca list", ..., .run = run };
 *
 *     static int run(const struct cm_call *call)
 *     {
 *         if (cm_settings_read(cm_call_value(call, "config"), &settings, &err) != CM_OK)
 *             return cm_call_fail(call, "%s", err.text);
 *
 * Texts are plain English with `code` in back quotes: bold in man pages, bare in --help.
 * Standard output is for what was asked for, standard error for everything else.
 */
#ifndef CM_TOOLS_COMMAND_H
#define CM_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CM_EXIT_DONE   0 /* what was asked for is done */
#define CM_EXIT_FAILED 1 /* it is not */
#define CM_EXIT_USAGE  2 /* the command line is wrong; nothing was tried */

#define CM_OPTIONS_MAX 48
#define CM_REPEATS_MAX 256 /* values of options that may be given more than once */

enum cm_option_type {
    CM_OPTION_FLAG,
    CM_OPTION_TEXT,
    CM_OPTION_PATH,
    CM_OPTION_NUMBER, /* of min .. max */
    CM_OPTION_CHOICE  /* one of choices */
};

struct cm_option {
    const char *name; /* "key-type": --key-type */
    char letter;      /* 'c': -c; 0: none */
    enum cm_option_type type;
    const char *argument; /* "TYPE"; NULL for a flag */
    const char *standard; /* default; NULL: none */
    const char *choices;  /* words separated by a blank */
    uint64_t min, max;
    bool required;
    bool repeats; /* it may be given more than once: cm_call_value_at */
    const char *help;
};

struct cm_example {
    const char *command; /* "certmill init /srv/ca" */
    const char *text;    /* "A deployment with ..." */
};

struct cm_call;

struct cm_command {
    const char *name;     /* "init", "ca list" */
    const char *operands; /* of the synopsis: "DIR", "[NAME]", "FILE..."; "" for none */
    int operands_min;
    int operands_max;
    const char *summary;           /* half a sentence, no full stop */
    const char *const *paragraphs; /* NULL at the end */
    const struct cm_option *options;
    size_t options_count;
    const struct cm_example *examples;
    size_t examples_count;
    const char *when_failed; /* what exit code 1 means here; NULL: the usual */
    const char *more_exits;  /* "3 revoked; 4 not known": other exit codes; NULL: none */
    int (*run)(const struct cm_call *call);
};

/* Every command of the program, in the order in which help shows them. */
struct cm_commands {
    const struct cm_command *const *all;
    size_t count;
};

#define CM_OPTION_CONFIG                                                                           \
    {                                                                                              \
        .name = "config", .letter = 'c', .type = CM_OPTION_PATH, .argument = "FILE",               \
        .standard = "certmill.yaml", .help = "The settings file of the deployment."                \
    }
#define CM_OPTION_JSON                                                                             \
    {                                                                                              \
        .name = "json", .type = CM_OPTION_FLAG,                                                    \
        .help = "Print one JSON object for machines instead of text."                              \
    }
#define CM_OPTION_PLAN                                                                             \
    {                                                                                              \
        .name = "plan", .type = CM_OPTION_TEXT, .argument = "ID",                                  \
        .help = "Where `dual-control` of the settings marks this: the approved plan that it "      \
                "carries out, see `certmill ceremony prepare`."                                    \
    }
#define CM_OPTION_QUIET                                                                            \
    {                                                                                              \
        .name = "quiet", .letter = 'q', .type = CM_OPTION_FLAG, .help = "Print errors only."       \
    }

/* ----------------------------------------------------------------------------- calling -- */

/* One parsed command line. Everything is borrowed from argv and the description. */
struct cm_call {
    const struct cm_command *command;
    const char *values[CM_OPTIONS_MAX]; /* by option; NULL: not given. A flag that is given: "" */
    struct {
        const struct cm_option *option;
        const char *value;
    } repeats[CM_REPEATS_MAX]; /* in their order */
    size_t repeats_count;
    char *const *operands;
    int operands_count;
};

/* The value given, else the default, else NULL. The option must be one of the command's. */
const char *cm_call_value(const struct cm_call *call, const char *option);
bool cm_call_flag(const struct cm_call *call, const char *option);
/* Of an option that repeats: its i-th value, from 0; NULL behind the last. */
const char *cm_call_value_at(const struct cm_call *call, const char *option, size_t i);
uint64_t cm_call_number(const struct cm_call *call, const char *option);

/* "certmill: TEXT" on standard error, with --json {"error": TEXT} on standard output, too. Returns
   CM_EXIT_FAILED. */
int cm_call_fail(const struct cm_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "certmill: TEXT" on standard error. Returns CM_EXIT_USAGE. */
int cm_usage_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Finds the command in argv, parses the rest, runs it; returns the exit code. Reorders argv. */
int cm_commands_run(const struct cm_commands *commands, int argc, char **argv);

/*
 * Parses the arguments behind a command's name: argv[0] is ignored. CM_EXIT_DONE, or
 * CM_EXIT_USAGE after the complaint was printed. *ret_help is true when help was asked for.
 */
int cm_call_parse(const struct cm_command *command, int argc, char **argv, struct cm_call *ret_call,
                  bool *ret_help);

/* ----------------------------------------------------------------------------- reading -- */

void cm_help_write(const struct cm_command *command, FILE *out);
void cm_help_write_all(const struct cm_commands *commands, FILE *out);
void cm_help_write_group(const struct cm_commands *commands, const char *group, FILE *out);

/* A page of section 1 in roff. */
void cm_manual_write(const struct cm_command *command, FILE *out);
void cm_manual_write_all(const struct cm_commands *commands, FILE *out);

/* docs/reference/commands.md and codes.md. */
void cm_markdown_write_commands(const struct cm_commands *commands, FILE *out);
void cm_markdown_write_codes(FILE *out);

#endif
