/*
 * Key: a private key in a token: finding it, its public half, the mechanism it signs with, the
 * proof, the signature, and making a new one.
 *
 * Object handles are good for one epoch of the token (token.h). In each epoch the first use finds
 * the key again by its CKA_ID and label, compares the public key with the one that it was opened
 * with, and signs and verifies a test message: after a reset a handle can point to another key.
 *
 * All runs on workers' threads. An open key is shared by them; each has a digest context of its own.
 */
#ifndef CM_PROVIDERS_PKCS11_KEY_H
#define CM_PROVIDERS_PKCS11_KEY_H

#include "providers/pkcs11/token.h"
#include "providers/provider.h"

#include "engine/x509/der_writer.h"

#include <openssl/evp.h>

enum { CM_P11_SPKI_SIZE = 1200 }; /* RSA-8192 takes 1,062 bytes */

/* What is known of a private key's object. */
struct cm_p11_object {
    CK_OBJECT_HANDLE handle;
    CK_KEY_TYPE type;
    bool asks_each_time; /* CKA_ALWAYS_AUTHENTICATE */
    uint8_t id[CM_P11_ID_SIZE];
    uint32_t id_size;
    char label[CM_P11_LABEL_SIZE + 1];
};

/* A public key, DER. */
struct cm_p11_spki {
    uint8_t octets[CM_P11_SPKI_SIZE];
    uint32_t size;
};

/* How a token makes signatures of one algorithm. */
struct cm_p11_mechanism {
    CK_MECHANISM_TYPE type;
    bool hashes_itself; /* takes the message; else its digest, in a DigestInfo for CKM_RSA_PKCS */
};

struct cm_p11_key {
    struct cm_key key;
    struct cm_p11_token *token;
    struct cm_p11_uri uri;
    struct cm_p11_object object; /* under the mutex, once the key is open */
    struct cm_p11_spki spki;
    struct cm_p11_mechanism mechanism;
    EVP_MD *hash; /* NULL where the token hashes */
    pthread_mutex_t mutex;
    atomic_ulong handle;      /* of the private key, in... */
    atomic_uint handle_epoch; /* ...this epoch of the token; 0: in none */
    uint64_t next_find_ns;    /* under the mutex: when it may be looked for again */
    cm_status find_status;    /* and what that came to last */
    EVP_MD_CTX *digests[];    /* a worker's each, made when it first signs */
};

/* ------------------------------------------------------------------ object.c -- */

/*
 * Does:       finds the private key that label and id name.
 * Fails with: NO_KEY (none; several, which are named), as cm_p11_status.
 */
CM_MUST_USE cm_status cm_p11_object_find(struct cm_p11_use *use, const struct cm_p11_uri *uri,
                                         struct cm_p11_object *ret_object, CK_RV *ret_code,
                                         struct cm_error *err);

/* What a search that failed with the code comes to. */
cm_status cm_p11_fail_search(const struct cm_p11_use *use, const struct cm_p11_uri *uri, CK_RV code,
                             struct cm_error *err);

/* The first object of the template; false when there is none, or *ret_code says why not. */
bool cm_p11_first(struct cm_p11_use *use, CK_ATTRIBUTE *attributes, CK_ULONG count,
                  CK_OBJECT_HANDLE *ret_handle, CK_RV *ret_code);

/*
 * The value's size; 0 when there is none, or it does not fit, or the call failed. Then *failure_io
 * becomes the code, unless it holds one.
 */
size_t cm_p11_read(struct cm_p11_use *use, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                   void *value, size_t space, CK_RV *failure_io);

/* ------------------------------------------------------------------ public.c -- */

/*
 * From the public key of the same id (or label), a certificate, or the private key's own object.
 * False where there is none, and where *ret_code is not CKR_OK, because a call failed.
 */
bool cm_p11_public_read(struct cm_p11_use *use, const struct cm_p11_object *object,
                        struct cm_p11_spki *ret_spki, CK_RV *ret_code);

/* INTEGER of a big-endian number of at least one octet, whatever zeros it begins with. */
void cm_p11_put_integer(struct cm_der_writer *w, struct cm_bytes value);

/* CKA_EC_PARAMS of the type's curve; empty for RSA. Static. */
struct cm_bytes cm_p11_curve_params(enum cm_key_type type);

/* ------------------------------------------------------------------ mechanism.c -- */

/*
 * Does:       picks how the token signs with the algorithm and a key of that many bits.
 * Fails with: UNSUPPORTED, with what the token offers; as cm_p11_status.
 */
CM_MUST_USE cm_status cm_p11_mechanism_pick(struct cm_p11_use *use, enum cm_sigalg alg,
                                            uint32_t bits, struct cm_p11_mechanism *ret_mechanism,
                                            struct cm_error *err);

/* True where the token makes pairs this way. */
bool cm_p11_mechanism_makes(struct cm_p11_use *use, CK_MECHANISM_TYPE type, uint32_t bits);

/* Where a signature stopped. */
struct cm_p11_outcome {
    CK_RV code;
    bool reached_token; /* C_Sign was called: on failure there may be a signature */
    bool malformed;     /* CKR_OK, but no signature of this key can look like that */
};

/* One signature, in the form that certificates hold. */
struct cm_p11_outcome cm_p11_sign(struct cm_p11_use *use, const struct cm_p11_key *key,
                                  EVP_MD_CTX *digest, CK_OBJECT_HANDLE handle,
                                  struct cm_bytes message, uint8_t *signature, uint32_t space,
                                  uint32_t *ret_size);

/* ------------------------------------------------------------------ key.c -- */

/* Fails with: as in cm_provider_open_key. */
CM_MUST_USE cm_status cm_p11_key_open(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                                      enum cm_sigalg alg, uint32_t worker_index,
                                      struct cm_p11_key **ret_key, struct cm_error *err);
void cm_p11_key_free(struct cm_p11_key *key);

/* All that the key is called: what its object told, and its URI where the object told nothing. The
 * key's mutex held, or nobody else using it. */
void cm_p11_key_names(const struct cm_p11_key *key, struct cm_p11_uri *ret_uri);

/* The statuses of an item. */
cm_status cm_p11_key_sign(struct cm_p11_key *key, uint32_t worker_index, struct cm_bytes message,
                          uint8_t *signature, uint32_t space, uint32_t *ret_size);

/* ------------------------------------------------------------------ create.c -- */

/*
 * Does:       makes the pair, and fills the URI's id where it has none. Opening (and proving) it is
 *             the caller's, who takes it back when that fails.
 * Fails with: EXISTS, UNSUPPORTED, DENIED, IO (full), as cm_p11_status; nothing is left, or the error
 *             says what may be.
 */
CM_MUST_USE cm_status cm_p11_key_make(struct cm_p11_token *token, struct cm_p11_uri *uri,
                                      const struct cm_key_spec *spec, uint32_t worker_index,
                                      struct cm_error *err);
/* Best effort: pair and nothing else of that id. */
CM_MUST_USE cm_status cm_p11_key_destroy(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                                         uint32_t worker_index, struct cm_error *err);

/*
 * After making or opening it failed: a pair that stays would be in the way of the next attempt.
 * Destroys what has the URI's id; where that fails, err, which says what failed, says so too.
 */
void cm_p11_key_take_back(struct cm_p11_token *token, const struct cm_p11_uri *uri,
                          uint32_t worker_index, struct cm_error *err);

/* ------------------------------------------------------------------ measure.c -- */

/*
 * Does:       signs test messages with 1, 2, 4, ... sessions, 40 ms each, on threads of its own.
 * Returns:    the smallest number of sessions whose rate is within 5 % of the best.
 */
uint32_t cm_p11_measure_sessions(struct cm_p11_key *key);

#endif
