/*
 * Metrics: what /metrics shows, in the text format of Prometheus, version 0.0.4.
 *
 * Each metric is a member of the status JSON under a name of its own, with its help and type: names are
 * promised, the JSON's places are not. Units are base units and stand in the name (_seconds, _bytes,
 * _timestamp_seconds for Unix times); what only grows, from 0 at the start of the engine, is a counter
 * and ends in _total. One table makes the output and docs/reference/metrics.md.
 */
#ifndef CM_STATUS_METRICS_H
#define CM_STATUS_METRICS_H

#include <stdio.h>

/* The page of the reference: a row for each metric. Thread: any. */
void cm_metrics_write_reference(FILE *out);

#endif
