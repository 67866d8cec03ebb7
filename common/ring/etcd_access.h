#ifndef NX_RING_ETCD_ACCESS_H
#define NX_RING_ETCD_ACCESS_H

/* How etcd is reached; texts are borrowed, NULL or "" where there is none. */
struct nx_etcd_access {
    const char *endpoints; /* "http://host:port,...", or https */
    const char *ca_file;   /* PEM: whom https servers are certified by; else the system's */
    const char *cert_file; /* PEM: as whom we show ourselves to them */
    const char *key_file;
    const char *user; /* of etcd's own authentication: asks for a token, and anew when it ends */
    const char *password;
};

#endif
