/*
 * Subject: the rules of single attributes of a distinguished name, and how they are written.
 *
 * String types and upper bounds come from the list in engine/x509/profile.h (RFC 5280, 4.1.2.4
 * and appendix A.1). Thread: any.
 */
#ifndef CM_X509_SUBJECT_H
#define CM_X509_SUBJECT_H

#include "engine/base/refusal.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/oid.h"
#include "engine/x509/template.h"

/* Checks text that goes into a name: cm_name_text_check of engine/x509/name_text.h, and
   name.too-long beyond characters_max. what names it in the message. */
bool cm_name_value_check(struct cm_bytes text, size_t characters_max, const char *what,
                         struct cm_refusal *refusal);

/* cm_name_value_check, and name.charset where the attribute's string type does not have a character
   or a country is not two capital letters. */
bool cm_subject_value_check(enum cm_subject_field field, struct cm_bytes value,
                            struct cm_refusal *refusal);

/* One RelativeDistinguishedName with one attribute. */
void cm_subject_put(struct cm_der_writer *w, enum cm_subject_field field, struct cm_bytes value);

/* For readers: the attribute of an OID (CM_SUBJECT_FIELD_COUNT when it is not one of ours),
   and its string type. */
enum cm_subject_field cm_subject_field_of_oid(enum cm_oid oid);
enum cm_oid cm_subject_field_oid(enum cm_subject_field field);
uint8_t cm_subject_string_tag(enum cm_subject_field field);

#endif
