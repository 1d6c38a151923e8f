/*
 * CRL files: what is published, as files below a folder, under the paths of their URLs.
 *
 *     cm_crl_files_clean(folder, &err);                                    at start
 *     cm_crl_files_write(folder, "/crl/issuing-1/0.crl", content, &err);   a worker
 *
 * A file is written beside its place under a name that starts with a dot, made durable, and renamed:
 * whoever reads has the old one or the new one, whole. Folders are made as they are needed. Modes are
 * those of a web server's documents, as far as the umask lets them.
 *
 * Paths are the publisher's own: they start with a slash, and no part of them is hidden or "..".
 *
 * Thread: any; one at a time for each path.
 */
#ifndef CM_REVOCATION_CRL_FILES_H
#define CM_REVOCATION_CRL_FILES_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

/* Fails with: NOT_FOUND (there is nothing that the folder could be made in), DENIED, IO; the text names
 * the file. What was there before is still there, unless only its durability is in doubt. */
CM_MUST_USE cm_status cm_crl_files_write(const char *folder, const char *path,
                                         struct cm_bytes content, struct cm_error *err);

/*
 * Owns:       ret_content's data is the caller's, to free.
 * Fails with: NOT_FOUND, DENIED, IO, MALFORMED (larger than any CRL of ours, or no file).
 */
CM_MUST_USE cm_status cm_crl_files_read(const char *folder, const char *path,
                                        struct cm_bytes *ret_content, struct cm_error *err);

/*
 * Does:       removes what writing left unfinished when the process before this one ended. Where there is
 *             no such folder yet there is nothing to do.
 * Fails with: DENIED, IO.
 */
CM_MUST_USE cm_status cm_crl_files_clean(const char *folder, struct cm_error *err);

#endif
