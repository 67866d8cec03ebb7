#include "common/net/thread.h"

#include <signal.h>
#include <stdio.h>

enum { KERNEL_NAME_MAX = 16 };

enum nx_err nx_thread_start(const char *name, void *(*main)(void *arg), void *arg, pthread_t *out)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF};
    sigset_t mask;
    sigset_t before;
    sigfillset(&mask);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        sigdelset(&mask, own[i]);
    }
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    pthread_t thread;
    int status = pthread_create(&thread, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        return NX_ERR_NOMEM;
    }
    char cut[KERNEL_NAME_MAX];
    (void)snprintf(cut, sizeof(cut), "%s", name);
    pthread_setname_np(thread, cut);
    *out = thread;
    return NX_OK;
}
