#include "tools/command.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/nearest.h"

#define LONG_BASE 256 /* what getopt_long returns for option i is LONG_BASE + i */
#define WORDS_MAX 64

/* ---------------------------------------------------------------------------- complaints -- */

int cm_usage_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("certmill: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CM_EXIT_USAGE;
}

int cm_call_fail(const struct cm_call *call, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "certmill: %s\n", text);
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:s}", "error", text);
        if (object)
            json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
        putchar('\n');
    }
    return CM_EXIT_FAILED;
}

/* ------------------------------------------------------------------------------ one call -- */

static size_t find_option(const struct cm_command *command, const char *name)
{
    size_t i = 0;
    while (i < command->options_count && strcmp(command->options[i].name, name) != 0)
        i++;
    return i;
}

const char *cm_call_value(const struct cm_call *call, const char *option)
{
    size_t i = find_option(call->command, option);
    assert(i < call->command->options_count);
    return call->values[i] ? call->values[i] : call->command->options[i].standard;
}

bool cm_call_flag(const struct cm_call *call, const char *option)
{
    size_t i = find_option(call->command, option);
    return i < call->command->options_count && call->values[i];
}

const char *cm_call_value_at(const struct cm_call *call, const char *option, size_t i)
{
    for (size_t at = 0; at < call->repeats_count; at++)
        if (strcmp(call->repeats[at].option->name, option) == 0 && i-- == 0)
            return call->repeats[at].value;
    return NULL;
}

uint64_t cm_call_number(const struct cm_call *call, const char *option)
{
    const char *value = cm_call_value(call, option);
    return value ? strtoull(value, NULL, 10) : 0;
}

/* ------------------------------------------------------------------------------- values -- */

static bool is_number(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && number >= min
           && number <= max;
}

static bool is_choice(const char *text, const char *choices)
{
    size_t size = strlen(text);
    for (const char *at = choices; at && *at;) {
        size_t word = strcspn(at, " ");
        if (word == size && memcmp(at, text, size) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static int check_value(const struct cm_option *option, const char *value)
{
    if (option->type == CM_OPTION_NUMBER && !is_number(value, option->min, option->max))
        return cm_usage_fail("--%s: expected a number from %" PRIu64 " to %" PRIu64
                             ", found \"%s\"",
                             option->name, option->min, option->max, value);
    if (option->type == CM_OPTION_CHOICE && !is_choice(value, option->choices))
        return cm_usage_fail("--%s: expected one of: %s; found \"%s\"", option->name,
                             option->choices, value);
    if (option->type != CM_OPTION_FLAG && value[0] == '\0')
        return cm_usage_fail("--%s: expected %s, found nothing", option->name, option->argument);
    return CM_EXIT_DONE;
}

/* ------------------------------------------------------------------------------ parsing -- */

/* What getopt_long wants to know. */
struct spelling {
    char letters[2 * CM_OPTIONS_MAX + 4];
    struct option longs[CM_OPTIONS_MAX + 2];
};

static void spell(const struct cm_command *command, struct spelling *spelling)
{
    char *letter = spelling->letters;
    assert(command->options_count <= CM_OPTIONS_MAX);
    *letter++ = ':'; /* a missing argument is told from an unknown option */
    *letter++ = 'h';
    for (size_t i = 0; i < command->options_count; i++) {
        const struct cm_option *option = &command->options[i];
        int argument = option->type == CM_OPTION_FLAG ? no_argument : required_argument;
        spelling->longs[i] = (struct option){ option->name, argument, NULL, LONG_BASE + (int)i };
        if (option->letter) {
            *letter++ = option->letter;
            if (argument == required_argument)
                *letter++ = ':';
        }
    }
    *letter = '\0';
    spelling->longs[command->options_count] = (struct option){ "help", no_argument, NULL, 'h' };
    spelling->longs[command->options_count + 1] = (struct option){ 0 };
}

static size_t option_of(const struct cm_command *command, int code)
{
    if (code >= LONG_BASE)
        return (size_t)(code - LONG_BASE);
    size_t i = 0;
    while (i < command->options_count && command->options[i].letter != code)
        i++;
    return i;
}

static int complain_unknown(const struct cm_command *command, const char *argument)
{
    const char *names[CM_OPTIONS_MAX + 1] = { "help" };
    char bare[64];
    for (size_t i = 0; i < command->options_count; i++)
        names[i + 1] = command->options[i].name;
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(argument, "="), argument);
    const char *meant = strncmp(bare, "--", 2) == 0
                            ? cm_nearest(bare + 2, names, command->options_count + 1)
                            : NULL;
    return cm_usage_fail("unknown option %s%s%s%s; certmill %s --help lists them", bare,
                         meant ? " (did you mean --" : "", meant ? meant : "", meant ? "?)" : "",
                         command->name);
}

/* '?' of getopt_long: unknown, ambiguous, or a flag with a value. */
static int complain(const struct cm_command *command, int code, char *const *argv)
{
    const char *argument = argv[optind - 1];
    char letter[3] = { '-', (char)optopt, '\0' };
    if (code == ':')
        return cm_usage_fail("%s needs a value; see certmill %s --help",
                             strncmp(argument, "--", 2) == 0 ? argument : letter, command->name);
    if (optopt >= LONG_BASE || (optopt == 'h' && strncmp(argument, "--", 2) == 0))
        return cm_usage_fail("%.*s takes no value", (int)strcspn(argument, "="), argument);
    return complain_unknown(command, optopt ? letter : argument);
}

static int check_call(const struct cm_call *call)
{
    const struct cm_command *command = call->command;
    for (size_t i = 0; i < command->options_count; i++) {
        if (command->options[i].required && !call->values[i])
            return cm_usage_fail("--%s %s is needed; see certmill %s --help",
                                 command->options[i].name, command->options[i].argument,
                                 command->name);
        if (call->values[i] && check_value(&command->options[i], call->values[i]))
            return CM_EXIT_USAGE;
    }
    for (size_t i = 0; i < call->repeats_count; i++)
        if (check_value(call->repeats[i].option, call->repeats[i].value))
            return CM_EXIT_USAGE;
    if (call->operands_count < command->operands_min)
        return cm_usage_fail("expected %s; see certmill %s --help", command->operands,
                             command->name);
    if (call->operands_count > command->operands_max)
        return cm_usage_fail("\"%s\" is too much; usage: certmill %s [OPTION...]%s%s",
                             call->operands[command->operands_max], command->name,
                             command->operands[0] ? " " : "", command->operands);
    return CM_EXIT_DONE;
}

/* False when there are too many that repeat. */
static bool take_option(struct cm_call *call, size_t i, const char *value)
{
    const struct cm_option *option = &call->command->options[i];
    call->values[i] = value ? value : "";
    if (!option->repeats)
        return true;
    if (call->repeats_count == CM_REPEATS_MAX)
        return false;
    call->repeats[call->repeats_count].option = option;
    call->repeats[call->repeats_count++].value = call->values[i];
    return true;
}

int cm_call_parse(const struct cm_command *command, int argc, char **argv, struct cm_call *ret_call,
                  bool *ret_help)
{
    struct spelling spelling = { 0 };
    struct cm_call call = { .command = command };
    int code;
    spell(command, &spelling);
    *ret_help = false;
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    while ((code = getopt_long(argc, argv, spelling.letters, spelling.longs, NULL)) != -1) {
        if (code == '?' || code == ':')
            return complain(command, code, argv);
        if (code == 'h') {
            *ret_help = true;
            return CM_EXIT_DONE;
        }
        if (!take_option(&call, option_of(command, code), optarg))
            return cm_usage_fail("more than %d values; give a folder instead", CM_REPEATS_MAX);
    }
    call.operands = argv + optind;
    call.operands_count = argc - optind;
    int exit_code = check_call(&call);
    if (exit_code == CM_EXIT_DONE)
        *ret_call = call;
    return exit_code;
}

/* ----------------------------------------------------------------------------- commands -- */

/* Words of argv that name a command: 1 or 2, as many as can; 0 when there is none. */
static int find_command(const struct cm_commands *commands, int argc, char **argv,
                        const struct cm_command **ret_command)
{
    int words = 0;
    for (size_t i = 0; i < commands->count; i++) {
        const char *name = commands->all[i]->name;
        size_t first = strcspn(name, " ");
        bool is_one = name[first] == '\0';
        if (strlen(argv[1]) != first || memcmp(argv[1], name, first) != 0
            || (!is_one && (argc < 3 || strcmp(argv[2], name + first + 1) != 0)))
            continue;
        *ret_command = commands->all[i];
        words = is_one ? 1 : 2;
        if (words == 2)
            break;
    }
    return words;
}

static bool is_group(const struct cm_commands *commands, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i < commands->count; i++)
        if (strncmp(commands->all[i]->name, word, size) == 0 && commands->all[i]->name[size] == ' ')
            return true;
    return false;
}

static int complain_command(const struct cm_commands *commands, int argc, char **argv)
{
    char words[WORDS_MAX][32];
    const char *names[WORDS_MAX];
    char typed[64];
    bool group = is_group(commands, argv[1]);
    size_t count = 0;
    snprintf(typed, sizeof typed, "%s%s%s", argv[1], group && argc > 2 ? " " : "",
             group && argc > 2 ? argv[2] : "");
    for (; count < commands->count && count < WORDS_MAX; count++) {
        snprintf(words[count], sizeof words[count], "%s", commands->all[count]->name);
        if (!group) /* a slip in the first word */
            words[count][strcspn(words[count], " ")] = '\0';
        names[count] = words[count];
    }
    const char *meant = cm_nearest(typed, names, count);
    return cm_usage_fail("unknown command \"%s\"%s%s%s; certmill --help lists them", typed,
                         meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int cm_commands_run(const struct cm_commands *commands, int argc, char **argv)
{
    const struct cm_command *command = NULL;
    struct cm_call call;
    bool help;
    if (argc < 2 || asks_for_help(argv[1])) {
        cm_help_write_all(commands, argc < 2 ? stderr : stdout);
        return argc < 2 ? CM_EXIT_USAGE : CM_EXIT_DONE;
    }
    int words = find_command(commands, argc, argv, &command);
    if (words == 0 && is_group(commands, argv[1]) && (argc == 2 || asks_for_help(argv[2]))) {
        cm_help_write_group(commands, argv[1], argc == 2 ? stderr : stdout);
        return argc == 2 ? CM_EXIT_USAGE : CM_EXIT_DONE;
    }
    if (words == 0)
        return complain_command(commands, argc, argv);
    int exit_code = cm_call_parse(command, argc - words, argv + words, &call, &help);
    if (exit_code != CM_EXIT_DONE)
        return exit_code;
    if (help) {
        cm_help_write(command, stdout);
        return CM_EXIT_DONE;
    }
    return command->run(&call);
}
