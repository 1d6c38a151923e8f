/*
 * Fleet cache: the requests of a fleet in a file, so that the next run of the same kind starts at once.
 *
 * A file for each number of devices and share of key types, in a folder that its owner names. What is in it
 * was made by cm_fleet_make: requests alone, the keys are forgotten. A file that is cut off, changed or
 * of another version is not believed; the caller makes the fleet anew and writes it again. Written
 * beside and renamed, so that nobody reads half of one.
 *
 *     if (cm_fleet_cache_read(folder, &settings, &fleet, &err) != CM_OK)
 *         ... cm_fleet_make, cm_fleet_cache_write ...
 *
 * One thread.
 */
#ifndef CM_TOOLS_FLEET_CACHE_H
#define CM_TOOLS_FLEET_CACHE_H

#include "tools/fleet.h"

/* FOLDER/fleet-1000-p256-900-rsa-2048-100.csrs */
#define CM_FLEET_CACHE_PATH_SIZE 4352
void cm_fleet_cache_path(const char *folder, const struct cm_fleet_settings *settings,
                         char ret_path[CM_FLEET_CACHE_PATH_SIZE]);

/*
 * Owns:       *ret_fleet is the caller's; elapsed_ns is what reading took.
 * Fails with: NOT_FOUND (there is none), IO, MALFORMED (damaged, or of another version).
 */
CM_MUST_USE cm_status cm_fleet_cache_read(const char *folder,
                                          const struct cm_fleet_settings *settings,
                                          struct cm_fleet **ret_fleet, struct cm_error *err);

/* Does: makes the folder where it is not there. Fails with: IO. */
CM_MUST_USE cm_status cm_fleet_cache_write(const char *folder,
                                           const struct cm_fleet_settings *settings,
                                           const struct cm_fleet *fleet, struct cm_error *err);

#endif
