/* A TCP server on 127.0.0.1 for tests of clients: each connection gets a thread that runs the
 * test's function, so that a test decides byte by byte what its client meets. */
#ifndef TESTS_UNIT_NET_SCRIPTED_SERVER_H
#define TESTS_UNIT_NET_SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scripted_server;

/* Runs on the connection's thread, which closes `fd` afterwards. `nth` counts connections from 0.
 */
typedef void (*scripted_connection)(int fd, int nth, void *user);

struct scripted_server *scripted_server_start(scripted_connection run, void *user);
uint16_t scripted_server_port(const struct scripted_server *server);
int scripted_server_connections(const struct scripted_server *server);
/* Shuts the sockets down, joins all threads. */
void scripted_server_stop(struct scripted_server *server);

/* Reads one request (header and Content-Length body) into `text`, NUL-terminated; false at the end
 * of the connection. */
bool scripted_read_request(int fd, char *text, size_t size);
void scripted_send(int fd, const char *text);
void scripted_send_bytes(int fd, const void *bytes, size_t len);
/* A port on which nobody listens. */
uint16_t scripted_free_port(void);

#endif
