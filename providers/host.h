/*
 * Host: a provider instance in a process of its own, which holds its keys and PINs.
 *
 * The engine reads what strangers send; a vendor's module is a stranger's code. Neither should be
 * able to reach the keys, or to take the other down. So the engine opens every instance hosted: a
 * child process, the signer, opens the backend, and to-be-signed bytes go over a socket pair. The
 * caller sees an ordinary provider.
 *
 *     const struct cm_host_settings host = { .kind = "openssl" };
 *     const struct cm_provider_settings settings = { .name = "software", ..., .host = &host };
 *     cm_provider_open(&cm_provider_hosted, loop, &settings, &provider, &err);
 *     cm_host_bind(provider, "keys/issuing.pem", &floor);
 *     cm_provider_open_key(provider, "keys/issuing.pem", ...);
 *
 * The signer's life. open waits until it is ready, or says why it is not. When it dies later, what
 * it had been given ends UNCERTAIN and what it had not UNAVAILABLE, so that the caller may ask
 * again; a new one is started, at once or after up to two seconds, again and again, as long as the
 * instance is open. Keys are opened and proved anew, and must have the public key that they had
 * before: handles stay valid. Until then sign answers UNAVAILABLE. Where it takes fewer batches at a
 * time than the one before, so does the instance; where it takes smaller ones, another is started.
 * A signer none of whose keys opens is replaced now and then, unless the PIN was refused. A signer
 * that does not answer for call_deadline_ms is killed; one whose call takes longer ends by itself.
 * cm_provider_watch tells of all that, and of the backend's own notices: twenty a minute, then how many
 * were left out. A key that the backend pinned is opened again by its pinned reference.
 * cm_provider_pace is the backend's, a second old at most; all zero while the signer is away.
 *
 * The floor. A key that is bound to a floor signs nothing below it, whatever the engine asks:
 * that is checked in the signer. It cannot be changed for the life of the signer.
 *
 * A message may be as large as a CRL of a million entries: a batch takes up to 64 MiB (more is
 * UNSUPPORTED), for as long as it is under way, on both sides.
 *
 * Create_key is UNCERTAIN when the signer died over it. It takes transfer blobs of up to 64 KiB.
 */
#ifndef CM_PROVIDERS_HOST_H
#define CM_PROVIDERS_HOST_H

#include "providers/provider.h"

#define CM_LANE_BIT(lane) (1u << (lane))

/* What a key may sign. Plain data. */
struct cm_floor {
    struct cm_bytes issuer_name; /* the subject of the key's CA certificate, DER; copied by bind */
    unsigned lanes;              /* CM_LANE_BIT()s: what the key is for */
    int64_t validity_s_max;      /* from notBefore to notAfter */
    bool allows_no_expiry;       /* or notAfter is 99991231235959Z (RFC 5280, 4.1.2.5) */
    int64_t past_s_max;          /* notBefore lies at most so far before now */
    bool is_responder; /* a delegated responder's: it signs ResponseData of its own alone */
    int64_t responder_validity_s_max; /* of responders' certificates; 0: none are given */
    int64_t crl_validity_s_max;       /* from thisUpdate to nextUpdate; 0: 400 d */
    int64_t ocsp_validity_s_max;      /* of a response, from now to nextUpdate; 0: 30 d */
    uint32_t rate_per_s_max;          /* signatures; 0: no ceiling */
    uint32_t burst;                   /* signatures at once when it was quiet before */
};

/* Plain data, copied by open. */
struct cm_host_settings {
    const char *kind;          /* of backend, as in cm_provider_find */
    const char *program;       /* that runs cm_signer_main; NULL: this one */
    uint32_t call_deadline_ms; /* of one call into the key store; 0: 10 s */
    bool signs_anything; /* keys without a floor may be opened: for tests, benchmarks, ceremonies */
};

/* Opened with settings->host. The program is called with "signer NAME" and the socket as
 * CM_SIGNER_FD. */
extern const struct cm_provider_ops cm_provider_hosted;

/*
 * Does:       binds the key of this reference to a floor, from its next open_key on. Nothing for a
 *             provider that is not hosted: in process there is nobody to hold it up.
 * Thread:     the loop's.
 */
void cm_host_bind(struct cm_provider *provider, const char *reference,
                  const struct cm_floor *floor);

/* ------------------------------------------------------------------ the signer's process -- */

#define CM_SIGNER_FD 3

/* Exit codes of a signer, beside 0 when the engine has hung up. */
enum {
    CM_SIGNER_EXIT_USAGE = 2,     /* not started by an engine */
    CM_SIGNER_EXIT_REFUSED = 65,  /* the backend did not open; the engine was told why */
    CM_SIGNER_EXIT_PROTOCOL = 76, /* what came was no message of this version */
    CM_SIGNER_EXIT_HUNG = 75      /* a call took longer than its deadline */
};

/*
 * Nothing of this process can be read by others of the same user, it leaves no core file, gains no
 * privileges, and ends when its engine's thread does. Called first, by programs that mean it.
 */
void cm_signer_protect(void);

/*
 * Does:       serves the engine on the socket until it hangs up.
 * Returns:    the process's exit code.
 * Thread:     the process's first.
 */
int cm_signer_main(int fd, const struct cm_provider_ops *(*find)(const char *name));

#endif
