/*
 * Listener: the sockets that a service listens on, one for each of its threads, all on one address.
 *
 * The kernel spreads connections over the threads (SO_REUSEPORT), and each accepts for itself. With one
 * socket that all accept from, whoever wakes first takes all that wait: 64 connections of one client made
 * one of two threads do two thirds of the work. The first socket is bound alone: an address that
 * another process listens on is found out. Thread: any.
 */
#ifndef CM_STATUS_LISTENER_H
#define CM_STATUS_LISTENER_H

#include <sys/socket.h>

#include "engine/base/status.h"

struct cm_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* Reads "127.0.0.1:8080", "[::1]:8080". Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_address_read(const char *text, struct cm_address *ret_address,
                                      struct cm_error *err);

/*
 * Owns:       the descriptors are the caller's: non-blocking, closed on exec.
 * Fails with: MALFORMED, EXISTS (the address is taken), NOT_FOUND (no address of this machine), DENIED, IO.
 */
CM_MUST_USE cm_status cm_listener_open(const char *listen, uint32_t sockets_count, int *ret_sockets,
                                       uint16_t *ret_port, struct cm_error *err);

#endif
