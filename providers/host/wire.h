/*
 * Wire: what the engine and a signer process say to each other, as bytes.
 *
 * A frame is a head of 16 bytes (size of the body, version, kind, id; little-endian) and a body.
 * Functions here are pure: they append frames to a buffer and take frames apart without copying.
 * Each side treats the other as hostile: every count and size is checked against the body before it
 * is used, a text ends within its frame, and a body is read to its last byte or refused.
 *
 *     cm_wire_write_open_key(&out, id, &message);
 *     ...
 *     size_t size;
 *     while (cm_wire_next(bytes, &frame, &size) == CM_WIRE_WHOLE) { ...; bytes from size on; }
 *
 * Thread: any.
 */
#ifndef CM_PROVIDERS_HOST_WIRE_H
#define CM_PROVIDERS_HOST_WIRE_H

#include "providers/host.h"

#define CM_WIRE_VERSION       3
#define CM_WIRE_HEAD_SIZE     16
#define CM_WIRE_BODY_SIZE_MAX (64u << 20)
#define CM_WIRE_ITEMS_MAX     4096
#define CM_WIRE_INTENT_SIZE   32 /* SHA-256 */
#define CM_WIRE_SPKI_SIZE_MAX 4096
#define CM_WIRE_NAME_SIZE_MAX 8192        /* of an issuer, DER */
#define CM_WIRE_BLOB_SIZE_MAX (64u << 10) /* of a key that is imported */
#define CM_WIRE_REFERENCE_MAX 2048        /* octets of one that a signer names */
#define CM_WIRE_NOTICE_MAX    (CM_ERROR_TEXT_SIZE - 1)

/* Bytes that grow. Zero-initialised; out of memory ends the process. */
struct cm_buffer {
    uint8_t *data; /* owned */
    size_t size;   /* bytes in use */
    size_t space;  /* bytes there are */
};

void cm_buffer_reserve(struct cm_buffer *buffer, size_t more);
void cm_buffer_append(struct cm_buffer *buffer, const void *data, size_t size);
void cm_buffer_done(struct cm_buffer *buffer);

/* Gives room back that a large message has needed, where what is in use leaves it over. */
#define CM_BUFFER_KEPT (1u << 20) /* bytes of room that stay: usual batches need no more */
void cm_buffer_trim(struct cm_buffer *buffer);

enum cm_wire_kind {
    CM_WIRE_HELLO = 1,  /* engine: what instance the signer is; the first frame */
    CM_WIRE_READY,      /* signer: open, or why not */
    CM_WIRE_OPEN_KEY,   /* engine; the id is the key's from now on */
    CM_WIRE_CREATE_KEY, /* engine; the same */
    CM_WIRE_KEY_OPENED, /* signer */
    CM_WIRE_CLOSE_KEY,  /* engine; no body */
    CM_WIRE_SIGN,       /* engine; the id is the batch's */
    CM_WIRE_SIGNED,     /* signer */
    CM_WIRE_CANCEL,     /* engine: a wish about a batch; no body */
    CM_WIRE_PING,       /* engine; no body */
    CM_WIRE_PONG,       /* signer; no body */
    CM_WIRE_NOTICE,     /* signer: something that an operator should see */
    CM_WIRE_PACE,       /* signer: how it gets on with a service, when that has changed */
    CM_WIRE_KIND_END
};

struct cm_wire_frame {
    enum cm_wire_kind kind;
    uint64_t id;
    struct cm_bytes body; /* borrowed */
};

enum cm_wire_found {
    CM_WIRE_WHOLE,  /* a frame stands at the beginning */
    CM_WIRE_PART,   /* more bytes are needed: *ret_size in all, or as many as a head */
    CM_WIRE_GARBAGE /* no frame of ours begins like that */
};

enum cm_wire_found cm_wire_next(struct cm_bytes bytes, struct cm_wire_frame *ret_frame,
                                size_t *ret_size);

/*
 * Texts of messages that were read are NUL-terminated, borrowed from the body, NULL for none. What a
 * signer says is one line of 1 .. CM_WIRE_NOTICE_MAX octets of printable ASCII: writing it puts '?' for
 * what is not, and cuts what is too long; reading refuses it.
 */
struct cm_wire_hello {
    const char *kind; /* of backend */
    struct cm_provider_settings settings;
    uint32_t call_deadline_ms;
    bool signs_anything;
};

struct cm_wire_ready {
    cm_status status;
    const char *text; /* why not */
    struct cm_provider_caps caps;
};

struct cm_wire_open_key {
    const char *reference;
    enum cm_sigalg alg;
    struct cm_key_spec spec; /* CREATE_KEY; a transfer_blob has 1 .. CM_WIRE_BLOB_SIZE_MAX octets */
    bool has_floor;
    struct cm_floor floor;
};

struct cm_wire_key_opened {
    cm_status status;
    const char *text; /* why not; with OK none: a notice has a frame of its own */
    struct cm_key
        key; /* type, bits, alg, signature_size_max, spki; reference: printable ASCII, or none */
};

/* A batch, item by item: cm_wire_next_item, items_count times. */
struct cm_wire_sign {
    uint64_t key_id;
    enum cm_lane lane;
    uint64_t deadline_ns;
    uint32_t items_count;
    struct cm_bytes rows, messages; /* what is left of them */
};

struct cm_wire_signed {
    uint32_t items_count;
    const char *text; /* one line: why the first of those that the floor refused was; else NULL */
    struct cm_bytes rows, signatures; /* what is left of them */
};

/* Appending. Sizes are the caller's to keep within the limits above. */
void cm_wire_write_hello(struct cm_buffer *out, const struct cm_wire_hello *hello);
void cm_wire_write_ready(struct cm_buffer *out, const struct cm_wire_ready *ready);
void cm_wire_write_open_key(struct cm_buffer *out, enum cm_wire_kind kind, uint64_t id,
                            const struct cm_wire_open_key *open_key);
void cm_wire_write_key_opened(struct cm_buffer *out, uint64_t id,
                              const struct cm_wire_key_opened *opened);
void cm_wire_write_sign(struct cm_buffer *out, uint64_t id, uint64_t key_id,
                        const struct cm_sign_batch *batch);
/* items by position in the batch */
void cm_wire_write_signed(struct cm_buffer *out, uint64_t id, const struct cm_sign_item *items,
                          uint32_t items_count, const char *text);
void cm_wire_write_notice(struct cm_buffer *out, const char *text);
void cm_wire_write_pace(struct cm_buffer *out, const struct cm_provider_pace *pace);
void cm_wire_write_bare(struct cm_buffer *out, enum cm_wire_kind kind, uint64_t id);

/* How many bytes a SIGN frame would take, head included. */
size_t cm_wire_size_of_sign(const struct cm_sign_batch *batch);

/* Reading. False: not a message of that kind. */
CM_MUST_USE bool cm_wire_read_hello(struct cm_bytes body, struct cm_wire_hello *ret_hello);
CM_MUST_USE bool cm_wire_read_ready(struct cm_bytes body, struct cm_wire_ready *ret_ready);
CM_MUST_USE bool cm_wire_read_open_key(struct cm_bytes body, struct cm_wire_open_key *ret_open_key);
CM_MUST_USE bool cm_wire_read_key_opened(struct cm_bytes body,
                                         struct cm_wire_key_opened *ret_opened);
CM_MUST_USE bool cm_wire_read_sign(struct cm_bytes body, struct cm_wire_sign *ret_sign);
CM_MUST_USE bool cm_wire_read_signed(struct cm_bytes body, struct cm_wire_signed *ret_signed);
CM_MUST_USE bool cm_wire_read_notice(struct cm_bytes body, const char **ret_text);
CM_MUST_USE bool cm_wire_read_pace(struct cm_bytes body, struct cm_provider_pace *ret_pace);

/* *ret_intent_hash is NULL for none. The sizes were checked when the message was read. */
void cm_wire_next_item(struct cm_wire_sign *sign, struct cm_bytes *ret_message,
                       const uint8_t **ret_intent_hash);
void cm_wire_next_signature(struct cm_wire_signed *signed_, cm_status *ret_status,
                            struct cm_bytes *ret_signature);

#endif
