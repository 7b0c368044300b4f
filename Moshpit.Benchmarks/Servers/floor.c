// The least that a server of events costs: one thread, one system call for each thing that comes or goes, and no checks at all. It knows
// the benchmarks' own requests and nothing else, and answers them in as many bytes as moshpit does, each event in a chunk of its own.
// Ids, tokens too, are descriptors.
// Prints "listening on PORT", answers each line of its input with the CPU time that it used (in 100 ns), and ends with its input.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, MAX_EVENTS = 512, BUFFER = 1 << 18, CONNECT_EVENT = 256, ID_ZEROS = 24 };

static struct { int channel, next, left; char *rest; } connections[MAX_FD]; // By descriptor; the first of a channel's list is its owner.
static char in[BUFFER + 1], out[BUFFER];
static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n"
    "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nAccess-Control-Allow-Origin: *\r\n"
    "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\nVary: Origin\r\n\r\nOK";

// A peer without room is waited for: nothing may be lost, and a queue would not be the least.
static void send_all(int fd, const char *bytes, size_t length) {
    for (ssize_t sent; length > 0; bytes += sent, length -= sent)
        while ((sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0)
            if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 10000) != 1) return;
}

static int id_at(const char *hex) { return (int)strtol(hex + ID_ZEROS, NULL, 16); }

static void subscribe(int fd, const char *target) {
    int owner = *target == ' ' ? fd : id_at(target);
    connections[fd].channel = owner;
    connections[fd].next = owner == fd ? 0 : connections[owner].next;
    if (owner != fd) connections[owner].next = fd;
    char event[CONNECT_EVENT];
    int length = sprintf(event, "event: connect\ndata: {\"id\":\"%032x\",\"cid\":\"%032x\",\"token\":\"%032x\"}\n\n", owner, fd, fd);
    send_all(fd, out, sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        "%x\r\n%s\r\n", length, event));
}

static void publish(int fd, const char *target, const char *body, const char *end) {
    const char *cid = strstr(body, "\"cid\":\""), *data = strstr(body, "\"data\":") + strlen("\"data\":");
    int size = (int)(strlen("event: signal\ndata: \n\n") + (end - data));
    int length = sprintf(out, "%x\r\nevent: signal\ndata: %.*s\n\n\r\n", size, (int)(end - data), data);
    if (cid != NULL && cid < end) send_all(id_at(cid + strlen("\"cid\":\"")), out, length);
    else for (int peer = id_at(target); peer != 0; peer = connections[peer].next) send_all(peer, out, length);
    send_all(fd, reply, sizeof reply - 1);
}

static void leave(int fd) {
    for (int peer = connections[fd].channel; peer != 0; peer = connections[peer].next)
        if (connections[peer].next == fd) connections[peer].next = connections[fd].next;
    free(connections[fd].rest);
    memset(&connections[fd], 0, sizeof connections[fd]);
    close(fd);
}

static void serve(int fd) {
    int left = connections[fd].left;
    if (left > 0) memcpy(in, connections[fd].rest, left);
    ssize_t received = recv(fd, in + left, BUFFER - left, MSG_DONTWAIT);
    if (received <= 0) { leave(fd); return; }
    char *at = in, *end = in + left + received, *body, *close;
    *end = 0;
    while ((body = strstr(at, "\r\n\r\n")) != NULL) {
        if (*at == 'G') { subscribe(fd, at + strlen("GET /")); at = body + 4; continue; }
        if ((close = strchr(body, '}')) == NULL) break;
        publish(fd, at + strlen("POST /"), body, close);
        at = close + 1;
    }
    if ((connections[fd].left = end - at) > 0)
        memcpy(connections[fd].rest = realloc(connections[fd].rest, end - at), at, end - at);
}

static void accept_from(int listener, int epoll) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

static void tell_usage(void) {
    struct timespec cpu;
    if (read(STDIN_FILENO, in, BUFFER) <= 0) exit(0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("usage %lld 0\n", cpu.tv_sec * 10000000LL + cpu.tv_nsec / 100);
    fflush(stdout);
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) { perror("listen"); return 1; }
    getsockname(listener, (void *)&address, &(socklen_t){sizeof address});
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.fd = STDIN_FILENO});
    for (;;) {
        static struct epoll_event events[MAX_EVENTS];
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_from(listener, epoll);
            else if (fd == STDIN_FILENO) tell_usage();
            else serve(fd);
        }
    }
}
