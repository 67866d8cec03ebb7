#include "common/net/thread.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whatever `ulimit -s` says: a query's tree may be thousands of levels deep. */
enum { KERNEL_NAME_MAX = 16, STACK_BYTES = 8 << 20, NICE = 10 };

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
    pthread_attr_t attr;
    int status = pthread_attr_init(&attr);
    if (status == 0) {
        status = pthread_attr_setstacksize(&attr, STACK_BYTES);
        if (status == 0) {
            status = pthread_create(&thread, &attr, main, arg);
        }
        (void)pthread_attr_destroy(&attr);
    }
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

/* Linux takes a thread's id for a process's: the rest of the process keeps its priority. */
void nx_thread_give_way(void)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}
