#include "engine/status/metrics.h"

#include "engine/status/internal.h"

enum type { GAUGE, COUNTER };

static const char *const type_names[] = { [GAUGE] = "gauge", [COUNTER] = "counter" };

/* Where something of the status JSON stands that is there once for each name. */
static const struct {
    const char *list, *label;
} labels[] = {
    { "providers", "provider" }, { "issuers", "issuer" },   { "published", "issuer" },
    { "campaigns", "campaign" }, { "stations", "station" },
};

struct metric {
    const char *section, *member; /* in the status JSON */
    const char *name;             /* behind "certmill_" */
    enum type type;
    double scale; /* to the base unit */
    const char *help;
};

#define COUNTED(member, name, help) { "http", name, "http_" name "_total", COUNTER, 1, help },

static const struct metric metrics[] = {
    { "", "ready", "ready", GAUGE, 1, "1: ready, as /readyz says" },
    { "", "issued", "certificates_issued_total", COUNTER, 1, "certificates issued" },
    { "", "refused", "requests_refused_total", COUNTER, 1, "requests refused" },
    { "", "failed", "requests_failed_total", COUNTER, 1, "requests answered failed" },
    { "", "repeated", "requests_repeated_total", COUNTER, 1,
      "requests answered again, from the record" },
    { "", "given_back", "requests_given_back_total", COUNTER, 1,
      "requests given back to the queue, which delivers them again" },
    { "", "done", "orders_done_total", COUNTER, 1, "orders carried out: revocations and the like" },
    { "", "batches", "batches_total", COUNTER, 1, "batches of requests" },
    { "", "batches_answered", "batches_answered_total", COUNTER, 1,
      "of them, those that are over" },
    { "stations", "ns", "station_seconds_total", COUNTER, 1e-9,
      "what the time of those batches went into, by the clock; divided by their number: of one" },
    { "", "in_flight", "requests_in_flight", GAUGE, 1, "requests under way" },
    { "", "set_aside", "requests_set_aside", GAUGE, 1, "requests that wait for a key" },
    { "verification", "multi_buffer", "verification_multi_buffer", GAUGE, 1,
      "1: proofs and signatures are verified eight at a time" },
    { "verification", "in_lanes", "verification_in_lanes_total", COUNTER, 1,
      "signatures verified in lanes of eight" },
    { "verification", "one_by_one", "verification_one_by_one_total", COUNTER, 1,
      "signatures verified by OpenSSL, one by one" },
    { "", "clock_leap_s", "clock_leap_seconds", GAUGE, 1,
      "so far ahead the system's clock is, and is not believed" },
    { "", "time_s", "status_timestamp_seconds", GAUGE, 1, "when these numbers were taken" },
    { "providers", "up", "provider_up", GAUGE, 1, "1: its signer process answers" },
    { "providers", "seconds", "provider_state_seconds", GAUGE, 1, "up, or away, for so long" },
    { "providers", "restarts", "provider_restarts_total", COUNTER, 1,
      "signer processes started after the first" },
    { "providers.pace", "rate_per_s", "provider_pace_signatures_per_second", GAUGE, 1,
      "the pace at which the service is asked now, at most" },
    { "providers.pace", "in_flight", "provider_pace_in_flight", GAUGE, 1,
      "requests to the service under way" },
    { "providers.pace", "waiting", "provider_pace_waiting", GAUGE, 1,
      "signatures that wait for their turn" },
    { "providers.pace", "succeeded", "provider_pace_succeeded_total", COUNTER, 1,
      "requests that the service answered well" },
    { "providers.pace", "throttled", "provider_pace_throttled_total", COUNTER, 1,
      "requests that the service answered 429" },
    { "providers.pace", "failed", "provider_pace_failed_total", COUNTER, 1,
      "requests that came to nothing otherwise" },
    { "providers.pace", "median_ms", "provider_pace_latency_median_seconds", GAUGE, 1e-3,
      "of the service's answers, lately" },
    { "providers.pace", "p99_ms", "provider_pace_latency_p99_seconds", GAUGE, 1e-3,
      "of the service's answers, lately" },
    { "providers.pace", "circuits_open", "provider_pace_circuits_open", GAUGE, 1,
      "vaults that are not asked at the moment, but for probes" },
    { "issuers", "waiting", "issuer_requests_waiting", GAUGE, 1,
      "requests whose signature is tried again" },
    { "issuers", "outstanding", "issuer_signatures_outstanding", GAUGE, 1,
      "signatures asked of the key and not made yet" },
    { "issuers", "in_trouble", "issuer_in_trouble", GAUGE, 1, "1: the key does not sign" },
    { "issuers", "seconds", "issuer_trouble_seconds", GAUGE, 1, "for so long" },
    { "issuers", "rotation_due_s", "issuer_rotation_due_seconds", GAUGE, 1,
      "until another key is to issue, as the settings say; below 0: it is overdue" },
    { "crls", "shards", "crl_shards", GAUGE, 1, "shards of all keys" },
    { "crls", "published", "crls_published_total", COUNTER, 1, "CRLs published, deltas too" },
    { "crls", "failed", "crl_failures_total", COUNTER, 1,
      "attempts to publish that came to nothing" },
    { "crls", "overdue", "crls_overdue", GAUGE, 1, "CRLs past their nextUpdate, or never made" },
    { "crls", "next_expiry", "crl_next_update_timestamp_seconds", GAUGE, 1,
      "the first nextUpdate of all CRLs; 0: there is none. Alert before it passes" },
    { "campaigns", "running", "campaign_running", GAUGE, 1, "1: it runs; 0: it is paused" },
    { "campaigns", "expected", "campaign_devices_expected", GAUGE, 1,
      "devices that there were to notice as it was started" },
    { "campaigns", "noticed", "campaign_devices_noticed", GAUGE, 1,
      "devices that have their notice" },
    { "campaigns", "renewed", "campaign_devices_renewed", GAUGE, 1,
      "devices that had come before their turn" },
    { "campaigns", "remaining", "campaign_devices_remaining", GAUGE, 1,
      "devices whose turn is still to come" },
    { "campaigns", "in_trouble", "campaign_in_trouble", GAUGE, 1,
      "1: its notices wait for the queue, or the store" },
    { "published", "documents", "published_documents", GAUGE, 1,
      "CRLs and CA certificates served" },
    { "published", "octets", "published_bytes", GAUGE, 1, "their size" },
    { "published", "expires_s", "published_next_update_timestamp_seconds", GAUGE, 1,
      "the first nextUpdate of this key's CRLs; 0: there is none" },
    { "http", "connections", "http_connections", GAUGE, 1, "connections open" },
    { "http", "in_flight", "http_questions_in_flight", GAUGE, 1,
      "questions that the engine's loop has to answer" },
    { "http", "ocsp_kept", "http_ocsp_answers_kept", GAUGE, 1, "OCSP answers kept" },
    CM_COUNTER_MAP(COUNTED)
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ samples -- */

struct writing {
    struct evbuffer *text;
    const struct metric *metric;
    bool has_begun;
};

static const char *label_of(const char *list, size_t size)
{
    for (size_t i = 0; i < COUNT(labels); i++)
        if (strlen(labels[i].list) == size && memcmp(labels[i].list, list, size) == 0)
            return labels[i].label;
    return NULL;
}

static void write_quoted(struct evbuffer *text, const char *value)
{
    evbuffer_add(text, "\"", 1);
    for (; *value; value++) {
        if (*value == '\n')
            evbuffer_add(text, "\\n", 2);
        else if (*value == '"' || *value == '\\')
            evbuffer_add_printf(text, "\\%c", *value);
        else
            evbuffer_add(text, value, 1);
    }
    evbuffer_add(text, "\"", 1);
}

static void write_sample(struct writing *writing, const char *label, const char *name, double value)
{
    const struct metric *metric = writing->metric;
    if (!writing->has_begun)
        evbuffer_add_printf(writing->text, "# HELP certmill_%s %s.\n# TYPE certmill_%s %s\n",
                            metric->name, metric->help, metric->name, type_names[metric->type]);
    writing->has_begun = true;
    evbuffer_add_printf(writing->text, "certmill_%s", metric->name);
    if (label) {
        evbuffer_add_printf(writing->text, "{%s=", label);
        write_quoted(writing->text, name);
        evbuffer_add(writing->text, "}", 1);
    }
    evbuffer_add_printf(writing->text, " %.17g\n", value * metric->scale);
}

static void write_member(struct writing *writing, const json_t *object, const char *label,
                         const char *name)
{
    const json_t *value = json_object_get(object, writing->metric->member);
    if (json_is_number(value))
        write_sample(writing, label, name, json_number_value(value));
    else if (json_is_boolean(value))
        write_sample(writing, label, name, json_is_true(value));
}

/* Down the section's path: "providers.pace" is the member pace of each provider. */
static void write_below(struct writing *writing, const json_t *object, const char *path,
                        const char *label, const char *name)
{
    if (*path == '\0') {
        write_member(writing, object, label, name);
        return;
    }
    char step[32];
    size_t size = strcspn(path, "."), i;
    snprintf(step, sizeof step, "%.*s", (int)size, path);
    const json_t *found = json_object_get(object, step), *row;
    const char *rest = path + size + (path[size] == '.');
    if (!json_is_array(found)) {
        write_below(writing, found, rest, label, name);
        return;
    }
    json_array_foreach(found, i, row)
    {
        const char *row_name = json_string_value(json_object_get(row, "name"));
        if (row_name)
            write_below(writing, row, rest, label_of(path, size), row_name);
    }
}

void cm_metrics_write(struct evbuffer *text, const json_t *status)
{
    for (size_t i = 0; i < COUNT(metrics); i++) {
        struct writing writing = { .text = text, .metric = &metrics[i] };
        write_below(&writing, status, metrics[i].section, NULL, NULL);
    }
}

/* ------------------------------------------------------------------ the reference -- */

void cm_metrics_write_reference(FILE *out)
{
    fputs("# Metrics\n"
          "\n"
          "*This page is made from the table that `/metrics` itself uses (`certmill --markdown "
          "metrics`).*\n"
          "\n"
          "`GET /metrics` of the [HTTP service](http.md) answers in the text format of Prometheus. "
          "Counters begin at 0 when the\nengine starts. A metric whose cause is not there (no "
          "vault, no CRL) is left out.\n"
          "\n"
          "| metric | type | label | member of `/api/v1/status` | what it says |\n"
          "|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < COUNT(metrics); i++) {
        const struct metric *metric = &metrics[i];
        const char *label = label_of(metric->section, strcspn(metric->section, "."));
        fprintf(out, "| `certmill_%s` | %s | %s | `%s%s%s` | %s |\n", metric->name,
                type_names[metric->type], label ? label : "", metric->section,
                metric->section[0] ? "." : "", metric->member, metric->help);
    }
}
