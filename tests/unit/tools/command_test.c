/*
 * Goal: command lines are understood or refused with a hint, and every page comes from the same
 * description. Method: commands of our own; standard error goes to a file that is read back.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/command.h"

#define COUNT(array) (sizeof array / sizeof array[0])

static int runs_count;
static struct cm_call last;

static int run(const struct cm_call *call)
{
    runs_count++;
    last = *call;
    return CM_EXIT_DONE;
}

static const char *const paragraphs[] = {
    "Forges a `thing` of the given type, and says so in a sentence that is longer than one line of a "
    "terminal that has eighty columns.",
    ".A second paragraph.", NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    CM_OPTION_JSON,
    { .name = "workers",
      .letter = 'w',
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .min = 1,
      .max = 64,
      .standard = "2",
      .help = "Threads." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .choices = "p256 rsa",
      .help = "Of the key." },
    { .name = "ore",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .repeats = true,
      .help = "What it is made of." },
};
static const struct cm_example examples[] = { { "certmill forge x", "Forges x." } };

static const struct cm_command forge = {
    .name = "forge",
    .operands = "THING [OTHER]",
    .operands_min = 1,
    .operands_max = 2,
    .summary = "forge a thing",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .more_exits = "3 it is too hot",
    .run = run,
};
static const struct cm_command ca_list = { .name = "ca list",
                                           .operands = "",
                                           .summary = "list authorities",
                                           .paragraphs = paragraphs + 1,
                                           .run = run };
static const struct cm_option needed[] = {
    { .name = "out",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .required = true,
      .help = "Where." },
};
static const struct cm_command ca_show = { .name = "ca show",
                                           .operands = "",
                                           .summary = "show an authority",
                                           .paragraphs = paragraphs + 1,
                                           .options = needed,
                                           .options_count = COUNT(needed),
                                           .run = run };
static const struct cm_command *const all[] = { &forge, &ca_list, &ca_show };
static const struct cm_commands commands = { all, COUNT(all) };

/* ----------------------------------------------------------------------------- helpers -- */

static char said[4096];    /* on standard error */
static char typed[16][64]; /* the words of the last command line */

/* Runs "certmill WORD..." (NULL at the end) and keeps what it said. */
static int certmill(const char *const *words)
{
    static char name[] = "certmill";
    static char *argv[16] = { name }; /* the last call points into it */
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = strcpy(typed[argc], words[argc - 1]);
    FILE *catcher = tmpfile();
    int kept = dup(STDERR_FILENO);
    if (!catcher || kept < 0)
        abort();
    fflush(stderr);
    dup2(fileno(catcher), STDERR_FILENO);
    runs_count = 0;
    int exit_code = cm_commands_run(&commands, argc, argv);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(catcher);
    said[fread(said, 1, sizeof said - 1, catcher)] = '\0';
    fclose(catcher);
    return exit_code;
}

#define CERTMILL(...) certmill((const char *const[]){ __VA_ARGS__, NULL })

static const char *page(void (*write)(const struct cm_command *, FILE *))
{
    static char text[8192];
    FILE *out = fmemopen(text, sizeof text, "w");
    if (!out)
        abort();
    write(&forge, out);
    fclose(out);
    return text;
}

/* ----------------------------------------------------------------------------- bad lines -- */

static void expect_usage(const char *expected, int exit_code)
{
    CU_ASSERT_EQUAL(exit_code, CM_EXIT_USAGE);
    CU_ASSERT_EQUAL(runs_count, 0);
    if (!strstr(said, expected)) {
        printf("\nexpected: %s\nfound:    %s", expected, said);
        CU_FAIL("another complaint was expected");
    }
}

static void test_an_unknown_command_is_refused_with_the_nearest(void)
{
    expect_usage("certmill: unknown command \"froge\" (did you mean forge?)", CERTMILL("froge"));
    expect_usage("unknown command \"ca lits\" (did you mean ca list?)", CERTMILL("ca", "lits"));
    expect_usage("unknown command \"telephone\"; certmill --help", CERTMILL("telephone"));
}

static void test_no_command_at_all_shows_help_and_fails(void)
{
    expect_usage("Usage: certmill COMMAND", certmill((const char *const[]){ NULL }));
    expect_usage("Usage: certmill ca COMMAND", CERTMILL("ca"));
}

static void test_an_unknown_option_is_refused_with_the_nearest(void)
{
    expect_usage("unknown option --jsno (did you mean --json?)", CERTMILL("forge", "--jsno", "x"));
    expect_usage("unknown option --wrokers (did", CERTMILL("forge", "--wrokers=3", "x"));
    expect_usage("unknown option --colour; certmill forge --help", CERTMILL("forge", "--colour"));
    expect_usage("unknown option -z;", CERTMILL("forge", "-z", "x"));
}

static void test_a_missing_value_and_a_value_too_much_are_refused(void)
{
    expect_usage("--workers needs a value", CERTMILL("forge", "x", "--workers"));
    expect_usage("-w needs a value", CERTMILL("forge", "x", "-w"));
    expect_usage("--json takes no value", CERTMILL("forge", "x", "--json=yes"));
    expect_usage("--help takes no value", CERTMILL("forge", "x", "--help=yes"));
}

static void test_values_outside_their_type_are_refused(void)
{
    expect_usage("--workers: expected a number from 1 to 64, found \"0\"",
                 CERTMILL("forge", "x", "-w", "0"));
    expect_usage("found \"3x\"", CERTMILL("forge", "x", "-w3x"));
    expect_usage("found \"-3\"", CERTMILL("forge", "x", "--workers", "-3"));
    expect_usage("--key-type: expected one of: p256 rsa; found \"p2\"",
                 CERTMILL("forge", "x", "--key-type", "p2"));
    expect_usage("--config: expected FILE, found nothing", CERTMILL("forge", "x", "-c", ""));
}

static void test_too_few_and_too_many_operands_are_refused(void)
{
    expect_usage("expected THING [OTHER]", CERTMILL("forge"));
    expect_usage("\"c\" is too much; usage: certmill forge", CERTMILL("forge", "a", "b", "c"));
    expect_usage("\"x\" is too much", CERTMILL("ca", "list", "x"));
}

static void test_a_needed_option_that_is_absent_is_asked_for(void)
{
    expect_usage("--out DIR is needed", CERTMILL("ca", "show"));
}

/* ---------------------------------------------------------------------------- good lines -- */

static void test_options_and_operands_come_in_any_order(void)
{
    CU_ASSERT_EQUAL(CERTMILL("forge", "a", "-w", "7", "b", "--json"), CM_EXIT_DONE);
    CU_ASSERT_EQUAL(runs_count, 1);
    CU_ASSERT_EQUAL(cm_call_number(&last, "workers"), 7);
    CU_ASSERT_TRUE(cm_call_flag(&last, "json"));
    CU_ASSERT_EQUAL(last.operands_count, 2);
    CU_ASSERT_STRING_EQUAL(last.operands[1], "b");
}

static void test_absent_options_have_their_defaults(void)
{
    CU_ASSERT_EQUAL(CERTMILL("forge", "a"), CM_EXIT_DONE);
    CU_ASSERT_STRING_EQUAL(cm_call_value(&last, "config"), "certmill.yaml");
    CU_ASSERT_EQUAL(cm_call_number(&last, "workers"), 2);
    CU_ASSERT_PTR_NULL(cm_call_value(&last, "key-type"));
    CU_ASSERT_FALSE(cm_call_flag(&last, "json"));
}

static void test_an_option_that_repeats_keeps_every_value(void)
{
    CU_ASSERT_EQUAL(CERTMILL("forge", "a", "--ore", "x", "-w", "3", "--ore=y"), CM_EXIT_DONE);
    CU_ASSERT_STRING_EQUAL(cm_call_value_at(&last, "ore", 0), "x");
    CU_ASSERT_STRING_EQUAL(cm_call_value_at(&last, "ore", 1), "y");
    CU_ASSERT_PTR_NULL(cm_call_value_at(&last, "ore", 2));
    CU_ASSERT_EQUAL(CERTMILL("forge", "a"), CM_EXIT_DONE);
    CU_ASSERT_PTR_NULL(cm_call_value_at(&last, "ore", 0));
    expect_usage("--ore: expected FILE, found nothing",
                 CERTMILL("forge", "a", "--ore", "", "--ore", "x"));
}

static void test_operands_behind_two_dashes_are_no_options(void)
{
    CU_ASSERT_EQUAL(CERTMILL("forge", "--", "--json"), CM_EXIT_DONE);
    CU_ASSERT_STRING_EQUAL(last.operands[0], "--json");
    CU_ASSERT_FALSE(cm_call_flag(&last, "json"));
}

static void test_a_lone_dash_is_an_operand(void)
{
    CU_ASSERT_EQUAL(CERTMILL("forge", "-"), CM_EXIT_DONE);
    CU_ASSERT_STRING_EQUAL(last.operands[0], "-");
}

static void test_commands_of_two_words_are_found(void)
{
    CU_ASSERT_EQUAL(CERTMILL("ca", "list"), CM_EXIT_DONE);
    CU_ASSERT_PTR_EQUAL(last.command, &ca_list);
}

/* -------------------------------------------------------------------------------- pages -- */

static void test_help_fits_80_columns_and_names_everything(void)
{
    const char *text = page(cm_help_write);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Usage: certmill forge [OPTION...] THING [OTHER]\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Forges a thing of"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "-w, --workers N"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Threads. Default: 2."));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "One of: p256 rsa."));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 it is too hot."));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        CU_ASSERT(strcspn(line, "\n") < 80);
}

static void test_manual_pages_keep_roff_from_reading_texts_as_requests(void)
{
    const char *text = page(cm_manual_write);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n\\&.A second paragraph."));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Forges a \\fBthing\\fR of"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\\fB\\-\\-key\\-type\\fR \\fITYPE\\fR"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "certmill\\-forge \\- forge a thing\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Also: 3 it is too hot.\n"));
}

CM_TEST_SUITE(command, CM_TEST(test_an_unknown_command_is_refused_with_the_nearest),
              CM_TEST(test_no_command_at_all_shows_help_and_fails),
              CM_TEST(test_an_unknown_option_is_refused_with_the_nearest),
              CM_TEST(test_a_missing_value_and_a_value_too_much_are_refused),
              CM_TEST(test_values_outside_their_type_are_refused),
              CM_TEST(test_too_few_and_too_many_operands_are_refused),
              CM_TEST(test_a_needed_option_that_is_absent_is_asked_for),
              CM_TEST(test_options_and_operands_come_in_any_order),
              CM_TEST(test_absent_options_have_their_defaults),
              CM_TEST(test_an_option_that_repeats_keeps_every_value),
              CM_TEST(test_operands_behind_two_dashes_are_no_options),
              CM_TEST(test_a_lone_dash_is_an_operand),
              CM_TEST(test_commands_of_two_words_are_found),
              CM_TEST(test_help_fits_80_columns_and_names_everything),
              CM_TEST(test_manual_pages_keep_roff_from_reading_texts_as_requests));
