/*
 * Subtree: a part of the names of one kind, as name constraints speak of it (RFC 5280, 4.2.1.10).
 *
 * In settings and on command lines a subtree is "KIND:BASE":
 *
 *     dns:example.com        that name and all below it
 *     email:a@example.com    one mailbox; email:example.com those of a host; email:.example.com below it
 *     uri:example.com        URIs with that host; uri:.example.com those with a host below it
 *     ip:10.0.0.0/8          addresses of a network; ip:2001:db8::/32
 *
 * Those of certificates may be directory names, too: the beginning of a Name. They are compared as they
 * are encoded: names that differ in case or in string types are others. Thread: any.
 */
#ifndef CM_X509_SUBTREE_H
#define CM_X509_SUBTREE_H

#include <stdbool.h>

#include "engine/base/bytes.h"

#define CM_SUBTREE_EMAIL     0x81 /* tags of GeneralName */
#define CM_SUBTREE_DNS       0x82
#define CM_SUBTREE_DIRECTORY 0xa4
#define CM_SUBTREE_URI       0x86
#define CM_SUBTREE_IP        0x87

#define CM_SUBTREE_OCTETS    32  /* an address of 16 octets and its mask */
#define CM_SUBTREE_TEXT_SIZE 300 /* "dns:..." and its NUL */

/* A subtree, or one name, which is a subtree with nothing else in it. */
struct cm_subtree {
    uint8_t tag;          /* of the GeneralName; kinds that are none of these hold nothing */
    struct cm_bytes base; /* content: text; address and mask; Name, tag included */
};

/*
 * Does:  reads "KIND:BASE". The base is a span over the text, or lies in the octets given.
 * Fails: returns what is wrong with it; NULL: it was read.
 */
const char *cm_subtree_read(const char *text, uint8_t octets[CM_SUBTREE_OCTETS],
                            struct cm_subtree *ret_subtree);

/* The same text again, for messages; a directory name is "dirname" alone. Returns text. */
const char *cm_subtree_write(const struct cm_subtree *subtree, char text[CM_SUBTREE_TEXT_SIZE]);

/*
 * One name as it stands in a certificate: tag and content of a GeneralName, of a directory name the Name.
 * False when it has nothing to compare: a URI without a host that is a name, an address of a wrong size.
 */
bool cm_subtree_of_name(uint8_t tag, struct cm_bytes content, uint8_t octets[CM_SUBTREE_OCTETS],
                        struct cm_subtree *ret_subtree);

/* Whether all of inner lies within outer. Of two kinds: no. */
bool cm_subtree_covers(const struct cm_subtree *outer, const struct cm_subtree *inner);

#endif
