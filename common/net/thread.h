/* Threads of this program: named, and deaf to signals, which belong to the main thread (save those that a
 * fault of the thread itself raises). A blocked SIGPIPE also turns writes to closed sockets into EPIPE. */
#ifndef NX_NET_THREAD_H
#define NX_NET_THREAD_H

#include <pthread.h>

#include "common/base/err.h"

/* The kernel shows at most 15 bytes of the name. NX_ERR_NOMEM where the system has no thread left. */
enum nx_err nx_thread_start(const char *name, void *(*main)(void *arg), void *arg, pthread_t *out)
    NX_WARN_UNUSED;

/* The calling thread gives way to others that want the CPU, from now on. */
void nx_thread_give_way(void);

#endif
