#include "scripted_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024

struct connection {
    struct scripted_server *server;
    pthread_t thread;
    int fd;
    int nth;
};

struct scripted_server {
    int listener;
    uint16_t port;
    pthread_t thread;
    scripted_connection run;
    void *user;
    atomic_int count;
    pthread_mutex_t lock;
    struct connection connections[MAX_CONNECTIONS];
};

static void *serve_connection(void *arg)
{
    struct connection *connection = arg;
    struct scripted_server *server = connection->server;
    server->run(connection->fd, connection->nth, server->user);
    pthread_mutex_lock(&server->lock);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void *accept_connections(void *arg)
{
    struct scripted_server *server = arg;
    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        pthread_mutex_lock(&server->lock);
        int nth = atomic_fetch_add(&server->count, 1);
        assert(nth < MAX_CONNECTIONS);
        struct connection *connection = &server->connections[nth];
        *connection = (struct connection){.server = server, .fd = fd, .nth = nth};
        int failed = pthread_create(&connection->thread, NULL, serve_connection, connection);
        assert(!failed);
        (void)failed;
        pthread_mutex_unlock(&server->lock);
    }
}

static int bind_any(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int failed = bind(fd, (struct sockaddr *)&address, len);
    failed |= getsockname(fd, (struct sockaddr *)&address, &len);
    assert(!failed);
    (void)failed;
    *port = ntohs(address.sin_port);
    return fd;
}

struct scripted_server *scripted_server_start(scripted_connection run, void *user)
{
    struct scripted_server *server = calloc(1, sizeof(*server));
    assert(server);
    server->run = run;
    server->user = user;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = bind_any(&server->port);
    int failed = listen(server->listener, 128);
    failed |= pthread_create(&server->thread, NULL, accept_connections, server);
    assert(!failed);
    (void)failed;
    return server;
}

uint16_t scripted_server_port(const struct scripted_server *server)
{
    return server->port;
}

int scripted_server_connections(const struct scripted_server *server)
{
    return atomic_load(&server->count);
}

void scripted_server_stop(struct scripted_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    int count = atomic_load(&server->count);
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < count; i++) {
        if (server->connections[i].fd >= 0) {
            shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < count; i++) {
        pthread_join(server->connections[i].thread, NULL);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static size_t content_length(const char *text)
{
    const char *header = strcasestr(text, "\r\nContent-Length:");
    return header ? strtoul(header + 17, NULL, 10) : 0;
}

bool scripted_read_request(int fd, char *text, size_t size)
{
    size_t len = 0;
    for (;;) {
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (end && len >= (size_t)(end + 4 - text) + content_length(text)) {
            return true;
        }
        ssize_t got = recv(fd, text + len, size - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
    }
}

void scripted_send_bytes(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, p, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        p += sent;
        len -= (size_t)sent;
    }
}

void scripted_send(int fd, const char *text)
{
    scripted_send_bytes(fd, text, strlen(text));
}

uint16_t scripted_free_port(void)
{
    uint16_t port = 0;
    close(bind_any(&port));
    return port;
}
